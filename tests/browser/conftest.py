"""One browser for all tests, and the pages that they open. Without a Chromium every test fails and says so."""

import pytest

from focal_ref.conformance.findings import Finding
from focal_ref.conformance.gate import ExitCode, Result, items_of
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.reports.files import write_record, write_text
from focal_ref.conformance.reports.matrix import Column, matrix_html
from focal_ref.conformance.reports.record import Record

from ..reports.runs import REGIMES, hostile_record, red_run, run_of
from .chromium import NoBrowser, browser, look


@pytest.fixture(scope="session")
def chromium():
    try:
        with browser() as driver:
            yield driver
    except NoBrowser as error:
        pytest.fail(str(error), pytrace=False)


def full_run():
    """Every item of a profile: all pass, but for FL-VAL-002 in two formats, and FL-VAL-003 is waived in one."""
    results = []
    for position, item in enumerate(items_of(load_profile("numpy"))):
        measured = bool(item.dtype) and item.name != "self-check"
        result = Result(item, True, 100, 0.001 * position if measured else 0.0, 5.0 if measured else 0.0)
        if item.name in ("FL-VAL-001", "FL-GRAD-001"):
            result = Result(item, True, 100, 0.4, 0.5, regimes=REGIMES[:1])
        if item.name == "FL-VAL-002" and item.dtype in ("float32", "float16"):
            error = 1e7 if item.dtype == "float32" else 40.0
            case = f"saturation/{item.dtype}/gamma=2/alpha=0.25/target=0/logit=c1a80000"
            finding = Finding(case, "value", "4.3e-19", "0.0", {"logit": "-21.0"}, error, 16.0)
            text = f"{item.name} {item.dtype}: easy elements are lost.\n  also      {'; '.join([case] * 6)}"
            result = Result(item, False, 100, error, 16.0, text, [finding.record()] * 30, REGIMES)
        if (item.name, item.dtype) == ("FL-VAL-003", "float64"):
            result = Result(item, False, 100, 20.0, 16.0, f"{item}: off.", waiver="known, issue 12")
        results.append(result)
    return run_of(results, ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met")


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Paths of the pages by name."""
    folder = tmp_path_factory.mktemp("pages")
    records = {"full": Record.of(full_run()), "red": Record.of(red_run()), "hostile": hostile_record()}
    paths = {name: write_record(record, folder, name)["html"] for name, record in records.items()}
    columns = [Column(record, f"{name}.html") for name, record in records.items()]
    paths["matrix"] = folder / "matrix.html"
    write_text(paths["matrix"], matrix_html(columns))
    return paths


@pytest.fixture
def opened(chromium, pages):
    """Open a page by its name, from its file."""

    def open_page(name, width=1280, height=900, *, dark=False):
        chromium.get("about:blank")
        # What came before is read, so that only this page's remains.
        chromium.get_log("browser")
        chromium.get_log("performance")
        look(chromium, width, height, dark=dark)
        chromium.get(pages[name].as_uri())
        return chromium

    return open_page
