"""The quality focal loss as the only function."""

from typing import Any

from focal_ref.conformance.targets.builtin_family import quality
from focal_ref.conformance.variants._parts import Array, Pair

PROFILE: dict[str, Any] = {
    "signature": {"alpha": None, "gamma": None, "beta": "beta"},
    "conventions": {"formula": "quality", "alpha": "none", "soft_targets": "formula"},
}


def both(logits: Array, targets: Array, beta: float) -> Pair:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    return quality(logits, targets, beta=beta)


def loss(logits: Array, targets: Array, *, beta: float) -> Array:
    return both(logits, targets, beta)[0]


def gradient(logits: Array, targets: Array, *, beta: float) -> Array:
    return both(logits, targets, beta)[1]
