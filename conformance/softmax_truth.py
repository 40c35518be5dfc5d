"""The softmax loss of labelled rows in double-double arithmetic: truth for many classes.

With the other logits' exponentials relative to the label's, e_k = exp(z_k - z_c) and r = sum_{k != c} e_k,

    p = 1 / (1 + r),   q = r / (1 + r),   c = log(1 + r),   -log q = log(1 + 1 / r),   w = q^gamma,

the loss is w c, its derivative in z_c is -A with A = w (gamma p c + q), and in any other z_k it is A e_k / r. Every
operand is positive: nothing cancels, and relative errors stay below 2^-90.
"""

import numpy as np

from focal_ref._double_double import ONE, Unrounded, exponential, log1p, two_sum, where
from focal_ref.conformance.accuracy import Array, Exact, exact_of
from focal_ref.conformance.formats import Format

__all__ = ["MINIMUM_CLASSES", "softmax_results"]

MINIMUM_CLASSES = 2


def softmax_results(logits: Array, labels: Array, *, gamma: float, format: Format) -> dict[str, Exact]:
    """Value and gradient of each row.

    Parameters
    ----------
    logits
        Shape (..., C) with C >= 2, finite and below 1e9 in magnitude; in any format.
    labels
        Shape (...), classes.
    gamma
        Exponent of the modulating factor.
    format
        Of the results.
    """
    classes = logits.shape[-1]
    wide = logits.astype(np.float64).reshape(-1, classes)
    chosen = labels.reshape(-1, 1)
    of_label = np.take_along_axis(wide, chosen, axis=1)
    is_label = chosen == np.arange(classes)
    ratios = exponential(Unrounded.from_pair(two_sum(wide, -of_label)))
    ratios = where(is_label, Unrounded.from_float64(np.zeros(wide.shape)), ratios)
    total = _row_sum(ratios)
    exponent = Unrounded.from_float64(np.full(total.high.shape, gamma))
    cross_entropy, missed = log1p(total), log1p(ONE / total)
    modulation = exponential(-(exponent * missed))
    p, q = ONE / (ONE + total), total / (ONE + total)
    slope = modulation * (exponent * p * cross_entropy + q)
    gradient = where(is_label, -slope, slope * (ratios / total))
    value = modulation * cross_entropy
    return {
        "value": exact_of(_reshaped(value, logits.shape[:-1]), format),
        "gradient": exact_of(_reshaped(gradient, logits.shape), format),
    }


def _row_sum(terms: Unrounded) -> Unrounded:
    """Sum over the last axis, which is kept: halves are added until one column is left."""
    while terms.high.shape[-1] > 1:
        half = terms.high.shape[-1] // 2
        paired = _columns(terms, slice(0, half)) + _columns(terms, slice(half, 2 * half))
        rest = _columns(terms, slice(2 * half, None))
        terms = Unrounded(
            *(
                np.concatenate([getattr(paired, name), getattr(rest, name)], axis=-1)
                for name in ("high", "low", "exponent")
            )
        )
    return terms


def _columns(numbers: Unrounded, part: slice) -> Unrounded:
    return Unrounded(numbers.high[..., part], numbers.low[..., part], numbers.exponent[..., part])


def _reshaped(numbers: Unrounded, shape: tuple[int, ...]) -> Unrounded:
    return Unrounded(numbers.high.reshape(shape), numbers.low.reshape(shape), numbers.exponent.reshape(shape))
