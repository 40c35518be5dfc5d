"""What is under test: one interface for this project's backends and for everybody else's functions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from focal_ref.conformance.profiles import Profile

Array = NDArray[Any]


class UsageError(Exception):
    """A target that cannot be tested as asked: unknown, not installed, or no such device. One line of reason."""


class NotNative(Exception):
    """A result of another library, dtype, shape or device than the requested one."""


@dataclass(frozen=True)
class Call:
    """The canonical call, in NumPy arrays. Fields as in `focal_ref.loss`."""

    logits: Array
    targets: Array
    alpha: float | Array | None = 0.25
    gamma: float | Array = 2.0
    encoding: str = "binary"
    weights: Array | None = None
    reduction: str = "none"
    normalizer: float | None = None
    precision: str = "exact"


class Target(ABC):
    """An implementation under test. Results come back as NumPy arrays after a check that they are native ones."""

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.profile = profile

    @abstractmethod
    def describe(self) -> Mapping[str, str]:
        """Name, versions and device, proved by running the target once."""

    @abstractmethod
    def value(self, call: Call) -> Array:
        """What the function returns."""

    @abstractmethod
    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        """The value, and the derivative of ``sum(upstream * value)`` with respect to the logits."""

    @abstractmethod
    def second_derivative(self, call: Call) -> Array:
        """The second derivative of each element with respect to its logit."""

    @abstractmethod
    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        """Value and gradient under a transform: "vmap" (over the first axis), "compile" or "autocast"."""

    @abstractmethod
    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        """The forward-mode derivative along a tangent."""
