"""Targets in this process: a Python function, called as its profile says."""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from focal_ref.adapters import Unavailable, adapter_named, adapter_names
from focal_ref.conformance.conventions.calls import ordinary_call
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import Profile, load_profile, shipped_profiles
from focal_ref.conformance.targets import ROWS, Array, Call, NotNative, Target, UsageError, devices
from focal_ref.conformance.targets.detection import CAPABILITIES, Detection, own_detection
from focal_ref.conformance.targets.functions import Functions, keywords_of, own_functions
from focal_ref.conformance.targets.libraries import LIBRARIES
from focal_ref.conformance.targets.library import Library
from focal_ref.conformance.targets.mapping import Mapped, canonical_keywords, is_canonical, own_targets
from focal_ref.conformance.targets.memory import observed

OWN_PACKAGE = "focal-ref"
"""The distribution whose profiles describe backends."""


class PythonTarget(Target):
    """A function of one library, on one device.

    Parameters
    ----------
    name
        What reports call it.
    function
        The loss.
    profile
        How to call it and what it claims.
    library
        How its library is driven.
    direct
        A function that returns value and gradient without automatic differentiation, where there is one.
    functions
        The losses beside it, and the functions that return their derivatives.
    detection
        From names to functions of the detection side; this project's by default.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        profile: Profile,
        library: Library,
        direct: Callable[..., Any] | None = None,
        functions: Functions | None = None,
        detection: Callable[[str], Detection] = own_detection,
    ) -> None:
        super().__init__(name, profile)
        # As the profile maps it; what takes the canonical call already stays the same object.
        plain = profile.kind != "loss" or bool(profile.signature.binding) or is_canonical(profile)
        self.function = function if plain else Mapped(function, profile, library)
        self.main = profile.function
        self.functions = functions or Functions()
        # Where there is automatic differentiation, derivatives go through it.
        self._differentiates = "autodiff" in profile.capabilities
        self.library = library
        self.compiles = library.compiles
        # The transforms of a library, which only those with automatic differentiation have.
        self._transforms: Any = library
        self.direct = direct
        # The same function object at each call, by which compiled ones are found again.
        self._detection = cache(detection)

    def describe(self) -> Mapping[str, str]:
        format = FORMATS[next(iter(self.profile.tiers))]
        probe = ordinary_call(self.profile, np.zeros((1, 2), format.dtype), np.ones((1, 2), format.dtype))
        with self._scope(format.name):
            logits, targets, keywords = self._native(probe)
            try:
                result = self.library.called(self.function, logits, targets, keywords)
            except Exception as error:  # it may raise anything, and what it does not understand is told here
                first_line = (str(error).strip().splitlines() or [""])[0][:300]
                text = f"{type(error).__name__}: {first_line}; see [signature] of its profile"
                raise UsageError(f"{self.name}: a first call fails with {text}") from error
            self.library.to_numpy(result, "the result")
            device = self.library.adapter.device_name(result)
        return {
            "target": self.name,
            "version": _version(self.profile.package),
            "library": f"{self.library.name} {self.library.adapter.version()}",
            "device": device,
        }

    def value(self, call: Call) -> Array:
        with self._scope(call.logits.dtype.name):
            logits, targets, keywords = self._native(call)
            result = self.library.called(self._loss(call), logits, targets, keywords)
            return self._checked(result, "the result", call)

    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        with self._scope(call.logits.dtype.name):
            logits, targets, keywords = self._native(call)
            by_itself = upstream is None and call.reduction == "none"
            if call.function == self.main and self.direct is not None and by_itself:
                value, gradient = self.direct(logits, targets, **self._unreduced(keywords))
            elif call.function != self.main and not self._differentiates and by_itself:
                value, gradient = self._derivative("value_and_gradient", call)
            else:
                function = self._loss(call)
                value, gradient = self.library.value_and_gradient(function, logits, targets, keywords, upstream)
            return self._checked(value, "the result", call), self._checked(gradient, "the gradient", call)

    def second_derivative(self, call: Call) -> Array:
        if self._differentiates and call.function == ROWS and not self.compiles:
            return np.array(np.diagonal(self.hessian(call), axis1=-2, axis2=-1))
        with self._scope(call.logits.dtype.name):
            if self._differentiates and call.function != ROWS:
                second = self._transforms.second_derivative(self._loss(call), *self._native(call))
            else:
                second = self._derivative("second_derivative", call)
            return self._checked(second, "the second derivative", call)

    def hessian(self, call: Call) -> Array:
        with self._scope(call.logits.dtype.name):
            matrix = self._transforms.hessian(self._loss(call), *self._native(call))
            return self._checked(matrix, "the Hessian", call)

    def parameter_gradient(self, name: str, call: Call) -> Array:
        with self._scope(call.logits.dtype.name):
            by_row = call.function == ROWS and call.reduction == "none" and name != "targets"
            # What rows share has derivatives of single rows only under vmap, which is compiled anew for every call.
            if not self._differentiates or (by_row and self.compiles):
                gradient = self._derivative("parameter_gradients", call)[name]
                return self._checked(gradient, f"the derivative in {name}", call)
            logits, targets, keywords = self._native(call)
            leaf = targets if name == "targets" else self.library.native(self._parameter(name, call))
            method = self._transforms.row_parameter_gradient if by_row else self._transforms.parameter_gradient
            gradient = method(self._loss(call), name, logits, targets, keywords, leaf)
            return self._checked(gradient, f"the derivative in {name}", call)

    def derivative_functions(self, call: Call) -> Mapping[str, Array]:
        with self._scope(call.logits.dtype.name):
            value, gradient = self._derivative("value_and_gradient", call)
            second = self._derivative("second_derivative", call)
            partials = self._derivative("parameter_gradients", call)
            results = {"value": value, "gradient": gradient, "second_derivative": second, **partials}
            return {name: self._checked(result, f"the {name}", call) for name, result in results.items()}

    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        with self._scope(call.logits.dtype.name):
            native = self.library.native(tangent)
            result = self._transforms.forward_derivative(self._loss(call), *self._native(call), native)
            return self._checked(result, "the derivative", call)

    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        with self._scope(_box_dtype(arrays)):
            native = {name: None if array is None else self.library.native(array) for name, array in arrays.items()}
            results = self.library.evaluated(self._detection(function), native, dict(options))
            return {name: self.library.to_numpy(result, f"the {name}") for name, result in results.items()}

    def detection_gradient(
        self, function: str, arrays: Mapping[str, Array], options: Mapping[str, Any], argument: str, result: str
    ) -> Array:
        with self._scope(_box_dtype(arrays)):
            native = {name: self.library.native(array) for name, array in arrays.items()}

            def chosen(leaf: Any, _: Any) -> Any:
                return self._detection(function)({**native, argument: leaf}, **options)[result]

            gradient = self._transforms.eager_gradient(chosen, native[argument])
            return self.library.to_numpy(gradient, "the gradient")

    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        with self._scope(call.logits.dtype.name):
            library = self._transforms
            method = {"vmap": "mapped", "compile": "compiled", "autocast": "autocast"}[transform]
            value, gradient = getattr(library, method)(self._loss(call), *self._native(call))
            return self.library.to_numpy(value, "the result"), self.library.to_numpy(gradient, "the gradient")

    def divided(self, call: Call, axis: int) -> tuple[Array, Array]:
        if self.library.name not in devices.PARTS:
            return super().divided(call, axis)
        function = devices.path_of(self._loss(call))
        targets, keywords = self._own_terms(call)
        return devices.divided(devices.Question(self.library.name, function, call.logits, targets, keywords, axis))

    def memory(self, first: Call, second: Call) -> Mapping[str, tuple[Array, Array]]:
        keywords = self._native(first)[2]

        def arguments(call: Call) -> tuple[Any, Any]:
            return self._native(replace(call, logits=np.array(call.logits), targets=np.array(call.targets)))[:2]

        with self._scope(first.logits.dtype.name):
            return observed(
                lambda logits, targets: self.library.called(self._loss(first), logits, targets, keywords),
                lambda: arguments(first),
                lambda: arguments(second),
                lambda array: self.library.to_numpy(array, "the result"),
                self.library.overwrite,
            )

    @contextmanager
    def _scope(self, dtype: str) -> Iterator[None]:
        # What an implementation, or the library below it, warns about is its own affair: results are judged.
        with warnings.catch_warnings(), self.library.scope(dtype):
            warnings.simplefilter("ignore")
            yield

    def _loss(self, call: Call) -> Callable[..., Any]:
        return self.function if call.function == self.main else self.functions.loss(call.function)

    def _derivative(self, name: str, call: Call) -> Any:
        """What a function that returns derivatives returns."""
        logits, targets, keywords = self._native(call)
        function = self.functions.derivative(name)
        return function(logits, targets, function=self.functions.loss(call.function), **self._unreduced(keywords))

    @staticmethod
    def _unreduced(keywords: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in keywords.items() if name not in ("reduction", "normalizer")}

    @staticmethod
    def _parameter(name: str, call: Call) -> Array:
        """A hyper-parameter as an array to differentiate by: one number a result, or what the call has of it."""
        number = getattr(call, name) if name in ("alpha", "gamma") else call.parameters[name]
        array = np.asarray(number, dtype=np.float64).astype(call.logits.dtype)
        if call.reduction != "none":
            return array
        return np.array(np.broadcast_to(array, call.logits.shape[-1:] if call.function == ROWS else call.logits.shape))

    def _native(self, call: Call) -> tuple[Any, Any, dict[str, Any]]:
        """The call in the function's own terms."""
        targets, keywords = self._own_terms(call)
        keywords = {
            name: self.library.native(value) if isinstance(value, np.ndarray) else value
            for name, value in keywords.items()
        }
        return self.library.native(call.logits), self.library.native(targets), keywords

    def _own_terms(self, call: Call) -> tuple[Array, dict[str, Any]]:
        """Targets and keyword arguments as the function names them, still NumPy's."""
        if call.function == self.main:
            return own_targets(call, self.profile), canonical_keywords(call, self.profile)
        return call.targets, keywords_of(call)

    def _checked(self, result: Any, what: str, call: Call) -> Array:
        return self.library.to_numpy(result, what)


def backend_target(name: str, device: str | None) -> PythonTarget:
    """The project's own implementation on one library: ``NAME`` or ``NAME:VARIANT``.

    Raises
    ------
    UsageError
        For an unknown name or variant, a library that is not installed, and a device that is not there.
    """
    import focal_ref

    base, _, variant = name.partition(":")
    if base not in LIBRARIES or base not in adapter_names():
        raise UsageError(f"unknown backend {name!r}; known are {', '.join(backend_names())}")
    library = _library(base, device, variant, name)
    profile = load_profile(base)
    if variant == "compile":
        # The detection side and the processes of a group run eagerly in PyTorch; nothing is claimed of them compiled.
        profile = replace(profile, capabilities=profile.capabilities - CAPABILITIES - {"devices"})
    if library.device != "cpu":
        # The processes and devices among which the suite divides arrays are of the CPU.
        profile = replace(profile, capabilities=profile.capabilities - {"devices"})
    direct = None if "autodiff" in profile.capabilities else focal_ref.value_and_grad
    return PythonTarget(name, focal_ref.loss, profile, library, direct, own_functions())


def backend_names() -> tuple[str, ...]:
    """Every ``--backend`` that is known, installed or not."""
    return tuple(
        f"{name}:{variant}" if variant else name for name, kind in LIBRARIES.items() for variant in kind.variants
    )


def function_target(path: str | None, profile_name: str | None, device: str | None) -> PythonTarget:
    """Any Python function: ``package.module:function`` with the profile that describes it.

    Raises
    ------
    UsageError
        If the function cannot be imported, or no profile is named.
    """
    if profile_name is None:
        raise UsageError(f"--target needs --profile=FILE or one of {', '.join(shipped_profiles())}")
    profile = load_profile(profile_name)
    if path is None and profile_name in shipped_profiles() and profile.package == OWN_PACKAGE:
        raise UsageError(
            f"profile {profile_name!r} describes this project's own code; run that with --backend={profile_name}"
            if profile_name in LIBRARIES
            else f"profile {profile_name!r} describes the suite's own implementations, which every run runs"
        )
    return profile_target(profile, path, device)


def profile_target(profile: Profile, path: str | None = None, device: str | None = None) -> PythonTarget:
    """The function that a profile describes, or another one that is called in the same way.

    Raises
    ------
    UsageError
        If the function cannot be imported, or is no Python function.
    """
    if profile.library == "process":
        raise UsageError(f"profile {profile.name!r} is of a program; give it as --target-cmd")
    signature = profile.signature
    path = path or signature.function or signature.binding
    _set_environment(profile)
    function = _imported(path)
    library = _library(profile.library, device, "", path)
    if profile.kind == "objective":
        from focal_ref.conformance.targets.objective import ObjectiveTarget

        bound = function()
        if not hasattr(bound, "derivatives"):
            raise UsageError(f"profile {profile.name!r}: its kind is 'objective', but {path} has no method derivatives")
        return ObjectiveTarget(profile.name, bound.derivatives, profile, library)
    if profile.kind != "loss":
        from focal_ref.conformance.targets.matcher import BoxTarget

        second = {"matcher": signature.iou, "coder": signature.decode, "iou": ""}[profile.kind]
        names = {"matcher": ("match_anchors", "box_iou"), "coder": ("encode_boxes", "decode_boxes")}
        pair = names.get(profile.kind, ("box_iou",))
        functions = dict(zip(pair, (function, _imported(second) if second else None), strict=False))
        return BoxTarget(profile.name, functions, profile, library)
    direct: Callable[..., Any] | None = None
    if signature.binding:
        bound = function()
        function, direct = bound.loss, getattr(bound, "value_and_gradient", None)
    elif profile.conventions["gradient"] == "function" and (signature.gradient or signature.pair):
        slope = _imported(signature.gradient) if signature.gradient else function
        direct = _value_and_gradient(function, slope, profile, library)
    if profile.conventions["gradient"] == "function" and direct is None:
        where = (
            f"method value_and_gradient of {path}" if signature.binding else "signature.gradient, and no signature.pair"
        )
        raise UsageError(f"profile {profile.name!r}: conventions.gradient is 'function', but there is no {where}")
    return PythonTarget(profile.name, function, profile, library, direct)


def _value_and_gradient(
    function: Callable[..., Any], gradient: Callable[..., Any], profile: Profile, library: Library
) -> Callable[..., Any]:
    value, slope = Mapped(function, profile, library), Mapped(gradient, profile, library, gradient=True)

    def both(logits: Any, targets: Any, **keywords: Any) -> tuple[Any, Any]:
        return value(logits, targets, **keywords), slope(logits, targets, **keywords)

    return both


def _set_environment(profile: Profile) -> None:
    """Set what has to be set before the package is imported.

    Raises
    ------
    UsageError
        If the package is imported already and something else is set.
    """
    package = (profile.signature.function or profile.signature.binding).partition(":")[0].partition(".")[0]
    for name, value in profile.environment.items():
        found = os.environ.get(name)
        if package in sys.modules and found != value:
            raise UsageError(
                f"profile {profile.name!r}: {name} has to be {value!r} before {package} is imported, "
                f"and it is {found!r}: run it in a process of its own"
            )
        os.environ[name] = value


def _imported(path: str) -> Callable[..., Any]:
    module_name, _, attribute = path.partition(":")
    if not attribute or not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(f"--target: got {path!r}; it is package.module:function")
    try:
        with warnings.catch_warnings():
            # What a package warns about while it is imported is its own affair.
            warnings.simplefilter("ignore")
            function: Any = import_module(module_name)
    except Exception as error:  # a module may do anything while it is imported
        kind = "" if isinstance(error, ImportError) else f"{type(error).__name__}: "
        raise UsageError(f"--target: cannot import {module_name!r}: {kind}{error}") from error
    for part in attribute.split("."):
        if not hasattr(function, part):
            raise UsageError(f"--target: {module_name!r} has no {attribute!r}")
        function = getattr(function, part)
    return function  # type: ignore[no-any-return]


def _library(name: str, device: str | None, variant: str, asked: str) -> Library:
    kind = LIBRARIES[name]
    if variant not in kind.variants:
        raise UsageError(f"unknown backend {asked!r}; known are {', '.join(backend_names())}")
    try:
        adapter_named(name)
        return kind(name, device, variant)
    except Unavailable as error:
        raise UsageError(f"backend {asked!r} cannot run here: {error}") from error


def _box_dtype(arrays: Mapping[str, Array | None]) -> str:
    """Name of the dtype of the first floating array, by which float64 is switched on where it has to be."""
    floating = [array.dtype.name for array in arrays.values() if array is not None and array.dtype.kind == "f"]
    return floating[0] if floating else "float32"


def _version(package: str) -> str:
    if package == OWN_PACKAGE:
        from focal_ref import __version__

        return f"focal-ref {__version__}"
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package


__all__ = ["NotNative", "PythonTarget", "backend_names", "backend_target", "function_target", "profile_target"]
