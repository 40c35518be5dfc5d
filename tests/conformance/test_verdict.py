"""The verdict over results that are given, its order and its words; and what a record keeps of a result."""

import json
import math
from dataclasses import FrozenInstanceError, replace
from datetime import date

import pytest

from focal_ref.conformance.gate import (
    SELF_CHECK,
    ExitCode,
    Item,
    Result,
    expect,
    misfits,
    verdict,
)
from focal_ref.conformance.waivers import Facts, Waiver, WaiverFile

RIGHT = Item(SELF_CHECK, "right")
NARROW, WIDE, OTHER = Item("FL-VAL-001", "float32"), Item("FL-VAL-001", "float64"), Item("FL-VAL-002", "float32")
ITEMS = (RIGHT, NARROW, WIDE, OTHER)
TODAY = date(2026, 6, 30)
FACTS = Facts("cpu", None, TODAY)
FAILS = {"failing": {"nan": ("a",)}}


def results(**failed):
    """Results of all items, of which those named by `NAME=fields` failed; None leaves an item out."""
    names = {"right": RIGHT, "narrow": NARROW, "wide": WIDE, "other": OTHER}
    fields = {names[name]: what for name, what in failed.items()}
    found = []
    for item in ITEMS:
        what = fields.get(item, {"passed": True})
        if what is not None:
            found.append(Result(item, **{"passed": False, **what}))
    return found


def waivers(**changes):
    fields = {"requirement": "FL-VAL-001", "signature": "nan", "reason": "why", "link": "https://example.org/1"}
    one = Waiver(**{"number": 1, **fields, "expires": TODAY, "dtypes": ("float32",), **changes})
    return WaiverFile("w.toml", "mine", (one,))


def judged(found, expected=ITEMS, case=None, file=None, facts=FACTS):
    return verdict(expected, found, case, file, facts if file else None)


@pytest.mark.parametrize(
    ("found", "code", "reason"),
    [
        (results(), ExitCode.CONFORMANT, "conformant: 4 items passed"),
        (results(narrow={}), ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met"),
        (results(narrow={}, wide={}), ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met"),
        (results(narrow={}, other={}), ExitCode.NOT_CONFORMANT, "not conformant: 2 requirements not met"),
        (
            results(narrow={}, wide=None, other=None),
            ExitCode.NOT_CONFORMANT,
            "not conformant: 1 requirement not met; 2 of 4 items were skipped or filtered",
        ),
        (results(right={"text": "it fails"}, narrow={}), ExitCode.SELF_CHECK, "self-check failed: it fails"),
        (results(other=None), ExitCode.INCOMPLETE, "incomplete: 1 of 4 items were skipped or filtered"),
        ([], ExitCode.NOTHING, "nothing was run"),
        (
            results(narrow={"waiver": "w"}),
            ExitCode.CONFORMANT,
            "no unexpected failure: 1 waived requirement, not conformant",
        ),
        (
            results(narrow={"waiver": "w"}, wide={"waiver": "w"}, other={"waiver": "w"}),
            ExitCode.CONFORMANT,
            "no unexpected failure: 2 waived requirements, not conformant",
        ),
        (
            results(narrow={"tentative": True}),
            ExitCode.CONFORMANT,
            "conformant: 3 items passed; 1 tentative requirement not met",
        ),
        (
            results(narrow={"waiver": "w"}, other={"tentative": True}),
            ExitCode.CONFORMANT,
            "no unexpected failure: 1 waived requirement, not conformant; 1 tentative requirement not met",
        ),
        (
            results(narrow={"waiver": "w", "tentative": True}),
            ExitCode.CONFORMANT,
            "no unexpected failure: 1 waived requirement, not conformant",
        ),
        (
            results(narrow={"passed": True, "tentative": True}, wide={"passed": True, "waiver": "w"}),
            ExitCode.CONFORMANT,
            "conformant: 4 items passed",
        ),
        (results(narrow={"waiver": "w"}, wide={}), ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met"),
    ],
)
def test_code_and_reason_of_a_run_without_a_waiver_file(found, code, reason):
    assert judged(found) == (code, reason)


def test_the_codes_are_those_of_the_documentation():
    assert {code.name: code.value for code in ExitCode} == {
        "CONFORMANT": 0,
        "NOT_CONFORMANT": 1,
        "INTERRUPTED": 2,
        "INTERNAL": 3,
        "USAGE": 4,
        "NOTHING": 5,
        "INCOMPLETE": 6,
        "WAIVERS": 7,
        "SELF_CHECK": 8,
    }


def test_of_several_self_checks_that_failed_the_first_is_shown():
    found = [Result(Item(SELF_CHECK, name), False, text=f"{name} fails") for name in ("right", "swaps-alpha")]
    assert judged(found, [result.item for result in found]) == (ExitCode.SELF_CHECK, "self-check failed: right fails")


def test_one_case_is_never_the_whole():
    assert judged(results(), case="a/b") == (ExitCode.INCOMPLETE, "incomplete: only case a/b")
    code, reason = judged(results(other=None), case="a/b")
    assert (code, reason) == (ExitCode.INCOMPLETE, "incomplete: 1 of 4 items were skipped or filtered")
    assert judged(results(narrow={}), case="a/b")[0] == ExitCode.NOT_CONFORMANT


def test_a_waiver_that_does_not_fit_comes_after_what_it_does_not_speak_of_and_before_what_was_left_out():
    stale = "w.toml: waiver 1 (FL-VAL-001): stale: FL-VAL-001 passes now; remove the waiver"
    assert judged(results(), file=waivers()) == (ExitCode.WAIVERS, stale)
    assert judged(results(other=None), file=waivers()) == (ExitCode.WAIVERS, stale)
    assert judged(results(other={}), file=waivers()) == (
        ExitCode.NOT_CONFORMANT,
        "not conformant: 1 requirement not met; 1 waiver problem",
    )
    assert judged(results(other={}, wide=None), file=waivers()) == (
        ExitCode.NOT_CONFORMANT,
        "not conformant: 1 requirement not met; 1 of 4 items were skipped or filtered; 1 waiver problem",
    )
    assert judged([], file=waivers()) == (ExitCode.NOTHING, "nothing was run")


def test_the_first_of_several_waiver_problems_is_shown_and_the_others_are_counted():
    file = waivers()
    two = replace(file, waivers=(*file.waivers, replace(file.waivers[0], number=2)))
    three = replace(file, waivers=(*two.waivers, replace(file.waivers[0], number=3)))
    assert judged(results(), file=two)[1].endswith("remove the waiver (and 1 more)")
    assert judged(results(), file=three)[1].endswith("remove the waiver (and 2 more)")
    assert judged(results(other={}), file=three)[1].endswith("; 3 waiver problems")


def test_what_a_misfitting_waiver_speaks_of_is_the_problem_of_that_waiver():
    expired = waivers(expires=date(2020, 1, 1))
    code, reason = judged(results(narrow=FAILS), file=expired)
    assert code == ExitCode.WAIVERS
    assert "expired on 2020-01-01" in reason
    code, reason = judged(results(narrow=FAILS, other=FAILS), file=expired)
    assert (code, reason) == (ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met; 1 waiver problem")
    assert judged(results(narrow=FAILS), file=waivers(device="cuda"))[0] == ExitCode.NOT_CONFORMANT


def test_of_one_case_or_without_a_file_no_waiver_is_out_of_place():
    expected = ["w.toml: waiver 1 (FL-VAL-001): stale: FL-VAL-001 passes now; remove the waiver"]
    assert misfits(ITEMS, results(), None, waivers(), FACTS) == expected
    assert misfits(ITEMS, results(), "a/b", waivers(), FACTS) == []
    assert misfits(ITEMS, results(), None, None, FACTS) == []
    assert misfits(ITEMS, results(), None, waivers(), None) == []
    assert misfits(ITEMS, results(narrow=FAILS), None, waivers(), FACTS) == []


def test_a_failure_is_expected_by_the_reason_of_its_waiver():
    reason = "why (https://example.org/1)"
    fails = Result(NARROW, False, **FAILS)
    assert expect(fails, waivers(), FACTS) == replace(fails, waiver=reason)
    assert expect(fails, waivers(signature="zero"), FACTS).waiver == ""
    assert expect(Result(NARROW, True, **FAILS), waivers(), FACTS).waiver == ""
    broken = Result(RIGHT, False, **FAILS)
    assert expect(broken, waivers(requirement=SELF_CHECK, dtypes=()), FACTS).waiver == ""


@pytest.mark.parametrize(
    ("fields", "red"),
    [
        ({"passed": True}, False),
        ({"passed": False}, True),
        ({"passed": False, "waiver": "w"}, False),
        ({"passed": False, "tentative": True}, False),
        ({"passed": True, "waiver": "w", "tentative": True}, False),
    ],
)
def test_red_is_a_failure_that_neither_a_waiver_nor_its_age_excuses(fields, red):
    assert Result(NARROW, **fields).is_red == red


def test_a_result_is_the_same_after_it_was_recorded():
    result = Result(
        NARROW,
        False,
        7,
        math.inf,
        0.5,
        "text",
        [{"case": "a"}],
        [{"axis": "none"}],
        1.234,
        "why",
        [{"name": "cause"}],
        {"nan": ("set/a", "set/b")},
        ("set/c",),
        True,
    )
    record = json.loads(json.dumps(result.record()))
    assert Result.from_record(record) == result
    assert (record["error_ulp"], record["budget_ulp"]) == ("inf", 0.5)
    assert record["cases"] == {"failing": {"nan": {"set/": ["a", "b"]}}, "passing": {"set/": ["c"]}}
    assert replace(result, error=math.nan).record()["error_ulp"] == "nan"
    assert replace(result, seconds=1.23456).record()["seconds"] == 1.235


def test_a_result_of_which_nothing_is_said_has_no_error_and_does_not_change():
    result = Result(NARROW, True)
    assert (result.comparisons, result.error, result.budget, result.seconds) == (0, 0.0, 0.0, 0.0)
    assert (result.text, result.waiver, result.tentative) == ("", "", False)
    for one, name in ((result, "passed"), (NARROW, "name")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, "x")


def test_a_record_of_an_older_suite_has_neither_causes_nor_cases_nor_age():
    record = Result(NARROW, True, 1).record()
    for name in ("causes", "cases", "tentative"):
        del record[name]
    assert Result.from_record(record) == Result(NARROW, True, 1, findings=[], regimes=[])
