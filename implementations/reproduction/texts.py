"""Arrays and numbers as Python code for a line in a shell, in the terms of each library."""

from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIX: Mapping[str, str] = {"torch": "torch", "jax": "jnp", "numpy": "np", "tensorflow": "tf", "paddle": "paddle"}
IMPORTS: Mapping[str, str] = {
    "torch": "import torch",
    "jax": "import jax, jax.numpy as jnp",
    "numpy": "import numpy as np",
    "tensorflow": "import tensorflow as tf",
    "paddle": "import paddle",
}
MAKES: Mapping[str, str] = {
    "torch": "torch.tensor",
    "jax": "jnp.array",
    "numpy": "np.array",
    "tensorflow": "tf.constant",
    "paddle": "paddle.to_tensor",
}
"""What makes an array of numbers."""

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "torch": ("float32", "int64", "bool"),
    "jax": ("float32", "int32", "bool"),
    "numpy": ("float64", "int64", "bool"),
    "tensorflow": ("float32", "int32", "bool"),
    "paddle": ("float32", "int64", "bool"),
}
"""Formats that an array of plain numbers has anyway."""

LONGEST = 3
"""Arrays of more equal numbers than this are written as such."""


def array_text(array: Any, framework: str) -> str:
    """An array as code that makes it, every number exactly."""
    numbers, dtype = as_numpy(array)
    prefix = PREFIX[framework]
    if _is_transposed(array):
        return f"{array_text(array.T, framework)}.T"
    if numbers.size == 0 or (numbers.size > LONGEST and np.all(numbers == numbers.flat[0])):
        return _filled(numbers, dtype, framework)
    text = _nested(numbers.tolist(), dtype, prefix)
    return f"{MAKES[framework]}({text}{dtype_text(dtype, framework)})"


def dtype_text(dtype: str, framework: str) -> str:
    """The argument that names a format, or "" where plain numbers have it."""
    return "" if dtype in IMPLIED[framework] else f", dtype={_named(dtype, framework)}"


def _filled(numbers: Any, dtype: str, framework: str) -> str:
    shape = str(tuple(numbers.shape))
    if framework == "torch" and numbers.shape and (not numbers.size or numbers.flat[0] in (0, 1)):
        shape = shape.strip("(),")
    named = dtype_text(dtype, framework)
    if dtype.startswith("int") and not named:
        named = f", dtype={_named(dtype, framework)}"
    prefix = PREFIX[framework]
    if not numbers.size or not numbers.flat[0]:
        return f"{prefix}.zeros({shape}{named})"
    if numbers.flat[0] == 1:
        return f"{prefix}.ones({shape}{named})"
    fill = "fill" if framework == "tensorflow" else "full"
    return f"{prefix}.{fill}({shape}, {number_text(numbers.flat[0], dtype, prefix)}{named})"


def _named(dtype: str, framework: str) -> str:
    if framework == "paddle":
        return f'"{dtype}"'
    return f"{PREFIX[framework]}.{dtype}"


def number_text(number: Any, dtype: str, prefix: str) -> str:
    """A number of a format, in the fewest digits that read back as the same."""
    if dtype.startswith(("int", "uint", "bool")):
        return repr(number)
    value = float(number)
    if np.isnan(value):
        return 'float("nan")' if prefix == "tf" else f"{prefix}.nan"
    if np.isinf(value):
        text = 'float("inf")' if prefix == "tf" else f"{prefix}.inf"
        return f"-{text}" if value < 0 else text
    short = repr(value) if dtype in ("float64", "bfloat16") else str(np.dtype(dtype).type(value))
    return short.replace("e+", "e") if float(short) == value or dtype != "bfloat16" else value.hex()


def value_text(value: Any) -> str:
    """A value that is no array as code without single quotes, in which a shell quotes the line."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{value_text(key)}: {value_text(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(value_text, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def is_array(value: Any) -> bool:
    """Whether a value is an array of some library."""
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, np.generic)


def as_numpy(array: Any) -> tuple[Any, str]:
    """The numbers of an array, in float64 where they are floating, and the name of its format."""
    dtype = str(array.dtype).removeprefix("torch.").removeprefix("paddle.")
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        if dtype == "bfloat16":
            array = array.float()
        array = array.numpy()
    numbers = np.asarray(array)
    return (numbers.astype(np.float64) if dtype.startswith(("float", "bfloat")) else numbers), dtype


def _is_transposed(array: Any) -> bool:
    """Whether the elements of a matrix lie in the order of its columns."""
    if len(array.shape) != 2 or not array.size:
        return False
    if isinstance(array, np.ndarray):
        return bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    return hasattr(array, "is_contiguous") and not array.is_contiguous() and bool(array.T.is_contiguous())


def _nested(numbers: Any, dtype: str, prefix: str) -> str:
    if isinstance(numbers, list):
        return "[" + ", ".join(_nested(one, dtype, prefix) for one in numbers) + "]"
    return number_text(numbers, dtype, prefix)
