"""Losses of one logit and one target that have an `ElementwiseForm`, on whole arrays in float64."""

from dataclasses import replace
from typing import Any, NamedTuple

from focal_ref._evaluate.resolve import (
    Targets,
    both,
    class_weight,
    class_weights,
    device_of,
    far_logits,
    further_weights,
    is_number,
    masked,
    resolve_targets,
    weighed,
)
from focal_ref._formulas import ElementwiseForm, Primitives, array_primitives
from focal_ref._parameters import Parameters, range_of

Array = Any


def value_and_gradient(
    xp: Any, form: ElementwiseForm, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool
) -> tuple[Array, Array]:
    """Weighted loss and its derivative with respect to each logit."""
    plan = _plan(xp, form, logits, targets, parameters)
    value, gradient = form.value_and_gradient(*plan.arguments, narrowed=narrowed)
    return plan.weigh(xp, value), plan.weigh(xp, gradient)


def second_derivative(xp: Any, form: ElementwiseForm, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Weighted second derivative with respect to each logit."""
    plan = _plan(xp, form, logits, targets, parameters)
    return plan.weigh(xp, form.second_derivative(*plan.arguments))


def partial(xp: Any, form: ElementwiseForm, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Derivative of the weighted loss with respect to a number, to "weights", or to the soft "targets"."""
    plan = _plan(xp, form, logits, targets, parameters)
    if name in form.numbers:
        return plan.weigh(xp, form.partials[name](*plan.arguments))
    value, _ = form.value_and_gradient(*plan.arguments, narrowed=False)
    if name == "weights":
        own, _ = class_weight(xp, replace(plan.outside, weights=None), plan.targets, logits)
        return plan.mask(xp, weighed(xp, value, own))
    factors = None if parameters.weights is None else further_weights(xp, parameters.weights, logits)[0]
    _, _, share, _ = plan.arguments
    if name == "alpha":
        return plan.mask(xp, weighed(xp, weighed(xp, value, 2.0 * share - 1.0), factors))
    near, rest = far_logits(xp, logits)
    primitives, _, _, numbers = plan.arguments
    slope = rest(form.partials["targets"](primitives, near, share, numbers))
    if plan.outside.alpha is not None:
        slope = _weighted_target_slope(xp, form, plan, slope, value)
    return plan.mask(xp, weighed(xp, slope, factors))


def _weighted_target_slope(xp: Any, form: ElementwiseForm, plan: "_Plan", slope: Array, value: Array) -> Array:
    """Derivative of alpha_t times the loss with respect to the target; alpha_t = alpha t + (1 - alpha)(1 - t)."""
    primitives, inputs, share, numbers = plan.arguments
    positive, negative, _ = class_weights(xp, plan.outside.alpha, inputs)
    own = positive * share + negative * (1.0 - share)
    # At a probability of 0 or 1 both terms may be infinite, of opposite signs: one beside it says which wins.
    infinite = xp.abs(value) == xp.inf
    near = xp.where(infinite, xp.where(inputs > 0.5, xp.full_like(inputs, 1.0 - 2.0**-53), 2.0**-1022), inputs)
    near_value, _ = form.value_and_gradient(primitives, near, share, numbers, narrowed=False)
    near_slope = form.partials["targets"](primitives, near, share, numbers)
    combined = weighed(xp, near_value, positive - negative) + weighed(xp, near_slope, own)
    unbounded = xp.where(combined == 0.0, combined, combined * xp.inf)
    return xp.where(infinite, unbounded, combined)


class _Plan(NamedTuple):
    targets: Targets
    arguments: tuple[Primitives, Array, Array, dict[str, Array]]
    outside: Parameters
    weight: Array | None
    valid: Array

    def weigh(self, xp: Any, quantity: Array) -> Array:
        return self.mask(xp, weighed(xp, quantity, self.weight))

    def mask(self, xp: Any, quantity: Array) -> Array:
        return masked(xp, quantity, self.valid, self.targets.ignored)


def _plan(xp: Any, form: ElementwiseForm, logits: Array, targets: Array, parameters: Parameters) -> _Plan:
    resolved = resolve_targets(xp, logits, targets, parameters)
    if resolved.share is None:
        resolved = resolved._replace(share=xp.astype(resolved.positive, logits.dtype))
    valid: Array | None = resolved.valid
    if parameters.form == "star":
        # FL* is not defined between the classes.
        valid = both(valid, (resolved.share == 0.0) | (resolved.share == 1.0))
    if parameters.form == "probability":
        # NaN stays NaN by itself; it is no probability out of range, but gives the same.
        valid = both(valid, (logits >= 0.0) & (logits <= 1.0))
    numbers = {}
    for name in form.numbers:
        number = parameters.clip if name == "clip" else getattr(parameters, name)
        if is_number(number):
            numbers[name] = xp.asarray(float(number), dtype=logits.dtype, device=device_of(logits))
            continue
        lowest, highest, above, _ = range_of(parameters.form, name)
        in_range = (number >= lowest) & (number <= highest) & xp.isfinite(number)
        in_range = in_range & (number != 0) if above else in_range
        numbers[name] = xp.astype(xp.where(in_range, number, 1.0), logits.dtype)
        valid = both(valid, in_range)
    # An alpha that the form does not know weighs its classes, as in the paper's loss.
    outside = replace(parameters, alpha=None) if "alpha" in form.numbers else parameters
    weight, weight_valid = class_weight(xp, outside, resolved, logits)
    share = xp.where(resolved.valid, resolved.share, 0.5)
    arguments = array_primitives(xp, logits.dtype), logits, share, numbers
    return _Plan(resolved, arguments, outside, weight, both(valid, weight_valid))
