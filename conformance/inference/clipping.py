"""Where probabilities are clipped, and by which epsilon."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, losses
from focal_ref.conformance.inference.losses import LABELS, ONE_HOT, PARAMETERS, PREDICTIONS, Fit, alike
from focal_ref.conformance.inference.subject import Question, Subject

SIZES = (1e-13, 1e-35)
"""Probabilities below epsilon, the second for an epsilon that the first does not show."""

KINDS = tuple(value for value in AXES["clipping"] if value != "none")

ONE_SIDED = ("logarithm", "cross-entropy", "probability", "added")
"""What is clipped, the likeliest first, where 1 - epsilon is 1 in the format."""


@dataclass(frozen=True)
class Probe:
    """What a function returned for elements, or rows, of one probability, and what each kind of clipping gives."""

    asked: str
    got: float
    expected: Mapping[str, float]

    @property
    def evidence(self) -> Evidence:
        """In words."""
        return Evidence(self.asked, number(self.got), {name: number(value) for name, value in self.expected.items()})


def clipping(subject: Subject, fit: Fit) -> tuple[Answer, Answer]:
    """The answers of clipping and epsilon."""
    asked = [(size, _hard(subject, fit, size, {"none": 0.0})) for size in SIZES]
    measured = [(size, one) for size, one in asked if one is not None and math.isfinite(one.got / one.expected["none"])]
    if not measured:
        evidence = [Evidence(f"a probability of {size:g}", "no number, or another shape") for size in SIZES]
        return Answer("clipping", tuple(AXES["clipping"]), evidence, "undecided"), Answer("epsilon", (), evidence)
    for size, found in measured:
        epsilon = size ** (found.got / found.expected["none"])
        if epsilon > 10 * size:
            break
    else:
        return Answer("clipping", ("none",), [found.evidence]), Answer("epsilon", (0.0,), [found.evidence])
    if fit.conventions["formula"] == "star" or not 0 < epsilon < 0.1:
        limit = Answer("epsilon", (epsilon,), [found.evidence])
        return Answer("clipping", (), [found.evidence], "its loss has another limit"), limit
    twice = _hard(subject, fit, 2 * epsilon, dict.fromkeys(("logarithm", "added"), epsilon))
    easy = _easy(subject, fit, epsilon)
    kinds = _of_hard(twice)
    if kinds != ("added",):
        kinds = tuple(kind for kind in kinds if all(kind in _of_easy(subject, probe, epsilon) for probe in easy))
    else:
        epsilon -= size
    epsilon = _round_number(_refined(subject, fit, kinds, found, size, epsilon))
    if _is_one(1.0 - epsilon, subject.dtype):
        kinds = tuple(kind for kind in ONE_SIDED if kind in kinds)
    probes = [found, *(one for one in (twice,) if one is not None), *easy]
    evidence = [probe.evidence for probe in probes]
    note = "" if kinds else f"its loss has a limit at p = {epsilon:.3g}, and is none of the known ones beside it"
    return Answer("clipping", kinds, evidence, note), Answer(
        "epsilon", (epsilon,), [found.evidence], f"measured {epsilon:g}"
    )


def _hard(subject: Subject, fit: Fit, size: float, kinds: Mapping[str, float]) -> Probe | None:
    """Hard elements, whose loss is a multiple of -log of a probability."""
    predictions, given, got = _asked(subject, fit, _missing(size, fit.conventions), {})
    if got is None:
        return None
    elements = ONE_HOT == 1 if fit.conventions["multi_class"] == "sigmoid" else np.ones(len(LABELS), bool)
    expected = {}
    for kind, epsilon in kinds.items():
        whole = losses(predictions, ONE_HOT, fit.formula(clipping=kind, epsilon=epsilon), given)
        expected[kind] = float(np.mean(_shaped(whole, got)[elements]))
    return Probe(f"a hard element, p = {size:.3g}", float(np.mean(got[elements])), expected)


def _easy(subject: Subject, fit: Fit, epsilon: float) -> list[Probe]:
    """Elements that are nearer to their target than epsilon, also without the factor that hides their logarithms."""
    size = epsilon / 10
    probes = []
    exponents: dict[str, float] = {
        name: 0.0 for name in ("gamma", "beta", "gamma_negative", "gamma_positive") if name in subject.takes
    }
    if fit.conventions["formula"] == "heatmap":
        exponents.pop("beta", None)
    for changed in ({}, exponents) if exponents else ({},):
        predictions, given, got = _asked(subject, fit, _hitting(size, fit.conventions), changed)
        if got is None:
            continue
        elements = ONE_HOT == 0 if fit.conventions["multi_class"] == "sigmoid" else np.ones(len(LABELS), bool)
        expected = {}
        for kind in KINDS:
            whole = losses(predictions, ONE_HOT, fit.formula(clipping=kind, epsilon=epsilon), given)
            expected[kind] = float(np.mean(_shaped(whole, got)[elements]))
        named = "".join(f", {name}=0" for name in changed)
        probes.append(Probe(f"an easy element, 1 - p_t = {size:.3g}{named}", float(np.mean(got[elements])), expected))
    return probes


def _asked(
    subject: Subject, fit: Fit, predictions: Floats, changed: Mapping[str, float]
) -> tuple[Floats, dict[str, Any], Floats | None]:
    """Predictions as the format has them, the formula's parameters, and the result."""
    predictions = predictions.astype(FORMATS[subject.dtype].dtype).astype(np.float64)
    half = np.full(3, 0.5) if fit.conventions["alpha"] == "class-vector" else 0.5
    question = Question(predictions, ONE_HOT, parameters={**PARAMETERS[0], "alpha": half, **changed})
    given = fit.parameters(subject.given(question))
    pair = alike(subject.ask(question).got, losses(predictions, ONE_HOT, fit.formula(), given))
    return predictions, given, None if pair is None else pair[0]


def _shaped(whole: Floats, got: Floats) -> Floats:
    return whole.sum(axis=-1) if whole.ndim > got.ndim else whole


def _missing(size: float, conventions: Mapping[str, Any]) -> Floats:
    """Predictions of this probability for the targets; other classes of a sigmoid have it too, and are easy."""
    logits = conventions["prediction"] == "logits"
    if conventions["multi_class"] == "sigmoid":
        return np.full(PREDICTIONS.shape, _logit(size) if logits else size)
    if logits:
        return np.asarray(ONE_HOT * math.log(2 * size / (1 - size)))
    return np.where(ONE_HOT == 1, size, (1 - size) / 2)


def _hitting(size: float, conventions: Mapping[str, Any]) -> Floats:
    """Predictions that miss the targets by this probability: negatives of a sigmoid, rows of a softmax."""
    if conventions["multi_class"] == "sigmoid":
        return _missing(size, conventions)
    if conventions["prediction"] == "logits":
        return np.asarray(ONE_HOT * -math.log(size / (1 - size) / 2))
    return np.where(ONE_HOT == 1, 1 - size, size / 2)


def _logit(p: float) -> float:
    return math.log(p) - math.log1p(-p)


def _refined(subject: Subject, fit: Fit, kinds: tuple[str, ...], found: Probe, size: float, epsilon: float) -> float:
    """With the factor beside the logarithm, which clipping the probability changes."""
    if not kinds:
        return epsilon
    for _ in range(4):
        again = _hard(subject, fit, size, {kinds[0]: epsilon})
        if again is None or not again.expected[kinds[0]] > 0:
            return epsilon
        epsilon = math.exp(math.log(epsilon) * found.got / again.expected[kinds[0]])
    return epsilon


def _of_hard(probe: Probe | None) -> tuple[str, ...]:
    """Whether epsilon is added: that changes a probability of twice its size, and a limit does not."""
    if probe is None:
        return KINDS
    half = abs(probe.expected["added"] - probe.expected["logarithm"]) / 2
    if abs(probe.got - probe.expected["added"]) < half:
        return ("added",)
    near = abs(probe.got - probe.expected["logarithm"]) < half
    return tuple(kind for kind in KINDS if kind != "added") if near else ()


def _of_easy(subject: Subject, probe: Probe, epsilon: float) -> tuple[str, ...]:
    """The kinds of clipping that give an easy element its loss, within the arithmetic of the format."""
    if not math.isfinite(probe.got):
        return KINDS
    if probe.got == 0:
        # A format without 1 - epsilon, or without such small losses, has lost them.
        tiny = 16 * 2.0 ** FORMATS[subject.dtype].minimum_exponent
        lost = _is_one(1.0 - epsilon, subject.dtype) or _is_one(1.0 - epsilon / 10, subject.dtype)
        return tuple(kind for kind in KINDS if lost or kind == "logarithm" or abs(probe.expected[kind]) < tiny)
    same = {kind: abs(math.log10(probe.got / size)) for kind, size in probe.expected.items() if size * probe.got > 0}
    return tuple(kind for kind, decades in same.items() if decades < 0.5)


def _is_one(value: float, dtype: str) -> bool:
    return bool(np.asarray(value).astype(FORMATS[dtype].dtype) == 1)


def _round_number(measured: float) -> float:
    """The number of one digit that was meant, where the format rounded it; otherwise three digits."""
    short, exact = (float(f"{measured:.{digits}g}") for digits in (1, 3))
    return short if abs(measured / short - 1) < 0.02 else exact
