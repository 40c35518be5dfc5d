"""Where there is no browser, the tests say what to install and fail; they are not skipped."""

import pytest

from .chromium import NoBrowser, browser, program


def test_a_browser_that_is_missing_is_named_with_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = r"^no browser found, looked for chromium, .*; install Chromium and its driver: apt-get install chromium"
    with pytest.raises(NoBrowser, match=expected):
        program("browser")
    with pytest.raises(NoBrowser, match=r"^no browser found"), browser():
        pytest.fail("there is none")


def test_a_driver_that_is_missing_is_named_too(monkeypatch, tmp_path):
    (tmp_path / "chromium").write_text("#!/bin/sh\n")
    (tmp_path / "chromium").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program("browser") == str(tmp_path / "chromium")
    with pytest.raises(NoBrowser, match=r"^no driver found, looked for chromedriver; "):
        program("driver")
