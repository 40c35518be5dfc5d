"""Dask: every chunk through the Numba kernels when it is computed, with one thread, as Dask runs many chunks at once.

Building a result computes nothing, so that values inside arrays are checked in the chunk that holds them, when that is
computed. Targets, labels and parameter arrays are cut like the logits. The classes of labels and of a softmax are
brought into one chunk. A sum adds the chunks' float64 sums in an order that the chunks' sizes alone determine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import dask.array as da
import numpy as np

from focal_ref._arguments import check_call, check_reduction
from focal_ref._definitions import (
    ASYMMETRIC,
    HEATMAP,
    LABELS,
    LOSS,
    PROBABILITIES,
    QUALITY,
    SOFTMAX,
    STAR,
    VARIFOCAL,
    Definition,
)
from focal_ref._evaluate import tree_sum
from focal_ref._parameters import NUMBERS, ROWS, Parameters
from focal_ref._threads import one_thread
from focal_ref.adapters._base import Adapter
from focal_ref.adapters.numpy import NumpyAdapter

Array = Any

_NUMPY = NumpyAdapter()
_BY_FORM = {
    definition.form: definition
    for definition in (LOSS, PROBABILITIES, SOFTMAX, STAR, QUALITY, VARIFOCAL, ASYMMETRIC, HEATMAP)
}


class DaskAdapter(Adapter):
    """Dask arrays whose chunks are NumPy arrays."""

    name = "dask"
    modules = ("dask",)
    writable = False

    def owns(self, array_type: type) -> bool:
        return issubclass(array_type, da.Array)

    def namespace(self, array: Array) -> Any:
        return da

    def dtype_name(self, array: Array) -> str:
        # The first that is asked of every array.
        _check_kind(array)
        return str(array.dtype.name)

    def is_host(self, array: Array) -> bool:
        return False

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        return da.from_array(np.asarray(array), chunks=-1)

    def to_numpy(self, array: Array) -> Any:
        return np.asarray(array.compute())

    def as_floating(self, array: Array) -> Array:
        return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)

    def device_name(self, array: Array) -> str:
        return "cpu"

    def version(self) -> str:
        return version("dask")

    def moved(self, array: Array, source: int, destination: int) -> Array:
        return da.moveaxis(array, source, destination)

    def top(self, values: Array, count: int) -> Array:
        raise TypeError("dask: arrays have no stable order of the largest values; compute() them first")

    def counted(self, condition: Array, times: int) -> Any:
        return da.maximum(condition.sum() * times, 1)

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        call = _Call(logits, targets, parameters)
        return call.squeezed(call.derivatives(_loss, chunks=call.result_chunks))

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        sums = _Call(logits, targets, parameters).sums(_total)
        return _scaled(_added(sums), normalizer, logits.dtype)

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        call = _Call(logits, targets, parameters)
        pairs = call.derivatives(_value_and_grad)
        value = pairs.map_blocks(_first, dtype=logits.dtype, chunks=call.result_chunks, meta=pairs._meta)
        return call.squeezed(value), pairs.map_blocks(_second, dtype=logits.dtype, meta=pairs._meta)

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        call = _Call(logits, targets, parameters, normalizer=normalizer)
        pairs = call.derivatives(_total_and_grad)
        sums = pairs.map_blocks(_first, dtype=np.float64, chunks=call.one_a_chunk, meta=call.sum_meta)
        gradient = pairs.map_blocks(_second, dtype=logits.dtype, meta=pairs._meta)
        return _scaled(_added(sums), normalizer, logits.dtype), gradient

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return _Call(logits, targets, parameters).derivatives(_second_derivative)

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        return _Call(logits, targets, parameters).derivatives(_parameter_gradient, parameter=name)


class _Call:
    """One call on whole arrays: cut alike, with the axes of all counted from the last, as Dask matches chunks."""

    def __init__(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any = None) -> None:
        rows, labels = parameters.form == ROWS, parameters.encoding == "labels"
        self.logits = logits.rechunk({logits.ndim - 1: -1}) if rows or labels else logits
        arrays = {"targets": targets[..., np.newaxis] if labels else targets}
        for name in (*NUMBERS, "weights"):
            array = getattr(parameters, name)
            if isinstance(array, da.Array):
                arrays[name] = array[..., np.newaxis] if rows and name == "weights" and array.ndim else array
                parameters = replace(parameters, **{name: None})  # type: ignore[arg-type]  # numbers alone
        arrays = {name: _cut(array, self.logits) for name, array in arrays.items()}
        if isinstance(normalizer, da.Array):
            arrays["normalizer"] = normalizer
            normalizer = None
        self.arrays = list(arrays.values())
        self.given = _Given(tuple(arrays), parameters, normalizer)
        self.rows = rows
        # Results of rows keep an axis of length 1: dropping it, Dask would copy each chunk before the call.
        self.result_chunks = (*self.logits.chunks[:-1], (1,)) if rows else self.logits.chunks
        self.one_a_chunk = tuple((1,) * count for count in self.logits.numblocks)
        self.sum_meta = np.empty((0,) * logits.ndim)

    def squeezed(self, results: Array) -> Array:
        """Results without the axis that those of rows keep."""
        return results[..., 0] if self.rows else results

    def derivatives(self, chunk: Callable[..., Any], **further: Any) -> Array:
        """What has the logits' shape and dtype."""
        return self._mapped(chunk, np.empty((0,) * self.logits.ndim, self.logits.dtype), **further)

    def sums(self, chunk: Callable[..., Any]) -> Array:
        """One number a chunk."""
        return self._mapped(chunk, self.sum_meta, chunks=self.one_a_chunk)

    def _mapped(self, chunk: Callable[..., Any], meta: Any, **further: Any) -> Array:
        # Without the empty array that it is given, Dask would try the function on one.
        return da.map_blocks(chunk, self.logits, *self.arrays, given=self.given, dtype=meta.dtype, meta=meta, **further)


@dataclass(frozen=True)
class _Given:
    """What every chunk is told: names of the arrays beside the logits, and what is the same for all chunks."""

    names: tuple[str, ...]
    parameters: Parameters
    normalizer: float | None

    def checked(self, logits: Any, pieces: tuple[Any, ...], block_info: Any) -> tuple[Any, Any, Parameters]:
        """The arguments of one chunk, as the public function of NumPy arrays checks them."""
        named = dict(zip(self.names, pieces, strict=True))
        targets = named["targets"][..., 0] if self.parameters.encoding == "labels" else named["targets"]
        definition = self._definition()
        numbers = {name: named.get(name, getattr(self.parameters, name)) for name in (*NUMBERS, "weights")}
        if definition.form == ROWS and np.ndim(numbers["weights"]):
            numbers["weights"] = numbers["weights"][..., 0]
        given = {"encoding": self.parameters.encoding, "precision": self.parameters.precision, **numbers}
        given["clip"] = self.parameters.clip
        options = {name: value for name, value in given.items() if name in definition.options}
        try:
            return check_call(_NUMPY, definition, logits, targets, options)
        except ValueError as error:
            # Positions are those of the chunk, so that the place of the chunk belongs to the text.
            place = ", ".join(f"{start}:{stop}" for start, stop in block_info[0]["array-location"])
            raise ValueError(f"{error} (in the chunk [{place}] of the logits)") from None

    def upstream(self, pieces: tuple[Any, ...]) -> float:
        """What the derivatives of a sum are multiplied by."""
        named = dict(zip(self.names, pieces, strict=True))
        normalizer = _number(named["normalizer"]) if "normalizer" in named else self.normalizer
        return 1.0 if normalizer is None else 1.0 / normalizer

    def kept(self, results: Any) -> Any:
        """Results of rows with an axis of length 1 for the classes."""
        return results[..., np.newaxis] if self.parameters.form == ROWS else results

    def _definition(self) -> Definition:
        labels = self.parameters.form == "focal" and self.parameters.encoding == "labels"
        return LABELS if labels else _BY_FORM[self.parameters.form]


def _loss(logits: Any, *pieces: Any, given: _Given, block_info: Any = None) -> Any:
    with one_thread():
        return given.kept(_NUMPY.loss(*given.checked(logits, pieces, block_info)))


def _total(logits: Any, *pieces: Any, given: _Given, block_info: Any = None) -> Any:
    with one_thread():
        checked = given.checked(logits, pieces, block_info)
        total = _kernels(given).total(*checked)
    return np.full((1,) * np.ndim(logits), total)


def _value_and_grad(logits: Any, *pieces: Any, given: _Given, block_info: Any = None) -> Any:
    with one_thread():
        value, gradient = _NUMPY.value_and_grad(*given.checked(logits, pieces, block_info), None)
    return given.kept(value), gradient


def _total_and_grad(logits: Any, *pieces: Any, given: _Given, block_info: Any = None) -> Any:
    with one_thread():
        checked = given.checked(logits, pieces, block_info)
        gradient = np.empty(np.shape(logits), logits.dtype)
        total = _kernels(given).total_and_gradient(*checked, gradient=gradient, upstream=given.upstream(pieces))
    return np.full((1,) * np.ndim(logits), total), gradient


def _second_derivative(logits: Any, *pieces: Any, given: _Given, block_info: Any = None) -> Any:
    with one_thread():
        return _NUMPY.second_derivative(*given.checked(logits, pieces, block_info))


def _parameter_gradient(logits: Any, *pieces: Any, given: _Given, parameter: str, block_info: Any = None) -> Any:
    with one_thread():
        return _NUMPY.parameter_gradient(parameter, *given.checked(logits, pieces, block_info))


def _kernels(given: _Given) -> Any:
    """The evaluation in blocks of elements, or of rows. Imported on use: it loads Numba."""
    if given.parameters.form == ROWS:
        from focal_ref._kernels import rows

        return rows
    from focal_ref._kernels import host

    return host


def _first(pair: tuple[Any, Any]) -> Any:
    return pair[0]


def _second(pair: tuple[Any, Any]) -> Any:
    return pair[1]


def _check_kind(array: Any) -> None:
    """Raise for other collections of Dask, other chunks than NumPy's, and lengths that are not known yet."""
    if not isinstance(array, da.Array):
        raise TypeError(
            f"dask: got {type(array).__module__}.{type(array).__qualname__}; of Dask's collections, pass a "
            "dask.array.Array (of a data frame's column, .to_dask_array(lengths=True))"
        )
    chunk = type(array._meta)
    if chunk is not np.ndarray and not issubclass(chunk, np.generic):
        raise TypeError(
            f"dask: got an array with chunks of {chunk.__module__}.{chunk.__qualname__}; chunks are NumPy arrays, and "
            "map_blocks(numpy.asarray) makes them so"
        )
    if any(np.isnan(length) for length in array.shape):
        raise ValueError(
            f"dask: got shape {tuple(array.shape)}, with lengths that are not known before computing; call "
            "compute_chunk_sizes() on the array"
        )


def _cut(array: Array, logits: Array) -> Array:
    """An array that broadcasts to the logits, in the same chunks."""
    chunks = tuple(
        full if length == sum(full) else (length,)
        for length, full in zip(array.shape, logits.chunks[logits.ndim - array.ndim :], strict=True)
    )
    return array if array.chunks == chunks else array.rechunk(chunks)


def _added(sums: Array) -> Array:
    """The sum of one number a chunk, by a tree that Dask builds over the chunks in their order."""
    scalar = np.empty((), np.float64)
    return da.reduction(sums, _kept, _sum, combine=_sum, dtype=np.float64, meta=scalar)


def _kept(sums: Any, axis: Any, keepdims: bool) -> Any:
    return sums


def _sum(sums: Any, axis: Any, keepdims: bool) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.asarray(tree_sum(np, np.asarray(sums, dtype=np.float64)))
    return total.reshape((1,) * np.ndim(sums)) if keepdims else total


def _scaled(total: Array, normalizer: Any, dtype: Any) -> Array:
    """A sum over its normalizer in the dtype of sums."""
    result = np.dtype(np.float32) if dtype.itemsize == 2 else dtype
    numbers = [total, normalizer] if isinstance(normalizer, da.Array) else [total]
    constant = None if isinstance(normalizer, da.Array) else normalizer
    return da.map_blocks(
        _divided, *numbers, constant=constant, to=result, dtype=result, meta=np.empty((), dtype=result)
    )


def _divided(total: Any, *normalizer: Any, constant: float | None, to: Any) -> Any:
    divisor = _number(normalizer[0]) if normalizer else constant
    # A sum beyond the largest float32 is infinity, as IEEE 754 rounds it.
    with np.errstate(over="ignore"):
        return np.asarray(float(total) if divisor is None else float(total) / divisor).astype(to)[()]


def _number(normalizer: Any) -> float:
    """A normalizer that is known only now."""
    return float(check_reduction(_NUMPY, "sum", float(normalizer)))
