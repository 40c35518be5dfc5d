"""What an adapter is: everything that the public functions and the suite need to know of one library of arrays."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from focal_ref._parameters import IGNORE, ROWS, Parameters

Array = Any
Step = Callable[[Any, tuple[Array, ...]], tuple[Any, tuple[Array, ...]]]


class Unavailable(RuntimeError):
    """A library or a device that cannot be used here; the text says why, in one line."""


class Adapter(ABC):
    """One library of arrays.

    Attributes
    ----------
    name
        What users call it, as in ``--backend=NAME``.
    modules
        Root modules of its array types.
    writable
        Whether its arrays can be written to, so that ``out=`` is possible.
    shares_memory
        Whether its arrays on the host are NumPy arrays without a copy, and so can be given to compiled loops.
    """

    name: ClassVar[str]
    modules: ClassVar[tuple[str, ...]] = ()
    writable: ClassVar[bool] = True
    shares_memory: ClassVar[bool] = False

    def owns(self, array_type: type) -> bool:
        """Whether values of this type are arrays of the library."""
        return any(base.__module__.partition(".")[0] in self.modules for base in array_type.__mro__)

    def namespace(self, array: Array) -> Any:
        """The Array API namespace of the array."""
        return array.__array_namespace__()

    @abstractmethod
    def dtype_name(self, array: Array) -> str:
        """Name of the dtype as NumPy spells it, such as "float32" or "bfloat16"."""

    @abstractmethod
    def is_host(self, array: Array) -> bool:
        """Whether the values can be read here and now, without a device or a trace in between."""

    @abstractmethod
    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        """A NumPy array in the library, on the device of `like` or on a named one."""

    @abstractmethod
    def to_numpy(self, array: Array) -> Any:
        """The values as a NumPy array; without a copy where the library allows."""

    @abstractmethod
    def as_floating(self, array: Array) -> Array:
        """The array itself if its dtype is float32 or float64, else as float64, where the library has it."""

    @abstractmethod
    def device_name(self, array: Array) -> str:
        """Where the array lies, such as "cpu" or "cuda:0"."""

    @abstractmethod
    def version(self) -> str:
        """Version of the library."""

    def check_device(self, device: str) -> None:
        """Raise `Unavailable` unless arrays can be placed on the device here."""
        if device != "cpu":
            raise Unavailable(f"{self.name}: no device {device!r}; it has only 'cpu'")

    def check_supported(self, logits: Array, parameters: Parameters) -> None:
        """Raise for what this library cannot compute at the precision asked for."""

    def check_constant(self, name: str, array: Array) -> None:
        """Raise for an argument that has no derivative if the library would ask for one."""

    def check_same_device(self, name: str, array: Array, logits: Array) -> None:
        """Raise for an argument that lies elsewhere than the logits."""

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        """Raise for outputs that cannot be written, that share memory, or that lie elsewhere than the logits."""

    @staticmethod
    def refuse_overlap(inputs: list[Any], out: tuple[Any, ...], shares_memory: Callable[[Any, Any], bool]) -> None:
        """Raise if an output shares memory with the other or with an input; `inputs` begins with the logits."""
        if (len(out) > 1 and shares_memory(out[0], out[1])) or any(shares_memory(array, inputs[0]) for array in out):
            raise ValueError("out: got arrays that share memory with each other or with the logits")
        if any(shares_memory(array, other) for array in out for other in inputs[1:]):
            raise ValueError("out: got arrays that share memory with targets, alpha, gamma or weights")

    def shards(self, array: Array) -> Any:
        """How an array is spread over processes that each see their part alone; None where it is not."""
        return None

    def constant(self, array: Array) -> Array:
        """The array as one that nothing is differentiated in."""
        return array

    def scan(self, step: Step, carry: Any, items: tuple[Array, ...]) -> tuple[Any, tuple[Array, ...]]:
        """Fold `step` over the first axis of all items: the last carry, and the results of the steps stacked.

        ``step(carry, items)`` returns the next carry and a tuple of arrays; both keep their shapes.
        """
        results = []
        for index in range(items[0].shape[0]):
            carry, result = step(carry, tuple(item[index, ...] for item in items))
            results.append(result)
        stack = self.namespace(items[0]).stack
        return carry, tuple(stack(list(column)) for column in zip(*results, strict=True))

    def top(self, values: Array, count: int) -> Array:
        """Indices of the `count` largest values along the last axis, in that order; of equal ones the first first."""
        return self.namespace(values).argsort(-values, axis=-1, stable=True)[..., :count]

    @abstractmethod
    def moved(self, array: Array, source: int, destination: int) -> Array:
        """The array with one axis at another place, differentiable where the library differentiates."""

    def count(self, logits: Array, targets: Array, parameters: Parameters) -> Any:
        """How many results a mean divides by, at least 1: all that no label says to ignore."""
        shape = logits.shape[:-1] if parameters.form == ROWS else logits.shape
        size = 1
        # Lengths may be symbols of a compiler, so that nothing converts them.
        for length in shape:
            size *= length
        # An unsigned label cannot say to ignore, and comparing it with -2 would wrap around.
        if parameters.encoding != "labels" or self.dtype_name(targets).startswith("uint"):
            return max(size, 1)
        results_a_label = 1 if parameters.form == ROWS else logits.shape[-1]
        return self.counted(targets != IGNORE, results_a_label)

    @abstractmethod
    def counted(self, condition: Array, times: int) -> Any:
        """How often a condition holds, times a number, but at least 1: a number or an array of shape ()."""

    @abstractmethod
    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        """Loss of each element, differentiable where the library differentiates."""

    @abstractmethod
    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        """Sum of the unrounded losses, divided by the normalizer unless that is None; differentiable likewise."""

    @abstractmethod
    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        """Each result and its derivative with respect to the logits."""

    @abstractmethod
    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        """`total`, and its derivative with respect to the logits, which goes into `out` if that is given."""

    @abstractmethod
    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        """Second derivative of each result with respect to each logit that it depends on."""

    @abstractmethod
    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        """Derivative of each result with respect to what is broadcast into it; `name` as in `evaluate_partial`."""
