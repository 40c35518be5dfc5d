"""A headless Chromium that asks nothing of a network, driven by Selenium."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

NAMES = {
    "browser": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "driver": ("chromedriver",),
}
PACKAGES = "install Chromium and its driver: apt-get install chromium chromium-driver"

FLAGS = (
    "--headless=new",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


class NoBrowser(Exception):
    """What is missing, and how to get it."""


def program(kind: str) -> str:
    """Path of the browser or of its driver."""
    for name in NAMES[kind]:
        if path := shutil.which(name):
            return path
    raise NoBrowser(f"no {kind} found, looked for {', '.join(NAMES[kind])}; {PACKAGES}")


@contextmanager
def browser() -> Iterator[Any]:
    """A Selenium driver with a new profile, which is removed afterwards."""
    paths = program("browser"), program("driver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise NoBrowser(f"{error}; pip install 'focal-ref[browser]'") from error
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        flags = [*FLAGS, f"--user-data-dir={profile}"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            # Chromium's sandbox refuses to run for root, as in containers.
            flags.append("--no-sandbox")
        for flag in flags:
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(paths[1]))
        try:
            yield driver
        finally:
            driver.quit()


def look(driver: Any, width: int, height: int, *, dark: bool = False, scale: float = 1) -> None:
    """Set the width of the page, and whether the reader prefers dark pages."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
