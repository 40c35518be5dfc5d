"""How far a result may be off, and how far it is: the one place with budgets."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref import _exact
from focal_ref.conformance.formats import FORMATS, Format

Array = NDArray[Any]
Floats = NDArray[np.float64]


STANDARD = ("standard", "cancellation-limited", "clipped")
"""Tiers with the relative budget of "standard"; what the others may be off beside it is absolute."""


@dataclass(frozen=True)
class Exact:
    """What a quantity must be, element by element, with more digits than its format has.

    Attributes
    ----------
    numbers
        Correctly rounded, in the format.
    high, low, ulp_exponent
        The exact result over its ulp, as an unevaluated sum, and the exponent of that ulp. Infinities and NaN stand in
        `high`, with exponent 0.
    scale_ulp_exponent
        Exponent of the ulp in which errors are counted: of the result itself, or of the sum of the magnitudes of its
        terms where these cancel.
    """

    numbers: Array
    high: Floats
    low: Floats
    ulp_exponent: NDArray[np.int64]
    scale_ulp_exponent: NDArray[np.int64]

    def __getitem__(self, index: Any) -> "Exact":
        return Exact(
            self.numbers[index],
            self.high[index],
            self.low[index],
            self.ulp_exponent[index],
            self.scale_ulp_exponent[index],
        )


def budget(
    tier: str, format: Format, gamma: float | Array, *, weighted: bool, modulation: float | Array = 0.0
) -> Floats:
    """Largest permitted error in ulp.

    Parameters
    ----------
    tier
        Claimed accuracy, one of `focal_ref.conformance.profiles.TIERS`, or "fast".
    format
        Of the result.
    gamma
        Exponent of the modulating factor.
    weighted
        Whether a further factor (alpha, weights) is multiplied in.
    modulation
        ``-log((1 - p_t)^gamma)``, the size of the exponent where the factor is computed in log space.

    Notes
    -----
    "exact": one rounding of a result computed in float64 costs half an ulp and a little; float64 itself is within
    8 + 2 gamma ulp, one more for a weight. "fast": float32 arithmetic, 10 + 2 gamma ulp, or for 16-bit results one
    rounding of it. "standard": exp(gamma log(1 - p_t)) in the format's own arithmetic rounds an exponent of the size of
    `modulation`, which costs that many half ulp and the error of the logarithm as often; the measured need of
    optax 0.2.8 and kornia 0.9.0 in float32 is in docs/accuracy.md. "tight": the bounds of "fast", for others that
    compute in the format's own arithmetic without such an exponent. "cancellation-limited" and "clipped" are
    "standard", and what `absolute_budget` adds.
    """
    gamma = np.asarray(gamma, dtype=np.float64)
    more = 1.0 if weighted else 0.0
    # For huge gamma the loss is 0 or cross entropy; the bound must not overflow.
    growth = 2.0 * np.minimum(gamma, 1e9)
    if tier in STANDARD:
        return np.asarray(16.0 + 2.0 * growth + 2.0 * np.asarray(modulation) + more, dtype=np.float64)
    if format.name == "float64":
        return 8.0 + growth + more
    if tier in ("fast", "tight"):
        return 10.0 + growth + more if format.name == "float32" else np.full_like(gamma, 0.51)
    return np.full_like(gamma, 0.501)


def family_budget(
    function: str,
    tier: str,
    format: Format,
    exponent: float | Array,
    *,
    weighted: bool,
    margin: float | Array = 0.0,
) -> Floats:
    """Largest permitted error in ulp of the losses beside the focal loss, and of derivatives in parameters.

    Parameters
    ----------
    function
        Of the canonical call.
    tier, format, weighted
        As in `budget`.
    exponent
        Sum of the exponents of the loss.
    margin
        Magnitude of the logit; times the exponent it is the size of an exponent in log space.

    Notes
    -----
    One budget for value, derivatives with respect to logits, parameters and targets, in ulp of the sum of the terms'
    magnitudes where these cancel. Narrow formats: one rounding of float64, 0.501 ulp; a softmax adds up the errors of
    its classes, 1 ulp. Float64: 8 + 2 ulp for each unit of the exponents and one for a weight, as the focal loss; FL*
    with its margin in two parts 4 ulp; softmax 16 ulp. All of these relatives compute the same in "fast" precision.
    "standard": as in `budget`. "tight": in float32, 10 + 2 ulp for each unit of the exponents and one for a weight, the
    focal loss's bound; in 16 bits one rounding of that arithmetic.
    """
    exponent = np.minimum(np.asarray(exponent, dtype=np.float64), 1e9)
    more = 1.0 if weighted else 0.0
    if tier in STANDARD:
        with np.errstate(all="ignore"):
            size = np.clip(np.nan_to_num(exponent * np.logaddexp(0.0, margin), nan=0.0, posinf=1e4), 0.0, 1e4)
        return np.asarray(16.0 + 4.0 * exponent + 2.0 * size + more, dtype=np.float64)
    rows = function == "softmax_loss"
    if tier == "tight" and format.name == "float32":
        return 10.0 + 2.0 * exponent + more
    if format.name != "float64":
        return np.full_like(exponent, 1.0 if rows else 0.51 if tier == "tight" else 0.501)
    if rows:
        return np.full_like(exponent, 16.0)
    if function == "star_loss":
        return np.full_like(exponent, 4.0 + more)
    return 8.0 + 2.0 * exponent + more


def absolute_budget(
    format: Format,
    quantity: str,
    *,
    size: Floats,
    probability: Floats,
    exponent: float,
    epsilon: float | None,
    subtracted: Array | bool = True,
) -> Floats:
    """Largest permitted error of each result beside the relative budget, in tiers whose easy side cancels.

    Parameters
    ----------
    format
        In which is computed.
    quantity
        "value" or "gradient".
    size
        Magnitude of the logit, or of the largest one of a row.
    probability
        p_t.
    exponent
        The largest exponent of the loss.
    epsilon
        Where probabilities are clipped, in the tier "clipped"; None in "cancellation-limited".
    subtracted
        Whether p_t is 1 - p, of a negative or a soft target, and not p itself.

    Notes
    -----
    With u = 2^-precision: ``x - log(sigmoid(x))`` and its relatives subtract numbers of the logit's size, which costs
    u |x| a rounding; 1 - p_t costs u, and its power with exponent n at most n u, or, for n < 1, (1 + n) u together
    with the logarithm that it multiplies. Four such roundings make 4 u (1 + n)(1 + |x|). A clipped probability that is
    computed as 1 - p is off by u, its logarithm by u / p_t, and so is the logarithm of the rounded epsilon: together
    2 u / max(p_t, epsilon). Beside a logarithm of up to 2 epsilon the power of 1 - p_t is off by
    4 n u (1 - p_t)^(n - 1), or, where 1 - p_t is below 16 u, by all of (16 u)^n. Between epsilon / 2 and 2 epsilon
    rounding decides on which side of the clip a probability lies, and thereby whether the gradient is all of (1 + n)
    or 0. What was needed is in docs/accuracy.md.
    """
    unit = 2.0**-format.precision
    with np.errstate(all="ignore"):
        allowed = 4.0 * unit * (1.0 + exponent) * (1.0 + np.where(np.isfinite(size), size, 0.0))
        if epsilon is not None:
            allowed = allowed + np.where(subtracted, 2.0 * unit / np.maximum(probability, epsilon), 0.0)
            # The power of what 1 - p_t is, beside the logarithm that epsilon limits.
            rest, least = 1.0 - probability, 16.0 * unit
            small = 4.0 * exponent * unit * np.maximum(rest, least) ** (exponent - 1.0)
            lost = np.where(rest > least, small, least**exponent)
            allowed = allowed + 2.0 * epsilon * (1.0 + exponent) * (lost if exponent > 0 else 0.0)
            if quantity != "value":
                at_the_clip = (probability >= 0.5 * epsilon) & (probability <= 2.0 * epsilon)
                allowed = np.where(at_the_clip, 1.0 + exponent, allowed)
    return np.asarray(allowed, dtype=np.float64)


def modulation(logits: Array, targets: Array, gamma: float | Array) -> Floats:
    """``gamma softplus(s)`` of each element, for the budget; soft targets count as their harder side."""
    with np.errstate(all="ignore"):
        x, t = (np.asarray(array).astype(np.float64) for array in (logits, targets))
        margin = np.where(t >= 0.5, x, -x)
        size = np.asarray(gamma, dtype=np.float64) * np.logaddexp(0.0, margin)
    return np.asarray(np.clip(np.nan_to_num(size, nan=0.0, posinf=1e4), 0.0, 1e4), dtype=np.float64)


def error_in_ulps(got: Array, exact: Exact, *, flushed: float | Array, format: Format) -> Floats:
    """Error of each element; infinite where one is NaN or infinite and the other is not.

    Parameters
    ----------
    got
        Results in the format.
    exact
        What they must be.
    flushed
        Zero is accepted for results below this many times the smallest normal number; 0 where subnormals are kept.
    format
        Of the results.
    """
    with np.errstate(all="ignore"):
        wide = np.asarray(got).astype(np.float64)
        in_units = np.abs((np.ldexp(wide, -exact.ulp_exponent) - exact.high) - exact.low)
        error = np.ldexp(in_units, exact.ulp_exponent - exact.scale_ulp_exponent)
        special = ~np.isfinite(wide) | ~np.isfinite(exact.high)
        same = (np.isnan(wide) & np.isnan(exact.high)) | (wide == exact.high)
        # A finite result that rounds to infinity is a correct rounding when the exact one overflows the format.
        overflow = np.isinf(wide) & (wide == exact.numbers.astype(np.float64))
        error = np.where(special, np.where(same | overflow, 0.0, np.inf), error)
        smallest = np.asarray(flushed) * 2.0**format.minimum_exponent
        tiny = (np.abs(exact.numbers.astype(np.float64)) < smallest) & (wide == 0)
        error = np.where(tiny, 0.0, error)
    return np.asarray(error, dtype=np.float64)


def exact_results(
    logits: Array,
    targets: Array,
    *,
    alpha: Any,
    gamma: Any,
    format: Format,
    rule: str = "blended",
    meaning: str = "pos/1-pos",
) -> dict[str, Exact]:
    """Value, gradient and second derivative of each element from the double-double reference.

    Parameters
    ----------
    logits, targets
        In any format; the numbers that they are.
    alpha, gamma
        As in `focal_ref.loss`.
    format
        Of the results.
    rule
        Convention for soft targets; "mixture" adds the two hard losses by the target.
    meaning
        Of alpha; see `focal_ref.conformance.conventions.axes`.
    """
    wide = _reference(logits, targets, alpha, gamma, rule, meaning)
    scales = {"gradient": wide.gradient_scale, "second_derivative": wide.second_derivative_scale}
    results = {}
    for name in ("value", "gradient", "second_derivative"):
        quantity = getattr(wide, name)
        exponent = quantity.unit_exponent(format.minimum_exponent, format.precision)
        high, low = quantity.in_units(exponent)
        finite = np.isfinite(quantity.high)
        exponent = np.where(finite, exponent, 0)
        high = np.where(finite, high, quantity.high)
        low = np.where(finite, low, 0.0)
        scale = scales.get(name, quantity).unit_exponent(format.minimum_exponent, format.precision)
        hard = (np.asarray(targets) == 0) | (np.asarray(targets) == 1)
        scale = np.where((hard & (name != "second_derivative")) | ~finite, exponent, scale)
        results[name] = Exact(round_units(high, low, exponent, format), high, low, exponent, scale)
    return results


def exact_of(quantity: _exact.Unrounded, format: Format) -> Exact:
    """What a finite quantity in which nothing cancels must be in a format."""
    exponent = quantity.unit_exponent(format.minimum_exponent, format.precision)
    high, low = quantity.in_units(exponent)
    return Exact(round_units(high, low, exponent, format), high, low, exponent, exponent)


def _reference(logits: Array, targets: Array, alpha: Any, gamma: Any, rule: str, meaning: str) -> _exact.Exact:
    """The double-double results by the declared rule for soft targets and meaning of alpha."""
    with np.errstate(invalid="ignore"):
        x, t = (np.asarray(array).astype(np.float64) for array in (logits, targets))
    if alpha is None or meaning == "pos/1-pos":
        if rule == "blended":
            return _exact.evaluate(x, t, alpha=alpha, gamma=gamma)
        positive = _exact.evaluate(x, np.ones_like(t), alpha=alpha, gamma=gamma)
        negative = _exact.evaluate(x, np.zeros_like(t), alpha=alpha, gamma=gamma)
        return _mixed(positive, negative, _exact.Unrounded.from_float64(t))
    share = _exact.Unrounded.from_float64(t)
    rest = _exact.Unrounded.from_float64(np.ones_like(t)) - share
    number = _exact.Unrounded.from_float64(np.broadcast_to(np.asarray(alpha, dtype=np.float64), t.shape).copy())
    one = _exact.Unrounded.from_float64(np.ones_like(t))
    of_positives, of_negatives = {
        "pos-only": (number, one),
        "neg-only": (one, number),
        "uniform": (number, number),
        "none": (one, one),
    }[meaning]
    if rule == "blended":
        return _weighted(_exact.evaluate(x, t, alpha=None, gamma=gamma), share * of_positives + rest * of_negatives)
    positive = _weighted(_exact.evaluate(x, np.ones_like(t), alpha=None, gamma=gamma), of_positives)
    negative = _weighted(_exact.evaluate(x, np.zeros_like(t), alpha=None, gamma=gamma), of_negatives)
    return _mixed(positive, negative, share)


_RESULTS = ("value", "gradient", "second_derivative", "gradient_scale", "second_derivative_scale")


def _mixed(positive: _exact.Exact, negative: _exact.Exact, share: _exact.Unrounded) -> _exact.Exact:
    """Two results mixed by the share of the first."""
    rest = _exact.Unrounded.from_float64(np.ones_like(share.high)) - share
    return _exact.Exact(**{name: share * getattr(positive, name) + rest * getattr(negative, name) for name in _RESULTS})


def _weighted(results: _exact.Exact, weight: _exact.Unrounded) -> _exact.Exact:
    """Results times a weight."""
    return _exact.Exact(**{name: weight * getattr(results, name) for name in _RESULTS})


def round_units(high: Floats, low: Floats, exponent: NDArray[np.int64], format: Format) -> Array:
    """``(high + low) 2^exponent`` in the format, rounded once, ties to even; the exponent is that of an ulp."""
    with np.errstate(all="ignore"):
        nearest = np.rint(high)
        # rint sends ties of `high` to even; where the low part tells on which side the number lies, follow it.
        on_tie = np.abs(high - np.trunc(high)) == 0.5
        away = np.trunc(high) + np.sign(high)
        nearest = np.where(on_tie & (low * high > 0), away, nearest)
        nearest = np.where(on_tie & (low * high < 0), np.trunc(high), nearest)
        wide = np.where(np.isfinite(high), np.ldexp(nearest, exponent), high)
        # Exact for every finite result: `nearest` has at most `precision` bits. Beyond the largest number, infinity.
        largest = (2.0 - 2.0 ** (1 - format.precision)) * 2.0**format.maximum_exponent
        wide = np.where(np.isfinite(wide) & (np.abs(wide) > largest), np.copysign(np.inf, wide), wide)
        return np.asarray(wide.astype(format.dtype))


def format_of(array: Array) -> Format:
    """The format of an array's dtype."""
    return FORMATS[array.dtype.name]
