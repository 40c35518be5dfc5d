"""Terminal, Markdown, step summary, JUnit, badge and HTML say what the record says, and show hostile texts as text."""

import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.gate import SELF_CHECK, ExitCode, Item, Result, items_of
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.reports.badge import badge
from focal_ref.conformance.reports.escaping import markdown_text, safe_text
from focal_ref.conformance.reports.html import html
from focal_ref.conformance.reports.junit import junit
from focal_ref.conformance.reports.markdown import markdown, step_summary
from focal_ref.conformance.reports.record import Record, parse_record
from focal_ref.conformance.reports.table import ranges, summary, terminal

from .runs import GREEN, HOSTILE, failed, hostile_record, passed, red_run, run_of, waived_run

UNCLAIMED = not_claimed(load_profile("numpy"))
"""What the profile of these runs does not claim."""

NOT_CLAIMED = len(UNCLAIMED)

ROW = re.compile(r"^(FL-[A-Z]+-\d+|self-check)\s", re.MULTILINE)


def test_the_terminal_shows_a_row_an_item_the_failures_and_the_verdict():
    text = terminal(Record.of(red_run()), 120)
    assert text.startswith("target: mine, version: mine 1.2, library: numpy 2.4.6, device: cpu, focal-ref: ")
    assert re.search(r"FL-VAL-001 +float64 +pass +2 of 9 +The loss of a hard target", text)
    assert re.search(r"FL-VAL-001 +float32 +FAIL +48 of 16 ", text)
    assert re.search(r"FL-VAL-002 +float32 +WAIVED +48 of 16 ", text)
    assert re.search(r"FL-VAL-003 +float32 +TENTATIVE +inf of 16 ", text)
    assert re.search(r"FL-VAL-004 +float32 +NOT-RUN ", text)
    requirement, capability = UNCLAIMED[0]
    assert re.search(rf"\nnot claimed: no {capability}: .*{requirement.id}", text)
    assert "\nFL-VAL-001 float32: it is wrong.\n  got       2.0\n" in text
    assert "waived: known, issue 12\nFL-VAL-002 float32: it is wrong." in text
    last = text.splitlines()[-1]
    assert last.startswith(
        "verdict: not conformant: 1 requirement not met (exit code 1); 1 FAIL, 1 WAIVED, 1 TENTATIVE"
    )
    assert "1 NOT-RUN, 2 pass," in last


def test_the_table_of_the_run_has_no_line_that_is_wider_than_the_terminal_and_no_failure_text():
    lines = summary(red_run(), 110)
    assert max(map(len, lines[1:])) <= 110
    assert len([line for line in lines if ROW.match(line)]) == 6
    assert not [line for line in lines if "it is wrong" in line]


def test_what_failed_stands_last_in_the_table():
    outcomes = [line.split()[2] for line in summary(red_run(), 110) if line.startswith("FL-")]
    assert outcomes == ["pass", "NOT-RUN", "TENTATIVE", "WAIVED", "FAIL"]


def test_what_is_not_claimed_is_a_line_for_each_capability_that_is_missing():
    lines = [line for line in summary(run_of(profile="torchvision_coder"), 200) if line.startswith("not claimed: ")]
    missing = {}
    for requirement, capability in not_claimed(load_profile("torchvision_coder")):
        missing.setdefault(capability, []).append(requirement.id)
    assert len(lines) == len(missing) > 1
    for line, (capability, ids) in zip(lines, missing.items(), strict=True):
        assert line.startswith(f"not claimed: no {capability}: {ids[0]}")
        assert line.endswith(f" ({len(ids)})")


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (["FL-A-001"], "FL-A-001"),
        (["FL-A-001", "FL-A-002", "FL-A-003"], "FL-A-001 to FL-A-003"),
        (["FL-A-001", "FL-A-003"], "FL-A-001, FL-A-003"),
        (["FL-A-001", "FL-B-002"], "FL-A-001, FL-B-002"),
        (["FL-A-009", "FL-A-010", "x", "x"], "FL-A-009 to FL-A-010, x, x"),
        ([], ""),
    ],
)
def test_ids_that_follow_each_other_are_a_range(ids, text):
    assert ranges(ids) == text


def test_in_a_narrow_terminal_the_table_has_no_sentences():
    lines = summary(red_run(), 60)
    assert max(map(len, lines[1:])) <= 60
    assert len([line for line in lines if ROW.match(line)]) == 6
    assert not [line for line in lines if "hard target" in line]


def test_of_a_filtered_run_the_terminal_counts_what_was_not_run():
    expected = items_of(load_profile("numpy"))
    run = run_of(GREEN[1:2], ExitCode.INCOMPLETE, "incomplete", expected=expected)
    text = terminal(Record.of(run), 120)
    assert "NOT-RUN  " not in text
    assert f"\n{len(expected) - 1} more were not run\n" in text
    assert f"{len(expected) - 1} NOT-RUN" in text.splitlines()[-1]


def test_colours_are_for_terminals_alone():
    record = Record.of(red_run())
    assert "\x1b[" not in terminal(record, 120)
    assert "\x1b[1;31mFAIL" in terminal(record, 120, color=True)


def test_markup_of_the_terminal_library_is_shown_as_text():
    text = Record.of(red_run()).text.replace("The loss of a hard target", "[bold]The[/red] :bomb:")
    assert "[bold]The[/red] :bomb:" in terminal(parse_record(text, "r"), 120)


def test_a_run_of_nothing_has_a_table_of_nothing():
    run = run_of((), ExitCode.NOTHING, "nothing was run")
    assert "verdict: nothing was run (exit code 5)" in terminal(Record.of(run), 100)


def test_markdown_has_a_row_an_item_and_the_failures():
    text = markdown(Record.of(red_run()))
    assert text.startswith("# Conformance of mine\n\n**not conformant: 1 requirement not met** (exit code 1): 1 FAIL, ")
    assert "| FL-VAL-001 | float32 | FAIL | 48 of 16 | The loss of a hard target is the paper's focal loss" in text
    assert "| FL-VAL-004 | float32 | NOT-RUN |  | Alpha weighs" in text
    assert "\n## Failures\n\n    FL-VAL-001 float32: it is wrong.\n      got       2.0\n" in text
    assert "\n## Expected failures\n\nWaived: known, issue 12\n\n    FL-VAL-002 float32: it is wrong.\n" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in table} == {6}


def test_the_step_summary_is_short_and_names_what_failed_and_what_is_nearest_to_its_budget():
    many = [failed(f"FL-VAL-0{number:02}") for number in range(1, 14)] + [
        failed(f"FL-GRAD-0{n:02}") for n in range(1, 14)
    ]
    text = step_summary(Record.of(run_of(many, ExitCode.NOT_CONFORMANT, "not conformant: 26 requirements not met")))
    assert text.startswith("### ❌ focal-ref: mine\n\n**not conformant: 26 requirements not met** (exit code 1)")
    assert text.count("❌ FAIL |") == 20
    assert "... and 6 more." in text
    green = step_summary(Record.of(run_of()))
    assert green.startswith("### ✅ focal-ref: mine\n")
    assert "| float64 | FL-VAL-001 | 2 of 9 |" in green
    # 0.5 of 0.501 is nearer than 0.25 of 0.501.
    assert "| float32 | FL-VAL-002 | 0.5 of 0.501 |" in green
    assert step_summary(Record.of(waived_run())).startswith("### 🟡 focal-ref: mine\n")


def check_junit(text):
    """The structure that readers of JUnit agree on: https://github.com/testmoapp/junitxml."""
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    (suite,) = root
    assert suite.tag == "testsuite"
    properties, *cases = suite
    assert properties.tag == "properties"
    assert all(set(entry.attrib) == {"name", "value"} for entry in properties)
    assert {case.tag for case in cases} == {"testcase"}
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert float(case.get("time")) >= 0
        assert [child.tag for child in case] in ([], ["failure"], ["error"], ["skipped"])
        assert all("message" in child.attrib for child in case)
    names = [(case.get("classname"), case.get("name")) for case in cases]
    assert len(set(names)) == len(names)
    for element in (root, suite):
        assert int(element.get("tests")) == len(cases)
        for tag, attribute in (("failure", "failures"), ("error", "errors")):
            assert int(element.get(attribute)) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    return {case.get("name"): case for case in cases}


def only(case):
    (child,) = case
    return child.tag, child.get("message")


def test_junit_has_a_case_an_item_and_one_for_the_verdict():
    cases = check_junit(junit(Record.of(red_run())))
    assert len(cases) == 6 + NOT_CLAIMED + 1
    assert list(cases["FL-VAL-001-float64"]) == []
    assert cases["FL-VAL-001-float64"].get("classname") == "focal-ref.mine.VAL"
    assert list(cases["self-check-right"]) == []
    assert only(cases["FL-VAL-001-float32"]) == ("failure", "FL-VAL-001 float32: it is wrong.")
    assert cases["FL-VAL-001-float32"][0].text == "FL-VAL-001 float32: it is wrong.\n  got       2.0"
    assert only(cases["FL-VAL-002-float32"]) == ("skipped", "waived: known, issue 12")
    assert only(cases["FL-VAL-003-float32"])[0] == "skipped"
    assert only(cases["FL-VAL-004-float32"]) == ("skipped", "not run")
    requirement, capability = UNCLAIMED[0]
    assert only(cases[requirement.id]) == ("skipped", f"not claimed: no {capability}")
    assert only(cases["verdict"]) == ("failure", "not conformant: 1 requirement not met (exit code 1)")


def test_junit_of_a_green_run_has_no_failure_and_of_an_incomplete_one_has_one():
    assert list(check_junit(junit(Record.of(run_of())))["verdict"]) == []
    incomplete = run_of(GREEN, ExitCode.INCOMPLETE, "incomplete: 1 of 6 items were skipped or filtered")
    assert only(check_junit(junit(Record.of(incomplete)))["verdict"])[0] == "failure"


def test_junit_calls_a_failed_self_check_an_error():
    results = (Result(Item(SELF_CHECK, "right"), False, 5, text="it fails FL-VAL-001"), *GREEN[1:])
    cases = check_junit(junit(Record.of(run_of(results, ExitCode.SELF_CHECK, "self-check failed"))))
    assert only(cases["self-check-right"]) == ("error", "it fails FL-VAL-001")


@pytest.mark.parametrize(
    ("run", "message", "color"),
    [
        (run_of(), "conformant", "brightgreen"),
        (waived_run(), "1 waived", "yellow"),
        (red_run(), "not conformant", "red"),
        (run_of(GREEN, ExitCode.INCOMPLETE, "incomplete"), "incomplete", "lightgrey"),
        (run_of((), ExitCode.NOTHING, "nothing was run"), "incomplete", "lightgrey"),
        (run_of(GREEN, ExitCode.WAIVERS, "stale"), "waivers out of date", "orange"),
        (run_of(GREEN, ExitCode.SELF_CHECK, "self-check failed"), "no verdict", "lightgrey"),
        (run_of(GREEN, ExitCode.INTERNAL, "a check broke down"), "no verdict", "lightgrey"),
        (run_of((), ExitCode.CONFORMANT, "edited"), "no verdict", "lightgrey"),
        (run_of((*GREEN, failed("FL-VAL-003")), ExitCode.CONFORMANT, "edited"), "not conformant", "red"),
        (run_of(GREEN, expected=[Item("FL-VAL-003", "float32")]), "no verdict", "lightgrey"),
    ],
)
def test_the_badge_is_green_only_for_exit_code_0_without_waivers(run, message, color):
    made = badge(Record.of(run))
    assert made == {"schemaVersion": 1, "label": "focal loss", "message": message, "color": color}


def test_two_formats_of_one_waived_requirement_count_once_on_the_badge():
    results = [*GREEN, failed("FL-VAL-004", "float32", waiver="w"), failed("FL-VAL-004", "float64", waiver="w")]
    assert badge(Record.of(run_of(results)))["message"] == "1 waived"


class Page(HTMLParser):
    """Tags with their attributes, and text outside of style and script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.skip = [], "", ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.skip = tag if tag in ("style", "script") else ""

    def handle_endtag(self, tag):
        self.skip = ""

    def handle_data(self, data):
        self.text += "" if self.skip else data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def test_every_cell_of_the_page_links_to_a_part_of_it():
    text = html(Record.of(red_run()))
    page = Page(text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in page.all("a")]
    assert {link[1:] for link in links} <= set(ids)
    (body,) = re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL)[:1]
    rows = re.findall(r"<tr (.*?)</tr>", body, re.DOTALL)
    assert len(rows) == 5 + NOT_CLAIMED
    for row in rows:
        name = re.search(r'data-name="([^"]+)"', row)[1]
        cells = re.findall(r"<t[dh] (.*?)</t[dh]>", row, re.DOTALL)
        anchor = name if name != "self-check" else "r0"
        assert cells
        assert all(f'href="#{anchor}"' in cell for cell in cells)


def test_the_page_shows_formula_source_findings_and_the_command_that_repeats():
    text = Page(html(Record.of(red_run()))).text
    assert "FL = -alpha_t (1 - p_t)^gamma log(p_t), p_t = sigmoid(x)" in text
    assert "paper, section 3.2, equation 5" in text
    assert "Wrong weights, exponents, signs and logarithms all show here." in text
    assert "pytest conformance --profile=mine -k FL-VAL-001" in text
    assert "FL-VAL-001 float32: it is wrong.\n  got       2.0" in text
    assert "All 2 findings" in text
    assert "Waived: known, issue 12" in text
    assert "not conformant: 1 requirement not met" in text


def test_the_page_asks_nothing_of_a_network():
    page = Page(html(Record.of(red_run())))
    assert not page.all("link")[1:]
    assert page.all("link")[0]["href"] == "data:,"
    assert not [attributes for _, attributes in page.tags if "src" in attributes]
    assert "url(" not in html(Record.of(red_run()))
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]


def test_the_plot_has_a_point_a_bin_and_names_the_one_that_is_worst():
    results = (
        *GREEN[:2],
        passed("FL-VAL-002", regimes=[{"quantity": "value", "axis": "margin", "bins": BINS}]),
    )
    text = html(Record.of(run_of(results)))
    (figure,) = re.findall(r"<figure.*?</figure>", text, re.DOTALL)
    points = re.findall(r"<title>(float32, .*?)</title>", figure)
    assert len(points) == 3
    assert "float32, margin 2 to 4: 0.4 ulp, budget 0.5 ulp, the worst of 5 is grid/d" in points
    assert "Ringed, the worst against its budget: float32, margin 2 to 4: 0.4 ulp, budget 0.5 ulp" in Page(figure).text
    # A tenth of the error is a decade, of which the drawing has the same height everywhere.
    heights = [float(y) for y in re.findall(r'<rect x="[^"]+" y="([^"]+)"', figure)][:3]
    assert heights[0] - heights[1] == pytest.approx(heights[1] - heights[2], abs=0.11)
    assert heights[0] > heights[1]


BINS = [[-2, 0.004, 0.5, 10, "grid/b"], [0, 0.04, 0.5, 20, "grid/c"], [2, 0.4, 0.5, 5, "grid/d"]]


def test_an_infinite_error_is_drawn_at_the_top_and_said():
    text = html(Record.of(red_run()))
    assert "float32, margin 40 and above: inf ulp, budget 16 ulp, the worst of 1 is grid/e" in text


def test_hostile_texts_are_shown_as_text_in_html():
    page = Page(html(hostile_record()))
    assert len(page.all("script")) == 1
    assert not page.all("img")
    assert "<script>window.pwned=1</script>" in page.text
    assert "\x1b" not in page.text
    assert r"\x1b[31m\x00\u202e" in page.text


def test_hostile_texts_are_shown_as_text_in_a_terminal():
    text = terminal(hostile_record(), 150)
    assert all(character.isprintable() for line in text.splitlines() for character in line)
    assert r"\x1b[31m\x00\u202e" in text


def test_hostile_texts_are_shown_as_text_in_junit():
    cases = check_junit(junit(hostile_record()))
    assert r"<img src=x onerror=window.pwned=1>\x1b[31m\x00\u202e" in cases["verdict"][0].get("message")


@pytest.mark.parametrize("made", [markdown, step_summary])
def test_hostile_texts_are_shown_as_text_in_markdown(made):
    text = made(hostile_record())
    assert "\x1b" not in text
    # Raw HTML is let through here, as by many who show Markdown.
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(text))
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "a", "em")]
    assert HOSTILE[:60] in page.text
    rows = [tag for tag, _ in page.tags if tag in ("tr", "td", "th")]
    assert "td" in rows
    widths = {len(row.split()) for row in " ".join(rows).split("tr")[1:]}
    assert widths <= {3, 5}


def test_the_badge_holds_no_text_of_others():
    assert "pwned" not in json.dumps(badge(hostile_record()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Ünïcode, 数", "plain, Ünïcode, 数"),
        ("a\x1b]0;title\x07b", r"a\x1b]0;title\x07b"),
        ("a\nb\tc", r"a\nb c"),
        ("\x9b2J", r"\x9b2J"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ud800", r"\ud800"),
        ("\ufffe\ufeff", r"\ufffe\ufeff"),
    ],
)
def test_what_controls_a_terminal_is_made_visible(text, shown):
    assert safe_text(text) == shown


def test_ends_of_lines_are_kept_where_they_are_wanted():
    assert safe_text("a\nb\r\n", lines=True) == "a\nb\\x0d\n"


def test_markdown_text_is_no_markup():
    assert markdown_text("a|b <b>*x*</b> [y](z) `c` \\") == r"a\|b &lt;b&gt;\*x\*&lt;/b&gt; \[y\](z) \`c\` \\"
