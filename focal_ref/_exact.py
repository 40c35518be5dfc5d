"""The binary focal loss of float64 logits before its rounding: value and two derivatives.

This is what float64 results are judged by, and what gives correctly rounded ones. It evaluates the
closed forms in double-double arithmetic (`focal_ref._double_double`) with an exponent beside each
number, in NumPy alone. Arguments are taken as checked: the public functions do that.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from focal_ref._double_double import (
    ONE,
    TWO,
    BooleanArray,
    FloatArray,
    IntegerArray,
    Unrounded,
    directed_product,
    exponential,
    log1p,
    two_sum,
    where,
)

__all__ = ["Exact", "Unrounded", "evaluate"]

# Results below 2^-(2^40) are given as zero: the arithmetic limits exponents a little beyond.
_SMALLEST_EXPONENT = -(2**40)

# Elements evaluated at a time: the temporaries of a block stay in the processor's cache.
_BLOCK = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """The loss, its derivatives by the logit, and the scales that their errors are measured by.

    A scale is the sum of the magnitudes of the terms that the closed form adds up: where these
    cancel, nobody's error can be a small multiple of the ulp of what is left, and an error is
    counted in units of the last place of the scale instead. For hard targets, `gradient_scale` is
    the magnitude of the gradient, and `second_derivative_scale` is
    ``alpha_t w p [gamma c (gamma p + q) + (2 gamma + 1) q]``, with p = p_t, q = 1 - p,
    w = q^gamma and c = -log p.

    Attributes
    ----------
    value, gradient, second_derivative, gradient_scale, second_derivative_scale
        `Unrounded`, each of the shape of the logits.

    Examples
    --------
    >>> import numpy as np
    >>> exact = evaluate(np.array([0.0, -800.0]), np.array([1.0, 1.0]))
    >>> exact.value.rounded()
    array([1.73286795e-01, 8.00000000e+02])

    The error of some implementation's float64 gradient, in units of the last place:

    >>> unit = exact.gradient_scale.unit_exponent(minimum_exponent=-1022, precision=53)
    >>> high, low = exact.gradient.in_units(unit)
    >>> abs((np.ldexp([-0.29828679513998635, -1.0], -unit) - high) - low) < 0.51
    array([ True,  True])
    """

    value: Unrounded
    gradient: Unrounded
    second_derivative: Unrounded
    gradient_scale: Unrounded
    second_derivative_scale: Unrounded


def evaluate(
    logits: FloatArray,
    targets: FloatArray,
    *,
    alpha: npt.ArrayLike | None = None,
    gamma: npt.ArrayLike = 2.0,
) -> Exact:
    """Evaluate the elementwise binary focal loss in double-double arithmetic.

    ``-alpha_t (1 - p_t)^gamma log(p_t)`` with ``p = 1 / (1 + exp(-logit))``. A soft target t takes
    the blended form: ``p_t = p t + (1 - p)(1 - t)``, with the cross entropy
    ``-t log(p) - (1 - t) log(1 - p)`` in the place of ``-log(p_t)``. The class weight is
    ``alpha_t = alpha t + (1 - alpha)(1 - t)``.

    Parameters
    ----------
    logits
        Any shape. Lower precisions are to be converted to float64 first, which is exact.
    targets
        Of the same shape, in [0, 1]; an element outside gives NaN.
    alpha
        In [0, 1], a number or an array that broadcasts to the logits; None weighs with 1.
    gamma
        Finite and not negative, a number or an array that broadcasts to the logits.

    Returns
    -------
    Exact
        With relative errors below 2^-90 (the gradient of soft targets and the second derivative:
        relative to their scale) for all finite logits and any gamma, as long as the result is
        itself in float64's range. Further down the error grows, to 2^-60 at 2^-(2^40); below that,
        results are 0. Infinite logits give the limits, NaN gives NaN, and a weight
        ``alpha_t`` of 0 gives 0 even where the loss is infinite.

    Raises
    ------
    ValueError
        The shapes differ, `alpha` or `gamma` do not broadcast or are out of range.
    """
    logits = np.asarray(logits, dtype=np.float64)
    targets = np.asarray(targets, dtype=np.float64)
    shape = logits.shape
    if targets.shape != shape:
        raise ValueError(f"logits and targets differ in shape: {shape} and {targets.shape}")
    flat_gamma = _parameter("gamma", gamma, shape, largest=np.finfo(np.float64).max)
    flat_alpha = None if alpha is None else _parameter("alpha", alpha, shape, largest=1.0)
    flat_logits, flat_targets = logits.reshape(-1), targets.reshape(-1)
    blocks = []
    # Underflow is harmless here: what it touches is far below the last bit of a pair.
    with np.errstate(under="ignore"):
        for start in range(0, max(logits.size, 1), _BLOCK):
            part = slice(start, start + _BLOCK)
            blocks.append(
                _evaluate_block(
                    flat_logits[part],
                    flat_targets[part],
                    None if flat_alpha is None else _part(flat_alpha, part),
                    _part(flat_gamma, part),
                )
            )
    return Exact(*(_joined([getattr(b, f.name) for b in blocks], shape) for f in fields(Exact)))


def _parameter(name: str, numbers: npt.ArrayLike, shape: tuple[int, ...], *, largest: float) -> FloatArray:
    """Check a hyper-parameter and return it flat, with one element or one for each logit."""
    array = np.asarray(numbers, dtype=np.float64)
    outside = ~((array >= 0.0) & (array <= largest))
    if outside.any():
        raise ValueError(f"{name} must be in [0, {largest:g}], got {array[outside].flat[0]!r}")
    try:
        expanded = np.broadcast_to(array, shape)
    except ValueError:
        message = f"{name} of shape {array.shape} does not broadcast to the logits' shape {shape}"
        raise ValueError(message) from None
    return (array if array.size == 1 else expanded).reshape(-1)


def _part(parameter: FloatArray, part: slice) -> FloatArray:
    return parameter if parameter.size == 1 else parameter[part]


def _joined(parts: list[Unrounded], shape: tuple[int, ...]) -> Unrounded:
    return Unrounded(
        np.concatenate([part.high for part in parts]).reshape(shape),
        np.concatenate([part.low for part in parts]).reshape(shape),
        np.concatenate([part.exponent for part in parts]).reshape(shape),
    )


def _evaluate_block(logits: FloatArray, targets: FloatArray, alpha: FloatArray | None, gamma: FloatArray) -> Exact:
    """Evaluate flat arrays: the closed form on finite stand-ins, then the special values."""
    invalid = np.isnan(logits) | ~((targets >= 0.0) & (targets <= 1.0))
    infinite = np.isinf(logits)
    # The largest float64 stands in for infinity: whatever tends to 0 comes out below the smallest
    # exponent there, and whatever tends to a finite limit is at it to more than 106 bits.
    finite_logits = np.nan_to_num(np.where(invalid, 0.0, logits))
    finite_targets = np.where(invalid, 0.5, targets)
    target = Unrounded.from_float64(finite_targets)
    complement = Unrounded.from_pair(two_sum(np.ones_like(finite_targets), -finite_targets))
    weight = _class_weight(alpha, target, complement)
    exact = _closed_form(finite_logits, target, complement, weight, Unrounded.from_float64(gamma))
    no_weight = np.broadcast_to(weight.high == 0.0, logits.shape)
    # At infinity, the value is infinite if the logit speaks against any share of the target.
    opposed = np.where(logits >= 0.0, targets != 1.0, targets != 0.0)
    nothing = np.zeros(logits.shape, dtype=np.bool_)
    unbounded = infinite & opposed & ~no_weight
    return Exact(
        value=_with_special_values(exact.value, unbounded, no_weight, invalid),
        gradient=_with_special_values(exact.gradient, nothing, no_weight, invalid),
        second_derivative=_with_special_values(exact.second_derivative, nothing, no_weight | infinite, invalid),
        gradient_scale=_with_special_values(exact.gradient_scale, nothing, no_weight, invalid),
        second_derivative_scale=_with_special_values(
            exact.second_derivative_scale, nothing, no_weight | infinite, invalid
        ),
    )


def _class_weight(alpha: FloatArray | None, target: Unrounded, complement: Unrounded) -> Unrounded:
    """Return ``alpha t + (1 - alpha)(1 - t)``; 1 - alpha as a pair is exact."""
    if alpha is None:
        return ONE
    alpha_complement = Unrounded.from_pair(two_sum(np.ones_like(alpha), -alpha))
    return Unrounded.from_float64(alpha) * target + alpha_complement * complement


def _with_special_values(
    quantity: Unrounded, infinite: BooleanArray, zero: BooleanArray, invalid: BooleanArray
) -> Unrounded:
    """Put zeros, infinities and NaN into a result, the later of these over the earlier."""
    # A result too small to represent keeps its sign, as any underflow does.
    vanishing = quantity.exponent < _SMALLEST_EXPONENT
    high = np.where(vanishing, np.copysign(0.0, quantity.high), quantity.high)
    high = np.where(infinite, np.inf, high)
    high = np.where(zero, 0.0, high)
    high = np.where(invalid, np.nan, high)
    ordinary = np.isfinite(high) & (high != 0.0)
    low = np.where(ordinary, quantity.low, 0.0)
    exponent: IntegerArray = np.where(ordinary, quantity.exponent, 0)
    return Unrounded(high, low, exponent)


def _with_rest(number: Unrounded, chosen: BooleanArray, direction: Unrounded) -> Unrounded:
    """Let the chosen numbers be off their ``high`` by next to nothing, in a given direction."""
    rest = np.copysign(2.0**-200, direction.high)
    return Unrounded(number.high, np.where(chosen, rest, number.low), number.exponent)


def _closed_form(
    logits: FloatArray,
    target: Unrounded,
    complement: Unrounded,
    weight: Unrounded,
    gamma: Unrounded,
) -> Exact:
    """Evaluate value, derivatives and scales for finite logits and valid targets."""
    # Derivation. Let e = exp(-|x|) and d = 1 + e; the logit favours one class, of probability 1/d,
    # and disfavours the other, of probability e/d. Let A be the target's share of the favoured
    # class and B = 1 - A that of the other one (A = t, B = 1 - t for x >= 0, else the reverse).
    # Then, as -log(1/d) = log1p(e) and -log(e/d) = log1p(e) + |x|,
    #     p_t = (A + B e) / d,   u = 1 - p_t = (A e + B) / d,   ce = log1p(e) + B |x|,
    #     value = alpha_t u^gamma ce:
    # sums of positive terms only. u^gamma = exp(-gamma l) with
    #     l = -log u = log1p(p_t / u) = log1p((A + B e) / (A e + B)),
    # which is accurate also where u is next to 1; for hard targets (A or B = 0) it is
    # l = log1p(e) + A |x|.
    #
    # Derivatives are by |x|, with the sign of x put in at the end. From de/d|x| = -e:
    #     dce/d|x| = B - e/d = (B - A e) / d,          du/d|x| = k e/d^2 with k = B - A,
    # so that with r = (e/d^2) / u = e / (d (A e + B)), which is 1/d where B = 0,
    #     gradient = alpha_t u^gamma [gamma r k ce + (B - A e)/d].
    # Once more, with dr/d|x| = -r ((1 - e)/d + r k) and d/d|x| of (B - A e)/d = e/d^2:
    #     second = alpha_t u^gamma {gamma r k ce [(gamma - 1) r k - (1 - e)/d]
    #                               + 2 gamma r k (B - A e)/d + e/d^2}.
    # In the square bracket, -r k - (1 - e)/d is mostly cancellation. Over one denominator it is
    #     -[e (B - A) + (1 - e)(A e + B)] / (d (A e + B)) = -(B - A e^2) / (d (A e + B)) = -v,
    # so the bracket is gamma r k - v. With A = 1, B = 0 it is q - gamma p and with A = 0, B = 1
    # it is gamma p - q: the whole is w p [gamma c (gamma p - q) + (2 gamma + 1) q] for hard ones.
    against = logits < 0.0
    favoured = where(against, complement, target)
    disfavoured = where(against, target, complement)
    magnitude = Unrounded.from_float64(np.abs(logits))
    decay = exponential(-magnitude)
    denominator = ONE + decay
    favoured_decay = favoured * decay
    favoured_decay_2 = favoured_decay * decay
    numerator = favoured_decay + disfavoured
    log1p_decay = log1p(decay)
    cross_entropy = log1p_decay + disfavoured * magnitude

    negative_log_u = log1p_decay + favoured * magnitude
    soft = (favoured.high != 0.0) & (disfavoured.high != 0.0)
    if soft.any():
        odds = (favoured + disfavoured * decay) / numerator
        negative_log_u = where(soft, log1p(odds), negative_log_u)
    exponent = gamma * negative_log_u
    modulation = exponential(-exponent)

    common_reciprocal = ONE / (denominator * numerator)
    reciprocal = numerator * common_reciprocal
    ratio = decay * common_reciprocal
    u = numerator * reciprocal
    slope = (disfavoured - favoured_decay) * reciprocal
    favoured_times_disfavoured = decay * reciprocal * reciprocal
    modulation_slope = gamma * ratio * (disfavoured - favoured)
    modulation_size = abs(modulation_slope)
    curvature = (disfavoured - favoured_decay_2) * common_reciprocal
    curvature_size = (disfavoured + favoured_decay_2) * common_reciprocal

    value = modulation * cross_entropy
    gradient = modulation * (modulation_slope * cross_entropy + slope)
    # For hard targets that a large logit speaks against (A = 0), value = |x| + e (1 - gamma |x|)
    # and gradient = 1 + e (gamma |x| - gamma - 1), up to terms in e^2. The sum above has lost the
    # sign of these rests once e is below what it takes for negligible; `directed_product` needs it.
    saturated = (favoured.high == 0.0) & (decay.exponent < -800) & (exponent.exponent < -300)
    if saturated.any():
        growth = gamma * magnitude
        value = _with_rest(value, saturated, ONE - growth)
        gradient = _with_rest(gradient, saturated, growth - gamma - ONE)
    weighted_modulation = weight * modulation
    gradient_scale = weighted_modulation * (modulation_size * cross_entropy + u)
    second_derivative = weighted_modulation * (
        modulation_slope * (cross_entropy * (modulation_slope - curvature) + TWO * slope) + favoured_times_disfavoured
    )
    second_derivative_scale = weighted_modulation * (
        modulation_size * (cross_entropy * (modulation_size + curvature_size) + TWO * u) + favoured_times_disfavoured
    )
    return Exact(
        directed_product(weight, value),
        directed_product(weight, where(against, -gradient, gradient)),
        second_derivative,
        gradient_scale,
        second_derivative_scale,
    )
