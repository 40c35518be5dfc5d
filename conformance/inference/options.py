"""How weighting is switched off, and where probabilities are clipped."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, losses
from focal_ref.conformance.inference.losses import (
    LABELS,
    ONE_HOT,
    PARAMETERS,
    PREDICTIONS,
    Fit,
    alike,
    close,
)
from focal_ref.conformance.inference.subject import Measured, Question, Subject

NATURAL = ("pos-only", "neg-only", "uniform", "class-vector")
"""Meanings of alpha for which 1 is no weight at all."""

NUMBERS = {"-1": -1.0, "0": 0.0, "1": 1.0}
"""Values of the axis that are passed as any other alpha is."""

SATURATED = 30.0
"""A logit whose probability is far below every epsilon in use."""

NEGLIGIBLE = 1e-30
"""Smaller losses of easy elements are not told apart: the format may have lost them."""


def alpha_off(subject: Subject, fit: Fit) -> Answer:
    """Which value of alpha switches weighting off."""
    if fit.conventions["alpha"] == "none" or fit.conventions["formula"] == "varifocal":
        # Without a weight, or with one that is part of the formula, there is nothing to switch off.
        return Answer("alpha_off", ("none", *(value for value in AXES["alpha_off"] if value != "none")))
    if "alpha" not in subject.takes:
        return Answer("alpha_off", ("unsupported",), note="there is no argument for alpha")
    plain = {"clipping": "none", "epsilon": 0.0, **fit.conventions, "alpha": "none", "soft_targets": "mixture"}
    question = Question(PREDICTIONS, ONE_HOT, parameters={**PARAMETERS[0], "alpha": None})
    parameters = fit.parameters(subject.given(question))
    unweighted = losses(PREDICTIONS, ONE_HOT, plain, parameters)
    natural = ("1",) if fit.conventions["alpha"] in NATURAL else ()
    declared = subject.conventions.get("alpha_off")
    candidates = [value for value in AXES["alpha_off"] if value != "unsupported"]
    fits, evidence = [], []
    for value in sorted(candidates, key=lambda value: value != declared):
        one = _switched_off(subject, fit, question, value)
        pair = alike(one.got, unweighted)
        shown = one.refusal if one.got is None else number(np.ravel(one.got)[0])
        evidence.append(Evidence(f"alpha off by {value}", shown, {"off": number(np.ravel(unweighted)[0])}))
        if pair is not None and close(*pair, subject.tolerance):
            fits.append(value)
            if value == declared:
                break
    values = tuple(value for value in fits if value not in natural)
    return Answer("alpha_off", (*(values or ("unsupported",)), *natural), evidence)


def _switched_off(subject: Subject, fit: Fit, question: Question, value: str) -> Measured:
    """The result where a value of the axis says that there is no alpha."""
    if value in NUMBERS:
        numbers = {**question.parameters, "alpha": NUMBERS[value]}
        return subject.ask(replace(question, parameters=numbers))
    return subject.supposing(alpha_off=value).ask(question)


def clipping(subject: Subject, fit: Fit) -> tuple[Answer, Answer]:
    """Where probabilities are clipped, and by which epsilon."""
    conventions = {**fit.conventions, "soft_targets": "mixture"}
    predictions, targets = _saturated(conventions)
    half = np.full(3, 0.5) if conventions["alpha"] == "class-vector" else 0.5
    parameters = {**PARAMETERS[0], "alpha": half}
    question = Question(predictions, targets, parameters=parameters)
    given = fit.parameters(subject.given(question))
    one = subject.ask(question)
    hard, easy = _hard(conventions, targets), _easy(conventions, targets)
    unclipped = losses(predictions, targets, {**conventions, "clipping": "none", "epsilon": 0.0}, given)
    pair = alike(one.got, unclipped)
    if pair is None:
        evidence = [Evidence("a probability of 1e-13", one.refusal or "another shape")]
        return Answer("clipping", tuple(AXES["clipping"]), evidence, "undecided"), Answer("epsilon", (), evidence)
    got = pair[0]
    # The loss of a hard element is a multiple of -log p: its size tells the p inside.
    logarithm = _logarithm(predictions, conventions) * float(np.mean(got[hard] / unclipped[hard]))
    at = f"p = {math.exp(-_logarithm(predictions, conventions)):.3g}"
    none = Evidence(f"a hard element, {at}", number(np.mean(got[hard])), {"none": number(np.mean(unclipped[hard]))})
    if (
        not math.isfinite(logarithm)
        or abs(logarithm / _logarithm(predictions, conventions) - 1) < 10 * subject.tolerance
    ):
        return Answer("clipping", ("none",), [none]), Answer("epsilon", (0.0,), [none])
    epsilon = float(f"{math.exp(-logarithm):.3g}")
    found = Answer("epsilon", (_round_number(epsilon),), [none], f"measured {epsilon:g}")
    if conventions["formula"] == "star" or not 0 < epsilon < 0.1:
        return Answer("clipping", (), [none], "its loss has another limit"), found
    if _is_added(subject, conventions, given, parameters, epsilon):
        return Answer("clipping", (), [none], f"{epsilon:g} is added inside the logarithm, not a limit of p"), found
    sizes = {}
    for value in ("cross-entropy", "probability"):
        supposed = {**conventions, "clipping": value, "epsilon": epsilon}
        sizes[value] = float(np.mean(losses(predictions, targets, supposed, given)[easy]))
    size = float(np.mean(got[easy]))
    fits = tuple(value for value, one_size in sizes.items() if _same_magnitude(size, one_size))
    easily = Evidence(f"an easy element, {at}", number(size), {name: number(value) for name, value in sizes.items()})
    return Answer("clipping", fits, [none, easily]), found


def _saturated(conventions: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Predictions and targets with hard and easy elements whose probabilities are below every epsilon."""
    tiny = 1e-13
    if conventions["multi_class"] == "sigmoid":
        level = -SATURATED if conventions["prediction"] == "logits" else tiny
        return np.full(PREDICTIONS.shape, level), ONE_HOT
    # The first two rows miss their label, the others hit it.
    wrong = (np.arange(4) < 2)[:, np.newaxis]
    if conventions["prediction"] == "logits":
        return ONE_HOT * np.where(wrong, -SATURATED, SATURATED), ONE_HOT
    missed, hit = np.where(ONE_HOT == 1, tiny, 0.5), np.where(ONE_HOT == 1, 1 - 2 * tiny, tiny)
    return np.where(wrong, missed, hit), ONE_HOT


def _hard(conventions: Mapping[str, Any], targets: Floats) -> Any:
    return targets == 1 if conventions["multi_class"] == "sigmoid" else np.arange(len(LABELS)) < 2


def _easy(conventions: Mapping[str, Any], targets: Floats) -> Any:
    return ~_hard(conventions, targets)


def _logarithm(predictions: Floats, conventions: Mapping[str, Any]) -> float:
    """-log p of the hard elements."""
    if conventions["prediction"] == "probabilities":
        return -math.log(1e-13)
    return SATURATED + (math.log(2.0) if conventions["multi_class"] == "softmax" else 0.0)


def _is_added(
    subject: Subject,
    conventions: Mapping[str, Any],
    given: Mapping[str, Any],
    parameters: Mapping[str, Any],
    epsilon: float,
) -> bool:
    """Whether log(p + epsilon) explains a hard element with p = 2 epsilon, where a limit of p has no effect."""
    p = 2 * epsilon
    if conventions["multi_class"] == "sigmoid":
        level = math.log(p / (1 - p)) if conventions["prediction"] == "logits" else p
        predictions = np.full(PREDICTIONS.shape, level)
    elif conventions["prediction"] == "logits":
        predictions = ONE_HOT * math.log(2 * p / (1 - p))
    else:
        predictions = np.where(ONE_HOT == 1, p, (1 - p) / 2)
    one = subject.ask(Question(predictions, ONE_HOT, parameters=parameters))
    unclipped = losses(predictions, ONE_HOT, {**conventions, "clipping": "none", "epsilon": 0.0}, given)
    pair = alike(one.got, unclipped)
    if pair is None:
        return False
    hard = ONE_HOT == 1 if conventions["multi_class"] == "sigmoid" else slice(None)
    ratio = float(np.mean(pair[0][hard] / unclipped[hard])) * math.log(p)
    return abs(ratio - math.log(3 * epsilon)) < abs(ratio - math.log(p))


def _same_magnitude(one: float, other: float) -> bool:
    if not math.isfinite(one):
        return True
    return abs(math.log10(max(one, NEGLIGIBLE)) - math.log10(max(other, NEGLIGIBLE))) < 1.0


def _round_number(measured: float) -> float:
    """The power of ten that was meant, where the format rounded it."""
    power = 10.0 ** round(math.log10(measured))
    return power if abs(measured / power - 1) < 0.02 else measured
