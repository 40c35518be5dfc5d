"""The softmax focal loss of rows over the last axis: value and all derivatives in float64.

With ``p = softmax(z)`` and the share ``share_i = t_i alpha_i`` (times the row's weight) of each class, the loss is

    sum_i share_i (1 - p_i)^gamma (-log p_i).

Each term is the focal loss of one margin, ``s = z_i - log sum_{k != i} exp(z_k)``, whose value and derivatives
`focal_ref._formulas.focal` derives. Its sigmoids come from sums of positive terms. Let r be the largest of the *other*
logits, ``X_k = exp(z_k - r)`` and ``S = sum_{k != i} X_k``, which is at least 1, so that it never underflows. Then

    z_i <= r:   q = S / (S + X_i),   p = X_i / (S + X_i),   c = (r - z_i) + log(S + X_i)
    z_i >  r:   with u = S exp(r - z_i),   q = u / (1 + u),   p = 1 / (1 + u),   c = log1p(u)

    value             w c,                  w = q^gamma
    d value / ds      -A,                   A = w (gamma p c + q)
    d^2 value / ds^2  w p (gamma c (gamma p - q) + (2 gamma + 1) q)

and, as ``ds / dz_i = 1`` and ``ds / dz_j = -X_j / S``, the gradient is -A at i and ``A X_j / S`` elsewhere.

The functions named `label_...` are for rows with a single class of non-zero share: one exponential for each logit, all
else once for each row. Those named `row_...` are for any shares, and give the same bits where both apply. Rows of NaN
come from a NaN logit, two logits of +inf, or none above -inf; rows without a label, or whose shares are all zero, are
zero whatever their logits. Other infinite logits give the limits.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from focal_ref._formulas.primitives import array_primitives
from focal_ref._formulas.softmax_terms import (
    Exponentials,
    MarginForms,
    Terms,
    count,
    exponentials_below,
    margin_forms,
    picked,
    row_max,
    row_sum,
    undefined_rows,
)

Array = Any


def label_value_and_gradient(
    xp: Any, logits: Array, is_label: Array, share: Array, gamma: Array, *, narrowed: bool = False
) -> tuple[Array, Array]:
    """Loss of each row and its derivative with respect to each logit.

    Parameters
    ----------
    xp
        Array API namespace of the arrays, all of which are float64 but `is_label`.
    logits
        Shape (..., C).
    is_label
        Boolean, of the same shape: where the class is the row's label, at most once in a row.
    share
        Weight of the label's class in the row, at least 0; broadcasts to (..., 1).
    gamma
        Broadcasts to (..., C); the number at the label counts.
    narrowed
        Whether the values are rounded to a narrower format next, which asks for the right side of a tie.

    Returns
    -------
    tuple
        The value of shape (...), and the gradient of shape (..., C), each row of which sums to zero.
    """
    rows = _label_rows(xp, logits, is_label, share, gamma, narrowed=narrowed)
    value = rows.forms.value(rows.terms, rows.gamma, rows.share)
    slope = rows.share * rows.forms.slope(rows.terms, rows.gamma)
    gradient = xp.where(is_label, -slope, rows.exponentials.scaled * (slope / rows.terms.others))
    return rows.defined(xp, value)[..., 0], rows.defined(xp, gradient)


def label_gamma_derivative(xp: Any, logits: Array, is_label: Array, share: Array, gamma: Array) -> Array:
    """Derivative with respect to each class's gamma, (..., C): ``share w c log q`` at the label, zero elsewhere."""
    rows = _label_rows(xp, logits, is_label, share, gamma)
    derivative = rows.share * rows.forms.gamma_derivative(rows.terms)
    return xp.where(is_label, rows.defined(xp, derivative), 0.0)


def label_share_derivative(xp: Any, logits: Array, is_label: Array, gamma: Array) -> Array:
    """Derivative with respect to each class's share, (..., C): ``w c`` at the label, zero elsewhere."""
    rows = _label_rows(xp, logits, is_label, 1.0, gamma)
    return xp.where(is_label, rows.defined(xp, rows.terms.w * rows.terms.c), 0.0)


def label_curvature(xp: Any, logits: Array, is_label: Array, share: Array, gamma: Array, direction: Array) -> Array:
    """Product of the Hessian of each row's value with a direction of shape (..., C).

    With ``f`` the focal loss of the margin s, and pi the softmax of the other classes, ``pi_j = X_j / S``,

        grad s = e_i - pi,      hess s = -(diag(pi) - pi pi^T)
        H v = f'' (v_i - pi.v) (e_i - pi) - f' (pi v - pi (pi.v))
    """
    rows = _label_rows(xp, logits, is_label, share, gamma)
    scaled = rows.exponentials.scaled
    v = _centred(xp, logits, direction)
    own_v = picked(xp, is_label, v)
    mean = (row_sum(xp, scaled * v) - picked(xp, is_label, scaled) * own_v) / rows.terms.others
    own, k, b = _curvature_factors(rows.forms, rows.terms, rows.gamma, rows.share, own_v, mean)
    return rows.defined(xp, xp.where(is_label, own, scaled * (k * v - b)))


def label_second_derivative(xp: Any, logits: Array, is_label: Array, share: Array, gamma: Array) -> Array:
    """Diagonal of the Hessian of each row's value: the second derivative with respect to each logit, (..., C)."""
    rows = _label_rows(xp, logits, is_label, share, gamma)
    own, *factors = _diagonal_factors(rows.forms, rows.terms, rows.gamma, rows.share)
    return rows.defined(xp, xp.where(is_label, own, _diagonal(xp, rows.exponentials, *factors)))


def row_value_and_gradient(
    xp: Any, logits: Array, shares: Array, gamma: Array, *, narrowed: bool = False
) -> tuple[Array, Array]:
    """Loss of each row and its derivative with respect to each logit.

    Parameters
    ----------
    xp
        Array API namespace of the arrays, all of which are float64.
    logits
        Shape (..., C).
    shares
        Weight of each class in its row, of the same shape, at least 0.
    gamma
        Broadcasts to (..., C).
    narrowed
        As in `label_value_and_gradient`.

    Returns
    -------
    tuple
        The value of shape (...), and the gradient of shape (..., C), each row of which sums to zero.
    """
    rows = _rows(xp, logits, gamma, narrowed=narrowed)

    def factors(terms: Terms, gamma: Array, share: Array) -> tuple[Array, Array, Array]:
        slope = share * rows.forms.slope(terms, gamma)
        return rows.forms.value(terms, gamma, share), slope, slope / terms.others

    values, slope, k = rows.of_each(xp, factors, shares)
    lower, highest = rows.of_others(xp, k)
    from_others = rows.exponentials.scaled * lower + rows.highest_exponentials.scaled * highest
    # A vanishing slope of the only share keeps its sign: 0 - 0 would be +0.
    own = xp.where(shares > 0.0, -slope, 0.0)
    gradient = xp.where(from_others == 0.0, own, from_others + own)
    return rows.defined(xp, row_sum(xp, values), shares)[..., 0], rows.defined(xp, gradient, shares)


def row_gamma_derivative(xp: Any, logits: Array, shares: Array, gamma: Array) -> Array:
    """Derivative with respect to each class's gamma, ``share w c log q``, (..., C)."""
    rows = _rows(xp, logits, gamma)
    (derivative,) = rows.of_each(xp, lambda terms, gamma: (rows.forms.gamma_derivative(terms),))
    return xp.where(shares == 0.0, 0.0, rows.defined(xp, shares * derivative, shares))


def row_share_derivative(xp: Any, logits: Array, gamma: Array) -> Array:
    """Derivative with respect to each class's share, ``w c``, (..., C)."""
    rows = _rows(xp, logits, gamma)
    (derivative,) = rows.of_each(xp, lambda terms, gamma: (terms.w * terms.c,))
    return xp.where(rows.undefined, xp.nan, derivative)


def row_curvature(xp: Any, logits: Array, shares: Array, gamma: Array, direction: Array) -> Array:
    """Product of the Hessian of each row's value with a direction: the sum of `label_curvature` over the classes."""
    rows = _rows(xp, logits, gamma)
    lower, highest = rows.exponentials.scaled, rows.highest_exponentials.scaled
    v = _centred(xp, logits, direction)
    # pi.v of each class: the mean of v over the others, weighted by their exponentials.
    weighted = lower * v
    mean = (row_sum(xp, weighted) - weighted) / rows.lower_terms.others
    mean = xp.where(rows.is_highest, row_sum(xp, highest * v) / rows.highest_terms.others, mean)
    own, k, b = rows.of_each(xp, lambda *given: _curvature_factors(rows.forms, *given), shares, v, mean)
    (lower_k, highest_k), (lower_b, highest_b) = rows.of_others(xp, k), rows.of_others(xp, b)
    product = own + lower * (lower_k * v - lower_b) + highest * (highest_k * v - highest_b)
    return rows.defined(xp, product, shares)


def row_second_derivative(xp: Any, logits: Array, shares: Array, gamma: Array) -> Array:
    """Diagonal of the Hessian of each row's value: the second derivative with respect to each logit, (..., C)."""
    rows = _rows(xp, logits, gamma)
    own, *factors = rows.of_each(xp, lambda *given: _diagonal_factors(rows.forms, *given), shares)
    lower, highest = zip(*(rows.of_others(xp, factor) for factor in factors), strict=True)
    diagonal = own + _diagonal(xp, rows.exponentials, *lower) + _diagonal(xp, rows.highest_exponentials, *highest)
    return rows.defined(xp, diagonal, shares)


class _LabelRows(NamedTuple):
    """Rows with a label, which is the class of all terms, or without."""

    forms: MarginForms
    exponentials: Exponentials
    terms: Terms
    share: Array
    gamma: Array
    counts: Array
    undefined: Array

    def defined(self, xp: Any, result: Array) -> Array:
        """NaN for undefined rows, zero for rows that do not count."""
        return xp.where(self.counts, xp.where(self.undefined, xp.nan, result), 0.0)


def _label_rows(
    xp: Any, logits: Array, is_label: Array, share: Array, gamma: Array, *, narrowed: bool = False
) -> _LabelRows:
    forms = margin_forms(array_primitives(xp, logits.dtype), narrowed=narrowed)
    exponentials = exponentials_below(xp, logits, row_max(xp, xp.where(is_label, -xp.inf, logits)))
    # Picked from the arrays of all classes rather than computed again for one: an exponential may depend on its place
    # in an array, and rest - own has to be 0 where own is all of it.
    high, low, own = (picked(xp, is_label, array) for array in exponentials[:3])
    share = xp.zeros_like(high) + share
    gamma = picked(xp, is_label, xp.zeros_like(high) + gamma)
    terms = Terms(*forms.either(high, low, own, exponentials.rest, gamma))
    counts = xp.any(is_label, axis=-1, keepdims=True) & (share != 0.0)
    return _LabelRows(forms, exponentials, terms, share, gamma, counts, undefined_rows(xp, logits))


class _Rows(NamedTuple):
    """Rows of any shares. The class above all others, if there is one, refers to the second, the lower ones to it."""

    forms: MarginForms
    is_highest: Array
    exponentials: Exponentials
    highest_exponentials: Exponentials
    lower_terms: Terms
    highest_terms: Terms
    gamma: Array
    highest_gamma: Array
    undefined: Array

    def of_each(self, xp: Any, quantities: Callable[..., tuple[Array, ...]], *arrays: Array) -> tuple[Array, ...]:
        """Quantities of the terms, gamma and arrays of each class, whichever reference the class has."""
        at_highest = (picked(xp, self.is_highest, array) for array in arrays)
        highest = quantities(self.highest_terms, self.highest_gamma, *at_highest)
        lower = quantities(self.lower_terms, self.gamma, *arrays)
        return tuple(xp.where(self.is_highest, *pair) for pair in zip(highest, lower, strict=True))

    def of_others(self, xp: Any, quantity: Array) -> tuple[Array, Array]:
        """Sum of a quantity over all lower classes but the class itself, and the highest class's."""
        # Where its own term is most of the sum, the difference is off by units of that term. Multiplied by X_j <= 1,
        # this is no more than the rounding of what the class adds by itself.
        lower = xp.where(self.is_highest, 0.0, quantity)
        return row_sum(xp, lower) - lower, picked(xp, self.is_highest, quantity)

    def defined(self, xp: Any, result: Array, shares: Array) -> Array:
        """NaN for undefined rows, zero for rows whose shares all are."""
        counts = xp.any(shares != 0.0, axis=-1, keepdims=True)
        return xp.where(counts, xp.where(self.undefined, xp.nan, result), 0.0)


def _rows(xp: Any, logits: Array, gamma: Array, *, narrowed: bool = False) -> _Rows:
    forms = margin_forms(array_primitives(xp, logits.dtype), narrowed=narrowed)
    exponentials = exponentials_below(xp, logits, row_max(xp, logits))
    is_highest = exponentials.at_reference & (count(xp, exponentials.at_reference, logits) == 1.0)
    highest_exponentials = exponentials_below(xp, logits, row_max(xp, xp.where(is_highest, -xp.inf, logits)))
    high, low = (picked(xp, is_highest, array) for array in highest_exponentials[:2])
    gamma = xp.zeros_like(high) + gamma
    highest_gamma = picked(xp, is_highest, gamma)
    return _Rows(
        forms,
        is_highest,
        exponentials,
        highest_exponentials,
        Terms(*forms.below(*exponentials[:3], exponentials.rest, gamma)),
        Terms(*forms.above(high, low, highest_exponentials.rest, highest_gamma)),
        gamma,
        highest_gamma,
        undefined_rows(xp, logits),
    )


def _curvature_factors(
    forms: MarginForms, terms: Terms, gamma: Array, share: Array, v: Array, mean: Array
) -> tuple[Array, Array, Array]:
    """``H v`` at the class itself, and k and b of ``X_j (k v_j - b)`` at the others; `mean` is pi.v."""
    slope = share * forms.slope(terms, gamma)
    own = share * forms.second_derivative(terms, gamma) * (v - mean)
    return own, slope / terms.others, (own + slope * mean) / terms.others


def _diagonal_factors(
    forms: MarginForms, terms: Terms, gamma: Array, share: Array
) -> tuple[Array, Array, Array, Array]:
    """The diagonal at the class itself, and what `_diagonal` takes for the others."""
    # f'' pi_j^2 + A pi_j (1 - pi_j), with pi_j = X_j / S. At the reference X_j is 1, and 1 - pi_j is (S - 1) / S, which
    # may be small; elsewhere S is at least 1 + X_j, and in X_j (k + X_j b) no more than half of k cancels.
    own = share * forms.second_derivative(terms, gamma)
    slope = share * forms.slope(terms, gamma)
    square = terms.others * terms.others
    return own, slope / terms.others, (own - slope) / square, (own + slope * terms.other_rest) / square


def _diagonal(xp: Any, exponentials: Exponentials, k: Array, b: Array, at_reference: Array) -> Array:
    scaled = exponentials.scaled
    return xp.where(exponentials.at_reference, at_reference, scaled * (k + scaled * b))


def _centred(xp: Any, logits: Array, direction: Array) -> Array:
    """The direction less its component at the largest logit: H 1 = 0, and a large constant would only round."""
    at_maximum = logits == row_max(xp, logits)
    return direction - row_max(xp, xp.where(at_maximum, direction, -xp.inf))
