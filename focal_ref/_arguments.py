"""Argument checks of the public functions: what is wrong, what was given, what is allowed."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from focal_ref._parameters import ENCODINGS, PRECISIONS, REDUCTIONS, Parameters
from focal_ref.adapters import Adapter

LOGIT_DTYPES = ("float16", "bfloat16", "float32", "float64")


def check_choice(name: str, value: Any, allowed: Sequence[str]) -> None:
    """Raise unless `value` is one of the `allowed` strings."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: got {value!r}; allowed are {', '.join(map(repr, allowed))}")


def check_parameters(
    adapter: Adapter,
    logits: Any,
    targets: Any,
    *,
    alpha: Any,
    gamma: Any,
    encoding: str,
    weights: Any,
    precision: str,
) -> tuple[Any, Parameters]:
    """Check the arguments of one call and bring them into the library of the logits.

    Returns
    -------
    targets
        As an array of the adapter's library.
    parameters
        Numbers as floats, arrays as arrays of the adapter's library.

    Raises
    ------
    TypeError
        For a logit dtype that is not a float, and for arguments that are neither numbers nor arrays.
    ValueError
        For shapes that differ and for values out of range.
    """
    check_choice("encoding", encoding, ENCODINGS)
    check_choice("precision", precision, PRECISIONS)
    _check_logits(adapter, logits)
    targets = _check_targets(adapter, logits, targets, encoding)
    resolved = {
        "alpha": None if alpha is None else _number_or_array(adapter, "alpha", alpha, logits),
        "gamma": _number_or_array(adapter, "gamma", gamma, logits),
        "weights": None if weights is None else _weights(adapter, weights, logits),
    }
    parameters = Parameters(encoding=encoding, precision=precision, **resolved)  # type: ignore[arg-type]
    adapter.check_supported(logits, parameters)
    return targets, parameters


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
        adapter.check_constant("normalizer", normalizer)
        if adapter.is_host(normalizer):
            check_reduction(adapter, reduction, float(adapter.to_numpy(normalizer)))
        return normalizer
    raise TypeError(f"normalizer: got {_describe(normalizer)}; it is a number or an array of shape ()")


def _check_logits(adapter: Adapter, logits: Any) -> None:
    dtype = adapter.dtype_name(logits)
    if dtype not in LOGIT_DTYPES:
        raise TypeError(f"logits: got dtype {dtype}; allowed are {', '.join(LOGIT_DTYPES)}")


def _check_targets(adapter: Adapter, logits: Any, targets: Any, encoding: str) -> Any:
    targets = _as_array(adapter, "targets", targets, logits)
    shape, expected = tuple(targets.shape), tuple(logits.shape)
    if shape != expected:
        raise ValueError(
            f"targets: got shape {shape}, logits have shape {expected}; they must be equal, nothing is broadcast"
        )
    dtype = adapter.dtype_name(targets)
    if not _holds_numbers(dtype):
        raise TypeError(f"targets: got dtype {dtype}; allowed are bool, integers and real floats")
    if encoding == "signed" and (dtype == "bool" or dtype.startswith("uint")):
        raise TypeError(f"targets: got dtype {dtype} with encoding='signed'; it takes -1 and +1 as integers or floats")
    if adapter.is_host(targets) and dtype != "bool":
        _check_target_values(adapter.to_numpy(targets), encoding)
    return targets


def _check_target_values(targets: Any, encoding: str) -> None:
    """Raise for the first target outside its range; the NumPy array may share memory with the caller's."""
    # Comparing the NaN of a bfloat16 array sets a flag that NumPy would warn about.
    with np.errstate(invalid="ignore"):
        if encoding == "signed":
            valid = (targets == 1) | (targets == -1)
            allowed = "-1 or +1 (encoding='signed')"
        elif targets.dtype.kind in "iu":
            valid = (targets == 0) | (targets == 1)
            allowed = "0 or 1 (integers, encoding='binary'); for labels -1/+1 pass encoding='signed'"
        else:
            valid = (targets >= 0) & (targets <= 1)
            allowed = "in [0, 1] (encoding='binary')"
    _raise_at_first("targets", targets, valid, allowed)


def _number_or_array(adapter: Adapter, name: str, value: Any, logits: Any) -> Any:
    """A checked float, or an array that broadcasts to the logits."""
    limits = {"alpha": (0.0, 1.0), "gamma": (0.0, math.inf)}
    allowed = {
        "alpha": "in [0, 1] (positives weigh alpha, negatives 1 - alpha); pass None for no weighting",
        "gamma": "finite and >= 0",
    }
    low, high = limits[name]
    if _is_real(value):
        number = _as_float(value)
        if not (low <= number <= high and number < math.inf):
            raise ValueError(f"{name}: got {value!r}; it is {allowed[name]}")
        return number
    array = _float_array(adapter, name, value, logits)
    if adapter.is_host(array):
        values = adapter.to_numpy(array)
        _raise_at_first(name, values, np.isfinite(values) & (values >= low) & (values <= high), allowed[name])
    return array


def _weights(adapter: Adapter, weights: Any, logits: Any) -> Any:
    if _is_real(weights):
        number = _as_float(weights)
        if not 0.0 <= number < math.inf:
            raise ValueError(f"weights: got {weights!r}; it is finite and >= 0")
        weights = np.float64(number)
    array = _float_array(adapter, "weights", weights, logits)
    if adapter.is_host(array):
        values = adapter.to_numpy(array)
        _raise_at_first("weights", values, np.isfinite(values) & (values >= 0), "finite and >= 0")
    return array


def _float_array(adapter: Adapter, name: str, value: Any, logits: Any) -> Any:
    """An array of a real dtype, as floating-point, that broadcasts to the logits' shape."""
    array = _as_array(adapter, name, value, logits)
    dtype = adapter.dtype_name(array)
    if not _holds_numbers(dtype):
        raise TypeError(f"{name}: got dtype {dtype}; it is a real number or an array of real numbers")
    shape, expected = tuple(array.shape), tuple(logits.shape)
    fits = len(shape) <= len(expected) and all(
        own in (1, full) for own, full in zip(reversed(shape), reversed(expected), strict=False)
    )
    if not fits:
        raise ValueError(f"{name}: got shape {shape}, which does not broadcast to the logits' shape {expected}")
    return adapter.as_floating(array)


def _as_array(adapter: Adapter, name: str, value: Any, logits: Any) -> Any:
    """The value as an array of the logits' library; NumPy arrays and sequences of numbers are converted."""
    if adapter.owns(type(value)):
        adapter.check_constant(name, value)
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


def _raise_at_first(name: str, values: Any, valid: Any, allowed: str) -> None:
    if np.all(valid):
        return
    position = np.unravel_index(int(np.argmin(valid)), np.shape(valid))
    where = tuple(int(index) for index in position)
    place = f" at position {where}" if where else ""
    raise ValueError(f"{name}: got {float(values[position])!r}{place}; it is {allowed}")


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
