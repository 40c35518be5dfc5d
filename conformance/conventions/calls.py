"""Calls that suit an implementation: what it can be asked, an ordinary call of its function, and what must come out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import Array, Exact, Floats, absolute_budget, exact_results
from focal_ref.conformance.conventions.oracle import exact_by_conventions
from focal_ref.conformance.conventions.scope import is_canonical
from focal_ref.conformance.family.functions import FUNCTIONS, IGNORE
from focal_ref.conformance.formats import Format
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.targets import ROWS, Call

OFF = {"none": None, "-1": -1.0, "0": 0.0, "1": 1.0}
"""What each value of the axis alpha_off passes as alpha."""

USUAL: Mapping[str, Mapping[str, float]] = {
    "star_loss": {"beta": 1.0},
    "quality_focal_loss": {"beta": 2.0},
    "asymmetric_loss": {"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.05},
    "heatmap_focal_loss": {"beta": 4.0},
}
"""Further hyper-parameters of an ordinary call."""

WEIGHTED = ("loss", "loss_from_labels", "loss_from_probabilities", "softmax_loss", "star_loss")
"""Functions whose alpha may be off."""


def feasible(call: Call, profile: Profile) -> Call:
    """The nearest call that the function can be given: what it has no argument for stands at its fixed value."""
    if call.function != profile.function:
        return call
    meaning, off = profile.conventions["alpha"], profile.conventions["alpha_off"]
    fixed = profile.signature.fixed
    alpha = call.alpha
    if meaning == "none":
        alpha = None
    elif alpha is None and off == "unsupported" and call.function in WEIGHTED:
        alpha = 0.5
    elif alpha is not None and meaning in ("uniform", "first/rest") and np.ndim(alpha) and call.function == ROWS:
        alpha = 0.25
    if not fixed and alpha is call.alpha:
        return call
    parameters = {name: fixed.get(name, value) for name, value in call.parameters.items()}
    return replace(call, alpha=fixed.get("alpha", alpha), gamma=fixed.get("gamma", call.gamma), parameters=parameters)


def stands_for_off(alpha: Any, profile: Profile) -> bool:
    """Whether a number says that there is no alpha, so that it is no ordinary weight."""
    off = OFF.get(profile.conventions["alpha_off"])
    return off is not None and np.ndim(alpha) == 0 and alpha is not None and float(alpha) == off


def ordinary_call(profile: Profile, logits: Array, targets: Array, **options: Any) -> Call:
    """A call of the function that a profile describes, from logits and hard targets in one shape.

    Labels are those that the logits' number makes of each row; a softmax has the classes in the last axis.
    """
    function, conventions = profile.function, profile.conventions
    if function in (ROWS, "loss_from_labels"):
        classes = logits.shape[-1]
        rows = np.arange(int(np.prod(logits.shape[:-1], dtype=np.int64)))
        targets = (rows * 7 % max(classes, 1)).reshape(logits.shape[:-1])
    elif conventions["prediction"] == "probabilities":
        logits = probabilities_of(logits)
    options.setdefault("alpha", None if conventions["alpha"] == "class-vector" else 0.25)
    parameters = {**USUAL.get(function, {}), **options.pop("parameters", {})}
    return feasible(Call(logits, targets, function=function, parameters=parameters, **options), profile)


def probabilities_of(logits: Array) -> Array:
    """Probabilities in the logits' format, none of them 0 or 1 but for infinite logits."""
    with np.errstate(all="ignore"):
        p = (1.0 / (1.0 + np.exp(-logits.astype(np.float64)))).astype(logits.dtype)
        one = logits.dtype.type(1)
        inside = np.clip(
            p, np.nextafter(one * 0, one, dtype=logits.dtype), np.nextafter(one, one * 0, dtype=logits.dtype)
        )
    return np.asarray(np.where(np.isfinite(logits.astype(np.float64)), inside, p))


def expected(call: Call, profile: Profile, format: Format) -> dict[str, Exact]:
    """What a call without reduction and weights must give, by the conventions if it is of the profile's function."""
    conventions = profile.conventions
    if call.function in ("loss", "loss_from_labels") and (
        call.function != profile.function or (conventions["clipping"], conventions["prediction"]) == ("none", "logits")
    ):
        own = call.function == profile.function
        rule = conventions["soft_targets"] if own else "blended"
        if rule != "distance":
            targets, ignored = call.targets, None
            if call.function == "loss_from_labels":
                ignored = np.broadcast_to((targets == IGNORE)[..., np.newaxis], call.logits.shape)
                targets = np.asarray(targets[..., np.newaxis] == np.arange(call.logits.shape[-1]), dtype=np.float64)
            # The reference has the limits of the canonical conventions alone.
            plain = not own or (conventions["alpha"] == "pos/1-pos" and rule != "mixture")
            finite = plain or bool(np.all(np.isfinite(call.logits.astype(np.float64))))
            if finite and (ignored is None or not ignored.any()):
                hard = bool(np.all((targets == 0) | (targets == 1)))
                return exact_results(
                    call.logits,
                    targets,
                    alpha=call.alpha,
                    gamma=call.gamma,
                    format=format,
                    rule="blended" if hard else rule,
                    meaning=conventions["alpha"] if own else "pos/1-pos",
                )
    return exact_by_conventions(call, conventions, format)


def has_stored_results(profile: Profile, function: str, alpha: Any = None) -> bool:
    """Whether the stored vectors of a function with this alpha hold what the profile declares."""
    conventions = profile.conventions
    if alpha is None and function in WEIGHTED:
        # What alpha would mean does not matter.
        conventions = {**conventions, "alpha": "none"}
    return function != profile.function or is_canonical(conventions, function)


def absolute_errors(call: Call, profile: Profile, tier: str, quantity: str, format: Format, count: int) -> Floats:
    """The absolute part of the budget of so many results, 0 in tiers that have none."""
    if tier not in ("cancellation-limited", "clipped"):
        return np.zeros(count)
    with np.errstate(all="ignore"):
        x = call.logits.astype(np.float64)
        subtracted: Array | bool = False
        if call.function == ROWS:
            size, p = _of_rows(x, call.targets)
        elif profile.conventions["prediction"] == "probabilities":
            size, p = np.zeros(x.shape), _of_target(x, 1.0 - x, call.targets)
            subtracted = call.targets.ravel() != 1
        else:
            targets = call.targets
            if call.function == "loss_from_labels":
                targets = np.asarray(targets[..., np.newaxis] == np.arange(x.shape[-1]))
            size, p = np.abs(x), _of_target(1.0 / (1.0 + np.exp(-x)), 1.0 / (1.0 + np.exp(x)), targets)
            subtracted = targets.ravel() != 1
    entries = max(1, count // max(1, size.size))
    names = FUNCTIONS["loss" if call.function == "loss_from_labels" else call.function].parameters
    exponents = [call.gamma] if "gamma" in names else []
    exponents += [value for name, value in call.parameters.items() if name in names and name != "clip"]
    exponent = np.max([float(np.max(number)) for number in exponents], initial=0.0)
    epsilon = float(profile.conventions["epsilon"]) if tier == "clipped" else None
    allowed = absolute_budget(
        format,
        quantity,
        size=size.ravel(),
        probability=p.ravel(),
        exponent=float(exponent),
        epsilon=epsilon,
        subtracted=subtracted,
    )
    # Where the input is NaN the result is, and no budget helps.
    return np.asarray(np.resize(np.repeat(np.nan_to_num(allowed, nan=0.0), entries), count))


def _of_target(p: Array, q: Array, targets: Array) -> Array:
    """The probability whose logarithm the loss has; of soft targets, which have both, the smaller one."""
    t = targets.astype(np.float64)
    return np.asarray(np.where(t == 1, p, np.where(t == 0, q, np.minimum(p, q))))


def _of_rows(logits: Array, targets: Array) -> tuple[Array, Array]:
    """Size of the largest logit of each row and the probability of its class, or the least one of its classes."""
    largest = np.max(logits, axis=-1, initial=-np.inf)
    shifted = logits - np.where(np.isfinite(largest), largest, 0.0)[..., np.newaxis]
    p = np.exp(shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True)))
    if targets.ndim == logits.ndim:
        chosen = np.min(np.where(targets.astype(np.float64) > 0, p, 1.0), axis=-1, initial=1.0)
    else:
        labels = np.clip(targets, 0, logits.shape[-1] - 1)
        chosen = np.take_along_axis(p, labels[..., np.newaxis], axis=-1)[..., 0]
    finite = np.where(np.isfinite(logits), np.abs(logits), 0.0)
    return np.max(finite, axis=-1, initial=0.0), np.nan_to_num(chosen, nan=0.5)


__all__ = [
    "OFF",
    "absolute_errors",
    "expected",
    "feasible",
    "has_stored_results",
    "ordinary_call",
    "probabilities_of",
    "stands_for_off",
]
