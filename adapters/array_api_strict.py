"""array_api_strict: shows that the closed forms use nothing but the Array API standard."""

from typing import Any

import array_api_strict
import numpy as np

from focal_ref.adapters._array_api import ArrayApiAdapter

Array = Any


class ArrayApiStrictAdapter(ArrayApiAdapter):
    """Arrays of array_api_strict, float32 and float64, which is all that the standard has."""

    name = "array_api_strict"
    modules = ("array_api_strict",)

    def is_host(self, array: Array) -> bool:
        return self.device_name(array) == "cpu"

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        return array_api_strict.asarray(array) if like is None else super().asarray(array, like=like)

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        views = tuple(self.to_numpy(array) for array in out)
        self.refuse_overlap([self.to_numpy(array) for array in inputs], views, np.shares_memory)

    def to_numpy(self, array: Array) -> Any:
        return np.asarray(array)

    def device_name(self, array: Array) -> str:
        name = str(array.device)
        return "cpu" if "CPU" in name.upper() else name

    def version(self) -> str:
        return str(array_api_strict.__version__)
