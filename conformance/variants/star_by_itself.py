"""FL* as the only function."""

from typing import Any

from focal_ref.conformance.targets.builtin_family import star
from focal_ref.conformance.variants._parts import Array, Pair

PROFILE: dict[str, Any] = {"signature": {"beta": "beta"}, "conventions": {"formula": "star"}}


def both(logits: Array, targets: Array, alpha: float | None, gamma: float, beta: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    value, slope = star(logits, targets, alpha=alpha, gamma=gamma, beta=beta)
    return value, slope


def loss(logits: Array, targets: Array, *, alpha: float | None, gamma: float, beta: float) -> Array:
    return both(logits, targets, alpha, gamma, beta)[0]


def gradient(logits: Array, targets: Array, *, alpha: float | None, gamma: float, beta: float) -> Array:
    return both(logits, targets, alpha, gamma, beta)[1]
