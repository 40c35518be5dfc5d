"""The checked hyper-parameters of one call, as adapters and kernels receive them."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

Encoding = Literal["binary", "signed"]
Precision = Literal["exact", "fast"]
Reduction = Literal["none", "sum", "mean"]

ENCODINGS: tuple[str, ...] = get_args(Encoding)
PRECISIONS: tuple[str, ...] = get_args(Precision)
REDUCTIONS: tuple[str, ...] = get_args(Reduction)


@dataclass(frozen=True)
class Parameters:
    """Hyper-parameters after `focal_ref._arguments` has checked them.

    Attributes
    ----------
    alpha
        Weight of positives (negatives get ``1 - alpha``): a float, an array that broadcasts to the logits, or None.
    gamma
        Exponent of the modulating factor: a float, or an array that broadcasts to the logits.
    weights
        Further factors of each element: an array that broadcasts to the logits, or None.
    encoding
        "binary" (0, 1 and anything between) or "signed" (-1, +1).
    precision
        "exact" or "fast".
    """

    alpha: Any = 0.25
    gamma: Any = 2.0
    weights: Any = None
    encoding: Encoding = "binary"
    precision: Precision = "exact"
