"""A run is kept in one file that says everything, and a file that is not such a record is refused with its line."""

import hashlib
import json
from importlib.resources import files

import pytest

from focal_ref._version import __version__
from focal_ref.conformance.gate import ExitCode, Item
from focal_ref.conformance.reports.files import FORMATS, read_record
from focal_ref.conformance.reports.record import Record, RecordError, load_record, parse_record

from .runs import GREEN, REGIMES, hostile_record, red_run, run_of


def lines_of(run):
    return [json.loads(line) for line in Record.of(run).text.splitlines()]


def test_a_record_says_what_was_run_on_what_and_what_came_of_it():
    lines = lines_of(red_run(level="0.1"))
    head, verdict = lines[0], lines[-1]
    assert head["kind"] == "run"
    assert head["version"] == 2
    assert head["target"] == {"target": "mine", "version": "mine 1.2", "library": "numpy 2.4.6", "device": "cpu"}
    assert head["versions"]["focal-ref"] == __version__
    assert set(head["versions"]) == {"focal-ref", "python", "numpy"}
    assert head["profile"]["name"] == "numpy"
    assert head["profile"]["conventions"]["alpha"] == "pos/1-pos"
    assert head["profile"]["tiers"]["float32"] == "exact"
    assert "gradient" in head["profile"]["capabilities"]
    assert head["level"] == "0.1"
    assert head["command"] == "pytest conformance --profile=mine"
    assert all(len(digest) == 64 for digest in head["vectors"].values())
    assert {"grid", "family/softmax_loss", "detection/matching"} <= set(head["vectors"])
    grid = files("focal_ref.conformance").joinpath("vectors/grid.json").read_bytes()
    assert head["vectors"]["grid"] == hashlib.sha256(grid).hexdigest()
    assert verdict == {"kind": "verdict", "exit_code": 1, "reason": "not conformant: 1 requirement not met"}
    items = [line for line in lines if line["kind"] == "item"]
    assert [(item["requirement"], item["dtype"]) for item in items][:3] == [
        ("self-check", "right"),
        ("FL-VAL-001", "float64"),
        ("FL-VAL-001", "float32"),
    ]
    assert items[2]["error_ulp"] == 48.0
    assert items[2]["regimes"] == [{**regime} for regime in REGIMES]
    assert items[4]["error_ulp"] == "inf"
    assert [(line["requirement"], line["dtype"]) for line in lines if line["kind"] == "not-run"] == [
        ("FL-VAL-004", "float32")
    ]


def test_a_record_describes_every_requirement_that_it_names():
    lines = lines_of(red_run())
    described = {line["id"]: line for line in lines if line["kind"] == "requirement"}
    named = {line["requirement"] for line in lines if "requirement" in line} - {"self-check"}
    assert set(described) == named
    assert described["FL-VAL-001"]["formula"].startswith("FL = -alpha_t (1 - p_t)^gamma log(p_t)")


def test_what_is_loaded_is_what_was_written(tmp_path):
    written = Record.of(red_run())
    path = tmp_path / "mine.jsonl"
    path.write_text(written.text, encoding="utf-8")
    loaded = load_record(path)
    assert loaded == written
    assert loaded.id == written.id
    assert loaded.not_run == (Item("FL-VAL-004", "float32"),)
    assert loaded.exit_code == ExitCode.NOT_CONFORMANT
    assert [result.item.name for result in loaded.failed] == ["FL-VAL-001"]
    assert [result.item.name for result in loaded.waived] == ["FL-VAL-002"]
    assert [result.item.name for result in loaded.tentative] == ["FL-VAL-003"]


def test_two_records_that_differ_have_different_ids():
    first = Record.of(red_run())
    changed = parse_record(first.text.replace("not met", "NOT met"), "changed")
    assert changed.id != first.id


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("make", [lambda: Record.of(run_of()), lambda: Record.of(red_run()), hostile_record])
def test_every_report_is_the_same_from_the_loaded_record(tmp_path, form, make):
    written = make()
    path = tmp_path / "r.jsonl"
    path.write_text(written.text, encoding="utf-8")
    assert FORMATS[form](read_record(path)) == FORMATS[form](written)


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_needs_no_requirement_of_this_version(form):
    # The suite of later may have requirements that this one has not.
    text = Record.of(red_run()).text.replace("FL-VAL-", "FL-NEW-").replace('"VAL"', '"NEW"')
    assert FORMATS[form](parse_record(text, "later.jsonl"))


def broken(change):
    """The text of a record after a change of its lines."""
    lines = [json.loads(line) for line in Record.of(run_of(GREEN[:3])).text.splitlines()]
    change(lines)
    return "".join(json.dumps(line) + "\n" for line in lines)


def item(lines):
    return next(line for line in lines if line["kind"] == "item" and line["requirement"] == "FL-VAL-001")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "r.jsonl: empty; it is no record of a run"),
        ("nonsense\n", "r.jsonl:1: not JSON: Expecting value: line 1 column 1 (char 0)"),
        ("[1, 2]\n", "r.jsonl:1: got [1, 2]; each line is a JSON object"),
        ('{"kind": "run", "version": NaN}\n', "r.jsonl:1: not JSON: NaN is no JSON number"),
        ("[" * 100_000, "r.jsonl:1: not JSON: "),
        ('{"kind": "\\u001b[31m"}\n', "r.jsonl:1: kind: got '\\x1b[31m'; allowed are run, requirement, item, "),
        (
            broken(lambda lines: lines[0].update(version=1)),
            f"r.jsonl:1: version: got 1; this focal-ref ({__version__}) reads 2; run the suite again, or use the ",
        ),
        (broken(lambda lines: lines[0].pop("profile")), "r.jsonl:1: 'profile' is a required property"),
        (broken(lambda lines: lines[0]["target"].pop("target")), "r.jsonl:1: target: 'target' is a required property"),
        (
            broken(lambda lines: lines.pop()),
            "a record begins with the line of the run and ends with that of the verdict",
        ),
        (broken(lambda lines: lines.pop(0)), "r.jsonl:1: a record begins with the line of the run and ends with"),
        (broken(lambda lines: lines.insert(1, lines[0])), "r.jsonl:2: a record begins with the line of the run"),
        (broken(lambda lines: lines[-1].update(exit_code=9)), ": exit_code: 9 is greater than the maximum of 8"),
        (broken(lambda lines: item(lines).update(passed="yes")), ": passed: 'yes' is not of type 'boolean'"),
        (broken(lambda lines: item(lines).update(comparisons=-1)), ": comparisons: -1 is less than the minimum of 0"),
        (broken(lambda lines: item(lines).update(requirement="FL-NO-1")), "requirement: 'FL-NO-1' is not described by"),
        (broken(lambda lines: lines.insert(-1, item(lines))), "'FL-VAL-001' 'float64': here for the second time"),
        (
            broken(lambda lines: item(lines).update(regimes=[{"quantity": "value", "axis": "x", "bins": []}])),
            "regimes.0.axis: 'x' is not one of ['margin', 'logit', 'none']",
        ),
        (
            broken(
                lambda lines: item(lines).update(regimes=[{"quantity": "v", "axis": "margin", "bins": [[1, 0, 1]]}])
            ),
            "regimes.0.bins.0: ",
        ),
        (
            broken(lambda lines: item(lines).update(cases={"failing": {}, "passing": ["grid/a"]})),
            "cases.passing: ['grid/a'] is not of type 'object'",
        ),
        (
            broken(lambda lines: item(lines).update(cases={"failing": {"nan": {"grid/": [3]}}, "passing": {}})),
            "cases.failing.nan.grid/.0: 3 is not of type 'string'",
        ),
        (broken(lambda lines: item(lines).update(cases={"failing": {}})), "cases: 'passing' is a required property"),
    ],
)
def test_what_is_no_record_is_refused_with_file_and_line(tmp_path, text, expected):
    path = tmp_path / "r.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecordError) as caught:
        load_record(path)
    message = str(caught.value).replace(f"{tmp_path}/", "")
    assert expected in message
    assert message.startswith("r.jsonl")
    assert len(message) < 400
    assert message.isprintable()


def test_a_record_cut_anywhere_is_refused_or_the_same_without_its_last_end_of_line():
    whole = Record.of(run_of(GREEN[:2])).text
    for cut in [*range(0, len(whole) - 1, 997), len(whole) - 2]:
        with pytest.raises(RecordError):
            parse_record(whole[:cut], "cut")
    assert parse_record(whole[:-1], "cut").results == parse_record(whole, "whole").results


def test_a_file_that_is_missing_or_no_text_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"none\.jsonl: cannot be read: No such file or directory"):
        load_record(tmp_path / "none.jsonl")
    with pytest.raises(RecordError, match="cannot be read: Is a directory"):
        load_record(tmp_path)
    (tmp_path / "image.jsonl").write_bytes(b"\x89PNG\xff")
    with pytest.raises(RecordError, match="not UTF-8"):
        load_record(tmp_path / "image.jsonl")


def test_a_file_too_large_for_a_record_is_not_even_read(tmp_path):
    path = tmp_path / "large.jsonl"
    with open(path, "wb") as file:
        file.truncate(2**29)
    with pytest.raises(RecordError, match="larger than 256 MiB"):
        load_record(path)


def test_fields_and_conventions_of_a_later_version_are_no_error():
    text = broken(lambda lines: [line.update(later=1) for line in lines])
    assert parse_record(text, "later").results == Record.of(run_of(GREEN[:3])).results
