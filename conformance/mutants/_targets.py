"""Targets made of the right functions with some of them replaced."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from types import SimpleNamespace
from typing import Any

import numpy as np

import focal_ref
import focal_ref.detection
from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.targets import ROWS, Array, Call, NotNative, Target
from focal_ref.conformance.targets.detection import Detection, detection_of
from focal_ref.conformance.targets.functions import CAPABILITY_OF, Functions, keywords_of, own_functions
from focal_ref.conformance.targets.libraries import LIBRARIES, PlainLibrary
from focal_ref.conformance.targets.library import Library
from focal_ref.conformance.targets.memory import observed
from focal_ref.conformance.targets.python import PythonTarget

Parts = Mapping[str, Callable[..., Any]]
"""Functions by name that take the place of the right ones."""

LOSSES = ("loss", *CAPABILITY_OF)
DERIVATIVES = ("second_derivative", "parameter_gradients")
DETECTION = tuple(name for name in focal_ref.detection.__all__ if name.islower())
REPLACEABLE = (*LOSSES, "reduce", *DERIVATIVES, *DETECTION, "value_and_grad")
"""What a mutant can replace. Of NumPy arrays a loss returns value and gradient, element by element."""


class NumpyTarget(Target):
    """Functions of NumPy arrays in the terms of the canonical call.

    Parameters
    ----------
    name, profile
        As in `Target`.
    parts
        What is not right.
    checks
        Whether arguments are checked as the right functions do before the replaced ones are called.
    noted
        Receives the names of the functions that are called.
    """

    def __init__(
        self, name: str, profile: Profile, parts: Parts, *, checks: bool = True, noted: set[str] | None = None
    ) -> None:
        super().__init__(name, profile)
        self.parts = {**right_parts("numpy"), **parts}
        self._replaced = frozenset(parts)
        self.checks_arguments = checks
        self._noted = set() if noted is None else noted
        self.detection_functions = _detection(parts, self._noted)

    def describe(self) -> Mapping[str, str]:
        device = {"library": f"numpy {np.__version__}", "device": "cpu"}
        return {"target": self.name, "version": focal_ref.__version__, **device}

    def value(self, call: Call) -> Array:
        return _native(self._reduced(call)[0], "the result")

    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        value, gradient = self._reduced(call)
        value, gradient = _native(value, "the result"), _native(gradient, "the gradient")
        return value, gradient if upstream is None else gradient * upstream

    def _reduced(self, call: Call) -> tuple[Any, Any]:
        call = self._of_classes(call)
        options = keywords_of(call)
        reduction, normalizer = options.pop("reduction", "none"), options.pop("normalizer", None)
        value, gradient = self._called(call.function, call, options)
        if reduction == "none" and normalizer is None:
            return value, gradient
        named = {"function": call.function, "reduction": reduction, "normalizer": normalizer}
        self._noted.add("reduce")
        with np.errstate(all="ignore"):
            total, slope = self.parts["reduce"](value, gradient, call.targets, **named)
        if not self._replaced & {call.function, "reduce"}:
            # Of unrounded losses, which nothing else has.
            total = getattr(focal_ref, call.function)(call.logits, call.targets, **keywords_of(call))
        return total, slope

    def _of_classes(self, call: Call) -> Call:
        """With one number for all classes of a softmax as one a class, where that is declared."""
        if call.function != ROWS or self.profile.conventions["alpha"] != "uniform" or call.alpha is None:
            return call
        classes = call.logits.shape[call.parameters.get("axis", -1)]
        return replace(call, alpha=np.broadcast_to(np.asarray(call.alpha, np.float64), classes).copy())

    def _called(self, name: str, call: Call, options: Mapping[str, Any]) -> Any:
        self._noted.add(name)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            if self.checks_arguments and name in self._replaced and name in LOSSES:
                right.both(name, call.logits, call.targets, **options)
            return self.parts[name](call.logits, call.targets, **options)

    def memory(self, first: Call, second: Call) -> Mapping[str, tuple[Array, Array]]:
        options = self._unreduced(self._of_classes(first))
        function = options.pop("function")

        def called(logits: Array, targets: Array) -> Any:
            return self._called(function, replace(first, logits=logits, targets=targets), options)[0]

        def arguments(call: Call) -> tuple[Array, Array]:
            return np.array(call.logits), np.array(call.targets)

        return observed(called, lambda: arguments(first), lambda: arguments(second), np.array, _overwrite)

    def second_derivative(self, call: Call) -> Array:
        return _native(self._called("second_derivative", call, self._unreduced(call)), "the second derivative")

    def hessian(self, call: Call) -> Array:
        raise NotImplementedError("NumPy has no automatic differentiation")

    def parameter_gradient(self, name: str, call: Call) -> Array:
        partials = self._called("parameter_gradients", call, self._unreduced(call))
        return _native(partials[name], f"the derivative in {name}")

    def _unreduced(self, call: Call) -> dict[str, Any]:
        options = {key: value for key, value in keywords_of(call).items() if key not in ("reduction", "normalizer")}
        return {"function": call.function, **options}

    def derivative_functions(self, call: Call) -> Mapping[str, Array]:
        value, gradient = self.value_and_gradient(call)
        partials = self._called("parameter_gradients", call, self._unreduced(call))
        return {"value": value, "gradient": gradient, "second_derivative": self.second_derivative(call), **partials}

    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            results = detection_of(self.detection_functions, function)(arrays, **options)
        return {name: _native(result, f"the {name}") for name, result in results.items()}

    def detection_gradient(
        self, function: str, arrays: Mapping[str, Array], options: Mapping[str, Any], argument: str, result: str
    ) -> Array:
        raise NotImplementedError("NumPy has no automatic differentiation")

    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        raise NotImplementedError(f"NumPy has no {transform}")

    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        raise NotImplementedError("NumPy has no automatic differentiation")


class OtherDevice(PlainLibrary):
    """array_api_strict on one of the devices that it plays, whose arrays NumPy does not read."""

    def __init__(self, name: str, device: str) -> None:
        super().__init__(name, None, "")
        import array_api_strict

        self.place, self.home = array_api_strict.Device(device), array_api_strict.Device("CPU_DEVICE")
        self.device = str(self.place)

    def native(self, array: Any) -> Any:
        return super().native(array).to_device(self.place)

    def to_numpy(self, result: Any, what: str) -> Array:
        device = self.adapter.device_name(result)
        if device != self.device:
            raise NotNative(f"{what} lies on device {device!r}, the inputs on {self.device!r}")
        return np.array(self.adapter.to_numpy(result.to_device(self.home)))


def library_target(
    name: str, profile: Profile, parts: Parts, noted: set[str] | None = None, device: str = ""
) -> PythonTarget:
    """The functions of this project on a library with automatic differentiation, some of them replaced."""
    own = own_functions()
    all_parts = right_parts(profile.library) | dict(parts)
    if noted is not None:
        all_parts = {key: _noting(key, part, noted) for key, part in all_parts.items()}
    named = {key: all_parts[key] for key in LOSSES}
    # The functions that return derivatives know this project's losses alone.
    real = {function: own.named[key] for key, function in named.items()}

    def derivative(part: str) -> Callable[..., Any]:
        def called(logits: Any, targets: Any, *, function: Any, **options: Any) -> Any:
            return all_parts[part](logits, targets, function=real[function], **options)

        return called

    functions = Functions(
        named, derivative("value_and_grad"), derivative("second_derivative"), derivative("parameter_gradients")
    )
    detection_functions = _detection(parts, set() if noted is None else noted)

    def detection(function: str) -> Detection:
        return detection_of(detection_functions, function)

    library: Library = LIBRARIES[profile.library](profile.library, None, "")
    if device:
        library = OtherDevice(profile.library, device)
    return PythonTarget(name, named["loss"], profile, library, None, functions, detection)


def right_parts(library: str) -> dict[str, Callable[..., Any]]:
    """What can be replaced in a target of a library, by name, as it is where nothing is wrong."""
    own = own_functions()
    parts: dict[str, Any] = {name: getattr(focal_ref.detection, name) for name in DETECTION}
    if library == "numpy":
        parts |= {name: partial(right.both, name) for name in LOSSES}
        return parts | {name: getattr(right, name) for name in ("reduce", *DERIVATIVES)}
    derivatives = {"value_and_grad": own.value_and_gradient} | {name: getattr(own, name) for name in DERIVATIVES}
    return parts | dict(own.named) | derivatives


def target_of(
    name: str,
    profile: Profile,
    parts: Parts,
    *,
    checks: bool = True,
    noted: set[str] | None = None,
    device: str = "",
) -> Target:
    """The right functions on the library of the profile, some of them replaced."""
    if profile.library == "numpy":
        return NumpyTarget(name, profile, parts, checks=checks, noted=noted)
    return library_target(name, profile, parts, noted, device)


def _detection(parts: Parts, noted: set[str]) -> SimpleNamespace:
    """What has the functions of `focal_ref.detection`, some of them replaced."""
    every = {name: getattr(focal_ref.detection, name) for name in focal_ref.detection.__all__}
    every |= {name: part for name, part in parts.items() if name in every}
    return SimpleNamespace(
        **{name: _noting(name, part, noted) if name in DETECTION else part for name, part in every.items()}
    )


def _noting(name: str, part: Callable[..., Any], noted: set[str]) -> Callable[..., Any]:
    """A function that writes its name down when it is called."""

    @wraps(part)
    def called(*arrays: Any, **options: Any) -> Any:
        noted.add(name)
        return part(*arrays, **options)

    return called


def _overwrite(array: Array, numbers: Any) -> bool:
    if not isinstance(array, np.ndarray) or not array.flags.writeable:
        return False
    array[...] = numbers
    return True


def _native(result: Any, what: str) -> Array:
    """A result, after a check that it is a NumPy array."""
    if not isinstance(result, np.ndarray | np.generic):
        raise NotNative(f"{what} is a {type(result).__module__}.{type(result).__qualname__}, not a numpy array")
    return np.array(result)
