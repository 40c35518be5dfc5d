"""The rest of the gate's right implementation: the other losses in log space, in float64, rounded once.

Each function returns value and gradient. All are built from the losses of a positive and of a negative element, so that
a fault of the shared closed forms of this project cannot hide here.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.functions import Functions

Both = Callable[..., tuple[Array, Array]]

INFINITE = 1e300
"""What stands in for infinite logits of float32 rows: so large that every limit is reached."""


def functions_of(named: Mapping[str, Both]) -> Functions:
    """Functions of which each returns value and gradient, as an implementation has them."""
    values = {name: _value_of(both) for name, both in named.items()}
    of_value = {value: named[name] for name, value in values.items()}

    def value_and_gradient(logits: Array, targets: Array, *, function: Any, **options: Any) -> tuple[Array, Array]:
        return of_value[function](logits, targets, **options)

    return Functions(values, value_and_gradient)


def _value_of(both: Both) -> Callable[..., Array]:
    def value(logits: Array, targets: Array, **options: Any) -> Array:
        return both(logits, targets, **options)[0]

    return value


def one_sided(logits: Array, positive: bool, gamma: float) -> tuple[Array, Array]:
    """Value and derivative of the focal loss of a positive, or of a negative element, in float64."""
    margin = logits if positive else -logits
    with np.errstate(all="ignore"):
        entropy, against = np.logaddexp(0.0, -margin), np.logaddexp(0.0, margin)
        factor = np.exp(-gamma * against) if gamma else np.ones_like(margin)
        p_entropy = np.where(np.isinf(entropy), 0.0, np.exp(-entropy) * entropy)
        slope = -factor * (gamma * p_entropy + np.exp(-against))
        value = np.where(factor == 0, 0.0 * np.exp(-against), factor * entropy)
    return value, slope if positive else -slope


def labels(
    logits: Array, labels: Array, *, alpha: float | None = 0.25, gamma: float = 2.0, background: int = -1
) -> tuple[Array, Array]:
    """One sigmoid a class; `background` is the label that is a negative of every class."""
    is_label = labels[..., np.newaxis] == np.arange(logits.shape[-1])
    is_label &= (labels != background)[..., np.newaxis]
    positive, negative = (one_sided(logits.astype(np.float64), side, gamma) for side in (True, False))
    own, others = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    ignored = (labels == IGNORE)[..., np.newaxis]
    with np.errstate(all="ignore"):
        both = (np.where(is_label, own * one, others * zero) for one, zero in zip(positive, negative, strict=True))
        value, gradient = (np.where(ignored, 0.0, part).astype(logits.dtype) for part in both)
    return value, gradient


def softmax(
    logits: Array, labels: Array, *, axis: int = -1, alpha: None = None, gamma: float = 2.0
) -> tuple[Array, Array]:
    """The loss of each class is that of a positive at the logit minus the logarithm of the others' exponentials."""
    rows = np.moveaxis(logits.astype(np.float64), axis, -1)
    rows = np.clip(rows, -INFINITE, INFINITE)
    classes = rows.shape[-1]
    if labels.ndim < logits.ndim:
        shares = (labels[..., np.newaxis] == np.arange(classes)).astype(np.float64)
        ignored = labels == IGNORE
    else:
        shares, ignored = np.moveaxis(labels.astype(np.float64), axis, -1), np.zeros(rows.shape[:-1], bool)
    value, gradient = np.zeros(rows.shape[:-1]), np.zeros(rows.shape)
    with np.errstate(all="ignore"):
        for label in range(classes if classes > 1 else 0):
            others = np.where(np.arange(classes) == label, -np.inf, rows)
            largest = others.max(axis=-1, keepdims=True)
            log_sum = largest + np.log(np.exp(others - largest).sum(axis=-1, keepdims=True))
            own, slope = one_sided(rows[..., label] - log_sum[..., 0], True, gamma)
            along = np.where(np.arange(classes) == label, 1.0, -np.exp(others - log_sum))
            share = shares[..., label]
            value += np.where(share == 0, np.where(np.isnan(own), own, 0.0), share * own)
            gradient += np.where(share == 0, 0.0 * slope, share * slope)[..., np.newaxis] * along
        value = np.where(ignored, 0.0, value).astype(logits.dtype)
        gradient = np.where(ignored[..., np.newaxis], 0.0, gradient).astype(logits.dtype)
    return value, np.moveaxis(gradient, -1, axis)


def star(
    logits: Array, targets: Array, *, alpha: float | None = None, gamma: float = 2.0, beta: float = 1.0
) -> tuple[Array, Array]:
    """FL*."""
    sign = np.where(targets == 1, 1.0, -1.0)
    weight = np.ones_like(sign) if alpha is None else np.where(targets == 1, alpha, 1.0 - alpha)
    margin = gamma * sign * logits.astype(np.float64) + beta
    with np.errstate(all="ignore"):
        value = np.where(weight == 0, 0.0 * np.isnan(margin), weight * np.logaddexp(0.0, -margin) / gamma)
        value = np.where(np.isnan(margin), np.nan, value)
        gradient = -sign * weight * np.exp(-np.logaddexp(0.0, margin))
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def _mixed(logits: Array, targets: Array) -> tuple[Array, Array, Array, Array]:
    """Logits and targets in float64, the cross entropy, and p - t."""
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    with np.errstate(all="ignore"):
        positive = np.where(t == 0, 0.0, t * np.logaddexp(0.0, -x))
        entropy = positive + np.where(t == 1, 0.0, (1.0 - t) * np.logaddexp(0.0, x))
        distance = np.where(t == 1, -np.exp(-np.logaddexp(0.0, x)), np.exp(-np.logaddexp(0.0, -x)) - t)
    return x, t, np.where(np.isnan(x), np.nan, entropy), distance


def quality(logits: Array, targets: Array, *, beta: float = 2.0) -> tuple[Array, Array]:
    """The quality focal loss."""
    x, _, entropy, distance = _mixed(logits, targets)
    with np.errstate(all="ignore"):
        size = np.abs(distance)
        spread = np.where(np.isinf(x), 0.0, np.exp(-np.logaddexp(0.0, -x) - np.logaddexp(0.0, x)) * entropy)
        value = np.where(size == 0, 0.0**beta * np.where(np.isinf(entropy), 0.0, entropy), size**beta * entropy)
        gradient = np.where(size == 0, 0.0, np.sign(distance) * size ** (beta - 1) * (beta * spread + size**2))
        gradient = np.where(np.isnan(x), np.nan, gradient)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def varifocal(logits: Array, targets: Array, *, alpha: float = 0.75, gamma: float = 2.0) -> tuple[Array, Array]:
    """The varifocal loss."""
    x, t, entropy, distance = _mixed(logits, targets)
    value, gradient = one_sided(x, False, gamma)
    with np.errstate(all="ignore"):
        value = np.where(t > 0, t * entropy, np.where(alpha == 0, 0.0 * np.isnan(x), alpha * value))
        gradient = np.where(t > 0, t * distance, alpha * gradient)
        value = np.where(np.isnan(x), np.nan, value)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def asymmetric(
    logits: Array, targets: Array, *, gamma_positive: float = 0.0, gamma_negative: float = 4.0, clip: float = 0.05
) -> tuple[Array, Array]:
    """The asymmetric loss."""
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    with np.errstate(all="ignore"):
        positive, positive_slope = one_sided(x, True, gamma_positive)
        if clip == 0:
            negative, negative_slope = one_sided(x, False, gamma_negative)
        else:
            p, q = np.exp(-np.logaddexp(0.0, -x)), np.exp(-np.logaddexp(0.0, x))
            shifted = np.maximum(p - clip, 0.0)
            entropy = -np.log(np.where(shifted > 0, q + clip, 1.0))
            negative = shifted**gamma_negative * entropy
            slope = shifted ** (gamma_negative - 1) * (gamma_negative * entropy + shifted / (q + clip))
            negative_slope = np.where(shifted > 0, p * q * slope, 0.0 * p)
        value = np.where(t == 0, 0.0, t * positive) + np.where(t == 1, 0.0, (1.0 - t) * negative)
        gradient = t * positive_slope + (1.0 - t) * negative_slope
        value = np.where(np.isnan(x), np.nan, value)
        return value.astype(logits.dtype), gradient.astype(logits.dtype)


def heatmap(logits: Array, targets: Array, *, gamma: float = 2.0, beta: float = 4.0) -> tuple[Array, Array]:
    """The focal loss of heatmaps."""
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    with np.errstate(all="ignore"):
        penalty = (1.0 - t) ** beta
        both = zip(one_sided(x, True, gamma), one_sided(x, False, gamma), strict=True)
        value, gradient = (np.where(t == 1, one, penalty * zero).astype(logits.dtype) for one, zero in both)
    return value, gradient


RIGHT: Mapping[str, Both] = {
    "loss_from_labels": labels,
    "softmax_loss": softmax,
    "star_loss": star,
    "quality_focal_loss": quality,
    "varifocal_loss": varifocal,
    "asymmetric_loss": asymmetric,
    "heatmap_focal_loss": heatmap,
}
"""What the built-in profile claims, by the names of the canonical call."""


def background_as_last_class(
    logits: Array, labels_: Array, *, alpha: float | None = 0.25, gamma: float = 2.0
) -> tuple[Array, Array]:
    """A wrong one: an index of -1 is the last class."""
    return labels(logits, np.where(labels_ == -1, logits.shape[-1] - 1, labels_), alpha=alpha, gamma=gamma)


def one_versus_rest(
    logits: Array, labels_: Array, *, axis: int = -1, alpha: None = None, gamma: float = 2.0
) -> tuple[Array, Array]:
    """A wrong one: softmax by name, one sigmoid a class by body."""
    rows = np.moveaxis(logits, axis, -1)
    value, gradient = labels(rows, labels_, alpha=None, gamma=gamma)
    return value.sum(axis=-1).astype(logits.dtype), np.moveaxis(gradient, -1, axis)
