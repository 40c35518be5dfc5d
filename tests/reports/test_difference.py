"""Two runs are compared: what got worse, what got better, and what is different about the runs."""

import json

import pytest

from focal_ref.conformance.gate import ExitCode, Item
from focal_ref.conformance.reports.difference import as_data, as_text, difference
from focal_ref.conformance.reports.record import Record

from .runs import GREEN, HOSTILE, failed, passed, red_run, run_of

INFINITE = float("inf")


def compared(first, second, factor=2.0):
    runs = [run if not isinstance(run, list) else run_of(run) for run in (first, second)]
    return difference(Record.of(runs[0]), Record.of(runs[1]), factor)


def test_two_runs_with_the_same_results_do_not_differ_though_their_dates_and_times_do():
    found = compared([passed("FL-VAL-001", seconds=1.0)], [passed("FL-VAL-001", seconds=9.0)])
    assert as_data(found) == {"about": [], "worse": [], "better": [], "other": []}
    assert as_text(found) == "no difference\n"


ITEM = "FL-VAL-001-float32"


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ([passed("FL-VAL-001")], [failed("FL-VAL-001")], f"{ITEM}: pass -> FAIL (48 of 16 ulp)"),
        ([passed("FL-VAL-001")], [failed("FL-VAL-001", waiver="w")], f"{ITEM}: pass -> WAIVED (w)"),
        ([failed("FL-VAL-001", waiver="w")], [failed("FL-VAL-001")], f"{ITEM}: WAIVED -> FAIL (48 of 16 ulp)"),
        ([passed("FL-VAL-001")], [], f"{ITEM}: pass -> absent"),
    ],
)
def test_what_got_worse_is_named_and_the_other_way_round_it_is_better(first, second, text):
    there = compared(first, second)
    assert (there.worse, there.better) == ([text], [])
    back = compared(second, first)
    assert back.worse == []
    assert len(back.better) == 1


def test_what_was_not_run_or_is_not_claimed_any_more_is_worse():
    expected = [Item("FL-VAL-001", "float32")]
    assert compared(run_of(GREEN), run_of(GREEN[:2] + GREEN[3:], expected=expected)).worse == [
        f"{ITEM}: pass -> NOT-RUN"
    ]
    found = compared(run_of([passed("FL-GRAD-007")], profile="torch"), run_of([passed("FL-VAL-001")], profile="numpy"))
    assert "FL-GRAD-007-float32: pass -> NOT-CLAIMED" in found.worse
    (given_up,) = (after for name, _, after in found.about if name == "claims given up")
    assert "autodiff" in given_up.split(", ")


@pytest.mark.parametrize(
    ("before", "after", "factor", "grew"),
    [
        (1.0, 2.5, 2.0, True),
        (1.0, 1.9, 2.0, False),
        (1.0, 1.9, 1.5, True),
        # Within one rounding the quotient says nothing.
        (0.001, 0.5, 2.0, False),
        (0.001, 0.6, 2.0, True),
        (0.0, 3.0, 2.0, True),
        (7.0, INFINITE, 2.0, True),
        (INFINITE, INFINITE, 2.0, False),
    ],
)
def test_an_error_that_grew_beyond_the_factor_is_worse_and_one_that_shrank_is_better(before, after, factor, grew):
    first, second = [passed("FL-VAL-001", error=before, budget=9.0)], [passed("FL-VAL-001", error=after, budget=9.0)]
    there, back = compared(first, second, factor), compared(second, first, factor)
    assert bool(there.worse) is grew
    assert bool(back.better) is grew
    assert there.better == back.worse == []
    if grew:
        assert there.worse == [f"{ITEM}: error {before:.4g} -> {after:.4g} ulp, budget 9 ulp"]


def test_a_verdict_that_is_lost_is_worse():
    incomplete = run_of(GREEN, ExitCode.INCOMPLETE, "incomplete: 1 of 5")
    assert compared(run_of(GREEN), incomplete).worse == ["verdict: conformant: 5 items passed -> incomplete: 1 of 5"]
    assert compared(incomplete, run_of(GREEN)).better


def test_versions_that_changed_are_named():
    found = compared(run_of(GREEN), run_of(GREEN, description={"version": "mine 1.3"}, level="0.1"))
    assert found.about == [("version", "mine 1.2", "mine 1.3"), ("level", "", "0.1")]
    assert "version: mine 1.2 -> mine 1.3\n" in as_text(found)
    assert "the same outcomes" in as_text(found)


def test_a_failure_that_is_not_run_any_more_is_neither_better_nor_worse():
    expected = [Item("FL-VAL-001", "float32")]
    found = compared([failed("FL-VAL-001"), GREEN[1]], run_of(GREEN[1:2], expected=expected))
    assert (found.worse, found.better, found.other) == ([], [], [f"{ITEM}: FAIL -> NOT-RUN"])


def test_the_text_groups_what_changed():
    text = as_text(compared(run_of(GREEN), red_run()))
    assert "worse (4)\n  FL-VAL-001-float32: pass -> FAIL (48 of 16 ulp)\n" in text
    assert "  FL-VAL-002-float32: pass -> WAIVED (known, issue 12)\n  FL-SHP-002: pass -> absent\n" in text
    assert "\nother (2)\n  FL-VAL-003-float32: absent -> TENTATIVE (inf of 16 ulp)\n" in text


def test_hostile_texts_are_shown_as_text():
    found = compared(run_of(GREEN), run_of(GREEN, description={"version": HOSTILE}))
    assert all(character.isprintable() for line in as_text(found).splitlines() for character in line)
    assert json.loads(json.dumps(as_data(found)))["about"][0]["second"] == HOSTILE
