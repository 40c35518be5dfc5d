"""The softmax loss on NumPy arrays, in blocks of whole rows; functions and arguments as in `host`.

Value and gradient of labels with one gamma come from the fused kernels of `softmax`, all else from the closed forms on
a block. Arrays that are not contiguous are copied by the block.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._evaluate import evaluate, evaluate_curvature, evaluate_partial, evaluate_second, tree_sum
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._kernels.dense import STORAGE_TYPES
from focal_ref._kernels.host import BLOCK
from focal_ref._kernels.row_blocks import Output, blocks, is_plain, read, row_count
from focal_ref._kernels.softmax import softmax_kernel
from focal_ref._kernels.storage import bits, dtype_name
from focal_ref._kernels.threads import in_parallel
from focal_ref._parameters import Parameters, range_of
from focal_ref._threads import get_num_threads

Array = NDArray[Any]

CALL, CALL_ROWS = 8 * BLOCK, 1 << 13
"""Elements, and rows, that a kernel takes at once, and whose losses are added up: some milliseconds of work."""


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
    fused = _fused(logits, targets, parameters, [value, gradient])
    if fused is not None:
        narrowed = value is not None and value.dtype.itemsize < 8
        values = None if value is None else Output(value, fused.rank)

        def write(rows: slice) -> None:
            losses = fused.run(rows, gradient, upstream, narrowed=narrowed)
            if values is not None:
                values.write(rows, losses)

        fused.each(write)
        return
    rank = logits.ndim - 1
    values, gradients = (None if array is None else Output(array, rank) for array in (value, gradient))
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            result = evaluate(np, *piece, narrowed=value is not None and value.dtype.itemsize < 8)
            if values is not None:
                values.write(rows, result.value)
            if gradients is not None:
                gradients.write(rows, result.gradient * _of_rows(upstream, rows, logits.shape)[..., np.newaxis])


def second_derivative(
    logits: Array, targets: Array, parameters: Parameters, *, out: Array, upstream: float | Array = 1.0
) -> None:
    """Write the diagonal of the Hessian of each row's loss, times its `upstream`."""
    output = Output(out, logits.ndim - 1)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            second = evaluate_second(np, *piece) * _of_rows(upstream, rows, logits.shape)[..., np.newaxis]
            output.write(rows, second)


def curvature(logits: Array, targets: Array, parameters: Parameters, direction: Array, *, out: Array) -> None:
    """Write the Hessian of each row's loss times a direction of the logits' shape."""
    output = Output(out, logits.ndim - 1)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            output.write(rows, evaluate_curvature(np, *piece, read(direction, direction.ndim - 1, rows)))


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
    output = Output(out, logits.ndim - 1)
    for rows, piece in _pieces(logits, targets, parameters):
        with np.errstate(all="ignore"):
            slope = evaluate_partial(np, name, *piece)
            factor = _of_rows(upstream, rows, logits.shape)
            output.write(rows, slope * (factor if name == "weights" else factor[..., np.newaxis]))


def total(logits: Array, targets: Array, parameters: Parameters) -> float:
    """Sum of the rows' losses in float64, each term unrounded; the order of additions depends on the shape alone."""
    fused = _fused(logits, targets, parameters, [])
    sums = [0.0]
    if fused is not None:
        sums += fused.each(lambda rows: float(tree_sum(np, fused.run(rows, None))))
    else:
        for _, piece in _pieces(logits, targets, parameters):
            with np.errstate(all="ignore"):
                sums.append(float(tree_sum(np, evaluate(np, *piece).value)))
    return float(tree_sum(np, np.array(sums)))


def total_and_gradient(
    logits: Array, targets: Array, parameters: Parameters, *, gradient: Array, upstream: float = 1.0
) -> float:
    """Sum as `total`, and the derivatives as `elementwise` writes them, in one pass where there is one."""
    fused = _fused(logits, targets, parameters, [None, gradient])
    if fused is None:
        elementwise(logits, targets, parameters, gradient=gradient, upstream=upstream)
        return total(logits, targets, parameters)
    sums = fused.each(lambda rows: float(tree_sum(np, fused.run(rows, gradient, upstream))))
    return float(tree_sum(np, np.array([0.0, *sums])))


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


@dataclass(frozen=True)
class _Fused:
    """A call that the fused kernels take; `gamma` and `alpha` are valid."""

    logits: Array
    labels: Array
    gamma: float
    alpha: Array
    weights: Array | float
    threads: int

    @property
    def rank(self) -> int:
        """How many axes hold rows."""
        return self.labels.ndim

    def calls(self) -> Iterator[slice]:
        """Rows by the call of a kernel. They depend on the shape alone, and with them the order of sums."""
        classes = self.logits.shape[-1]
        return blocks(slice(0, self.labels.size), min(max(1, CALL // classes), CALL_ROWS))

    def each(self, work: Callable[[slice], Any]) -> list[Any]:
        """What some work gives for the rows of each call, in their order, whichever thread did it."""
        calls = list(self.calls())
        results: list[Any] = [None] * len(calls)

        def run(start: int, stop: int) -> bool:
            for index in range(start, stop):
                results[index] = work(calls[index])
            return True

        in_parallel(run, len(calls), 1, self.threads, minimum=1)
        return results

    def run(
        self, rows: slice, gradient: Array | None, upstream: float | Array = 1.0, *, narrowed: bool = False
    ) -> Array:
        """Losses of some rows in float64; writes their part of the gradient, if there is one."""
        classes = self.logits.shape[-1]
        value = np.empty(rows.stop - rows.start)
        direct = is_plain(self.logits) and (gradient is None or is_plain(gradient))
        storage = dtype_name(self.logits.dtype)
        unused = np.empty(0, self.logits.dtype.newbyteorder("="))
        kernel = softmax_kernel(
            storage,
            self.gamma if self.gamma in SPECIAL_EXPONENTS else None,
            gradient is not None,
            gradient_storage=storage if gradient is None else dtype_name(gradient.dtype),
        )
        # What is copied at a time is shared among the threads.
        for piece in (rows,) if direct else blocks(rows, max(1, BLOCK // (classes * self.threads))):
            output = None if gradient is None else Output(gradient, self.rank)
            block = unused if output is None else output.block(piece)
            kernel(
                bits(read(self.logits, self.rank, piece)).reshape(-1),
                classes,
                read(self.labels, self.rank, piece).astype(np.int64, copy=False),
                self.alpha,
                self._factors(self.weights, piece),
                self._factors(upstream, piece),
                self.gamma,
                narrowed,
                value[piece.start - rows.start : piece.stop - rows.start],
                bits(block).reshape(-1),
            )
            if output is not None:
                output.finish(piece, block)
        return value

    def _factors(self, factors: float | Array, rows: slice) -> Array:
        """Factors of the results of some rows, or a single one for all."""
        array = np.asarray(factors)
        if array.size == 1:
            return array.reshape(1).astype(np.float64)
        return read(np.broadcast_to(array, self.labels.shape), self.rank, rows).astype(np.float64, copy=False)


def _fused(logits: Array, targets: Array, parameters: Parameters, outputs: list[Array | None]) -> _Fused | None:
    """The call as kernels take it, or None."""
    classes, gamma, alpha = logits.shape[-1], np.asarray(parameters.gamma), parameters.alpha
    formats = {dtype_name(array.dtype) for array in outputs if array is not None}
    fits = (
        parameters.encoding == "labels"
        and classes > 0
        and gamma.ndim == 0
        and formats <= {dtype_name(logits.dtype), "float64"} <= set(STORAGE_TYPES)
        and (alpha is None or (isinstance(alpha, np.ndarray) and alpha.shape == (classes,)))
    )
    # Parameters out of range make all rows NaN.
    if not fits or not range_of(parameters.form, "gamma").contains(float(gamma)):
        return None
    alpha = np.empty(0) if alpha is None else np.ascontiguousarray(alpha, dtype=np.float64)
    if not np.all((alpha >= 0) & (alpha < np.inf)):
        return None
    weights = 1.0 if parameters.weights is None else parameters.weights
    return _Fused(logits, targets, float(gamma), alpha, weights, parameters.threads or get_num_threads())


def _pieces(
    logits: Array, targets: Array, parameters: Parameters
) -> Iterator[tuple[slice, tuple[Array, Array, Parameters]]]:
    """Rows by the block: which they are, and their logits in float64, targets and parameters."""
    rank = logits.ndim - 1
    for rows in blocks(slice(0, row_count(logits, rank)), max(1, BLOCK // max(1, logits.shape[-1]))):
        given: dict[str, Any] = {}
        if parameters.weights is not None:
            given["weights"] = _of_rows(parameters.weights, rows, logits.shape)
        part = read(targets, rank, rows)
        if part.dtype.kind not in "biu":
            part = part.astype(np.float64)
        yield rows, (read(logits, rank, rows).astype(np.float64), part, replace(parameters, **given))


def _of_rows(factors: float | Array, rows: slice, shape: tuple[int, ...]) -> Array:
    """Factors of the results, of the rows of a block."""
    return read(np.broadcast_to(np.asarray(factors), shape[:-1]), len(shape) - 1, rows)
