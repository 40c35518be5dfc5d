"""Argument checks of the public functions: what is wrong, what was given, what is allowed."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from focal_ref._definitions import Definition
from focal_ref._parameters import (
    BACKGROUND,
    ENCODINGS,
    IGNORE,
    NUMBERS,
    PRECISIONS,
    REDUCTIONS,
    Parameters,
    range_of,
)
from focal_ref.adapters import Adapter

# Wider unsigned integers would wrap into the codes below zero.
LABEL_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32")
BLOCK = 1 << 16
"""Values that are checked at once."""

COMPILED = 1 << 17
"""Values for which a compiled check is worth loading."""

LOGIT_DTYPES = ("float16", "bfloat16", "float32", "float64")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise unless `value` is one of the `allowed` strings."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: got {value!r}; allowed are {', '.join(map(repr, allowed))}")


def check_call(
    adapter: Adapter, definition: Definition, logits: Any, targets: Any, given: Mapping[str, Any]
) -> tuple[Any, Any, Parameters]:
    """Check the arguments of one call and bring them into the library of the logits.

    Returns
    -------
    logits
        With the classes of a softmax along the last axis.
    targets
        As an array of the adapter's library; rows of shares likewise.
    parameters
        Numbers as floats, arrays as arrays of the adapter's library.

    Raises
    ------
    TypeError
        For an argument that the loss does not have, a logit dtype that is not a float, and arguments that are neither
        numbers nor arrays.
    ValueError
        For shapes that differ and for values out of range.
    """
    for name in given:
        if name not in definition.options:
            raise TypeError(f"{name}: {definition.name} has no such argument; it has {', '.join(definition.options)}")
    options = {**definition.defaults, **given}
    encoding, precision = options.get("encoding", "binary"), options.get("precision", "exact")
    check_choice("encoding", encoding, ENCODINGS)
    check_choice("precision", precision, PRECISIONS)
    _check_logits(adapter, definition, logits)
    axis = check_axis(logits, options.get("axis", -1)) if definition.targets == "rows" else -1
    if definition.targets == "binary":
        targets = _check_targets(adapter, definition, logits, targets, encoding)
    else:
        targets, encoding = _check_classes(adapter, definition, logits, targets, axis)
    if definition.targets == "rows":
        logits = adapter.moved(logits, axis, -1)
    resolved: dict[str, Any] = {}
    for name in definition.defaults:
        if name == "clip":
            resolved[name] = _number(definition, name, options[name])
        elif definition.targets == "rows":
            resolved[name] = _number_or_classes(adapter, definition, name, options[name], logits)
        elif name == "alpha" and options[name] is None and definition.form != "varifocal":
            resolved[name] = None
        else:
            resolved[name] = _number_or_array(adapter, definition, name, options[name], logits)
    if options.get("weights") is not None:
        results = logits[..., 0] if definition.targets == "rows" and logits.shape[-1] else logits
        resolved["weights"] = _weights(adapter, options["weights"], results)
    if definition.targets == "rows" and encoding == "binary":
        targets = adapter.moved(targets, axis, -1)
    numbers = {name: resolved.get(name) for name in (*NUMBERS, "weights")}
    parameters = Parameters(
        **numbers, encoding=encoding, precision=precision, form=definition.form, clip=resolved.get("clip", 0.0)
    )
    adapter.check_supported(logits, parameters)
    return logits, targets, parameters


def check_axis(logits: Any, axis: Any) -> int:
    """Check the axis of the classes and return it counted from the front."""
    rank = len(logits.shape)
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise TypeError(f"axis: got {axis!r}; it is an integer")
    if rank == 0:
        raise ValueError("logits: got shape (); they need an axis of classes")
    if not -rank <= axis < rank:
        raise ValueError(f"axis: got {axis}; logits of shape {tuple(logits.shape)} have axes {-rank} to {rank - 1}")
    return int(axis) % rank


def check_reduction(adapter: Adapter, reduction: Any, normalizer: Any) -> Any:
    """Check reduction and normalizer together and return the normalizer as a float, an array scalar, or None."""
    check_choice("reduction", reduction, REDUCTIONS)
    if normalizer is None:
        return None
    if reduction != "sum":
        raise ValueError(
            f"normalizer: got {normalizer!r} with reduction={reduction!r}; it divides the sum, so pass reduction='sum'"
        )
    if _is_real(normalizer):
        value = _as_float(normalizer)
        if not 0.0 < value < math.inf:
            raise ValueError(
                f"normalizer: got {normalizer!r}; it is finite and > 0. "
                "Where no anchor is positive, pass max(1, number of positives)"
            )
        return value
    if isinstance(normalizer, (np.ndarray, np.generic)):
        real = normalizer.shape == () and normalizer.dtype.kind in "iuf"
        if real:
            return check_reduction(adapter, reduction, float(normalizer))
    elif adapter.owns(type(normalizer)) and tuple(normalizer.shape) == ():
        if adapter.is_host(normalizer):
            check_reduction(adapter, reduction, float(adapter.to_numpy(normalizer)))
        return normalizer
    raise TypeError(f"normalizer: got {_describe(normalizer)}; it is a number or an array of shape ()")


def _check_logits(adapter: Adapter, definition: Definition, logits: Any) -> None:
    dtype = adapter.dtype_name(logits)
    if dtype not in LOGIT_DTYPES:
        raise TypeError(f"{definition.argument}: got dtype {dtype}; allowed are {', '.join(LOGIT_DTYPES)}")
    if definition.form == "probability" and adapter.is_host(logits):
        values = adapter.to_numpy(logits)
        allowed = "in [0, 1]; for logits, call focal_ref.loss"
        _raise_at_first(definition.argument, values, lambda values: ~((values < 0) | (values > 1)), allowed)


def _check_targets(adapter: Adapter, definition: Definition, logits: Any, targets: Any, encoding: str) -> Any:
    targets = _as_array(adapter, "targets", targets, logits)
    shape, expected = tuple(targets.shape), tuple(logits.shape)
    if shape != expected:
        raise ValueError(
            f"targets: got shape {shape}, {definition.argument} have shape {expected}; they must be equal, nothing is "
            "broadcast"
        )
    dtype = adapter.dtype_name(targets)
    if not _holds_numbers(dtype):
        raise TypeError(f"targets: got dtype {dtype}; allowed are bool, integers and real floats")
    if encoding == "signed" and (dtype == "bool" or dtype.startswith("uint")):
        raise TypeError(f"targets: got dtype {dtype} with encoding='signed'; it takes -1 and +1 as integers or floats")
    if encoding == "signed" or not definition.soft:
        adapter.check_constant("targets", targets)
    if adapter.is_host(targets) and dtype != "bool":
        check_target_values(adapter.to_numpy(targets), encoding, soft=definition.soft)
    return targets


def _check_classes(
    adapter: Adapter, definition: Definition, logits: Any, targets: Any, axis: int
) -> tuple[Any, Literal["binary", "labels"]]:
    """Check labels, or one row of shares a label where the loss takes them; says which of the two they are."""
    shape = tuple(logits.shape)
    if not shape:
        raise ValueError(f"{definition.argument}: got shape (); they need an axis of classes")
    targets = _as_array(adapter, "labels", targets, logits)
    without_axis = (*shape[: axis % len(shape)], *shape[axis % len(shape) + 1 :])
    dtype = adapter.dtype_name(targets)
    if definition.targets == "rows" and tuple(targets.shape) == shape:
        if not _holds_numbers(dtype):
            raise TypeError(f"labels: got dtype {dtype}; rows of shares are bool, integers or real floats")
        if adapter.is_host(targets) and dtype != "bool":
            check_target_values(adapter.to_numpy(targets), "binary", name="labels")
        return targets, "binary"
    if tuple(targets.shape) != without_axis:
        rows = f", or {shape} for rows of shares" if definition.targets == "rows" else ""
        raise ValueError(
            f"labels: got shape {tuple(targets.shape)}, logits have shape {shape}; labels have shape {without_axis}"
            f"{rows}, nothing is broadcast"
        )
    if dtype not in LABEL_DTYPES:
        raise TypeError(f"labels: got dtype {dtype}; allowed are {', '.join(LABEL_DTYPES)}")
    if adapter.is_host(targets):
        check_labels(adapter.to_numpy(targets), shape[axis], background=definition.targets == "labels")
    return targets, "labels"


def check_labels(labels: Any, classes: int | None, *, background: bool = True, name: str = "labels") -> None:
    """Raise for the first label that names no class and is no code; any class is right where `classes` is None."""
    limits = np.iinfo(labels.dtype)
    last = limits.max if classes is None else min(classes - 1, limits.max)
    if background and last >= 0 and _all_within(labels, max(IGNORE, limits.min), last):
        return

    def valid(labels: Any) -> Any:
        return ((labels >= (BACKGROUND if background else 0)) | (labels == IGNORE)) & (labels <= last)

    codes = f"BACKGROUND = {BACKGROUND}, IGNORE = {IGNORE}" if background else f"IGNORE = {IGNORE}"
    if classes is None:
        allowed = f"a class >= 0, or {codes}"
    else:
        allowed = f"a class 0..{classes - 1}, or {codes}" if classes else f"one of {codes}, as there are no classes"
    _raise_at_first(name, labels, valid, allowed)


def check_target_values(targets: Any, encoding: str, *, soft: bool = True, name: str = "targets") -> None:
    """Raise for the first target outside its range; the NumPy array may share memory with the caller's."""
    lowest = 0
    if encoding == "signed":
        lowest, allowed = -1, "-1 or +1 (encoding='signed')"
    elif targets.dtype.kind in "iu":
        allowed = "0 or 1 (integers, encoding='binary'); for labels -1/+1 pass encoding='signed'"
    elif soft:
        allowed = "in [0, 1] (encoding='binary')"
    else:
        allowed = "0 or 1 (this loss is not defined for soft targets)"
    anything_between = soft and encoding == "binary"
    if anything_between and _all_within(targets, 0, 1):
        return

    def valid(targets: Any) -> Any:
        if anything_between and targets.dtype.kind not in "iu":
            return (targets >= 0) & (targets <= 1)
        return (targets == lowest) | (targets == 1)

    _raise_at_first(name, targets, valid, allowed)


def _all_within(values: Any, lowest: int, highest: int) -> bool:
    """Whether all numbers of a large array are in a range, where a kernel can tell."""
    if values.size < COMPILED:
        return False
    from focal_ref._kernels.ranges import all_within

    return all_within(values, lowest, highest)


def _number(definition: Definition, name: str, value: Any) -> float:
    """A hyper-parameter that is a plain number."""
    if not _is_real(value):
        raise TypeError(f"{name}: got {_describe(value)}; it is a number")
    return _in_range(definition, name, value)


def _in_range(definition: Definition, name: str, value: Any) -> float:
    number = _as_float(value)
    limits = range_of(definition.form, name)
    if not limits.contains(number):
        # Rounding to what is more than all its digits makes the symbol that torch.compile has for it a number.
        got = round(value, 400) if type(value) in (int, float) else value
        raise ValueError(f"{name}: got {got!r}; it is {limits.allowed}")
    return number


def _number_or_array(adapter: Adapter, definition: Definition, name: str, value: Any, logits: Any) -> Any:
    """A checked float, or an array that broadcasts to the logits."""
    if _is_real(value):
        return _in_range(definition, name, value)
    array = _float_array(adapter, name, value, logits)
    _check_numbers(adapter, definition, name, array)
    return array


def _number_or_classes(adapter: Adapter, definition: Definition, name: str, value: Any, logits: Any) -> Any:
    """A hyper-parameter of a softmax: for alpha None or one weight a class, for gamma also one number for all."""
    classes = int(logits.shape[-1])
    if name == "alpha" and value is None:
        return None
    if name == "gamma" and _is_real(value):
        return _in_range(definition, name, value)
    array = _as_array(adapter, name, value, logits) if not _is_real(value) else None
    allowed = [(classes,)] if name == "alpha" else [(), (classes,)]
    if array is None or tuple(array.shape) not in allowed:
        got = repr(value) if array is None else f"shape {tuple(array.shape)}"
        hint = "; for one factor of all classes pass weights" if name == "alpha" else ""
        raise ValueError(f"{name}: got {got}; it holds one number a class, shape ({classes},){hint}")
    array = _real_floating(adapter, name, array)
    _check_numbers(adapter, definition, name, array)
    return array


def _check_numbers(adapter: Adapter, definition: Definition, name: str, array: Any) -> None:
    if adapter.is_host(array):
        values = adapter.to_numpy(array)
        lowest, highest, above, allowed = range_of(definition.form, name)

        def valid(values: Any) -> Any:
            in_range = np.isfinite(values) & (values >= lowest) & (values <= highest)
            return in_range & (values != 0) if above else in_range

        _raise_at_first(name, values, valid, allowed)


def _weights(adapter: Adapter, weights: Any, logits: Any) -> Any:
    if _is_real(weights):
        number = _as_float(weights)
        if not 0.0 <= number < math.inf:
            raise ValueError(f"weights: got {weights!r}; it is finite and >= 0")
        weights = np.float64(number)
    array = _float_array(adapter, "weights", weights, logits)
    if adapter.is_host(array):
        values = adapter.to_numpy(array)
        _raise_at_first("weights", values, lambda values: np.isfinite(values) & (values >= 0), "finite and >= 0")
    return array


def _float_array(adapter: Adapter, name: str, value: Any, logits: Any) -> Any:
    """An array of a real dtype, as floating-point, that broadcasts to the logits' shape."""
    array = _as_array(adapter, name, value, logits)
    shape, expected = tuple(array.shape), tuple(logits.shape)
    fits = len(shape) <= len(expected) and all(
        own in (1, full) for own, full in zip(reversed(shape), reversed(expected), strict=False)
    )
    if not fits:
        raise ValueError(f"{name}: got shape {shape}, which does not broadcast to the logits' shape {expected}")
    return _real_floating(adapter, name, array)


def _real_floating(adapter: Adapter, name: str, array: Any) -> Any:
    dtype = adapter.dtype_name(array)
    if not _holds_numbers(dtype):
        raise TypeError(f"{name}: got dtype {dtype}; it is a real number or an array of real numbers")
    return adapter.as_floating(array)


def _as_array(adapter: Adapter, name: str, value: Any, logits: Any) -> Any:
    """The value as an array of the logits' library; NumPy arrays and sequences of numbers are converted."""
    if adapter.owns(type(value)):
        adapter.check_same_device(name, value, logits)
        return value
    if not isinstance(value, (np.ndarray, np.generic, list, tuple, bool, int, float)):
        raise TypeError(f"{name}: got {_describe(value)}; logits are {_describe(logits)}, so pass one of these")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: got {_describe(value)} with rows of unequal length; pass an array") from error
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"{name}: got {_describe(value)}; it holds real numbers")
    return adapter.asarray(array, like=logits)


def _raise_at_first(name: str, values: Any, valid: Callable[[Any], Any], allowed: str) -> None:
    """Raise for the first value that is not valid; by the block, so that large arrays need no memory of their size."""
    values = np.asarray(values)
    iterator: Any = np.nditer(
        values, flags=["external_loop", "buffered", "zerosize_ok"], op_flags=["readonly"], order="C", buffersize=BLOCK
    )
    before = 0
    with iterator:
        for block in iterator:
            # Comparing the NaN of a bfloat16 array sets a flag that NumPy would warn about.
            with np.errstate(invalid="ignore"):
                good = valid(block)
            if not np.all(good):
                break
            before += block.size
        else:
            return
    position = np.unravel_index(before + int(np.argmin(good)), values.shape)
    where = tuple(int(index) for index in position)
    place = f" at position {where}" if where else ""
    got = int(values[position]) if values.dtype.kind in "iu" else float(values[position])
    raise ValueError(f"{name}: got {got!r}{place}; it is {allowed}")


def _holds_numbers(dtype: str) -> bool:
    return dtype == "bool" or dtype.startswith(("int", "uint", "float", "bfloat"))


def _as_float(value: Any) -> float:
    """A real number as a float; an integer beyond its range is infinite, hence out of every range."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, (bool, np.bool_))


def _describe(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"
