"""The right form that mutants depart from: this project's own functions, and the parts of the formula in float64."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import focal_ref
from focal_ref.conformance.family.functions import IGNORE

Array = NDArray[Any]
Pair = tuple[Array, Array]
"""Value and gradient."""


def both(function: str, logits: Array, targets: Array, **options: Any) -> Pair:
    """Value and gradient of a loss by its name, element by element."""
    return focal_ref.value_and_grad(logits, targets, function=getattr(focal_ref, function), **options)


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """The focal loss."""
    return both("loss", logits, targets, **options)


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    """The focal loss of integer labels."""
    return both("loss_from_labels", logits, labels, **options)


def loss_from_probabilities(probabilities: Array, targets: Array, **options: Any) -> Pair:
    """The focal loss of probabilities."""
    return both("loss_from_probabilities", probabilities, targets, **options)


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    """The focal loss of a softmax."""
    return both("softmax_loss", logits, labels, **options)


def star_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """FL*."""
    return both("star_loss", logits, targets, **options)


def quality_focal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """The quality focal loss."""
    return both("quality_focal_loss", logits, targets, **options)


def varifocal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """The varifocal loss."""
    return both("varifocal_loss", logits, targets, **options)


def asymmetric_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """The asymmetric loss."""
    return both("asymmetric_loss", logits, targets, **options)


def heatmap_focal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    """The focal loss of heatmaps."""
    return both("heatmap_focal_loss", logits, targets, **options)


def second_derivative(logits: Array, targets: Array, *, function: str, **options: Any) -> Array:
    """Second derivative of a loss by its name."""
    result: Array = focal_ref.second_derivative(logits, targets, function=getattr(focal_ref, function), **options)
    return result


def parameter_gradients(logits: Array, targets: Array, *, function: str, **options: Any) -> dict[str, Array]:
    """Derivatives of a loss by its name in its hyper-parameters and soft targets."""
    return dict(focal_ref.parameter_gradients(logits, targets, function=getattr(focal_ref, function), **options))


def counted(function: str, targets: Array, values: Array) -> Array:
    """Which results a mean counts: all but those of ignored labels."""
    labels = function in ("loss_from_labels", "softmax_loss") and targets.dtype.kind in "iu"
    if not labels or (targets.ndim == values.ndim and function == "loss_from_labels"):
        return np.ones(values.shape, bool)
    kept = np.asarray(targets != IGNORE)
    return np.broadcast_to(kept[..., np.newaxis], values.shape) if function == "loss_from_labels" else kept


def divisor(function: str, values: Array, targets: Array, reduction: str, normalizer: float | None) -> float:
    """By what a reduction divides the sum."""
    if reduction not in ("sum", "mean"):
        raise ValueError(f"reduction: got {reduction!r}; 'none', 'sum' or 'mean'")
    if normalizer is not None and (reduction != "sum" or not normalizer > 0):
        raise ValueError(f"normalizer: got {normalizer!r}; a number above 0, with reduction 'sum'")
    if reduction == "mean":
        return float(max(1, int(np.count_nonzero(counted(function, targets, values)))))
    return 1.0 if normalizer is None else float(normalizer)


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    """A sum or mean and its gradient, added up in float64."""
    by = divisor(function, values, targets, reduction, normalizer)
    total = values.astype(np.float64).sum() / by
    return rounded(total, values), rounded(gradient.astype(np.float64) / by, gradient)


def rounded(numbers: Any, like: Array) -> Array:
    """Numbers in the dtype of an array."""
    with np.errstate(all="ignore"):
        return np.asarray(np.asarray(numbers).astype(like.dtype))


def sigmoid(logits: Any) -> Pair:
    """Probability and its complement in float64, each accurate in itself."""
    wide = np.asarray(logits).astype(np.float64)
    with np.errstate(all="ignore"):
        return np.exp(-np.logaddexp(0.0, -wide)), np.exp(-np.logaddexp(0.0, wide))


def weight(targets: Any, alpha: Any) -> Array:
    """alpha_t: alpha for positives, 1 - alpha for negatives, between them for soft targets."""
    t = np.asarray(targets).astype(np.float64)
    return np.ones_like(t) if alpha is None else np.asarray(alpha * t + (1.0 - np.asarray(alpha)) * (1.0 - t))


def is_signed(options: Mapping[str, Any]) -> bool:
    """Whether the targets of a call are -1 and 1."""
    return bool(options.get("encoding", "binary") == "signed")


def is_hard(targets: Array) -> Array:
    """Which targets are 0 or 1."""
    return np.asarray((targets == 0) | (targets == 1))


class Terms(NamedTuple):
    """The parts of the formula for hard targets, in float64.

    Attributes
    ----------
    sign
        1 for positives, -1 for negatives.
    margin
        Of the logit towards the target.
    p, q
        Probability of the target, and its complement.
    entropy
        Cross entropy.
    p_entropy
        Their product, with its limits.
    factor
        q^gamma.
    weight
        alpha_t.
    """

    sign: Array
    margin: Array
    p: Array
    q: Array
    entropy: Array
    p_entropy: Array
    factor: Array
    weight: Array


def terms(logits: Array, targets: Array, alpha: Any, gamma: Any) -> Terms:
    """The parts of the formula; targets above 1/2 count as positive."""
    x, t = logits.astype(np.float64), np.asarray(targets).astype(np.float64)
    positive = t > 0.5
    with np.errstate(all="ignore"):
        margin = np.where(positive, x, -x)
        p, q = sigmoid(margin)
        entropy, against = np.logaddexp(0.0, -margin), np.logaddexp(0.0, margin)
        p_entropy = np.where(np.isinf(entropy), 0.0, p * entropy)
        exponent = np.asarray(gamma, dtype=np.float64)
        factor = np.where(exponent == 0, 1.0, np.exp(-exponent * against))
    return Terms(np.where(positive, 1.0, -1.0), margin, p, q, entropy, p_entropy, factor, weight(t > 0.5, alpha))


def weighed(logits: Array, targets: Array, weight: Array, **options: Any) -> Pair:
    """The unweighted loss of hard targets times a weight, in the logits' dtype; what is right for soft ones."""
    value, gradient = loss(logits, targets, **{**options, "alpha": None})
    return on_hard_targets(logits, targets, value * weight, gradient * weight, **options)


def on_hard_targets(logits: Array, targets: Array, value: Array, gradient: Array, **options: Any) -> Pair:
    """The given numbers for hard targets, in the logits' dtype; what is right for soft ones."""
    right = loss(logits, targets, **options)
    hard = is_hard(targets)
    pairs = zip((value, gradient), right, strict=True)
    found, slope = (np.where(hard, rounded(mine, logits), other) for mine, other in pairs)
    return found, slope
