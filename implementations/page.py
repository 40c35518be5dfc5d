"""Makes docs/implementations.md and docs/implementations.html of the results.

    python implementations/page.py           write both
    python implementations/page.py --check   compare both with what is there; exit code 1 if they differ

Nothing is computed here: what is not in catalogue.toml and results/*.json is not on the page.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import results
from catalogue import ROOT, CatalogueError, load
from page_html import html
from page_markdown import markdown
from page_tables import Page

DOCS = ROOT / "docs"
DONE, DIFFERENT, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; compare")
    parser.add_argument("--results", type=Path, default=results.PLACE, help="the folder with the results")
    parser.add_argument("--output", type=Path, default=DOCS, help="the folder with the pages")
    given = parser.parse_args(arguments)
    try:
        catalogue = load()
        page = Page(catalogue, results.load(catalogue, given.results))
    except (CatalogueError, results.ResultsError) as error:
        print(f"page.py: {error}", file=sys.stderr)
        return USAGE
    code = DONE
    for name, text in (("implementations.md", markdown(page)), ("implementations.html", html(page))):
        path = given.output / name
        if not given.check:
            path.write_text(text, encoding="utf-8")
        elif not path.is_file() or path.read_text(encoding="utf-8") != text:
            print(
                f"page.py: {path.parent.name}/{name} is not what the results say; run it without --check",
                file=sys.stderr,
            )
            code = DIFFERENT
    return code


if __name__ == "__main__":
    sys.exit(main())
