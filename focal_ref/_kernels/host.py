"""Evaluation on NumPy arrays, in blocks: a fused kernel where one fits, the closed forms on a block elsewhere.

Blocks bound the extra memory whatever the size, layout or broadcasting of the inputs: NumPy's iterator hands out
contiguous pieces and copies only the pieces that are not contiguous already.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._evaluate import evaluate, evaluate_second
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._kernels.dense import dense_kernel, tree_sum
from focal_ref._parameters import Parameters
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
        Same shape; boolean, integer or floating-point.
    parameters
        Arrays among them are NumPy arrays that broadcast to the logits.
    value
        Array of the logits' shape in their dtype, or in float64 for results that are not rounded. None to leave out.
    gradient
        The same, with ``upstream`` multiplied in before the rounding.
    upstream
        A number, or an array that broadcasts to the logits.
    """
    outputs = [array for array in (value, gradient) if array is not None]
    for block in _blocks(logits, targets, parameters, outputs, upstream):
        block.write(value is not None, gradient is not None)


def second_derivative(
    logits: Array, targets: Array, parameters: Parameters, *, out: Array, upstream: float | Array = 1.0
) -> None:
    """Write the second derivative with respect to each logit, times `upstream`; arguments as for `elementwise`."""
    for block in _blocks(logits, targets, parameters, [out], upstream):
        block.write_second()


def total(
    logits: Array,
    targets: Array,
    parameters: Parameters,
) -> float:
    """Sum of the losses in float64, each term unrounded; the order of additions depends on the size alone."""
    sums = []
    buffer = np.empty(min(BLOCK, max(logits.size, 1)), dtype=np.float64)
    for block in _blocks(logits, targets, parameters, [], 1.0):
        terms = buffer[: block.logits.size]
        block.outputs = [terms]
        block.write(True, False)
        sums.append(tree_sum(terms, terms.size))
    return float(tree_sum(np.array(sums, dtype=np.float64), len(sums)))


def dtype_name(dtype: Any) -> str:
    """Name of a NumPy dtype, ml_dtypes' bfloat16 included."""
    return str(np.dtype(dtype).name)


class _Block:
    """One contiguous piece of every operand."""

    def __init__(
        self, logits: Array, targets: Array, parameters: Parameters, upstream: float | Array, outputs: list[Array]
    ) -> None:
        self.logits = logits
        self.targets = targets
        self.parameters = parameters
        self.upstream = upstream
        self.outputs = outputs
        self.storage = dtype_name(logits.dtype)
        narrow = parameters.precision == "fast" and self.storage != "float64"
        self.arithmetic = "float32" if narrow else "float64"

    def write(self, with_value: bool, with_gradient: bool) -> None:
        value = self.outputs[0] if with_value else None
        gradient = self.outputs[-1] if with_gradient else None
        gradient_fits = gradient is None or dtype_name(gradient.dtype) == self.storage
        positive = self._positive() if gradient_fits else None
        if positive is None:
            self._write_forms(value, gradient)
        else:
            self._write_kernel(positive, value, gradient)

    def write_second(self) -> None:
        with np.errstate(all="ignore"):
            second = evaluate_second(np, self._wide(self.logits), self.targets, self.parameters) * self.upstream
        _store(second, self.outputs[0])

    def _positive(self) -> Array | None:
        """Targets as uint8 where the fused kernel can take this block, else None."""
        parameters = self.parameters
        scalars = parameters.weights is None and isinstance(self.upstream, float)
        if not scalars or isinstance(parameters.alpha, np.ndarray) or isinstance(parameters.gamma, np.ndarray):
            return None
        targets = self.targets
        if targets.dtype == np.bool_:
            return targets.view(np.uint8)
        low = -1 if parameters.encoding == "signed" else 0
        positive = targets == 1
        if not np.all(positive | (targets == low)):
            return None
        return positive.view(np.uint8)

    def _write_kernel(self, positive: Array, value: Array | None, gradient: Array | None) -> None:
        parameters = self.parameters
        number: Any = np.float32 if self.arithmetic == "float32" else np.float64
        with np.errstate(over="ignore"):
            gamma = number(parameters.gamma)
        tail = number(parameters.gamma - float(gamma)) if np.isfinite(gamma) else number(0.0)
        gamma = gamma if np.isfinite(gamma) else number(np.finfo(number).max)
        alpha = parameters.alpha
        positive_weight, negative_weight = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
        exponent = parameters.gamma if parameters.gamma in SPECIAL_EXPONENTS else None
        value_storage = self.storage if value is None else dtype_name(value.dtype)
        kernel = dense_kernel(
            self.storage, value_storage, self.arithmetic, exponent, value is not None, gradient is not None
        )
        unused = np.empty(0, self.logits.dtype)
        kernel(
            _bits(self.logits),
            positive,
            number(positive_weight),
            number(negative_weight),
            gamma,
            tail,
            number(self.upstream),
            _bits(unused if value is None else value),
            _bits(unused if gradient is None else gradient),
        )

    def _write_forms(self, value: Array | None, gradient: Array | None) -> None:
        # NaN and infinities are results here, not accidents.
        with np.errstate(all="ignore"):
            narrowed = value is not None and self.arithmetic == "float64" and value.dtype.itemsize < 8
            result = evaluate(np, self._wide(self.logits), self.targets, self.parameters, narrowed=narrowed)
            if value is not None:
                _store(result.value, value)
            if gradient is not None:
                _store(result.gradient * self.upstream, gradient)

    def _wide(self, array: Array) -> Array:
        return array.astype(self.arithmetic)


def _blocks(
    logits: Array, targets: Array, parameters: Parameters, outputs: Sequence[Array], upstream: float | Array
) -> Iterator[_Block]:
    """Walk all operands together, broadcast to the logits' shape, in contiguous pieces of at most `BLOCK` elements."""
    arrays: dict[str, Array] = {"logits": logits, "targets": targets}
    for name in ("alpha", "gamma", "weights"):
        array = getattr(parameters, name)
        if isinstance(array, np.ndarray) and array.ndim == 0 and name != "weights":
            parameters = replace(parameters, **{name: float(array)})
        elif isinstance(array, np.ndarray):
            arrays[name] = array
    if isinstance(upstream, np.ndarray):
        arrays["upstream"] = upstream
    operands = [np.broadcast_to(array, logits.shape) for array in arrays.values()]
    # "nbo": in native byte order, which is all that kernels can take.
    layout = ["contig", "aligned", "nbo"]
    flags = [["readonly", *layout]] * len(operands) + [["writeonly", *layout]] * len(outputs)
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
            pieces_of_parameters = {name: named[name] for name in ("alpha", "gamma", "weights") if name in named}
            yield _Block(
                named["logits"],
                named["targets"],
                replace(parameters, **pieces_of_parameters),
                named.get("upstream", upstream),
                list(pieces[len(arrays) :]),
            )


def _bits(array: Array) -> Array:
    """16-bit floats as their bits, which is what kernels take; other formats as they are."""
    return array.view(np.uint16) if array.dtype.itemsize == 2 else array


def _store(wide: Array, out: Array) -> None:
    """Round float64 or float32 results once into `out`."""
    name = dtype_name(out.dtype)
    if name in _ROUNDERS:
        bits = _ROUNDERS[name](wide.astype(np.float64).view(np.int64))
        out.view(np.uint16)[...] = bits.astype(np.uint16)
    else:
        with np.errstate(all="ignore"):
            out[...] = wide
