"""DECL: what a profile declares about conventions is what the implementation does."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.inference import axes
from focal_ref.conformance.inference.answers import Answer
from focal_ref.conformance.inference.losses import ONE_HOT, PREDICTIONS, parameters_for
from focal_ref.conformance.inference.subject import Question, TargetSubject, refusal_text
from focal_ref.conformance.targets import ROWS, TargetFault

ONE_AXIS = {
    "FL-DECL-001": "formula",
    "FL-DECL-002": "prediction",
    "FL-DECL-003": "multi_class",
    "FL-DECL-004": "alpha",
    "FL-DECL-005": "alpha_off",
    "FL-DECL-006": "soft_targets",
    "FL-DECL-008": "mean",
    "FL-DECL-009": "sum",
    "FL-DECL-012": "gradient",
}
"""Requirements of a single axis."""

EPSILON_TOLERANCE = 0.05
"""Relative, for an epsilon that the format rounds and whose logarithm is measured."""


@check("FL-DECL-001")
@check("FL-DECL-002")
@check("FL-DECL-003")
@check("FL-DECL-004")
@check("FL-DECL-005")
@check("FL-DECL-006")
@check("FL-DECL-008")
@check("FL-DECL-009")
@check("FL-DECL-012")
def one_axis(examiner: Examiner) -> None:
    axis = ONE_AXIS[examiner.requirement.id]
    with _faults_are_findings(examiner, axis):
        _judge(examiner, axis, axes.answer(TargetSubject(examiner.target), axis))


@check("FL-DECL-007")
def clipping(examiner: Examiner) -> None:
    subject = TargetSubject(examiner.target)
    measured = None
    with _faults_are_findings(examiner, "clipping"):
        _judge(examiner, "clipping", axes.answer(subject, "clipping"))
        measured = axes.answer(subject, "epsilon")
    if measured is not None and measured.fits:
        declared, found = float(subject.conventions["epsilon"]), measured.fits[0]
        if abs(found - declared) > EPSILON_TOLERANCE * declared:
            _accuse(examiner, measured, declared)


@check("FL-DECL-010")
def codes(examiner: Examiner) -> None:
    of_labels = examiner.target.profile.function in ("loss_from_labels", ROWS)
    function = "loss_from_labels" if examiner.claims("labels") and not of_labels else ""
    subject = TargetSubject(examiner.target, function=function)
    for axis in ("background", "ignore"):
        with _faults_are_findings(examiner, axis):
            _judge(examiner, axis, axes.answer(subject, axis))


@check("FL-DECL-011")
def dtypes(examiner: Examiner) -> None:
    subject = TargetSubject(examiner.target, examiner.dtype)
    question = Question(PREDICTIONS, ONE_HOT, parameters=parameters_for(subject.conventions))
    wanted = f"dtype {examiner.dtype}"
    ask = {"value": subject.value, "gradient": subject.gradient}
    for quantity in examiner.quantities:
        try:
            got = ask[quantity](question).dtype.name
            text = f"declared {examiner.dtype}, behaves as {got}: it gives back {got} for logits of {examiner.dtype}"
        except Exception as error:  # a target may raise anything
            got, text = "", f"declared {examiner.dtype}, but refuses it: {refusal_text(error)}"
        examiner.true(got == examiner.dtype, f"claims.dtypes.{examiner.dtype}", quantity, wanted, text)


@check("FL-DECL-013")
def subnormals(examiner: Examiner) -> None:
    subjects = [TargetSubject(examiner.target, dtype) for dtype in examiner.target.profile.tiers]
    with _faults_are_findings(examiner, "subnormals"):
        _judge(examiner, "subnormals", axes.subnormals(list(subjects)))


@contextmanager
def _faults_are_findings(examiner: Examiner, axis: str) -> Iterator[None]:
    """A program that hangs or crashes has failed, whatever it declares."""
    try:
        yield
    except TargetFault as error:
        examiner.fail(f"conventions.{axis}", "convention", "an answer", f"{error.kind}: {error}")


def _judge(examiner: Examiner, axis: str, answer: Answer | None) -> None:
    """Accept the declared value where it fits; where no formula does, FL-DECL-001 says so, and nothing can be said."""
    declared = examiner.target.profile.conventions[axis]
    if answer is None or any(declared == value for value in answer.fits):
        examiner.true(True, f"conventions.{axis}", "convention", str(declared), declared)
    else:
        _accuse(examiner, answer, declared)


def _accuse(examiner: Examiner, answer: Answer, declared: Any) -> None:
    """Say what was measured, what each value would have given, and what to change."""
    inputs = {}
    for index, evidence in enumerate(answer.evidence, 1):
        number = f" {index}" if len(answer.evidence) > 1 else ""
        inputs[f"asked{number}"] = evidence.asked
        inputs[f"gave{number}"] = evidence.got
        inputs |= {f"  {value} ": text for value, text in evidence.expected.items()}
    if answer.note:
        inputs["note"] = answer.note
    if answer.fits:
        change = f"declare conventions.{answer.axis} = {_toml(answer.fits[0])} if that is what is meant"
    else:
        change = f"no value of conventions.{answer.axis} describes it: the implementation has to change"
    inputs["change"] = change
    examiner.comparisons += 1
    examiner.findings.append(
        Finding(
            f"conventions.{answer.axis}",
            "convention",
            f"declared {declared}",
            f"declared {declared}, behaves as {answer.behaves_as}",
            inputs,
        )
    )


def _toml(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else f"{value}"
