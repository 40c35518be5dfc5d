"""By what a mean divides, and whether a sum is one."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, losses, weights
from focal_ref.conformance.inference.losses import LABELS, PREDICTIONS, Fit, parameters_for
from focal_ref.conformance.inference.subject import Measured, Question, Subject

CLASSES = 3
SHAPES = ((2, 2, 2, CLASSES), (8, CLASSES))
"""The second for functions that take rows alone."""


def mean(subject: Subject, fit: Fit) -> Answer:
    """The denominator of the mean."""
    question, counted, one = _reduced(subject, fit, "mean")
    if one.got is None or one.got.size != 1:
        return Answer("mean", ("unsupported",), [Evidence("reduction 'mean'", _no_number(one))])
    terms, by_value = _terms(subject, fit, question, counted)
    whole, got = float(terms.sum()), float(one.got.reshape(()))
    expected = {name: number(whole / divisor) for name, divisor in by_value.items()}
    evidence = Evidence(_asked(question, by_value), number(got), expected)
    fits = tuple(name for name, divisor in by_value.items() if abs(got * divisor / whole - 1) < 2 * subject.tolerance)
    note = "" if fits else f"the sum is divided by {_quotient(whole, got)}"
    return Answer("mean", fits if subject.reduces else (*fits, "unsupported"), [evidence], note)


def total(subject: Subject, fit: Fit) -> Answer:
    """Whether the sum has every element once."""
    question, counted, one = _reduced(subject, fit, "sum")
    if one.got is None or one.got.size != 1:
        return Answer("sum", ("unsupported",), [Evidence("reduction 'sum'", _no_number(one))])
    terms, by_value = _terms(subject, fit, question, counted)
    whole, got = float(terms.sum()), float(one.got.reshape(()))
    evidence = Evidence(_asked(question, by_value), number(got), {"elements": number(whole)})
    fits = ("elements",) if abs(got / whole - 1) < 2 * subject.tolerance else ()
    note = "" if fits else f"it is the sum over {_quotient(whole, got)}"
    return Answer("sum", fits if subject.reduces else (*fits, "unsupported"), [evidence], note)


def _reduced(subject: Subject, fit: Fit, reduction: str) -> tuple[Question, Floats, Measured]:
    """A reduction of a shape that the function takes."""
    supposed = subject.supposing(**_supposed(subject, reduction))
    for shape in SHAPES:
        question, counted = _question(subject, fit, reduction, shape)
        one = supposed.ask(question)
        if one.got is not None and one.got.size == 1:
            break
    return question, counted, one


def _no_number(one: Measured) -> str:
    return one.refusal if one.got is None else f"a result of shape {one.got.shape}"


def _quotient(whole: float, got: float) -> str:
    return number(whole / got) if got else "something infinite"


def _supposed(subject: Subject, reduction: str) -> dict[str, Any]:
    """A reduction that is declared unsupported is asked for all the same."""
    return {} if subject.conventions.get(reduction) != "unsupported" else {reduction: "elements"}


def _question(subject: Subject, fit: Fit, reduction: str, shape: tuple[int, ...]) -> tuple[Question, Floats]:
    """Eight rows of which every denominator is another one, and which rows count."""
    predictions = np.concatenate([PREDICTIONS, PREDICTIONS[::-1, ::-1]])
    labels = np.concatenate([LABELS, LABELS[::-1]])
    targets = np.eye(CLASSES)[labels]
    counted = np.ones(labels.shape, bool)
    ignore, background = (subject.conventions.get(axis, "none") for axis in ("ignore", "background"))
    codes = None
    if subject.labels:
        codes = labels.copy()
        if background != "none" and fit.conventions["multi_class"] == "sigmoid":
            codes[4:6], targets[4:6] = CLASSES if background == "classes" else background, 0.0
        if ignore != "none":
            codes[1], counted[1] = ignore, False
    elif fit.conventions["multi_class"] == "sigmoid":
        # Rows without a positive, so that positives are not as many as rows.
        targets[4:7] = 0.0
    question = Question(
        predictions.reshape(shape),
        targets.reshape(shape),
        labels=None if codes is None else codes.reshape(shape[:-1]),
        parameters=parameters_for(fit.conventions),
        reduction=reduction,
    )
    return question, counted.reshape(shape[:-1])


def _terms(subject: Subject, fit: Fit, question: Question, counted: Any) -> tuple[Floats, Mapping[str, float]]:
    """The losses that are summed, and the denominator of each value of the axis."""
    rows = fit.conventions["multi_class"] == "softmax"
    soft = fit.conventions["soft_targets"]
    conventions = fit.formula(soft_targets="mixture" if soft == "unsupported" else soft)
    given = fit.parameters(subject.given(question))
    each = losses(question.predictions, question.targets, conventions, given)
    valid = counted if rows else np.broadcast_to(counted[..., np.newaxis], question.predictions.shape)
    weight = weights(question.targets, conventions, given.get("alpha"))
    positives = float((question.targets * counted[..., np.newaxis] == 1).sum())
    divisors = {
        "elements": float(question.predictions.size),
        "rows": float(counted.size),
        "valid": float(valid.sum()),
        "positives": max(1.0, positives),
        "weights": float((weight * valid).sum()),
    }
    return np.asarray(each[valid]), {name: divisors[name] for name in AXES["mean"] if divisors.get(name)}


def _asked(question: Question, divisors: Mapping[str, float]) -> str:
    counts = ", ".join(f"{name} {number(value)}" for name, value in divisors.items())
    return f"reduction {question.reduction!r} of logits of shape {question.predictions.shape}: {counts}"
