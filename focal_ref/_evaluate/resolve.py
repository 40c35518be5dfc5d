"""Targets, weights and numbers of a call as arrays of the working dtype, each with where it is valid."""

from collections.abc import Callable
from typing import Any, NamedTuple

from focal_ref._parameters import BACKGROUND, IGNORE, Parameters

Array = Any


class Targets(NamedTuple):
    """What the targets of a call say.

    Attributes
    ----------
    hard
        Whether each is a class, not a share of one.
    positive
        Where they are positive, of hard ones.
    share
        1 and 0, or the share of the positive class, in the working dtype; None for hard targets.
    valid
        Where they are in their range.
    ignored
        Where the element counts nothing; None where nothing can be ignored.
    """

    hard: bool
    positive: Array
    share: Array | None
    valid: Array
    ignored: Array | None


def resolve_targets(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> Targets:
    """The targets of a call; boolean and integer ones are hard, floating-point ones soft unless signed."""
    if parameters.encoding == "labels":
        return _labels(xp, logits, targets, first=BACKGROUND)
    if parameters.encoding == "signed":
        return Targets(True, targets > 0, None, (targets == 1) | (targets == -1), None)
    if xp.isdtype(targets.dtype, "bool"):
        return Targets(True, targets, None, targets | True, None)
    valid = (targets >= 0) & (targets <= 1)
    if xp.isdtype(targets.dtype, "real floating"):
        return Targets(False, targets > 0, xp.astype(targets, logits.dtype), valid, None)
    return Targets(True, targets > 0, None, valid, None)


def resolve_classes(xp: Any, logits: Array, labels: Array) -> Targets:
    """Labels of a softmax, which knows no background: one positive a row, none where the label is ignored."""
    return _labels(xp, logits, labels, first=0)


def _labels(xp: Any, logits: Array, labels: Array, first: int) -> Targets:
    classes = xp.arange(logits.shape[-1], dtype=xp.int64, device=device_of(logits))
    labels = xp.astype(labels, xp.int64)[..., None]
    ignored = labels == IGNORE
    valid = ((labels >= first) & (labels < logits.shape[-1])) | ignored
    return Targets(True, labels == classes, None, valid, ignored)


def class_weight(xp: Any, parameters: Parameters, targets: Targets, like: Array) -> tuple[Array | None, Array | None]:
    """alpha_t times the further weights, and where both are valid; None for a factor of one everywhere."""
    weight: Array | None = None
    valid: Array | None = None
    if parameters.alpha is not None:
        positive, negative, valid = class_weights(xp, parameters.alpha, like)
        if targets.share is None:
            weight = xp.where(targets.positive, positive, negative)
        else:
            weight = positive * targets.share + negative * (1.0 - targets.share)
    if parameters.weights is not None:
        factors, in_range = further_weights(xp, parameters.weights, like)
        weight = factors if weight is None else weight * factors
        valid = in_range if valid is None else valid & in_range
    return weight, valid


def class_weights(xp: Any, alpha: Any, like: Array) -> tuple[Array, Array, Array | None]:
    """Weight of positives, weight of negatives, and where alpha is valid."""
    if is_number(alpha):
        ones = xp.ones_like(like)
        return float(alpha) * ones, (1.0 - float(alpha)) * ones, None
    # 1 - alpha in alpha's own dtype: rounding alpha to a narrower one first would cost 1 - alpha its digits.
    own = alpha if xp.finfo(like.dtype).bits == 32 else xp.astype(alpha, like.dtype)
    return xp.astype(own, like.dtype), xp.astype(1.0 - own, like.dtype), (alpha >= 0) & (alpha <= 1)


def further_weights(xp: Any, weights: Array, like: Array) -> tuple[Array, Array]:
    """The weights in the working dtype, and where they are valid."""
    return xp.astype(weights, like.dtype), (weights >= 0) & xp.isfinite(weights)


def weighed(xp: Any, quantity: Array, weight: Array | None) -> Array:
    """Multiply by a weight. A weight of zero gives zero, also where the quantity is infinite; NaN stays NaN."""
    if weight is None:
        return quantity
    return weight * xp.where((weight == 0.0) & (xp.abs(quantity) == xp.inf), 0.0, quantity)


def masked(xp: Any, quantity: Array, valid: Array, ignored: Array | None) -> Array:
    """NaN where the data are invalid, and 0 where the element is ignored, whatever it holds."""
    quantity = xp.where(valid, quantity, xp.nan)
    return quantity if ignored is None else xp.where(ignored, 0.0, quantity)


def far_logits(xp: Any, logits: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Nearer logits in the place of huge and infinite ones, and what brings a derivative back to where it belongs.

    The terms of a derivative with respect to the target may overflow, to infinities of opposite signs, where their sum
    does not. That far out it is in proportion to the logit, or next to nothing.
    """
    far = float(xp.finfo(logits.dtype).max) ** 0.75
    magnitude = xp.abs(logits)
    huge = magnitude > far
    ratio = xp.where(huge, magnitude / far, 1.0)
    ones = xp.ones_like(logits)
    near = xp.where(huge, xp.where(logits > 0.0, far * ones, -far * ones), logits)

    def rest(slope: Array) -> Array:
        return xp.where(xp.abs(slope) > far**0.5, ratio * slope, slope)

    return near, rest


def both(first: Array | None, second: Array | None) -> Array | None:
    """Where two conditions hold, each of which may be absent."""
    if first is None or second is None:
        return second if first is None else first
    return first & second


def is_number(value: Any) -> bool:
    """Whether a hyper-parameter is a Python number and no array."""
    return isinstance(value, (int, float))


def device_of(array: Array) -> Any:
    """The device of an array, or None where the library places constants itself (JAX under a trace)."""
    return None if type(array).__module__.partition(".")[0] in ("jax", "jaxlib") else array.device
