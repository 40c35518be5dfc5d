"""The checked hyper-parameters of one call, as adapters and kernels receive them."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

Encoding = Literal["binary", "signed"]
Precision = Literal["exact", "fast"]
Reduction = Literal["none", "sum", "mean"]

ENCODINGS: tuple[str, ...] = get_args(Encoding)
PRECISIONS: tuple[str, ...] = get_args(Precision)
REDUCTIONS: tuple[str, ...] = get_args(Reduction)

BACKGROUND = -1
"""Label of an element that belongs to no class: a negative of each of them."""

IGNORE = -2
"""Label of an element that counts nowhere: loss and gradient 0, and not part of a mean."""

NUMBERS = ("alpha", "gamma", "beta", "gamma_positive", "gamma_negative")
"""Hyper-parameters that a loss may have and be differentiated in."""

ROWS = "softmax"
"""The one form whose loss belongs to a row of logits; every other is a loss of each logit."""


class Range(NamedTuple):
    """Which numbers a hyper-parameter may be.

    Attributes
    ----------
    lowest, highest
        Both allowed, unless infinite or `above` is set.
    above
        Whether `lowest` itself is excluded.
    allowed
        The same in words, for error texts.
    """

    lowest: float
    highest: float
    above: bool
    allowed: str

    def contains(self, number: float) -> bool:
        """Whether a number is finite and in range."""
        # Comparisons alone, which torch.compile can trace.
        finite = -math.inf < number < math.inf
        return finite and self.lowest <= number <= self.highest and not (self.above and number == 0.0)


_NOT_NEGATIVE = Range(0.0, math.inf, False, "finite and >= 0")
_RANGES = {
    ("focal", "alpha"): Range(
        0.0, 1.0, False, "in [0, 1] (positives weigh alpha, negatives 1 - alpha); pass None for no weighting"
    ),
    ("star", "gamma"): Range(0.0, math.inf, True, "finite and > 0: FL* divides by it; for cross entropy, see loss"),
    ("star", "beta"): Range(-math.inf, math.inf, False, "finite"),
    ("asymmetric", "clip"): Range(0.0, 1.0 - 2.0**-53, False, "in [0, 1)"),
}
_ALPHA_OF_CLASSES = ("focal", "probability", "star")
"""The forms whose alpha weighs positives, and by its complement negatives."""


def range_of(form: str, name: str) -> Range:
    """The range of a hyper-parameter of a loss."""
    if name == "alpha" and form in _ALPHA_OF_CLASSES:
        form = "focal"
    return _RANGES.get((form, name), _NOT_NEGATIVE)


@dataclass(frozen=True)
class Parameters:
    """Hyper-parameters after `focal_ref._arguments` has checked them.

    Attributes
    ----------
    alpha
        Weight of positives (negatives get ``1 - alpha``), for softmax of each class: a float, an array that broadcasts
        to the logits, or None.
    gamma, beta, gamma_positive, gamma_negative
        As the loss defines them: a float, an array that broadcasts to the logits, or None where it has none.
    weights
        Further factors of each result: an array that broadcasts to the results, or None.
    encoding
        "binary" (0, 1 and anything between), "signed" (-1, +1), or "labels": integers that name a class, with one
        dimension less than the logits, whose last one runs over the classes.
    precision
        "exact" or "fast".
    form
        Which loss: a key of `focal_ref._evaluate.FORMS`, "focal" or "softmax".
    clip
        Shift of the asymmetric loss.
    threads
        How many threads kernels may use; None for what `focal_ref.get_num_threads` says.
    """

    alpha: Any = 0.25
    gamma: Any = 2.0
    weights: Any = None
    encoding: Literal["binary", "signed", "labels"] = "binary"
    precision: Precision = "exact"
    form: str = "focal"
    beta: Any = None
    gamma_positive: Any = None
    gamma_negative: Any = None
    clip: float = 0.0
    threads: int | None = None
