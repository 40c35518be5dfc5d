"""What every function of the detection side asks of its arrays: one library, a shape, finite boxes with an area."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from focal_ref._evaluate.resolve import device_of
from focal_ref.adapters import Adapter, adapter_of

Array = Any
"""An array of any supported library: NumPy, PyTorch, JAX, CuPy, or one that follows the Array API standard."""

__all__ = ["Adapter", "Array", "adapter_of", "check_array", "check_boxes", "device_of", "first_true"]


def check_array(
    adapter: Adapter,
    name: str,
    array: Any,
    kinds: str | tuple[str, ...],
    shape: tuple[int | str | None, ...] = (),
) -> Array:
    """The array, after a check of its library, dtype and shape.

    Parameters
    ----------
    adapter
        Of the function's first array; all others belong to the same library.
    name
        Of the argument, for the error texts.
    array
        Any value.
    kinds
        What the dtype may be, as for ``isdtype``: "real floating", "integral", "bool" or several of them.
    shape
        Lengths of the last axes; a string stands for any length and names it, None allows any shape.

    Raises
    ------
    TypeError, ValueError
        With the argument, what it is, and what is allowed.
    """
    if not adapter.owns(type(array)):
        kind = f"{type(array).__module__}.{type(array).__qualname__}"
        raise TypeError(f"{name}: got {kind}; it is an array of {adapter.name}, as the first argument")
    xp = adapter.namespace(array)
    dtype = adapter.dtype_name(array)
    # bfloat16 of NumPy is no dtype of its namespace.
    allowed = (kinds,) if isinstance(kinds, str) else kinds
    if not ("real floating" in allowed if dtype == "bfloat16" else xp.isdtype(array.dtype, allowed)):
        raise TypeError(f"{name}: got dtype {dtype}; allowed is {' or '.join(allowed)}")
    if shape:
        matches = len(array.shape) >= len(shape) and all(
            isinstance(wanted, str) or wanted is None or wanted == got
            for wanted, got in zip(shape, array.shape[-len(shape) :], strict=True)
        )
        if not matches:
            wanted_text = ", ".join("?" if wanted is None else str(wanted) for wanted in shape)
            raise ValueError(f"{name}: got shape {tuple(array.shape)}; it is (..., {wanted_text})")
    return array


def check_boxes(
    adapter: Adapter, name: str, boxes: Any, *, valid: Array | None = None, offset: int = 0, values: bool = True
) -> Array:
    """Boxes of shape (..., B, 4) as float32 or float64, after a check of their values where they can be read.

    Parameters
    ----------
    adapter, name
        As in `check_array`.
    boxes
        Corners (x1, y1, x2, y2) in pixels; integers and 16-bit floats become float32, wider integers float64.
    valid
        Booleans of shape (..., B); what is False is not looked at.
    offset
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide.
    values
        Whether bad values raise on the host.

    Raises
    ------
    TypeError, ValueError
        As `check_array`; also for the first box that is not finite or has no area, with its index and values.
    """
    boxes = check_array(adapter, name, boxes, ("real floating", "integral"), ("B", 4))
    boxes = as_box_dtype(adapter, boxes)
    if valid is not None:
        check_array(adapter, f"{name} mask", valid, "bool")
        if tuple(valid.shape) != tuple(boxes.shape[:-1]):
            raise ValueError(f"{name} mask: got shape {tuple(valid.shape)}; it is {tuple(boxes.shape[:-1])}, one a box")
    if values and adapter.is_host(boxes):
        with quiet(adapter, boxes):
            good = good_boxes(adapter.namespace(boxes), boxes, offset)
        if valid is not None:
            good = good | ~valid
        index = first_true(adapter, ~good)
        if index is not None:
            box = [float(number) for number in adapter.to_numpy(boxes)[index]]
            raise ValueError(
                f"{name}: got {box} at position {index}; a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1"
            )
    return boxes


def as_box_dtype(adapter: Adapter, boxes: Array) -> Array:
    """Boxes in the dtype in which they are compared: their own if float32 or float64, float32 for narrower types."""
    xp = adapter.namespace(boxes)
    dtype = adapter.dtype_name(boxes)
    if dtype in ("float32", "float64"):
        return boxes
    narrow = dtype in ("float16", "bfloat16", "int8", "uint8", "int16", "uint16")
    if dtype == "bfloat16" and adapter.name == "numpy":
        return boxes.astype(xp.float32)
    # JAX has no float64 unless it is enabled; its integers then become float32 as everywhere in it.
    wide = xp.float32 if narrow or adapter.name == "jax" else xp.float64
    return xp.astype(boxes, wide)


def good_boxes(xp: Any, boxes: Array, offset: int = 0) -> Array:
    """Which boxes are finite and have an area that the dtype holds."""
    width = boxes[..., 2] - boxes[..., 0] + offset
    height = boxes[..., 3] - boxes[..., 1] + offset
    area = width * height
    # Half of the largest number, so that the sum of two areas is finite too.
    return (width > 0) & (height > 0) & (area > 0) & (area < xp.finfo(boxes.dtype).max / 2)


def quiet(adapter: Adapter, array: Any) -> AbstractContextManager[Any]:
    """No warnings of NumPy's about overflow and NaN, which checks look for; it also computes for array_api_strict."""
    if adapter.owns(type(array)) and adapter.is_host(array):
        return np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")
    return nullcontext()


def first_true(adapter: Adapter, condition: Array) -> tuple[int, ...] | None:
    """Position of the first True of an array on the host."""
    found = np.argwhere(adapter.to_numpy(condition))
    return tuple(int(position) for position in found[0]) if len(found) else None
