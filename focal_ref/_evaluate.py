"""Values and derivatives of whole arrays through the closed forms, in any Array API namespace.

What comes out is in the working precision, not yet rounded to the logits' dtype: callers multiply or sum first.
"""

from typing import Any, NamedTuple

import numpy as np

from focal_ref._formulas import SPECIAL_EXPONENTS, array_primitives, hard_forms, soft_forms
from focal_ref._parameters import Parameters

Array = Any


class Unrounded(NamedTuple):
    """Weighted value, and derivative with respect to the logit, in the working precision."""

    value: Array
    gradient: Array


def evaluate(xp: Any, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool = False) -> Unrounded:
    """Weighted loss and its derivative with respect to each logit.

    Parameters
    ----------
    xp
        Array API namespace of the arrays.
    logits
        In the working dtype, float64 or float32.
    targets
        Same shape; boolean or integer targets are taken as hard, floating-point ones as soft unless signed.
    parameters
        Arrays among them belong to `xp` and broadcast to the logits.
    narrowed
        Whether the values are rounded to a narrower format next.

    Returns
    -------
    Unrounded
        NaN where a target, alpha, gamma or weight is outside its range.
    """
    plan = _plan(xp, logits, targets, parameters, narrowed)
    if plan.hard:
        value, gradient = plan.forms.value_and_gradient(plan.margin, plan.gamma, plan.gamma_tail)
        gradient = xp.where(plan.positive, gradient, -gradient)
    else:
        value, gradient = plan.forms.value_and_gradient(logits, plan.targets, plan.gamma)
    return Unrounded(_weigh(xp, plan, value), _weigh(xp, plan, gradient))


def evaluate_second(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Weighted second derivative with respect to each logit; arguments as for `evaluate`."""
    # As a product of rounded sigmoids the factor is faster, but would leave the second derivative nothing of its bound.
    plan = _plan(xp, logits, targets, parameters, False, exponents=(0.0,))
    if plan.hard:
        second = plan.forms.second_derivative(plan.margin, plan.gamma, plan.gamma_tail)
    else:
        second = plan.forms.second_derivative(logits, plan.targets, plan.gamma)
    return _weigh(xp, plan, second)


def tree_sum(xp: Any, terms: Array) -> Array:
    """Sum of all elements by halving: the error grows with log2(n), and the order depends on the size alone."""
    terms = xp.reshape(terms, (-1,))
    size = terms.shape[0]
    if size == 0:
        return xp.sum(terms)
    while size > 1:
        half = (size + 1) // 2
        pairs = terms[: size - half] + terms[half:size]
        terms = pairs if size == 2 * half else xp.concat([pairs, terms[size - half : half]])
        size = half
    return terms[0]


class _Plan(NamedTuple):
    hard: bool
    forms: Any
    positive: Array
    margin: Array
    targets: Array
    gamma: Any
    gamma_tail: Any
    weight: Array
    valid: Array


def _plan(
    xp: Any,
    logits: Array,
    targets: Array,
    parameters: Parameters,
    narrowed: bool,
    *,
    exponents: tuple[float, ...] = SPECIAL_EXPONENTS,
) -> _Plan:
    """Resolve targets, weights and gamma of a call to arrays in the working dtype; `exponents` get special forms."""
    dtype = logits.dtype
    floating = xp.isdtype(targets.dtype, "real floating")
    hard = parameters.encoding == "signed" or not floating
    if parameters.encoding == "signed":
        positive = targets > 0
        valid = (targets == 1) | (targets == -1)
    elif xp.isdtype(targets.dtype, "bool"):
        positive = targets
        valid = targets | True
    else:
        positive = targets > 0
        valid = (targets >= 0) & (targets <= 1)

    gamma, gamma_tail, gamma_valid = _split_gamma(xp, parameters.gamma, logits)
    exponent = parameters.gamma if _is_number(parameters.gamma) and parameters.gamma in exponents else None
    primitives = array_primitives(xp, dtype)
    soft_targets = targets if hard else xp.astype(targets, dtype)
    margin = xp.where(positive, logits, -logits)
    side = positive if hard else soft_targets
    weight, weight_valid = _weight(xp, parameters, side, hard, logits)
    for other in (gamma_valid, weight_valid):
        if other is not None:
            valid = valid & other
    build: Any = hard_forms if hard else soft_forms
    forms = build(primitives, exponent, narrowed=narrowed)
    return _Plan(hard, forms, positive, margin, soft_targets, gamma, gamma_tail, weight, valid)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _split_gamma(xp: Any, gamma: Any, like: Array) -> tuple[Array, Array, Array | None]:
    """Gamma in the working dtype, what that dtype cuts off, and where it is finite and not negative."""
    # Beyond the largest number of the dtype nothing changes any more: the factor is 0 or 1.
    info = xp.finfo(like.dtype)
    largest = float(info.max)
    if _is_number(gamma):
        number = min(float(gamma), largest)
        head = float(np.float32(number)) if info.bits == 32 else number
        return xp.asarray(head, dtype=like.dtype, device=_device(like)), number - head, None
    valid = (gamma >= 0) & xp.isfinite(gamma)
    gamma = xp.where(valid, gamma, 0.0)
    if xp.finfo(gamma.dtype).bits > info.bits:
        gamma = xp.where(gamma > largest, largest, gamma)
    head_array = xp.astype(gamma, like.dtype)
    tail = xp.astype(gamma - xp.astype(head_array, gamma.dtype), like.dtype)
    return head_array, tail, valid


def _weight(xp: Any, parameters: Parameters, side: Array, hard: bool, like: Array) -> tuple[Array | None, Array | None]:
    """alpha_t times the further weights, and where both are valid; None for a factor of one everywhere."""
    weight: Array | None = None
    valid: Array | None = None
    alpha = parameters.alpha
    if alpha is not None:
        if _is_number(alpha):
            ones = xp.ones_like(like)
            positive_weight, negative_weight = float(alpha) * ones, (1.0 - float(alpha)) * ones
        else:
            # 1 - alpha in alpha's own dtype: rounding alpha to a narrower one first would cost 1 - alpha its digits.
            own = alpha if xp.finfo(like.dtype).bits == 32 else xp.astype(alpha, like.dtype)
            positive_weight = xp.astype(own, like.dtype)
            negative_weight = xp.astype(1.0 - own, like.dtype)
            valid = (alpha >= 0) & (alpha <= 1)
        if hard:
            weight = xp.where(side, positive_weight, negative_weight)
        else:
            weight = positive_weight * side + negative_weight * (1.0 - side)
    if parameters.weights is not None:
        factors = xp.astype(parameters.weights, like.dtype)
        weight = factors if weight is None else weight * factors
        in_range = (parameters.weights >= 0) & xp.isfinite(parameters.weights)
        valid = in_range if valid is None else valid & in_range
    return weight, valid


def _weigh(xp: Any, plan: _Plan, quantity: Array) -> Array:
    """Multiply by the weight. A weight of zero gives zero, also where the quantity is infinite; NaN stays NaN."""
    if plan.weight is not None:
        finite = xp.where((plan.weight == 0.0) & (xp.abs(quantity) == xp.inf), 0.0, quantity)
        quantity = plan.weight * finite
    return xp.where(plan.valid, quantity, xp.nan)


def _device(array: Array) -> Any:
    """The device of an array, or None where the library places constants itself (JAX under a trace)."""
    return None if type(array).__module__.partition(".")[0] in ("jax", "jaxlib") else array.device
