"""Implementations that the gate runs beside the target: one that is right, and ones that must fail.

They show in every run that the checks can tell the two apart. The right one takes another road than the reference: log
space with softplus, in float64, rounded once; the wrong ones are common mistakes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from focal_ref.conformance.profiles import Profile, load_profile
from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.builtin_detection import forced_detection, right_detection
from focal_ref.conformance.targets.builtin_family import (
    RIGHT,
    Both,
    background_as_last_class,
    functions_of,
    one_versus_rest,
)
from focal_ref.conformance.targets.detection import Detection
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

Function = Callable[..., Any]

DTYPE = "float32"
"""The format in which the gate's own implementations are run."""

CAUGHT_BY = {
    "loses-easy-elements": ("FL-VAL-002", "FL-GRAD-003"),
    "swaps-alpha": ("FL-VAL-001", "FL-VAL-004", "FL-GRAD-001"),
    "takes-background-for-a-class": ("FL-LAB-002",),
    "one-versus-rest": ("FL-SMX-001", "FL-SMX-002", "FL-SMX-006"),
    "matches-without-overlap": ("FL-MAT-003",),
}
"""Wrong implementation to the requirements that must find it."""


def right_target() -> PythonTarget:
    """An implementation that must pass everything that its profile claims."""
    return _target("built-in right", _right)


def wrong_target(name: str) -> PythonTarget:
    """One of the implementations of `CAUGHT_BY`."""
    losses: dict[str, Function] = {"loses-easy-elements": _loses_easy_elements, "swaps-alpha": _swaps_alpha}
    others: dict[str, dict[str, Both]] = {
        "takes-background-for-a-class": {"loss_from_labels": background_as_last_class},
        "one-versus-rest": {"softmax_loss": one_versus_rest},
    }
    detection = forced_detection if name == "matches-without-overlap" else right_detection
    return _target(f"built-in wrong: {name}", losses.get(name, _right), others.get(name), detection)


def _target(
    name: str,
    both: Function,
    others: dict[str, Both] | None = None,
    detection: Callable[[str], Detection] = right_detection,
) -> PythonTarget:
    def value(logits: Array, targets: Array, **keywords: Any) -> Array:
        result: Array = both(logits, targets, **keywords)[0]
        return result

    functions = functions_of({**RIGHT, **(others or {})})
    return PythonTarget(name, value, _profile(), PlainLibrary("numpy", None, ""), both, functions, detection)


def _profile() -> Profile:
    return load_profile("built-in")


def _right(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> tuple[Array, Array]:
    _check_shapes(logits, targets)
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    sign = 2.0 * t - 1.0
    weight = 1.0 if alpha is None else alpha * t + (1.0 - alpha) * (1.0 - t)
    with np.errstate(all="ignore"):
        entropy = np.logaddexp(0.0, -sign * x)
        factor = np.exp(-gamma * np.logaddexp(0.0, sign * x)) if gamma else np.ones_like(x)
        q = np.exp(-np.logaddexp(0.0, sign * x))
        p_entropy = np.where(np.isinf(entropy), 0.0, np.exp(-entropy) * entropy)
        vanishing = factor == 0
        value = np.where(vanishing, 0.0 * x * 0.0, weight * factor * entropy)
        value = np.where(vanishing & np.isinf(x), 0.0, value)
        gradient = -sign * weight * factor * (np.minimum(gamma, 1e300) * p_entropy + q)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def _loses_easy_elements(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> tuple[Array, Array]:
    """Probabilities first: 1 - p_t is exactly 0 for confident elements."""
    _check_shapes(logits, targets)
    one = logits.dtype.type(1)
    with np.errstate(all="ignore"):
        p = one / (one + np.exp(-logits))
        p_t = np.where(targets == 1, p, one - p)
        weight = one if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha).astype(logits.dtype)
        value = -weight * (one - p_t) ** logits.dtype.type(gamma) * np.log(p_t)
        sign = np.where(targets == 1, one, -one)
        slope = gamma * p_t * np.log(p_t) - (one - p_t)
        gradient = sign * weight * (one - p_t) ** logits.dtype.type(gamma) * slope.astype(logits.dtype)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def _swaps_alpha(logits: Array, targets: Array, *, alpha: float | None, gamma: float) -> tuple[Array, Array]:
    """Alpha on negatives and 1 - alpha on positives."""
    return _right(logits, targets, alpha=None if alpha is None else 1.0 - alpha, gamma=gamma)


def _check_shapes(logits: Array, targets: Array) -> None:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
