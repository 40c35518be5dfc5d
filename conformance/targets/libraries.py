"""How the suite drives each library of arrays: conversion, derivatives, transforms."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from focal_ref.adapters import Adapter, adapter_named
from focal_ref.conformance.targets import Array, NotNative

Native = Any
Function = Callable[..., Native]


class Library(ABC):
    """One library of arrays on one device, in one variant (eager or compiled)."""

    def __init__(self, name: str, device: str | None, variant: str) -> None:
        self.adapter: Adapter = adapter_named(name)
        self.name = name
        self.device = device or self.default_device
        self.variant = variant
        self.adapter.check_device(self.device)

    default_device = "cpu"
    variants: tuple[str, ...] = ("",)

    def native(self, array: Any) -> Native:
        """A NumPy array as an array of the library on the device, dtype unchanged."""
        return self.adapter.asarray(np.asarray(array), device=self.device)

    def to_numpy(self, result: Native, what: str) -> Array:
        """A result as a NumPy array, after a check that it is a native array on the device."""
        if not self.adapter.owns(type(result)):
            kind = f"{type(result).__module__}.{type(result).__qualname__}"
            raise NotNative(f"{what} is a {kind}, not a {self.name} array")
        device = self.adapter.device_name(result)
        if not device.startswith(self.device):
            raise NotNative(f"{what} lies on device {device!r}, the inputs on {self.device!r}")
        return np.array(self.adapter.to_numpy(result))

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        """What has to be switched on for logits of this dtype."""
        return nullcontext()

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        """The function's result, compiled if the variant says so."""
        return function(logits, targets, **keywords)

    def as_inputs(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Alpha and gamma as float64 arrays: inputs of one compilation, where each number would need one of its own.

        Numbers out of range stay numbers, which are refused; arrays in a trace cannot be.
        """
        limits = {"alpha": 1.0, "gamma": float(np.finfo(np.float64).max)}
        return {
            name: self.native(np.float64(value))
            if isinstance(value, float) and 0.0 <= value <= limits.get(name, -1.0)
            else value
            for name, value in keywords.items()
        }

    @abstractmethod
    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        """Result and derivative of ``sum(upstream * result)`` by the library's automatic differentiation."""


class TorchLibrary(Library):
    """PyTorch, eager or under torch.compile."""

    variants = ("", "compile")

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = self.called(function, leaf, targets, keywords)
        seed = torch.ones_like(result) if upstream is None else self.native(upstream).to(result.dtype)
        (gradient,) = torch.autograd.grad(result, leaf, seed)
        return result.detach(), gradient

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        if self.variant != "compile":
            return function(logits, targets, **keywords)
        return self._compiled(function)(logits, targets, **self.as_inputs(keywords))

    def second_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> Native:
        """Diagonal of the Hessian, by walking the graph twice."""
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = function(leaf, targets, **keywords)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result), create_graph=True)
        (second,) = torch.autograd.grad(gradient, leaf, torch.ones_like(gradient))
        return second

    def forward_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], tangent: Native
    ) -> Native:
        """Derivative along a tangent."""
        import torch

        return torch.func.jvp(lambda x: function(x, targets, **keywords), (logits,), (tangent,))[1]

    def mapped(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Values and gradients of the rows, under vmap."""
        import torch

        def row(x: Native, t: Native) -> Native:
            return function(x, t, **keywords)

        value = torch.func.vmap(row)(logits, targets)
        gradient = torch.func.vmap(torch.func.grad(lambda x, t: row(x, t).sum()))(logits, targets)
        return value, gradient

    def compiled(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under torch.compile, without graph breaks; numbers are constants of the graph."""
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = self._compiled(function)(leaf, targets, **keywords)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result))
        return result.detach(), gradient

    def autocast(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under autocast to bfloat16."""
        import torch

        with torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16):
            return self.value_and_gradient(function, logits, targets, keywords, None)

    @staticmethod
    def _compiled(function: Function) -> Function:
        import torch

        if function not in _COMPILED:
            # Formats and options are constants of a graph, so every combination is a recompilation; past the limit
            # torch would fall back to eager mode in silence.
            torch._dynamo.config.recompile_limit = 4096
            torch._dynamo.config.accumulated_recompile_limit = 4096
            torch._dynamo.config.fail_on_recompile_limit_hit = True
            _COMPILED[function] = torch.compile(function, fullgraph=True, dynamic=True)
        return _COMPILED[function]


_COMPILED: dict[Function, Function] = {}


class JaxLibrary(Library):
    """JAX, eager or under jit."""

    variants = ("", "jit")

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        import jax

        return jax.enable_x64(True) if dtype == "float64" else nullcontext()

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        if self.variant != "jit":
            return function(logits, targets, **keywords)
        constants, arrays = _constants(self.as_inputs(keywords))
        return _jitted(function, "value", constants)(logits, targets, arrays, None)

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        seed = None if upstream is None else self.native(upstream)
        if self.variant == "jit":
            constants, arrays = _constants(self.as_inputs(keywords))
            return _jitted(function, "gradient", constants)(logits, targets, arrays, seed)  # type: ignore[no-any-return]
        return _jax_gradient(function, (), logits, targets, keywords, seed)

    def second_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> Native:
        """Diagonal of the Hessian: the gradient of the sum of the gradient."""
        import jax

        def gradient_sum(x: Native) -> Native:
            return jax.grad(lambda y: function(y, targets, **keywords).sum())(x).sum()

        return jax.grad(gradient_sum)(logits)

    def forward_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], tangent: Native
    ) -> Native:
        """Derivative along a tangent."""
        import jax

        return jax.jvp(lambda x: function(x, targets, **keywords), (logits,), (tangent,))[1]

    def mapped(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Values and gradients of the rows, under vmap."""
        import jax

        def row(x: Native, t: Native) -> Native:
            return function(x, t, **keywords)

        return (
            jax.vmap(row)(logits, targets),
            jax.vmap(jax.grad(lambda x, t: row(x, t).sum()))(logits, targets),
        )

    def compiled(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under jit."""
        constants, arrays = _constants(keywords)
        return _jitted(function, "gradient", constants)(logits, targets, arrays, None)  # type: ignore[no-any-return]


class PlainLibrary(Library):
    """Libraries without automatic differentiation: the function gives the gradient itself."""

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        raise NotImplementedError(f"{self.name} has no automatic differentiation")


class CupyLibrary(PlainLibrary):
    """CuPy, whose arrays are never on the CPU."""

    default_device = "cuda"


LIBRARIES: dict[str, type[Library]] = {
    "numpy": PlainLibrary,
    "torch": TorchLibrary,
    "jax": JaxLibrary,
    "cupy": CupyLibrary,
    "array_api_strict": PlainLibrary,
}


def _constants(keywords: dict[str, Any]) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """Separate what a jitted function closes over from the arrays that it takes."""
    arrays = {name: value for name, value in keywords.items() if hasattr(value, "shape")}
    constants = tuple(sorted((name, value) for name, value in keywords.items() if name not in arrays))
    return constants, arrays


_JITTED: dict[Any, Function] = {}


def _jitted(function: Function, quantity: str, constants: tuple[tuple[str, Any], ...]) -> Function:
    import jax

    key = (function, quantity, constants)
    if key not in _JITTED:
        inner = _jax_gradient if quantity == "gradient" else _jax_value
        _JITTED[key] = jax.jit(partial(inner, function, constants))
    return _JITTED[key]


def _jax_value(
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> Native:
    return function(logits, targets, **dict(constants), **arrays)


def _jax_gradient(
    function: Function,
    constants: tuple[tuple[str, Any], ...],
    logits: Native,
    targets: Native,
    arrays: dict[str, Any],
    seed: Native | None,
) -> tuple[Native, Native]:
    import jax
    import jax.numpy as jnp

    value, pullback = jax.vjp(lambda x: function(x, targets, **dict(constants), **arrays), logits)
    cotangent = jnp.ones_like(value) if seed is None else seed.astype(value.dtype)
    return value, pullback(cotangent)[0]
