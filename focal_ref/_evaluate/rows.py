"""The softmax loss of whole rows of logits, whose classes lie along the last axis, in float64."""

from typing import Any, NamedTuple

from focal_ref._evaluate.resolve import (
    both,
    device_of,
    further_weights,
    is_number,
    masked,
    resolve_classes,
)
from focal_ref._formulas import softmax
from focal_ref._parameters import Parameters

Array = Any


def value_and_gradient(
    xp: Any, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool
) -> tuple[Array, Array]:
    """Weighted loss of each row, and its derivative with respect to each logit of the row."""
    plan = _plan(xp, logits, targets, parameters)
    value, gradient = plan.call(xp, "value_and_gradient", logits, narrowed=narrowed)
    return plan.mask(xp, value[..., None])[..., 0], plan.mask(xp, gradient)


def second_derivative(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Second derivative of each row's loss with respect to each of its logits: the diagonal of the Hessian."""
    plan = _plan(xp, logits, targets, parameters)
    return plan.mask(xp, plan.call(xp, "second_derivative", logits))


def curvature(xp: Any, logits: Array, targets: Array, parameters: Parameters, direction: Array) -> Array:
    """The Hessian of each row's loss times a direction."""
    plan = _plan(xp, logits, targets, parameters)
    return plan.mask(xp, plan.call(xp, "curvature", logits, xp.astype(direction, logits.dtype)))


def partial(xp: Any, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Derivative of each row's loss with respect to "alpha", "gamma" or "targets" of a class, or to its "weights"."""
    plan = _plan(xp, logits, targets, parameters)
    if name == "gamma":
        return plan.mask(xp, plan.call(xp, "gamma_derivative", logits))
    slope = plan.call(xp, "share_derivative", logits)
    if name == "targets":
        return plan.mask(xp, plan.times(xp, slope, plan.class_weight, plan.row_weight))
    if name == "alpha":
        return plan.mask(xp, plan.times(xp, slope, plan.target, plan.row_weight))
    rows = xp.sum(plan.times(xp, slope, plan.target, plan.class_weight), axis=-1)
    return plan.mask(xp, rows[..., None])[..., 0]


class _Plan(NamedTuple):
    is_label: Array | None
    target: Array
    class_weight: Array | None
    row_weight: Array | None
    gamma: Array
    valid: Array
    ignored: Array | None

    def call(self, xp: Any, name: str, logits: Array, *more: Array, **options: bool) -> Any:
        """A form of labels or of soft rows, whichever the targets are."""
        kind = "row" if self.is_label is None else "label"
        function = getattr(softmax, f"{kind}_{name}")
        labels = () if self.is_label is None else (self.is_label,)
        if name == "share_derivative":
            return function(xp, logits, *labels, self.gamma)
        shares = self.times(xp, self.target, self.class_weight, self.row_weight)
        if self.is_label is not None:
            shares = xp.sum(xp.where(self.is_label, shares, 0.0), axis=-1, keepdims=True)
        return function(xp, logits, *labels, shares, self.gamma, *more, **options)

    def times(self, xp: Any, quantity: Array, *factors: Array | None) -> Array:
        """Multiply by factors of which some may be absent; a factor of zero gives zero, also times infinity."""
        for factor in factors:
            if factor is not None:
                finite = xp.where((factor == 0.0) & (xp.abs(quantity) == xp.inf), 0.0, quantity)
                quantity = factor * finite
        return quantity

    def mask(self, xp: Any, quantity: Array) -> Array:
        return masked(xp, quantity, self.valid, self.ignored)


def _plan(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> _Plan:
    is_label = ignored = None
    if parameters.encoding == "labels":
        resolved = resolve_classes(xp, logits, targets)
        is_label, ignored, valid = resolved.positive, resolved.ignored, resolved.valid
        target = xp.astype(is_label, logits.dtype)
    else:
        # Converted first: booleans have no order in the standard.
        target = xp.astype(targets, logits.dtype)
        in_range = (target >= 0) & (target <= 1)
        valid = xp.all(in_range, axis=-1, keepdims=True)
        target = xp.where(in_range, target, 0.0)
    class_weight = row_weight = None
    if parameters.alpha is not None:
        class_weight, in_range = further_weights(xp, parameters.alpha, logits)
        valid = both(valid, xp.all(in_range, axis=-1, keepdims=True))
    if parameters.weights is not None:
        weights = parameters.weights[..., None]
        row_weight, in_range = further_weights(xp, weights, logits)
        valid = both(valid, in_range)
    if is_number(parameters.gamma):
        gamma = xp.asarray(float(parameters.gamma), dtype=logits.dtype, device=device_of(logits))
    else:
        in_range = (parameters.gamma >= 0) & xp.isfinite(parameters.gamma)
        gamma = xp.astype(xp.where(in_range, parameters.gamma, 0.0), logits.dtype)
        valid = both(valid, xp.all(in_range, axis=-1, keepdims=True) if in_range.ndim else in_range)
    return _Plan(is_label, target, class_weight, row_weight, gamma, valid, ignored)
