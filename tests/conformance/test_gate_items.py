"""What has to be run for a profile, what one item comes to, and what is kept of one case."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from focal_ref.conformance import gate
from focal_ref.conformance.cases import Cases
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.gate import (
    SELF_CHECK,
    Item,
    Result,
    examine,
    items_of,
    run_item,
)
from focal_ref.conformance.outcome import Outcome
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.builtin import CAUGHT_BY, DTYPE
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget, backend_target

RIGHT, NARROW = Item(SELF_CHECK, "right"), Item("FL-VAL-001", "float32")


def test_items_are_named_by_requirement_and_format():
    assert [str(item) for item in (NARROW, Item("FL-VAL-009"))] == ["FL-VAL-001-float32", "FL-VAL-009"]


def test_what_has_to_be_run_are_the_self_checks_and_each_claimed_requirement_in_its_formats():
    profile = load_profile("numpy")
    wide = replace(profile, tiers={"float64": "exact", "float32": "exact", "float16": "exact", "bfloat16": "exact"})
    items = items_of(wide)
    checks = [item for item in items if item.name == SELF_CHECK]
    assert checks == list(items[: len(checks)]) == [Item(SELF_CHECK, name) for name in ("right", *CAUGHT_BY)]

    def formats(requirement, among=items):
        return [item.dtype for item in among if item.name == requirement]

    # As requirements.toml says: "each", "16-bit", "wide", "once".
    assert formats("FL-VAL-001") == ["float64", "float32", "float16", "bfloat16"]
    assert formats("FL-EXT-006") == ["float16", "bfloat16"]
    assert formats("FL-IOU-001") == ["float64", "float32"]
    assert formats("FL-VAL-009") == [""]
    narrow = items_of(replace(wide, tiers={"float32": "exact"}))
    assert formats("FL-EXT-006", narrow) == []
    assert formats("FL-IOU-001", narrow) == ["float32"]
    nothing = {item.name for item in items_of(replace(wide, capabilities=frozenset()))}
    assert nothing > {SELF_CHECK}
    assert not any(requirements()[name].needs for name in nothing - {SELF_CHECK})


@pytest.mark.parametrize(
    ("requirement", "tiers", "dtype"),
    [
        ("FL-VAL-009", ("float16", "float32", "float64"), "float64"),
        ("FL-VAL-009", ("bfloat16", "float16"), "float16"),
        ("FL-ANC-001", ("float32", "float64"), "float32"),
        ("FL-ANC-001", ("float16", "float64"), "float64"),
    ],
)
def test_what_is_verified_once_is_in_the_widest_format_and_boxes_in_float32(monkeypatch, requirement, tiers, dtype):
    target = backend_target("numpy", None)
    target.profile = replace(target.profile, tiers=dict.fromkeys(tiers, "exact"))
    used = []
    monkeypatch.setattr(gate, "checks", lambda: {requirement: lambda examiner: used.append(examiner.dtype)})
    examine(requirements()[requirement], target, "")
    examine(requirements()[requirement], target, "bfloat16")
    assert used == [dtype, "bfloat16"]


def loss_target(number):
    """A loss that is one number everywhere."""

    def constant(logits, targets, *, alpha, gamma):
        return np.full_like(logits, number)

    return PythonTarget("constant", constant, load_profile("built-in"), PlainLibrary("numpy", None, ""))


VECTOR = "saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"


def test_one_vector_of_a_loss_is_run_alone():
    outcome = examine(requirements()["FL-VAL-002"], loss_target(0.0), "float32", VECTOR)
    assert outcome.comparisons == 1
    assert [finding.case for finding in outcome.findings] == [VECTOR]


def test_of_another_case_that_part_of_the_check_is_kept(monkeypatch):
    def check(examiner):
        examiner.true(True, "passes", "value", "", "")
        examiner.true(False, "fails", "value", "0", np.float32(np.nan))
        examiner.cases.failed("fails", "zero")
        examiner.true(False, "another", "value", "0", np.float32(1.0))

    monkeypatch.setattr(gate, "checks", lambda: {"FL-VAL-009": check})
    requirement, target = requirements()["FL-VAL-009"], loss_target(0.0)

    def of(case):
        outcome = examine(requirement, target, "", case)
        assert (outcome.error, outcome.budget) == (0.0, 0.0)
        names = [finding.case for finding in outcome.findings]
        return outcome.comparisons, names, outcome.cases.failing, outcome.cases.passing

    assert of("passes") == (1, [], {}, ("passes",))
    assert of("fails") == (1, ["fails"], {"nan": ("fails",), "zero": ("fails",)}, ())
    assert of("none") == (0, [], {}, ())
    assert examine(requirement, target, "").comparisons == 3


def given(monkeypatch, **fields):
    """Let every check come to an outcome."""
    fields = {"comparisons": 1, "error": 0.0, "budget": 0.0, "findings": (), **fields}
    monkeypatch.setattr(gate, "examine", lambda *arguments: Outcome(**fields))


def failed(*names, way="nan"):
    cases = Cases()
    cases.ran(["passes"])
    for name in names:
        cases.failed(name, way)
    return {"findings": tuple(Finding(name, "value", "1", "nan") for name in names), "cases": cases}


def test_a_result_has_what_the_check_came_to(monkeypatch):
    given(monkeypatch, comparisons=5, error=3.0, budget=0.5, **failed("a"))
    result = run_item(NARROW, loss_target(0.0), "pytest conformance")
    assert (result.passed, result.comparisons, result.error, result.budget) == (False, 5, 3.0, 0.5)
    assert result.text.startswith("FL-VAL-001 float32: ")
    assert [finding["case"] for finding in result.findings] == ["a"]
    assert (result.failing, result.passing, result.causes, result.tentative) == (
        {"nan": ("a",)},
        ("passes",),
        [],
        False,
    )


def test_of_what_passed_no_cases_are_kept(monkeypatch):
    given(monkeypatch, cases=failed()["cases"])
    result = run_item(NARROW, loss_target(0.0), "pytest conformance")
    assert (result.passed, result.text, result.failing, result.passing) == (True, "", {}, ())


def test_a_check_that_compared_nothing_has_failed(monkeypatch):
    given(monkeypatch, comparisons=0)
    assert run_item(NARROW, loss_target(0.0), "").text == "FL-VAL-001-float32: nothing was compared"
    result = run_item(NARROW, loss_target(0.0), "", "a/b")
    assert not result.passed
    assert result.text == "FL-VAL-001-float32: nothing was compared; no vector has the id 'a/b'"


@pytest.mark.parametrize(
    ("since", "newer", "names", "tentative"),
    [
        ("0.1", (), ("a", "b"), False),
        ("0.1", ("a", "b"), ("a", "b"), True),
        ("0.1", ("a",), ("a", "b"), False),
        ("0.1", ("a", "b"), ("a",), True),
        ("0.1", ("a",), (), False),
        ("0.3", (), ("a",), True),
        ("0.2", (), ("a",), True),
    ],
)
def test_a_failure_is_tentative_if_its_requirement_or_all_of_its_vectors_are_new(
    monkeypatch, since, newer, names, tentative
):
    new = lambda ids, level: frozenset(set(ids) & set(newer)) if level == "0.2" else frozenset()  # noqa: E731
    monkeypatch.setattr(gate, "tentative_cases", new)
    known = {"FL-VAL-001": replace(requirements()["FL-VAL-001"], since=since)}
    monkeypatch.setattr(gate, "requirements", lambda: known)
    given(monkeypatch, **failed(*names))
    assert run_item(NARROW, loss_target(0.0), "", level="0.2").tentative == tentative


def explaining(monkeypatch, area="VAL", answers=("the answers",)):
    """Run an item that fails with a diagnosis, and say what it was asked."""
    asked = []
    cause = SimpleNamespace(record=lambda: {"name": "a cause"})
    explanation = SimpleNamespace(causes=[cause], rows=lambda: [("cause", "a cause")])

    def explain(*arguments):
        asked.append(arguments)
        return explanation

    recording = lambda target: SimpleNamespace(answers=answers, profile=target.profile)  # noqa: E731
    monkeypatch.setattr(gate, "Recording", recording)
    known = {"FL-VAL-001": replace(requirements()["FL-VAL-001"], area=area)}
    monkeypatch.setattr(gate, "requirements", lambda: known)
    result = run_item(NARROW, loss_target(0.0), "", diagnosis=SimpleNamespace(explanation=explain))
    return result, asked


def test_what_failed_is_explained_by_the_answers_that_the_target_gave(monkeypatch):
    given(monkeypatch, **failed("a"))
    result, asked = explaining(monkeypatch)
    assert result.causes == [{"name": "a cause"}]
    assert "  cause     a cause" in result.text
    ((requirement, findings, answers),) = asked
    assert (requirement.id, findings[0].case, answers) == ("FL-VAL-001", "a", ("the answers",))


def test_neither_what_passed_nor_a_declaration_is_explained(monkeypatch):
    given(monkeypatch)
    assert explaining(monkeypatch)[1] == []
    given(monkeypatch, **failed("a"))
    result, asked = explaining(monkeypatch, "DECL")
    assert (result.causes, asked) == ([], [])


def test_the_built_in_right_implementation_must_pass_what_its_profile_claims(monkeypatch):
    known = {name: requirements()[name] for name in ("FL-VAL-001", "FL-VAL-002", "FL-GRAD-001", "FL-INF-001")}
    monkeypatch.setattr(gate, "requirements", lambda: known)
    asked = []

    def accuse(*names):
        def examined(requirement, target, dtype):
            asked.append((requirement.id, target.name, dtype))
            return Outcome(2, 0.0, 0.0, failed("a")["findings"] if requirement.id in names else ())

        monkeypatch.setattr(gate, "examine", examined)
        return run_item(RIGHT, None, "")

    claims = {item.name for item in items_of(load_profile("built-in"))} - {SELF_CHECK}
    assert accuse() == Result(RIGHT, True, 2 * len(claims))
    assert {name for name, _, _ in asked} == claims
    assert {rest for _, *rest in map(tuple, asked) for rest in [tuple(rest)]} == {("built-in right", DTYPE)}
    result = accuse("FL-VAL-001", "FL-VAL-002")
    assert not result.passed
    assert result.text == "the built-in right implementation fails FL-VAL-001, FL-VAL-002"


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"error": 3.0}, ""),
        ({"error": None, "quantity": "matches"}, ""),
        ({"error": None}, "FL-LAB-002 does not find the built-in wrong implementation 'takes-background-for-a-class'"),
        (None, "FL-LAB-002 does not find the built-in wrong implementation 'takes-background-for-a-class'"),
    ],
)
def test_a_built_in_wrong_implementation_must_be_found_by_a_comparison(monkeypatch, found, text):
    findings = (
        () if found is None else (Finding(**{"case": "a", "quantity": "value", "expected": "", "got": "", **found}),)
    )
    given(monkeypatch, comparisons=3, findings=findings)
    item = Item(SELF_CHECK, "takes-background-for-a-class")
    assert run_item(item, None, "") == Result(item, not text, 3, text=text)
