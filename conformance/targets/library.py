"""How the suite drives a library of arrays: conversion, derivatives, transforms."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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
    compiles = False
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

    def overwrite(self, array: Native, numbers: Any) -> bool:
        """Write over an array in place; False where the library or the array does not allow it."""
        try:
            array[...] = numbers
        except (TypeError, ValueError, RuntimeError):
            return False
        return True

    def stacked(self, numbers: list[Native]) -> Native:
        """Arrays of shape () as one of one dimension."""
        return self.adapter.namespace(numbers[0]).stack(numbers)

    def scope(self, dtype: str) -> AbstractContextManager[Any]:
        """What has to be switched on for logits of this dtype."""
        return nullcontext()

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        """The function's result, compiled if the variant says so."""
        return function(logits, targets, **keywords)

    def evaluated(
        self, function: Callable[..., dict[str, Native]], arrays: dict[str, Native], options: dict[str, Any]
    ) -> dict[str, Native]:
        """Results by name of a function of arrays by name, compiled if the variant says so."""
        return function(arrays, **options)

    def as_inputs(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Hyper-parameters as float64 arrays: inputs of one compilation, where each number would need one of its own.

        Numbers out of range stay numbers, which are refused; arrays in a trace cannot be.
        """
        largest = float(np.finfo(np.float64).max)
        ranges = {"alpha": (0.0, 1.0), "beta": (-largest, largest)}
        ranges |= dict.fromkeys(("gamma", "gamma_positive", "gamma_negative"), (0.0, largest))

        def is_valid(name: str, value: Any) -> bool:
            return isinstance(value, float) and name in ranges and ranges[name][0] <= value <= ranges[name][1]

        return {
            name: self.native(np.float64(value)) if is_valid(name, value) else value for name, value in keywords.items()
        }

    @abstractmethod
    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        """Result and derivative of ``sum(upstream * result)`` by the library's automatic differentiation."""


def constants_and_arrays(keywords: dict[str, Any]) -> tuple[tuple[tuple[str, Any], ...], dict[str, Any]]:
    """Separate what a jitted function closes over from the arrays that it takes."""
    arrays = {name: value for name, value in keywords.items() if hasattr(value, "shape")}
    constants = tuple(sorted((name, value) for name, value in keywords.items() if name not in arrays))
    return constants, arrays
