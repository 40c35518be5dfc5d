"""The softmax loss on NumPy arrays, in blocks of whole rows; functions and arguments as in `host`."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._evaluate import evaluate, evaluate_curvature, evaluate_partial, evaluate_second, tree_sum
from focal_ref._kernels.host import BLOCK, store
from focal_ref._parameters import Parameters

Array = NDArray[Any]


def elementwise(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    *,
    value: Array | None = None,
    gradient: Array | None = None,
    upstream: float | Array = 1.0,
) -> None:
    """Write the loss of each row, and its derivative with respect to each logit times the row's `upstream`."""
    values, gradients = (None if array is None else _Output(array, logits.shape) for array in (value, gradient))
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            result = evaluate(np, *piece, narrowed=value is not None and value.dtype.itemsize < 8)
            if values is not None:
                values.write(rows, result.value)
            if gradients is not None:
                gradients.write(rows, result.gradient * _of_rows(upstream, rows, logits.shape)[..., np.newaxis])
    for output in (values, gradients):
        if output is not None:
            output.finish()


def second_derivative(
    logits: Array, targets: Array, parameters: Parameters, *, out: Array, upstream: float | Array = 1.0
) -> None:
    """Write the diagonal of the Hessian of each row's loss, times its `upstream`."""
    output = _Output(out, logits.shape)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            second = evaluate_second(np, *piece) * _of_rows(upstream, rows, logits.shape)[..., np.newaxis]
            output.write(rows, second)
    output.finish()


def curvature(logits: Array, targets: Array, parameters: Parameters, direction: Array, *, out: Array) -> None:
    """Write the Hessian of each row's loss times a direction of the logits' shape."""
    directions = direction.reshape((_size(logits.shape[:-1]), logits.shape[-1]))
    output = _Output(out, logits.shape)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            output.write(rows, evaluate_curvature(np, *piece, directions[rows]))
    output.finish()


def partial(
    name: str,
    logits: Array,
    targets: Array,
    parameters: Parameters,
    *,
    out: Array,
    upstream: float | Array = 1.0,
) -> None:
    """Write the derivative with respect to what `name` says, times the row's `upstream`."""
    output = _Output(out, logits.shape)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            slope = evaluate_partial(np, name, *piece)
            factor = _of_rows(upstream, rows, logits.shape)
            output.write(rows, slope * (factor if name == "weights" else factor[..., np.newaxis]))
    output.finish()


def total(logits: Array, targets: Array, parameters: Parameters) -> float:
    """Sum of the rows' losses in float64, each term unrounded; the order of additions depends on the shape alone."""
    sums = [0.0]
    for _, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            sums.append(float(tree_sum(np, evaluate(np, *piece).value)))
    return float(tree_sum(np, np.array(sums)))


def partial_total(
    name: str, logits: Array, targets: Array, parameters: Parameters, upstream: float | Array = 1.0
) -> float:
    """Sum of what `partial` writes, in float64."""
    sums = [0.0]
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            slope = evaluate_partial(np, name, *piece)
            factor = _of_rows(upstream, rows, logits.shape)
            sums.append(float(tree_sum(np, slope * (factor if name == "weights" else factor[..., np.newaxis]))))
    return float(tree_sum(np, np.array(sums)))


def _pieces(
    logits: Array, targets: Array, parameters: Parameters
) -> Iterator[tuple[slice, tuple[Array, Array, Parameters]]]:
    """Rows by the block: which they are, and their logits in float64, targets and parameters."""
    classes = logits.shape[-1]
    flat = logits.reshape((_size(logits.shape[:-1]), classes))
    labelled = parameters.encoding == "labels"
    flat_targets = targets.reshape((-1,)) if labelled else targets.reshape(flat.shape)
    count = max(1, BLOCK // max(1, classes))
    for start in range(0, flat.shape[0], count):
        rows = slice(start, start + count)
        given: dict[str, Any] = {}
        if parameters.weights is not None:
            given["weights"] = _of_rows(parameters.weights, rows, logits.shape)
        part = flat_targets[rows]
        if part.dtype.kind not in "biu":
            part = part.astype(np.float64)
        yield rows, (flat[rows].astype(np.float64), part, replace(parameters, **given))


def _of_rows(factors: float | Array, rows: slice, shape: tuple[int, ...]) -> Array:
    """Factors of the results, of the rows of a block."""
    return np.broadcast_to(np.asarray(factors), shape[:-1]).reshape(-1)[rows]


class _Output:
    """An output by its rows; one that is not contiguous is written at the end."""

    def __init__(self, array: Array, shape: tuple[int, ...]) -> None:
        self._array = array
        self._direct = array.flags.c_contiguous
        target = array if self._direct else np.empty(array.shape, array.dtype)
        self._target = target
        self._rows = target.reshape((_size(shape[:-1]), *array.shape[len(shape) - 1 :]))

    def write(self, rows: slice, wide: Array) -> None:
        """Round into some rows."""
        store(np.ascontiguousarray(wide), self._rows[rows])

    def finish(self) -> None:
        if not self._direct:
            self._array[...] = self._target


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
