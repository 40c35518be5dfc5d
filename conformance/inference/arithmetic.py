"""Where the gradient comes from, and what becomes of subnormal results."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, losses
from focal_ref.conformance.inference.losses import ONE_HOT, PARAMETERS, PREDICTIONS, Fit, alike, parameters_for
from focal_ref.conformance.inference.subject import Question, Subject, refusal_text
from focal_ref.conformance.targets import TargetFault

SOURCES = ("autodiff", "function")


def gradient(subject: Subject, fit: Fit, *, verified: bool = False) -> Answer:
    """Whether automatic differentiation or a function of its own gives the gradient.

    With `verified`, a function of its own counts only if what it returns is the derivative.
    """
    question = Question(PREDICTIONS, ONE_HOT, parameters=parameters_for(fit.conventions))
    fits, evidence = [], []
    declared = subject.conventions.get("gradient")
    for source in sorted(SOURCES, key=lambda source: source != declared):
        try:
            got = np.asarray(subject.supposing(gradient=source).gradient(question)).astype(np.float64)
        except TargetFault:
            raise
        except Exception as error:  # a function may raise anything
            evidence.append(Evidence(f"gradient by {source}", refusal_text(error)))
            continue
        evidence.append(Evidence(f"gradient by {source}", number(got.flat[0]) if got.size else "nothing"))
        if got.shape != PREDICTIONS.shape or not np.isfinite(got).all() or not np.any(got != 0):
            continue
        if not verified or source == "autodiff" or _is_derivative(subject, fit, question, got):
            fits.append(source)
            if source == declared:
                break
    return Answer("gradient", tuple(fits) or ("none",), evidence)


def _is_derivative(subject: Subject, fit: Fit, question: Question, got: Floats) -> bool:
    """Whether numbers are the derivative of the losses, by differences of the formula."""
    given, step = fit.parameters(subject.given(question)), 1e-4
    slopes = np.empty(PREDICTIONS.shape)
    for j in range(PREDICTIONS.shape[-1]):
        moved = np.where(np.arange(PREDICTIONS.shape[-1]) == j, step, 0.0)
        above, below = (losses(PREDICTIONS + sign * moved, ONE_HOT, fit.formula(), given) for sign in (1, -1))
        difference = (above - below) / (2 * step)
        slopes[:, j] = difference if difference.ndim == 1 else difference[:, j]
    return bool(np.allclose(got, slopes, rtol=1e-2, atol=1e-3 * np.abs(slopes).max()))


def subnormals(subjects: Sequence[Subject], fit: Fit) -> Answer:
    """Whether results below the smallest normal number are kept, in each of some formats."""
    seen: dict[str, set[str]] = {}
    evidence = []
    for subject in subjects:
        outcome, shown = _subnormal_result(subject, fit)
        seen.setdefault(outcome, set()).add(subject.dtype)
        evidence.append(Evidence(f"a subnormal {subject.dtype} result", *shown))
    if "flushed" in seen:
        return Answer("subnormals", ("flushed",), evidence, f"in {', '.join(sorted(seen['flushed']))}")
    if "kept" in seen:
        return Answer("subnormals", ("kept",), evidence)
    return Answer("subnormals", ("kept", "flushed"), evidence, "no subnormal result could be had")


def _subnormal_result(subject: Subject, fit: Fit) -> tuple[str, tuple[str, dict[str, str]]]:
    """Whether a subnormal result is "kept", "flushed" or not to be had ("unknown"), and the numbers."""
    conventions = fit.formula()
    smallest = 2.0 ** FORMATS[subject.dtype].minimum_exponent
    weighted = "alpha" in subject.takes and fit.conventions["alpha"] != "none"
    # A weight that is normal times a loss that is normal: no other subnormal is met on the way.
    predictions = _easy(conventions) if weighted else _saturated(conventions, smallest)
    for scale in (1.0, 8.0, 64.0, 512.0) if weighted else (1.0,):
        alpha: Any = smallest * scale
        if fit.conventions["alpha"] == "class-vector":
            alpha = np.full(3, alpha)
        parameters = {**PARAMETERS[0], "gamma": 2.0, **({"alpha": alpha} if weighted else {})}
        question = Question(predictions, ONE_HOT, parameters=parameters)
        given = fit.parameters(subject.given(question))
        expected = losses(predictions, ONE_HOT, conventions, given)
        one = subject.ask(question)
        pair = alike(one.got, expected)
        if pair is None or not np.isfinite(pair[0]).all() or one.dtype != subject.dtype:
            return "unknown", (one.refusal or f"a result of {one.dtype}", {})
        got, expected = pair
        ulp = 2.0 ** FORMATS[subject.dtype].minimum_ulp_exponent
        chosen = (expected < 0.9 * smallest) & (expected > 4.0 * ulp)
        if not chosen.any():
            continue
        shown = number(got[chosen][0]), {"kept": number(expected[chosen][0]), "flushed": "0"}
        if np.any(np.abs(got[chosen] / expected[chosen] - 1.0) < 0.5):
            return "kept", shown
        # Without a weight the loss of an easy element may have cancelled to zero before; a small weight may have, too.
        flushed = weighted and np.all(got[chosen] == 0) and _is_weighed(subject, fit, question, chosen)
        return ("flushed" if flushed else "unknown"), shown
    return "unknown", ("no such result", {})


def _is_weighed(subject: Subject, fit: Fit, question: Question, chosen: Any) -> bool:
    """Whether a larger weight, by which the results are normal, comes through."""
    alpha = question.parameters["alpha"]
    factor = min(2.0**20, 0.5 / float(np.max(alpha)))
    larger = replace(question, parameters={**question.parameters, "alpha": alpha * factor})
    conventions = fit.formula()
    expected = losses(larger.predictions, larger.targets, conventions, fit.parameters(subject.given(larger)))
    pair = alike(subject.ask(larger).got, expected)
    return pair is not None and bool(np.all(np.abs(pair[0][chosen] / pair[1][chosen] - 1.0) < 0.5))


def _easy(conventions: Any) -> Floats:
    """Predictions near their targets, where every implementation still has a loss."""
    if conventions["prediction"] == "probabilities":
        off = 0.05 if conventions["multi_class"] == "sigmoid" else 0.025
        return np.where(ONE_HOT == 1, 0.95, off)
    return np.where(ONE_HOT == 1, 3.0, -3.0)


def _saturated(conventions: Any, smallest: float) -> Floats:
    """Logits whose loss at gamma = 2 is subnormal; of probabilities there are none."""
    if conventions["prediction"] == "probabilities":
        return _easy(conventions)
    size = (-np.log(smallest) + 2.0) / 3.0
    return np.where(ONE_HOT == 1, size, -size if conventions["multi_class"] == "sigmoid" else 0.0)
