"""What variants of conventions share: the two losses of an element, and what is done with them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref.conformance.targets.builtin_family import one_sided

Array = NDArray[Any]
Pair = tuple[Array, Array]
"""Value and gradient."""


def rounded(numbers: Any, like: Array) -> Array:
    """Numbers in the dtype of an array."""
    with np.errstate(all="ignore"):
        return np.asarray(np.asarray(numbers).astype(like.dtype))


def elements(logits: Array, targets: Array, alpha: float | None) -> tuple[Array, Array, Any]:
    """Sign 2t - 1, margin in float64, and weight of hard targets."""
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    sign = np.where(targets == 1, 1.0, -1.0)
    weight = 1.0 if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    return sign, sign * logits.astype(np.float64), weight


def of_targets(logits: Array, targets: Array, gamma: float) -> Pair:
    """Value and gradient of hard targets, unweighted, in float64."""
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    positive, negative = sides(logits, gamma)
    return np.where(targets == 1, positive[0], negative[0]), np.where(targets == 1, positive[1], negative[1])


def sides(logits: Array, gamma: float) -> tuple[Pair, Pair]:
    """Value and gradient of a positive and of a negative element at each logit, in float64."""
    wide = logits.astype(np.float64)
    return one_sided(wide, True, gamma), one_sided(wide, False, gamma)


def weighted(weight: Any, pair: Pair, like: Array) -> Pair:
    """Value and gradient times a weight; a weight of zero leaves nothing, not even of infinity."""
    with np.errstate(all="ignore"):
        value, gradient = (np.where(weight == 0, 0.0 * np.isnan(part), weight * part) for part in pair)
    return rounded(value, like), rounded(gradient, like)


def reduced(values: Array, reduction: str, denominator: float) -> Array:
    """Elements, their sum, or the sum over a denominator, added up in float64."""
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction: got {reduction!r}; 'none', 'sum' or 'mean'")
    if reduction == "none":
        return values
    total = values.astype(np.float64).sum()
    return rounded(total if reduction == "sum" else total / max(denominator, 1e-300) if denominator else 0.0, values)


def softplus(margin: Array) -> Array:
    """log(1 + e^margin) in the margin's own format."""
    with np.errstate(all="ignore"):
        return np.asarray(np.maximum(margin, 0) + np.log1p(np.exp(-np.abs(margin))))


def margins_of(logits: Array, labels: Array) -> Pair:
    """Of rows, in float64: the label's logit against all others, and its derivatives in the logits of the row."""
    if logits.shape[:-1] != labels.shape:
        raise ValueError(f"labels: got shape {labels.shape}, logits have {logits.shape}")
    rows = np.clip(logits.astype(np.float64), -1e300, 1e300)
    own = labels[..., np.newaxis] == np.arange(rows.shape[-1])
    with np.errstate(all="ignore"):
        others = np.where(own, -np.inf, rows)
        largest = others.max(axis=-1, keepdims=True)
        shift = np.where(np.isinf(largest), 0.0, largest)
        log_sum = shift + np.log(np.exp(others - shift).sum(axis=-1, keepdims=True))
        shares = np.where(np.isinf(others), 0.0, np.exp(others - log_sum))
        return rows[own].reshape(labels.shape) - log_sum[..., 0], np.where(own, 1.0, -shares)


def rows_of(logits: Array, labels: Array, gamma: float) -> Pair:
    """Value and gradient of a softmax over the last axis, unweighted, in float64."""
    margins, derivatives = margins_of(logits, labels)
    with np.errstate(all="ignore"):
        value, slope = one_sided(margins, True, gamma)
        return value, derivatives * slope[..., np.newaxis]
