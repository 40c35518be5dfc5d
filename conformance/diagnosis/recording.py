"""What a target was asked and what it answered, so that the same can be asked of others."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from focal_ref.conformance.targets import Array, Call, Target

MAXIMUM_ELEMENTS = 1 << 17
"""Of larger calls nothing is kept: they would be asked of every suspect."""

MAXIMUM_ANSWERS = 400
"""Kept of one requirement, the first ones."""


@dataclass(frozen=True)
class Answer:
    """One question and what came of it.

    Attributes
    ----------
    method
        Name of a method of `Target`.
    arguments
        Of the method, as they were before the call.
    results
        Arrays by name; None after an exception.
    error
        Name of the exception's class, or "".
    made_by
        The call as it was given, by which findings name it.
    """

    method: str
    arguments: tuple[Any, ...]
    results: Mapping[str, Array] | None
    error: str = ""
    made_by: Call | None = None


def call_of(arguments: tuple[Any, ...]) -> Call | None:
    """The call among the arguments of a method; none of functions of the detection side."""
    return next((argument for argument in arguments if isinstance(argument, Call)), None)


def asked(target: Target, method: str, arguments: tuple[Any, ...]) -> Answer:
    """What a target answers. Arguments that it writes into are its own copies, and the change is a result."""
    own = copied(arguments)
    try:
        result = getattr(target, method)(*own)
    except Exception as error:  # anything may be raised, and is an answer
        return Answer(method, arguments, None, type(error).__name__)
    return Answer(method, arguments, {**as_returned(target, method, named(result)), **written(arguments, own)})


def named(result: Any) -> Mapping[str, Array]:
    """The results of any method of a target, by name."""
    if isinstance(result, Mapping):
        return {name: np.asarray(part) for name, part in result.items()}
    if isinstance(result, tuple):
        return {name: np.asarray(part) for name, part in zip(("value", "gradient"), result, strict=True)}
    return {"value": np.asarray(result)}


def as_returned(target: Target, method: str, results: Mapping[str, Array]) -> Mapping[str, Array]:
    """Results in the shape that the function gave them, where the target laid them out as the logits are."""
    own = getattr(getattr(target, "function", None), "own_shape", None)
    if method != "value" or own is None or int(np.prod(own)) != results["value"].size:
        return results
    return {**results, "value": results["value"].reshape(own)}


def written(before: tuple[Any, ...], after: tuple[Any, ...]) -> Mapping[str, Array]:
    """The arrays of a call into which it wrote, as further results."""
    changed = {}
    for old, new in zip(before, after, strict=True):
        if isinstance(old, Call):
            for name in ("logits", "targets"):
                mine, other = getattr(old, name), getattr(new, name)
                # Bits, because NaN is to be NaN again.
                if mine.tobytes() != other.tobytes():
                    changed[f"{name} after the call"] = np.asarray(other).copy()
    return changed


def copied(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Arguments of a method that share no memory with these; strides stay."""
    return tuple(_copied(argument) for argument in arguments)


def _copied(argument: Any) -> Any:
    if isinstance(argument, Call):
        return replace(argument, logits=_array(argument.logits), targets=_array(argument.targets))
    if isinstance(argument, np.ndarray):
        return _array(argument)
    if isinstance(argument, Mapping):
        return {name: _copied(part) for name, part in argument.items()}
    return argument


def _array(array: Array) -> Array:
    """A copy with the same memory order, broadcast axes and signs of the strides included."""
    if array.size == 0 or array.flags.c_contiguous:
        return array.copy()
    if 0 in array.strides:
        index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in array.strides)
        return np.broadcast_to(array[index].copy(), array.shape)
    flips = tuple(slice(None, None, -1 if stride < 0 else 1) for stride in array.strides)
    wide = np.empty((*array.shape, 2), array.dtype)[..., 0] if array.ndim else array
    wide[...] = array[flips]
    return wide[flips]


class Recording(Target):
    """A target that remembers its answers.

    Parameters
    ----------
    target
        What answers.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(target.name, target.profile)
        self._target = target
        self.compiles = target.compiles
        self.answers: list[Answer] = []

    def __getattr__(self, name: str) -> Any:
        if name == "_target":
            raise AttributeError(name)
        return getattr(self._target, name)

    def _asked(self, method: str, *arguments: Any) -> Any:
        keeps = len(self.answers) < MAXIMUM_ANSWERS and _size(arguments) <= MAXIMUM_ELEMENTS
        before = copied(arguments) if keeps else ()
        try:
            result = getattr(self._target, method)(*arguments)
        except Exception as error:
            if keeps:
                self.answers.append(Answer(method, before, None, type(error).__name__, call_of(arguments)))
            raise
        if keeps:
            results = {key: part.copy() for key, part in named(result).items()}
            results = {**as_returned(self._target, method, results)}
            results |= written(before, arguments)
            self.answers.append(Answer(method, before, results, made_by=call_of(arguments)))
        return result

    def begin(self) -> None:
        self._target.begin()

    def close(self) -> str:
        return self._target.close()

    def describe(self) -> Mapping[str, str]:
        return self._target.describe()

    def value(self, call: Call) -> Array:
        return self._asked("value", call)  # type: ignore[no-any-return]

    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        return self._asked("value_and_gradient", call, *(() if upstream is None else (upstream,)))  # type: ignore[no-any-return]

    def second_derivative(self, call: Call) -> Array:
        return self._asked("second_derivative", call)  # type: ignore[no-any-return]

    def hessian(self, call: Call) -> Array:
        return self._asked("hessian", call)  # type: ignore[no-any-return]

    def parameter_gradient(self, name: str, call: Call) -> Array:
        return self._asked("parameter_gradient", name, call)  # type: ignore[no-any-return]

    def derivative_functions(self, call: Call) -> Mapping[str, Array]:
        return self._asked("derivative_functions", call)  # type: ignore[no-any-return]

    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        return self._asked("detection", function, arrays, options)  # type: ignore[no-any-return]

    def detection_gradient(
        self, function: str, arrays: Mapping[str, Array], options: Mapping[str, Any], argument: str, result: str
    ) -> Array:
        return self._asked("detection_gradient", function, arrays, options, argument, result)  # type: ignore[no-any-return]

    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        return self._asked("transformed", transform, call)  # type: ignore[no-any-return]

    def divided(self, call: Call, axis: int) -> tuple[Array, Array]:
        return self._asked("divided", call, axis)  # type: ignore[no-any-return]

    def memory(self, first: Call, second: Call) -> Mapping[str, tuple[Array, Array]]:
        return self._target.memory(first, second)

    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        return self._asked("forward_derivative", call, tangent)  # type: ignore[no-any-return]


def _size(arguments: tuple[Any, ...]) -> int:
    """Elements of all arrays among the arguments of a method."""
    total = 0
    for argument in arguments:
        if isinstance(argument, Call):
            total += argument.logits.size
        elif isinstance(argument, np.ndarray):
            total += argument.size
        elif isinstance(argument, Mapping):
            total += sum(part.size for part in argument.values() if isinstance(part, np.ndarray))
    return total


__all__ = ["Answer", "Recording", "asked", "call_of", "named"]
