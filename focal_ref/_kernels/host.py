"""Evaluation on NumPy arrays: one fused pass where the paper's loss is taken of contiguous ones, in blocks elsewhere.

Blocks bound the extra memory whatever the size, layout or broadcasting of the inputs: NumPy's iterator hands out
contiguous pieces and copies only the pieces that are not contiguous already. A block takes a fused kernel where one
fits, and the closed forms else.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._evaluate import evaluate, evaluate_partial, evaluate_second
from focal_ref._kernels import whole
from focal_ref._kernels.contiguous import PIECE, PIECES_A_RUN
from focal_ref._kernels.dense import dense_kernel, tree_sum
from focal_ref._kernels.storage import arithmetic_of, bits, capped_gamma, class_weights, dtype_name
from focal_ref._parameters import IGNORE, NUMBERS, Parameters, range_of
from focal_ref._rounding import NARROW_FORMATS, rounder

Array = NDArray[Any]

BLOCK = 1 << 16
"""Elements a block: 512 KiB of float64, so that a block's intermediates stay in the second-level cache."""

_ROUNDERS = {name: rounder(NARROW_FORMATS[name], np.where) for name in ("float16", "bfloat16")}


def elementwise(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    *,
    value: Array | None = None,
    gradient: Array | None = None,
    upstream: float | Array = 1.0,
) -> None:
    """Write the loss of each element into `value` and its derivative times `upstream` into `gradient`.

    Parameters
    ----------
    logits
        float64, float32, float16 or ml_dtypes.bfloat16, any shape and strides.
    targets
        Same shape; boolean, integer or floating-point. Labels have the logits' shape without the last axis.
    parameters
        Arrays among them are NumPy arrays that broadcast to the logits.
    value
        Array of the logits' shape in their dtype, or in float64 for results that are not rounded. None to leave out.
    gradient
        The same, with ``upstream`` multiplied in before the rounding.
    upstream
        A number, or an array that broadcasts to the logits.
    """
    if whole.elementwise(logits, targets, parameters, value, gradient, None, upstream):
        return
    outputs = [array for array in (value, gradient) if array is not None]
    for block in _blocks(logits, targets, parameters, outputs, upstream):
        block.write(value is not None, gradient is not None)


def second_derivative(
    logits: Array, targets: Array, parameters: Parameters, *, out: Array, upstream: float | Array = 1.0
) -> None:
    """Write the second derivative with respect to each logit, times `upstream`; arguments as for `elementwise`."""
    if whole.elementwise(logits, targets, parameters, None, None, out, upstream):
        return
    for block in _blocks(logits, targets, parameters, [out], upstream):
        block.write_second()


def partial(
    name: str,
    logits: Array,
    targets: Array,
    parameters: Parameters,
    *,
    out: Array,
    upstream: float | Array = 1.0,
) -> None:
    """Write the derivative with respect to what `name` says (see `evaluate_partial`), times `upstream`."""
    for block in _blocks(logits, targets, parameters, [out], upstream):
        block.write_partial(name)


def total(logits: Array, targets: Array, parameters: Parameters) -> float:
    """Sum of the losses in float64, each term unrounded; the order of additions depends on the size alone."""
    found = whole.total(logits, targets, parameters)
    if found is not None:
        return found
    return _summed(_blocks(logits, targets, parameters, [], 1.0), logits.size, lambda block: block.write(True, False))


def total_and_gradient(
    logits: Array, targets: Array, parameters: Parameters, *, gradient: Array, upstream: float = 1.0
) -> float:
    """Sum as `total`, and the derivatives as `elementwise` writes them, in one pass where there is one."""
    found = whole.total(logits, targets, parameters, gradient, upstream)
    if found is not None:
        return found
    elementwise(logits, targets, parameters, gradient=gradient, upstream=upstream)
    return total(logits, targets, parameters)


def partial_total(
    name: str, logits: Array, targets: Array, parameters: Parameters, upstream: float | Array = 1.0
) -> float:
    """Sum of what `partial` writes, in float64."""
    blocks = _blocks(logits, targets, parameters, [], upstream)
    return _summed(blocks, logits.size, lambda block: block.write_partial(name))


def _summed(blocks: Iterator["_Block"], size: int, write: Callable[["_Block"], None]) -> float:
    # NumPy's iterator cuts transposed or reversed arrays elsewhere than contiguous ones: collected to full pieces, the
    # terms are added in the order of `contiguous` whatever the layout.
    sums: list[float] = []
    piece_sums: list[float] = []
    buffer = np.empty(min(BLOCK + PIECE, size), dtype=np.float64)
    filled = 0
    for block in blocks:
        start, filled = filled, filled + block.logits.size
        block.outputs = [buffer[start:filled]]
        write(block)
        done = filled - filled % PIECE
        piece_sums += [tree_sum(buffer[first : first + PIECE], PIECE) for first in range(0, done, PIECE)]
        filled -= done
        buffer[:filled] = buffer[done : done + filled]
        while len(piece_sums) >= PIECES_A_RUN:
            sums.append(_tree_sum(piece_sums[:PIECES_A_RUN]))
            del piece_sums[:PIECES_A_RUN]
    if filled:
        piece_sums.append(tree_sum(buffer, filled))
    return _tree_sum([*sums, _tree_sum(piece_sums)] if piece_sums else sums)


def _tree_sum(terms: list[float]) -> float:
    return float(tree_sum(np.array(terms, dtype=np.float64), len(terms)))


class _Block:
    """One contiguous piece of every operand."""

    def __init__(
        self,
        pieces: dict[str, Array],
        parameters: Parameters,
        upstream: float,
        outputs: list[Array],
        num_classes: int | None,
    ) -> None:
        self.logits = pieces["logits"]
        self.targets = pieces["targets"]
        given: Any = {name: pieces[name] for name in (*NUMBERS, "weights") if name in pieces}
        self.parameters = replace(parameters, **given)
        self.upstream = pieces.get("upstream", upstream)
        self.outputs = outputs
        self.storage = dtype_name(self.logits.dtype)
        self.arithmetic = arithmetic_of(parameters, self.storage)
        self.ignored = self.invalid = None
        if num_classes is not None:
            labels = pieces["targets"]
            self.targets = labels == pieces["classes"]
            self.ignored, self.invalid = labels == IGNORE, (labels < IGNORE) | (labels >= num_classes)
            self.parameters = replace(self.parameters, encoding="binary")

    def write(self, with_value: bool, with_gradient: bool) -> None:
        value = self.outputs[0] if with_value else None
        gradient = self.outputs[-1] if with_gradient else None
        positive = self._positive()
        arrays = self._has_array("alpha") or self._has_array("gamma")
        if positive is None or arrays or self.parameters.form != "focal":
            self._write_forms(positive, value, gradient)
        elif self.parameters.weights is None and not isinstance(self.upstream, np.ndarray):
            self._run_kernel(positive, value, gradient, float(self.upstream))
        else:
            self._write_weighted(positive, value, gradient)
        self._write_codes()

    def write_second(self) -> None:
        with np.errstate(all="ignore"):
            second = evaluate_second(np, *self._operands())
            store(second * self.upstream, self.outputs[0])
        self._write_codes()

    def write_partial(self, name: str) -> None:
        with np.errstate(all="ignore"):
            logits, targets, parameters = self._operands()
            if name == "targets":
                # All of them may be 0 or 1, but they are shares.
                targets = self._wide(self.targets)
            slope = evaluate_partial(np, name, logits, targets, parameters)
            store(slope * self.upstream, self.outputs[0])
        self._write_codes()

    def _operands(self) -> tuple[Array, Array, Parameters]:
        return self._wide(self.logits), self._wide_targets(self._positive()), self.parameters

    def _write_codes(self) -> None:
        """What labels that name no class lead to."""
        if self.ignored is None or self.invalid is None:
            return
        for output in self.outputs:
            output[self.ignored] = 0.0
            output[self.invalid] = np.nan

    def _has_array(self, name: str) -> bool:
        return isinstance(getattr(self.parameters, name), np.ndarray)

    def _positive(self) -> Array | None:
        """Where the targets are positive, if all of them are hard and valid, else None."""
        targets = self.targets
        if targets.dtype == np.bool_:
            return targets
        low = -1 if self.parameters.encoding == "signed" else 0
        with np.errstate(invalid="ignore"):
            positive: Array = targets == 1
            return positive if np.all(positive | (targets == low)) else None

    def _run_kernel(
        self, positive: Array, value: Array | None, gradient: Array | None, upstream: float, *, narrowed: bool = False
    ) -> None:
        number: Any = np.dtype(self.arithmetic).type
        gamma, exponent = capped_gamma(self.parameters.gamma, self.arithmetic)
        positive_weight, negative_weight = class_weights(self.parameters.alpha)
        unused = np.empty(0, self.logits.dtype)
        outputs = [unused if array is None else array for array in (value, gradient)]
        value_storage, gradient_storage = (dtype_name(array.dtype) for array in outputs)
        kernel = dense_kernel(
            self.storage,
            value_storage,
            self.arithmetic,
            exponent,
            value is not None,
            gradient is not None,
            gradient_storage=gradient_storage,
            narrowed=narrowed or value_storage != "float64",
        )
        kernel(
            bits(self.logits),
            positive.view(np.uint8),
            number(positive_weight),
            number(negative_weight),
            number(gamma),
            number(gamma - float(number(gamma))),
            number(upstream),
            *map(bits, outputs),
        )

    def _write_weighted(self, positive: Array, value: Array | None, gradient: Array | None) -> None:
        """Run the kernel without rounding, multiply by the arrays, and round."""
        outputs = {"value": value, "gradient": gradient}
        wide = {name: np.empty(self.logits.size) for name, array in outputs.items() if array is not None}
        narrowed = value is not None and value.dtype.itemsize < 8
        self._run_kernel(positive, wide.get("value"), wide.get("gradient"), 1.0, narrowed=narrowed)
        weights = self.parameters.weights
        with np.errstate(all="ignore"):
            for name, numbers in wide.items():
                if weights is not None:
                    # A weight of zero gives zero, also where the loss is infinite; one out of range gives NaN.
                    numbers[(weights == 0) & np.isinf(numbers)] = 0.0
                    numbers *= np.where((weights >= 0) & np.isfinite(weights), weights, np.nan)
                if name == "gradient":
                    numbers *= self.upstream
                store(numbers, outputs[name])  # type: ignore[arg-type]

    def _write_forms(self, positive: Array | None, value: Array | None, gradient: Array | None) -> None:
        # NaN and infinities are results here, not accidents.
        with np.errstate(all="ignore"):
            narrowed = value is not None and self.arithmetic == "float64" and value.dtype.itemsize < 8
            logits, targets = self._wide(self.logits), self._wide_targets(positive)
            result = evaluate(np, logits, targets, self.parameters, narrowed=narrowed)
            if value is not None:
                store(result.value, value)
            if gradient is not None:
                store(result.gradient * self.upstream, gradient)

    def _wide(self, array: Array) -> Array:
        return array.astype(self.arithmetic)

    def _wide_targets(self, positive: Array | None) -> Array:
        """Targets in a dtype that NumPy's namespace knows, which bfloat16 is not; hard ones as what they are."""
        if self.parameters.encoding == "signed" or self.targets.dtype.kind in "biu":
            return self.targets
        return self._wide(self.targets) if positive is None or self.parameters.form != "focal" else positive


def _blocks(
    logits: Array, targets: Array, parameters: Parameters, outputs: Sequence[Array], upstream: float | Array
) -> Iterator[_Block]:
    """Walk all operands together, broadcast to the logits' shape, in contiguous pieces of at most `BLOCK` elements."""
    arrays: dict[str, Array] = {"logits": logits, "targets": targets}
    num_classes = None
    if parameters.encoding == "labels":
        num_classes = logits.shape[-1]
        arrays["targets"] = targets[..., np.newaxis]
        arrays["classes"] = np.arange(num_classes)
    for name in (*NUMBERS, "weights"):
        array = getattr(parameters, name)
        number = name != "weights" and isinstance(array, np.ndarray) and array.ndim == 0
        # One out of range stays an array, which gives NaN.
        if number and range_of(parameters.form, name).contains(float(array)):
            parameters = replace(parameters, **{name: float(array)})  # type: ignore[arg-type]  # numbers alone
        elif isinstance(array, np.ndarray):
            arrays[name] = array
    if isinstance(upstream, np.ndarray):
        arrays["upstream"] = upstream
        upstream = 1.0
    operands = [np.broadcast_to(array, logits.shape) for array in arrays.values()]
    # "nbo": in native byte order, which is all that kernels can take.
    layout = ["contig", "aligned", "nbo"]
    flags: Any = [["readonly", *layout]] * len(operands) + [["writeonly", *layout]] * len(outputs)
    iterator = np.nditer(
        [*operands, *outputs],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=flags,
        order="C",
        buffersize=BLOCK,
    )
    with iterator:
        for pieces in iterator:
            pieces = pieces if isinstance(pieces, tuple) else (pieces,)
            named = dict(zip(arrays, pieces, strict=False))
            if named["logits"].size == 0:
                return
            yield _Block(named, parameters, upstream, list(pieces[len(arrays) :]), num_classes)


def store(wide: Array, out: Array) -> None:
    """Round float64 or float32 results once into `out`."""
    name = dtype_name(out.dtype)
    if name in _ROUNDERS:
        bits = _ROUNDERS[name](wide.astype(np.float64).view(np.int64))
        out.view(np.uint16)[...] = bits.astype(np.uint16)
    else:
        with np.errstate(all="ignore"):
            out[...] = wide
