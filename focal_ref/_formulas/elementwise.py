"""What the losses beside the paper's own have in common: one element, float64, closed forms of all derivatives."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from focal_ref._formulas.primitives import Number, Primitives

Numbers = Mapping[str, Number]
"""Hyper-parameters by name: float64 arrays that broadcast to the logits."""


class Quantity(Protocol):
    """A closed form of one quantity of an element."""

    def __call__(self, primitives: Primitives, logit: Number, target: Number, numbers: Numbers) -> Number:
        """The quantity for finite numbers in their ranges and targets in [0, 1]; infinite logits give the limit."""


class ValueAndGradient(Protocol):
    """A closed form of the loss and of its derivative with respect to the logit."""

    def __call__(
        self, primitives: Primitives, logit: Number, target: Number, numbers: Numbers, *, narrowed: bool
    ) -> tuple[Number, Number]:
        """As `Quantity`; `narrowed` asks for values off the ties of narrower formats, for one more rounding."""


class ElementwiseForm(NamedTuple):
    """One loss of one logit and one target, without weights.

    Attributes
    ----------
    numbers
        Names of its hyper-parameters.
    value_and_gradient
        The loss, and its derivative with respect to the logit.
    second_derivative
        With respect to the logit, twice.
    partials
        First derivatives with respect to hyper-parameters by name, and to the target as "targets".
    """

    numbers: tuple[str, ...]
    value_and_gradient: ValueAndGradient
    second_derivative: Quantity
    partials: Mapping[str, Callable[..., Number]]
