"""What is under test: one interface for this project's backends and for everybody else's functions."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from focal_ref.conformance.profiles import Profile

Array = NDArray[Any]

ROWS = "softmax_loss"
"""The one function whose result belongs to a row of logits."""


class UsageError(Exception):
    """A target that cannot be tested as asked: unknown, not installed, or no such device. One line of reason."""


class NotNative(Exception):
    """A result of another library, dtype, shape or device than the requested one."""


class TargetFault(Exception):
    """No answer to a question: the target hangs, crashed or wrote what is none. It never counts as a refusal.

    Attributes
    ----------
    kind
        "start" (it cannot be started), "hang", "crash", "garbage", "answer" (well-formed, but none to the question) or
        "protocol" (another version).
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True)
class Call:
    """The canonical call, in NumPy arrays, with the fields of `focal_ref.loss` and two more.

    Attributes
    ----------
    function
        Which loss of the family, by its name in `focal_ref`.
    parameters
        Its further arguments by name, such as beta, clip or axis. alpha and gamma stand in their own fields, which
        functions without them do not see.
    """

    logits: Array
    targets: Array
    alpha: float | Array | None = 0.25
    gamma: float | Array = 2.0
    encoding: str = "binary"
    weights: Array | None = None
    reduction: str = "none"
    normalizer: float | None = None
    precision: str = "exact"
    function: str = "loss"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def shape_of(self, quantity: str) -> tuple[int, ...]:
        """Shape of a quantity of the call without reduction."""
        shape = self.logits.shape
        if self.function != ROWS or quantity not in ("value", "hessian"):
            return shape
        axis = self.parameters.get("axis", -1) % len(shape)
        without = (*shape[:axis], *shape[axis + 1 :])
        return without if quantity == "value" else (*without, shape[axis], shape[axis])


class Target(ABC):
    """An implementation under test. Results come back as NumPy arrays after a check that they are native ones.

    Attributes
    ----------
    compiles
        Whether every new shape costs a compilation, so that calls had better share shapes.
    """

    compiles = False

    def __init__(self, name: str, profile: Profile) -> None:
        self.name = name
        self.profile = profile

    def begin(self) -> None:
        """Told before each requirement."""

    def close(self) -> str:
        """Told after the last one; a sentence about what does not end, or ""."""
        return ""

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
        """The second derivative of each result with respect to each logit that it depends on."""

    @abstractmethod
    def hessian(self, call: Call) -> Array:
        """Of rows along the last axis: all second derivatives of each result."""

    @abstractmethod
    def parameter_gradient(self, name: str, call: Call) -> Array:
        """The derivative with respect to a hyper-parameter or the soft "targets".

        Without reduction that of each result, in the logits' shape; with one that of the result, in the parameter's
        shape.
        """

    @abstractmethod
    def derivative_functions(self, call: Call) -> Mapping[str, Array]:
        """What the functions that return derivatives say, by quantity, where there are such functions."""

    @abstractmethod
    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        """Results by name of a function of the detection side, by its name in `focal_ref.detection`."""

    @abstractmethod
    def detection_gradient(
        self, function: str, arrays: Mapping[str, Array], options: Mapping[str, Any], argument: str, result: str
    ) -> Array:
        """Derivative of the sum of one result with respect to one array."""

    @abstractmethod
    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        """Value and gradient under a transform: "vmap" (over the first axis), "compile" or "autocast"."""

    def memory(self, first: Call, second: Call) -> Mapping[str, tuple[Array, Array]]:
        """What `focal_ref.conformance.targets.memory.observed` says of two calls of one shape.

        Nothing where results come from another process and are copies.
        """
        return {}

    def divided(self, call: Call, axis: int) -> tuple[Array, Array]:
        """Value and gradient of a call whose logits are divided over devices or processes along an axis."""
        raise NotImplementedError(f"{self.name} has no arrays that are divided over devices")

    @abstractmethod
    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        """The forward-mode derivative along a tangent."""
