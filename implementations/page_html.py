"""The page as one HTML file that needs no network."""

import base64
import hashlib
from importlib.resources import files

from catalogue import FOLDER
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from page_tables import ALL, FAIL, NOT_CLAIMED, OUTCOMES, PASS, REGIMES, Page, error_text, sentence, subject

from focal_ref.conformance.reports.escaping import safe_text

WORDS = {PASS: "pass", FAIL: "fail", "WAIVED": "waived", "TENTATIVE": "tentative", "NOT-RUN": "not run"}


def html(page: Page) -> str:
    """The whole page."""
    reports = files("focal_ref.conformance.reports")
    style = reports.joinpath("page.css").read_text(encoding="utf-8") + STYLE
    script = reports.joinpath("page.js").read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: safe_text(value, lines=True) if type(value) is str else value,
    )
    environment.globals.update(
        error_text=error_text, sentence=sentence, subject=subject, ALL=ALL, FAIL=FAIL, PASS=PASS, REGIMES=REGIMES,
        NOT_CLAIMED=NOT_CLAIMED, OUTCOMES=OUTCOMES, WORDS=WORDS,
    )  # fmt: skip
    hashes = {"style_hash": _hash(style), "script_hash": _hash(script)}
    template = environment.get_template("page.html.jinja")
    return template.render(page=page, style=Markup(style), script=Markup(script), **hashes) + "\n"


STYLE = """
#table tbody th { position: sticky; left: 0; background: var(--page); z-index: 1; }
pre.command { white-space: pre-wrap; overflow-wrap: anywhere; border-left-color: var(--rule); }
td.over { color: var(--bad); font-weight: 650; }
@media (max-width: 820px) { #table tbody th { position: static; } }
"""
"""What this page has beside the style of a report."""


def _hash(text: str) -> str:
    """By which the page's own policy knows its styles and its script, and nothing else runs."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
