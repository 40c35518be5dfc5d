"""The paper's loss on whole arrays: hard and soft targets, labels, any gamma."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

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
from focal_ref._formulas import SPECIAL_EXPONENTS, array_primitives, hard_forms, soft_forms
from focal_ref._parameters import Parameters

Array = Any


def value_and_gradient(
    xp: Any, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool
) -> tuple[Array, Array]:
    """Weighted loss and its derivative with respect to each logit."""
    plan = _plan(xp, logits, targets, parameters, narrowed=narrowed)
    if plan.targets.hard:
        value, gradient = plan.forms.value_and_gradient(plan.margin, plan.gamma, plan.gamma_tail)
        gradient = xp.where(plan.targets.positive, gradient, -gradient)
    else:
        value, gradient = plan.forms.value_and_gradient(logits, plan.targets.share, plan.gamma)
    return plan.weigh(xp, value), plan.weigh(xp, gradient)


def second_derivative(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Weighted second derivative with respect to each logit."""
    # As a product of rounded sigmoids the factor is faster, but would leave the second derivative nothing of its bound.
    plan = _plan(xp, logits, targets, parameters, exponents=(0.0,))
    if plan.targets.hard:
        second = plan.forms.second_derivative(plan.margin, plan.gamma, plan.gamma_tail)
    else:
        second = plan.forms.second_derivative(logits, plan.targets.share, plan.gamma)
    return plan.weigh(xp, second)


def partial(xp: Any, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Derivative of the weighted loss with respect to "alpha", "gamma", "weights" or the soft "targets"."""
    plan = _plan(xp, logits, targets, parameters, exponents=(0.0,))
    if name == "gamma":
        if plan.targets.hard:
            slope = plan.forms.gamma_derivative(plan.margin, plan.gamma, plan.gamma_tail)
        else:
            slope = plan.forms.gamma_derivative(logits, plan.targets.share, plan.gamma)
        return plan.weigh(xp, slope)
    if plan.targets.hard:
        value, _ = plan.forms.value_and_gradient(plan.margin, plan.gamma, plan.gamma_tail)
    else:
        value, _ = plan.forms.value_and_gradient(logits, plan.targets.share, plan.gamma)
    if name == "weights":
        own, _ = class_weight(xp, replace(parameters, weights=None), plan.targets, logits)
        return plan.mask(xp, weighed(xp, value, own))
    factors = None if parameters.weights is None else further_weights(xp, parameters.weights, logits)[0]
    share = plan.targets.share
    if name == "alpha":
        # alpha_t = alpha t + (1 - alpha)(1 - t)
        side = 2.0 * share - 1.0 if share is not None else xp.where(plan.targets.positive, plan.ones, -plan.ones)
        return plan.mask(xp, weighed(xp, weighed(xp, value, side), factors))
    return plan.mask(xp, weighed(xp, _target_slope(xp, plan, logits, parameters), factors))


def _target_slope(xp: Any, plan: "_Plan", logits: Array, parameters: Parameters) -> Array:
    """Derivative of alpha_t times the loss with respect to the target, both of which depend on it."""
    share: Any = plan.targets.share
    near, rest = far_logits(xp, logits)
    slope = plan.forms.target_derivative(near, share, plan.gamma)
    if parameters.alpha is not None:
        positive, negative, _ = class_weights(xp, parameters.alpha, logits)
        value, _ = plan.forms.value_and_gradient(near, share, plan.gamma)
        own = positive * share + negative * (1.0 - share)
        slope = weighed(xp, value, positive - negative) + weighed(xp, slope, own)
    return rest(slope)


class _Plan(NamedTuple):
    targets: Targets
    forms: Any
    margin: Array
    ones: Array
    gamma: Array
    gamma_tail: Any
    weight: Array | None
    valid: Array

    def weigh(self, xp: Any, quantity: Array) -> Array:
        return self.mask(xp, weighed(xp, quantity, self.weight))

    def mask(self, xp: Any, quantity: Array) -> Array:
        return masked(xp, quantity, self.valid, self.targets.ignored)


def _plan(
    xp: Any,
    logits: Array,
    targets: Array,
    parameters: Parameters,
    *,
    narrowed: bool = False,
    exponents: tuple[float, ...] = SPECIAL_EXPONENTS,
) -> _Plan:
    """Resolve targets, weights and gamma of a call to arrays in the working dtype; `exponents` get special forms."""
    resolved = resolve_targets(xp, logits, targets, parameters)
    gamma, gamma_tail, gamma_valid = _split_gamma(xp, parameters.gamma, logits)
    exponent = parameters.gamma if is_number(parameters.gamma) and parameters.gamma in exponents else None
    build: Any = hard_forms if resolved.hard else soft_forms
    forms = build(array_primitives(xp, logits.dtype), exponent, narrowed=narrowed)
    margin = xp.where(resolved.positive, logits, -logits)
    weight, weight_valid = class_weight(xp, parameters, resolved, logits)
    valid = both(both(resolved.valid, gamma_valid), weight_valid)
    return _Plan(resolved, forms, margin, xp.ones_like(logits), gamma, gamma_tail, weight, valid)


def _split_gamma(xp: Any, gamma: Any, like: Array) -> tuple[Array, Array, Array | None]:
    """Gamma in the working dtype, what that dtype cuts off, and where it is finite and not negative."""
    # Beyond the largest number of the dtype nothing changes any more: the factor is 0 or 1.
    info = xp.finfo(like.dtype)
    largest = float(info.max)
    if is_number(gamma):
        number = min(float(gamma), largest)
        head = float(np.float32(number)) if info.bits == 32 else number
        return xp.asarray(head, dtype=like.dtype, device=device_of(like)), number - head, None
    valid = (gamma >= 0) & xp.isfinite(gamma)
    gamma = xp.where(valid, gamma, 0.0)
    if xp.finfo(gamma.dtype).bits > info.bits:
        gamma = xp.where(gamma > largest, largest, gamma)
    head_array = xp.astype(gamma, like.dtype)
    tail = xp.astype(gamma - xp.astype(head_array, gamma.dtype), like.dtype)
    return head_array, tail, valid
