"""Screenshots of the HTML report of a run: ``python -m docs.figures.report RECORD.jsonl``, from the root.

Needs what the browser tests need, and Pillow, which makes the files small.
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from focal_ref.conformance.reports.files import read_record, write_record
from tests.browser.chromium import browser, look

FOLDER = Path(__file__).parent
COLORS = 128

VIEWS = {
    "desktop": (1280, 860, False, "header"),
    "plots": (1280, 700, False, "section[aria-labelledby=regimes]"),
    "requirement": (1280, 860, False, "article:has(.plots)"),
    "dark": (1280, 860, True, "header"),
    "phone": (390, 844, False, "header"),
}
"""Width, height, whether dark, and what stands at the top."""


def main(record: Path) -> None:
    with TemporaryDirectory() as folder, browser() as driver:
        page = write_record(read_record(record), Path(folder))["html"]
        for name, (width, height, dark, top) in VIEWS.items():
            look(driver, width, height, dark=dark)
            driver.get(page.as_uri())
            driver.execute_script("document.querySelector(arguments[0]).scrollIntoView()", top)
            picture = Image.open(BytesIO(driver.get_screenshot_as_png())).convert("RGB")
            picture.quantize(COLORS).save(FOLDER / f"report-{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
