"""``report``, ``diff`` and ``matrix`` work from records alone; what they cannot use is one line and exit code 4."""

import json
import sys

import pytest

from focal_ref.conformance import cli
from focal_ref.conformance.reports.files import STEP_SUMMARY, write
from focal_ref.conformance.reports.record import Record

from .runs import hostile_record, red_run, run_of


@pytest.fixture
def focal_ref(monkeypatch, capsys):
    """Run the command in this process; its exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["focal-ref", *map(str, arguments)])
        with pytest.raises(SystemExit) as done:
            cli.main()
        out, err = capsys.readouterr()
        return done.value.code or 0, out, err

    return run


@pytest.fixture
def reports(tmp_path, monkeypatch):
    """A folder with the reports of a red run and of a green one."""
    monkeypatch.delenv(STEP_SUMMARY, raising=False)
    write(red_run(), tmp_path)
    write(run_of(description={"target": "green"}), tmp_path)
    return tmp_path


def test_a_report_is_the_terminal_one_unless_another_is_asked_for(focal_ref, reports):
    code, out, _ = focal_ref("report", reports / "mine.jsonl")
    assert code == 0
    assert out.splitlines()[-1].startswith("verdict: not conformant: 1 requirement not met (exit code 1)")
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("form", "suffix"), [("html", ".html"), ("markdown", ".md"), ("junit", ".junit.xml"), ("badge", ".badge.json")]
)
def test_a_page_that_is_made_again_is_the_one_that_the_run_wrote(focal_ref, reports, form, suffix):
    page = reports / f"mine{suffix}"
    assert focal_ref("report", reports / "mine.jsonl", f"--format={form}")[1] == page.read_text(encoding="utf-8")
    again = reports / "elsewhere"
    assert focal_ref("report", reports / "mine.jsonl", f"--format={form}", "-o", again) == (0, "", "")
    assert again.read_bytes() == page.read_bytes()


def test_all_that_a_run_writes_can_be_made_again_elsewhere(focal_ref, reports):
    code, out, _ = focal_ref("report", reports / "mine.jsonl", "--format=all", "-o", reports / "copy")
    assert code == 0
    names = sorted(path.name for path in (reports / "copy").iterdir())
    assert names == ["mine.badge.json", "mine.html", "mine.jsonl", "mine.junit.xml", "mine.md"]
    assert len(out.splitlines()) == 5
    for name in names:
        assert (reports / "copy" / name).read_bytes() == (reports / name).read_bytes()


def test_the_step_summary_comes_on_stdout(focal_ref, reports):
    assert focal_ref("report", reports / "mine.jsonl", "--format=step-summary")[1].startswith(
        "### ❌ focal-ref: mine\n"
    )


def one_line_of_usage(answer, text):
    code, out, err = answer
    assert code == 4
    assert out == ""
    assert err.startswith("focal-ref: ")
    assert text in err
    assert len(err.splitlines()) == 1


def test_a_record_that_cannot_be_read_is_bad_usage(focal_ref, reports):
    bad = reports / "bad.jsonl"
    bad.write_text('{"kind": "run", "version": 3}\n')
    one_line_of_usage(focal_ref("report", reports / "none.jsonl"), "none.jsonl: cannot be read: No such file")
    one_line_of_usage(focal_ref("report", bad), "bad.jsonl:1: version: got 3; this focal-ref")
    one_line_of_usage(focal_ref("diff", reports / "mine.jsonl", bad), "bad.jsonl:1: version: got 3")
    one_line_of_usage(focal_ref("matrix", reports / "mine.jsonl", bad), "bad.jsonl:1: version: got 3")
    one_line_of_usage(focal_ref("matrix"), "RECORDS")


def test_nothing_is_written_over_the_record(focal_ref, reports):
    before = (reports / "mine.jsonl").read_bytes()
    for command in ("report", "matrix"):
        answer = focal_ref(command, reports / "mine.jsonl", "-o", reports / "." / "mine.jsonl")
        one_line_of_usage(answer, "which is the record itself; name another file")
    assert (reports / "mine.jsonl").read_bytes() == before


def test_an_output_that_cannot_be_written_is_bad_usage(focal_ref, reports):
    answer = focal_ref("report", reports / "mine.jsonl", "--format=html", "-o", reports / "no" / "page.html")
    one_line_of_usage(answer, "page.html: cannot be written: No such file or directory; name another file")
    one_line_of_usage(focal_ref("report", reports / "mine.jsonl", "--format=pdf"), "'pdf' is not one of 'terminal'")


def test_diff_ends_with_1_where_something_got_worse_and_with_0_where_nothing_did(focal_ref, reports):
    green, red = reports / "green.jsonl", reports / "mine.jsonl"
    code, out, _ = focal_ref("diff", green, red)
    assert code == 1
    assert "  FL-VAL-001-float32: pass -> FAIL (48 of 16 ulp)\n" in out
    assert focal_ref("diff", red, green)[0] == 0
    assert focal_ref("diff", red, red)[:2] == (0, "no difference\n")
    code, out, _ = focal_ref("diff", green, red, "--format=json")
    assert code == 1
    assert json.loads(out)["about"][0] == {"name": "target", "first": "green", "second": "mine"}


def test_the_factor_of_diff_is_at_least_one(focal_ref, reports):
    one_line_of_usage(focal_ref("diff", reports / "mine.jsonl", reports / "mine.jsonl", "--factor=0.5"), "x>=1")


def test_a_factor_that_is_no_number_is_refused(focal_ref, reports):
    answer = focal_ref("diff", reports / "mine.jsonl", reports / "mine.jsonl", "--factor=nan")
    one_line_of_usage(answer, "--factor: got nan; it is a number from 1 on")


def test_a_matrix_links_to_the_pages_that_were_made_from_its_records(focal_ref, reports):
    (reports / "sub").mkdir()
    code, out, _ = focal_ref(
        "matrix", *sorted(reports.glob("*.jsonl")), "--format=html", "-o", reports / "sub" / "m.html"
    )
    assert (code, out) == (0, "")
    page = (reports / "sub" / "m.html").read_text()
    assert '<a href="../mine.html#FL-VAL-001">' in page
    assert '<a href="../green.html#FL-VAL-001">' in page
    # A page of another run is none of this record.
    (reports / "green.html").write_text((reports / "mine.html").read_text())
    focal_ref("matrix", *sorted(reports.glob("*.jsonl")), "--format=html", "-o", reports / "sub" / "m.html")
    assert "../green.html" not in (reports / "sub" / "m.html").read_text()


def test_a_matrix_is_markdown_unless_html_is_asked_for(focal_ref, reports):
    code, out, _ = focal_ref("matrix", reports / "mine.jsonl", reports / "green.jsonl")
    assert code == 0
    assert out.startswith("# Focal losses by requirements\n")


def test_hostile_records_reach_the_terminal_as_text(focal_ref, tmp_path):
    path = tmp_path / "hostile.jsonl"
    path.write_text(hostile_record().text)
    for command in (("report", path), ("diff", path, path), ("matrix", path)):
        _, out, _ = focal_ref(*command)
        assert all(character.isprintable() for line in out.splitlines() for character in line)


def test_reports_that_a_killed_run_had_completed_are_put_in_place_first(focal_ref, reports):
    # What the moment after the renaming leaves: a complete set, not yet moved.
    complete = reports / ".mine.complete"
    complete.mkdir()
    (complete / "mine.jsonl").write_text(Record.of(run_of()).text)
    assert "conformant: 5 items passed (exit code 0)" in focal_ref("report", reports / "mine.jsonl")[1]
    assert not complete.exists()


@pytest.mark.parametrize("command", ["report", "diff", "matrix"])
def test_the_help_teaches_with_examples(focal_ref, command):
    code, out, _ = focal_ref(command, "--help")
    assert code == 0
    assert f"focal-ref {command} " in out.partition("Examples:")[2]
