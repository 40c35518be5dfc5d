"""The prediction is a probability."""

from typing import Any

import numpy as np

from focal_ref.conformance.variants._parts import Array, Pair, rounded

PROFILE: dict[str, Any] = {"conventions": {"prediction": "probabilities"}}


def both(probabilities: Array, targets: Array, alpha: float | None, gamma: float) -> Pair:
    if probabilities.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, probabilities have {probabilities.shape}")
    sign = np.where(targets == 1, 1.0, -1.0)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    p = probabilities.astype(np.float64)
    with np.errstate(all="ignore"):
        own, rest = np.where(targets == 1, p, 1.0 - p), np.where(targets == 1, 1.0 - p, p)
        entropy = np.where(targets == 1, -np.log(p), -np.log1p(-p))
        value = np.where(rest == 0, 0.0, weight * rest**gamma * entropy)
        slope = np.where(own == 0, np.inf, gamma * rest ** (gamma - 1.0) * entropy + rest**gamma / own)
        slope = np.where(rest == 0, 1.0 if gamma == 0 else 0.0, slope)
        value, slope = (np.where(np.isnan(p), np.nan, part) for part in (value, slope))
        return rounded(value, probabilities), rounded(-sign * weight * slope, probabilities)


def loss(probabilities: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(probabilities, targets, alpha, gamma)[0]


def gradient(probabilities: Array, targets: Array, *, alpha: float | None, gamma: float) -> Array:
    return both(probabilities, targets, alpha, gamma)[1]
