"""A failing target is compared with the known faults, and the one that gives its wrong numbers is named."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance.diagnosis import NO_CAUSE, Diagnosis, Recording, diagnosis
from focal_ref.conformance.diagnosis.suspects import Suspect
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.mutants import mutant
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.reports.causes import explained, likely_causes
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call, TargetFault
from focal_ref.conformance.targets.python import backend_target, profile_target

FEW = ("alpha_swapped", "alpha_ignored", "epsilon_in_the_factor", "gamma_multiplied", "tail_left_out", "squeezed")
FEW += (
    "logit_minus_log_sigmoid",
    "mean_of_positives_undefined",
    "writes_into_the_targets",
    "unknown_reduction_is_none",
)


@pytest.fixture
def few_suspects(monkeypatch):
    """The whole catalogue takes seconds a target."""

    def chosen(library, functions):
        for name in FEW:
            yield Suspect(mutant(name))
            for constant, values in mutant(name).tried.items():
                yield from (Suspect(mutant(name), {constant: value}) for value in values)

    monkeypatch.setattr(diagnosis, "suspects", chosen)


def torch_target(name, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return profile_target(load_profile("torchvision"), f"development.{name}:sigmoid_focal_loss")


def causes_of(target, *items):
    found = Diagnosis(target)
    return {item: run_item(Item(*item), target, "x", diagnosis=found) for item in items}


def test_the_number_that_fits_best_is_found_between_the_usual_ones(few_suspects, monkeypatch):
    """The file adds 6e-5 to 1 - p_t; the catalogue tries powers of ten."""
    found = Diagnosis(torch_target("epsilon_in_focal_factor", monkeypatch)).general[0]
    assert found.suspect.mutant.name == "epsilon_in_the_factor"
    assert found.suspect.numbers["EPSILON"] == pytest.approx(6e-5, rel=0.1)
    assert found.likeness.explained > 0.7


def test_a_fault_is_named_once_though_several_of_its_numbers_explain_something(few_suspects, monkeypatch):
    found = Diagnosis(torch_target("epsilon_in_focal_factor", monkeypatch)).general
    names = [step.suspect.mutant.name for step in found]
    assert sorted(names) == sorted(set(names))


def test_the_failure_text_names_fault_change_and_where_it_was_seen(few_suspects, monkeypatch):
    target = torch_target("two_alpha_swapped_gamma_whole", monkeypatch)
    text = causes_of(target, ("FL-VAL-004", "float64"))["FL-VAL-004", "float64"].text
    swapped = mutant("alpha_swapped")
    assert f"  cause     {swapped.title} (alpha_swapped): gives " in text
    assert swapped.fault in text
    assert f"  change    {swapped.advice}" in text
    assert f"  seen      {swapped.seen[0]}" in text


def test_a_block_of_any_size_is_found_from_the_first_wrong_element(few_suspects, monkeypatch):
    """The file drops what is left after whole blocks of 1537 elements."""
    target = torch_target("last_block_lost", monkeypatch)
    found = Diagnosis(target).general
    assert ("tail_left_out", {"BLOCK": 1537}) in [(step.suspect.mutant.name, step.suspect.numbers) for step in found]


def test_arguments_that_are_written_into_are_seen(few_suspects, monkeypatch):
    target = torch_target("targets_become_weights", monkeypatch)
    result = causes_of(target, ("FL-SHP-004", ""))["FL-SHP-004", ""]
    assert result.causes[0]["mutant"] == "writes_into_the_targets"


def test_what_no_known_fault_explains_is_said_to_be_so(few_suspects, monkeypatch):
    """The softmax in the place of sigmoids is not among the few faults that are compared here."""
    target = torch_target("softmax_for_images", monkeypatch)
    result = causes_of(target, ("FL-SHP-001", "float64"))["FL-SHP-001", "float64"]
    assert not result.passed
    assert not [cause for cause in result.causes if cause["by"] == "numbers" and cause["explained"] > 0.9]
    plain = run_item(Item("FL-SHP-001", "float64"), target, "x")
    assert NO_CAUSE not in plain.text, "nothing was sought"


def test_without_suspects_nothing_is_named(monkeypatch):
    monkeypatch.setattr(diagnosis, "suspects", lambda library, functions: iter(()))
    target = torch_target("two_alpha_swapped_gamma_whole", monkeypatch)
    result = causes_of(target, ("FL-VAL-004", "float64"))["FL-VAL-004", "float64"]
    assert result.causes == []
    assert f"  cause     {NO_CAUSE}" in result.text


def test_a_diagnosis_that_breaks_down_takes_no_verdict_away(monkeypatch):
    def breaks_down(*arguments):
        raise ZeroDivisionError("no such luck")

    monkeypatch.setattr(Diagnosis, "causes", breaks_down)
    result = causes_of(torch_target("two_alpha_swapped_gamma_whole", monkeypatch), ("FL-VAL-009", ""))["FL-VAL-009", ""]
    assert not result.passed
    assert result.causes == []
    assert "  cause     the comparison with the known faults broke down: ZeroDivisionError: no such luck" in result.text


def test_a_right_implementation_is_asked_nothing_more(monkeypatch):
    """What passes costs no experiments."""
    target = torch_target("right_log_space", monkeypatch)
    seen = Diagnosis(target)
    monkeypatch.setattr(Diagnosis, "causes", lambda *arguments: pytest.fail("asked"))
    assert run_item(Item("FL-VAL-001", "float64"), target, "x", diagnosis=seen).passed


def test_a_program_that_died_is_asked_nothing_more(few_suspects, monkeypatch):
    """Each further question could cost its time limit."""
    target = torch_target("two_alpha_swapped_gamma_whole", monkeypatch)
    asked = []

    def dies(call, upstream=None):
        asked.append(call)
        raise TargetFault("crash", "it died")

    monkeypatch.setattr(target, "value_and_gradient", dies)
    monkeypatch.setattr(target, "value", dies)
    before = len(asked)
    assert Diagnosis(target).general == []
    assert len(asked) - before <= 2


def test_causes_are_counted_by_what_they_explain(few_suspects, monkeypatch):
    target = torch_target("two_alpha_swapped_gamma_whole", monkeypatch)
    items = [("FL-VAL-004", "float64"), ("FL-VAL-009", ""), ("FL-RED-005", "float64")]
    results = list(causes_of(target, *items).values())
    first, *_ = likely_causes(results)
    assert first.cause["mutant"] == "alpha_swapped"
    assert set(first.items) == {"FL-VAL-004-float64", "FL-VAL-009"}
    assert explained(results) == "3 of 3 failures explained"
    assert explained([]) == ""


def test_a_failure_of_another_size_is_not_the_same_failure(monkeypatch):
    """Ten million losses added one by one in float32 are off by thousands of ulp, not by half of the sum."""
    found = Diagnosis(torch_target("right_log_space", monkeypatch))
    known = Suspect(mutant("added_one_by_one"))
    monkeypatch.setattr(Diagnosis, "general", [])
    monkeypatch.setattr(Diagnosis, "_consistent", [known])
    own = Finding("sum of 10000300", "sum", "1", "2", error=7000.0, budget=2355.0, signature="off-by-ulp")

    def sums(examiner):
        examiner.findings.append(own)

    monkeypatch.setattr(diagnosis, "checks", lambda: {"FL-RED-009": sums})
    requirement = requirements()["FL-RED-009"]
    assert [cause.mutant for cause in found.causes(requirement, [replace(own, error=9000.0)], [])] == [
        known.mutant.name
    ]
    assert found.causes(requirement, [replace(own, error=5e6)], []) == ()


def test_a_recording_keeps_arguments_as_they_were_and_the_order_of_their_memory():
    from focal_ref.conformance.diagnosis.recording import copied

    base = np.arange(24.0).reshape(4, 6)
    for view in (base, base.T, base[::-1, ::2], np.broadcast_to(base[0], (3, 6))):
        (copy,) = copied((view,))
        assert np.array_equal(copy, view)
        assert copy.shape == view.shape
        assert not np.shares_memory(copy, view)
        assert [np.sign(stride) for stride in copy.strides] == [np.sign(stride) for stride in view.strides]
    call = Call(base.copy(), base.copy())
    (other,) = copied((call,))
    call.logits[0, 0] = 99.0
    assert other.logits[0, 0] == 0.0


@pytest.mark.filterwarnings("error")
def test_a_recording_of_nan_in_bfloat16_warns_of_nothing():
    """Comparing such arrays for equality warns, and what is raised there would be taken for the target's."""
    target = backend_target("numpy", None)
    logits = np.array([np.nan, 1.0]).astype(FORMATS["bfloat16"].dtype)
    recording = Recording(target)
    recording.value(Call(logits, np.zeros_like(logits)))
    assert list(recording.answers[0].results) == ["value"]


@pytest.mark.parametrize("name", ["development", "held_out"])
def test_every_wrong_implementation_has_an_entry_of_accepted_causes(name, monkeypatch):
    import tomllib

    folder = Path(__file__).parent
    accepted = tomllib.loads((folder / "accepted.toml").read_text(encoding="utf-8"))[name]
    monkeypatch.syspath_prepend(str(folder))
    files = {file.stem for file in (folder / name).glob("*.py") if not file.stem.startswith(("_", "right_"))}
    assert set(accepted) == files
    for fault in (entry for entries in accepted.values() for entries_ in entries for entry in entries_):
        assert mutant(fault).name == fault
    for stem in sorted(files):
        assert importlib.import_module(f"{name}.{stem}").FAULT
        sys.modules.pop(f"{name}.{stem}")
