"""Implementations stand side by side, a row a requirement."""

import re

from markdown_it import MarkdownIt

from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.reports.html import anchors
from focal_ref.conformance.reports.matrix import Column, lines_of, link_to, matrix_html, matrix_markdown, totals
from focal_ref.conformance.reports.record import Record

from .runs import failed, hostile_record, passed, red_run, run_of

GOOD = Record.of(run_of([passed("FL-VAL-001", error=0.3), passed("FL-VAL-001", "float64", 8.0, 9.0)]))
BAD = Record.of(
    run_of(
        [passed("FL-VAL-001"), failed("FL-VAL-001", "float64"), passed("FL-VAL-002")],
        ExitCode.NOT_CONFORMANT,
        "not conformant: 1 requirement not met",
        description={"target": "other"},
    )
)
COLUMNS = [Column(GOOD, ""), Column(BAD, "pages/other.html")]


def cells(name):
    (line,) = (line for line in lines_of(COLUMNS) if line.name == name)
    return line.cells


def test_a_cell_is_the_worst_outcome_of_all_formats_and_the_error_nearest_to_its_budget():
    good, bad = cells("FL-VAL-001")
    assert (good.outcome, good.error, good.formats) == ("pass", "8 / 9", "")
    assert (bad.outcome, bad.error, bad.formats) == ("FAIL", "48 / 16", "float64")


def test_a_failure_that_measured_nothing_has_no_number_of_another_format():
    results = [passed("FL-VAL-001"), failed("FL-VAL-001", "float64", error=0.0, budget=0.0)]
    (line,) = (line for line in lines_of([Column(Record.of(run_of(results)), "")]) if line.name == "FL-VAL-001")
    assert (line.cells[0].outcome, line.cells[0].error, line.cells[0].formats) == ("FAIL", "", "float64")


def test_a_cell_links_to_its_requirement_on_the_page_of_the_run():
    good, bad = cells("FL-VAL-001")
    assert good.link == ""
    assert bad.link == f"pages/other.html#{anchors(BAD)['FL-VAL-001']}" == "pages/other.html#FL-VAL-001"


def test_what_a_record_says_nothing_of_is_empty():
    good, bad = cells("FL-VAL-002")
    assert good.outcome == ""
    assert bad.outcome == "pass"
    assert totals(COLUMNS, lines_of(COLUMNS))[1]["FAIL"] == 1


def test_markdown_has_a_column_an_implementation_and_a_row_a_requirement():
    text = matrix_markdown(COLUMNS)
    assert (
        "| requirement | mine mine 1.2, numpy 2.4.6, cpu | [other](pages/other.html) mine 1.2, numpy 2.4.6, cpu | |"
        in text
    )
    row = "| FL-VAL-001 | ✅ 8 / 9 | [❌ 48 / 16](pages/other.html#FL-VAL-001) | The loss of a hard target"
    assert row in text
    assert {line.count(" |") for line in text.splitlines() if line.startswith("| FL-")} == {4}


def test_html_has_a_column_an_implementation_and_a_row_a_requirement():
    text = matrix_html(COLUMNS)
    names = {requirement for record in (GOOD, BAD) for requirement in record.requirements}
    (table,) = re.findall(r'<table id="table">.*?</table>', text, re.DOTALL)
    assert table.count("<tr ") == len(names)
    assert 'data-outcome="FAIL"' in table
    assert '<a href="pages/other.html#FL-VAL-001">' in table
    assert text.count("2 implementations") == 1


def test_hostile_texts_are_shown_as_text():
    columns = [Column(hostile_record(), ""), Column(Record.of(red_run()), link_to("a b/(1)#<x>.html"))]
    page = matrix_html(columns)
    assert len(re.findall("<script", page)) == 1
    assert "<img" not in page
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(matrix_markdown(columns))
    assert not re.search(r"<(script|img|em)", rendered)
    assert 'href="a%20b/%281%29%23%3Cx%3E.html#FL-VAL-001"' in rendered
