"""What a kernel computes for one element: its weighted loss and derivatives."""

from collections.abc import Callable
from typing import Any

from focal_ref._formulas import Primitives, hard_forms, soft_forms


def element_form(
    primitives: Primitives,
    exponent: float | None,
    *,
    narrowed: bool,
    with_value: bool,
    with_gradient: bool,
    with_second: bool,
) -> Callable[..., Any]:
    """Build the results of one element with a hard target.

    Parameters
    ----------
    primitives
        What to build them from.
    exponent, narrowed
        As for `focal_ref._formulas.hard_forms`.
    with_value, with_gradient, with_second
        Which results are computed.

    Returns
    -------
    callable
        ``element(logit, is_positive, positive_weight, negative_weight, gamma, gamma_tail, upstream) -> (value,
        gradient, second)``, a number without meaning in place of a result that is not computed. The upstream factor
        multiplies gradient and second derivative.
    """
    forms = hard_forms(primitives, exponent, narrowed=narrowed)
    value_form, both_form = forms.value, forms.value_and_gradient
    # As a product of rounded sigmoids the factor would leave the second derivative nothing of its bound.
    second_form = hard_forms(primitives, exponent if exponent == 0.0 else None).second_derivative
    where, zero, largest = primitives.where, primitives.number(0), primitives.number(primitives.largest)

    @primitives.compiled
    def element(logit, is_positive, positive_weight, negative_weight, gamma, gamma_tail, upstream):
        value = gradient = second = logit
        margin = where(is_positive, logit, -logit)
        weight = where(is_positive, positive_weight, negative_weight)
        if with_gradient:
            value, slope = both_form(margin, gamma, gamma_tail)
            slope = weight * slope
            gradient = upstream * where(is_positive, slope, -slope)
        elif with_value:
            value = value_form(margin, gamma, gamma_tail)
        if with_value:
            # A class of weight zero gives zero, also where its loss is infinite.
            value = weight * where(weight == zero, where(value > largest, largest, value), value)
        if with_second:
            second = upstream * (weight * second_form(margin, gamma, gamma_tail))
        return value, gradient, second

    result: Callable[..., Any] = element
    return result


def soft_element_form(primitives: Primitives, exponent: float, *, narrowed: bool) -> Callable[..., Any]:
    """Build value and gradient of one element with a target in [0, 1]; NaN for any other.

    Parameters
    ----------
    primitives
        What to build them from.
    exponent
        A member of `focal_ref._formulas.SPECIAL_EXPONENTS`.
    narrowed
        As for `focal_ref._formulas.soft_forms`.

    Returns
    -------
    callable
        ``element(logit, target, positive_weight, negative_weight, gamma, upstream) -> (value, gradient)``.
    """
    form = soft_forms(primitives, exponent, narrowed=narrowed).value_and_gradient
    where, number, largest = primitives.where, primitives.number, primitives.largest

    def element(logit, target, positive_weight, negative_weight, gamma, upstream):
        in_range = (target >= 0.0) & (target <= 1.0)
        target = where(in_range, target, number(0.5))
        value, slope = form(logit, target, gamma)
        weight = positive_weight * target + negative_weight * (1.0 - target)
        value = weight * where(weight == 0.0, where(value > largest, largest, value), value)
        nan = number(float("nan"))
        return where(in_range, value, nan), where(in_range, upstream * (weight * slope), nan)

    return element
