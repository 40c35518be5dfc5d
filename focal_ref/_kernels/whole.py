"""The fused pass over whole NumPy arrays, for those that fit it: contiguous, and with numbers for parameters.

Every function says by False or None that a call does not fit; then nothing that it wrote counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._kernels.contiguous import RUN, Variant, contiguous_kernel
from focal_ref._kernels.dense import STORAGE_TYPES, Written, tree_sum
from focal_ref._kernels.storage import arithmetic_of, bits, capped_gamma, class_weights, dtype_name
from focal_ref._kernels.threads import in_parallel
from focal_ref._parameters import Parameters
from focal_ref._threads import get_num_threads

Array = NDArray[Any]

MINIMUM = 1 << 15
"""Elements for which a pass is compiled: it has a variant for each dtype of the targets, and a block takes as long."""

TARGETS = ("bool", *(f"{sign}int{width}" for sign in ("", "u") for width in (8, 16, 32, 64)), *STORAGE_TYPES)
"""Dtypes that dense targets may have."""


def elementwise(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    value: Array | None,
    gradient: Array | None,
    second: Array | None,
    upstream: float | Array,
) -> bool:
    """Write what is asked for, as `focal_ref._kernels.host.elementwise` does; whether the call fits."""
    return _run(logits, targets, parameters, (value, gradient, second), upstream, None)


def total(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    gradient: Array | None = None,
    upstream: float = 1.0,
) -> float | None:
    """Sum of the losses, and the gradients where there is an array for them; None for a call that does not fit."""
    sums = np.empty(-(-logits.size // RUN))
    if not _run(logits, targets, parameters, (None, gradient, None), upstream, sums):
        return None
    return float(tree_sum(sums, sums.size))


def _run(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    outputs: tuple[Array | None, Array | None, Array | None],
    upstream: float | Array,
    sums: Array | None,
) -> bool:
    given = [array for array in outputs if array is not None]
    if not _fits(logits, targets, parameters, upstream) or not all(map(_is_plain, given)):
        return False
    storage = dtype_name(logits.dtype)
    arithmetic = arithmetic_of(parameters, storage)
    gamma, exponent = capped_gamma(parameters.gamma, arithmetic)
    written = Written(*(None if array is None else dtype_name(array.dtype) for array in outputs))
    variant = Variant(
        storage,
        dtype_name(targets.dtype),
        parameters.encoding,
        arithmetic,
        exponent,
        written,
        summed=sums is not None,
        narrowed=sums is None and written.value not in (None, "float64"),
    )
    kernel = contiguous_kernel(variant)
    number: Any = np.dtype(arithmetic).type
    tail = gamma - float(number(gamma))
    numbers = [number(each) for each in (*class_weights(parameters.alpha), gamma, tail, upstream)]
    labelled = parameters.encoding == "labels"
    classes = logits.shape[-1] if labelled else 1
    flat_logits, flat_targets = bits(logits).reshape(-1), bits(targets).reshape(-1)
    flat_outputs = [bits(np.empty(0, logits.dtype) if array is None else array).reshape(-1) for array in outputs]
    unused = np.empty(0)

    def run(start: int, stop: int) -> bool:
        hard: bool = kernel(
            start,
            flat_logits[start:stop],
            flat_targets if labelled else flat_targets[start:stop],
            classes,
            *numbers,
            *(array[start:stop] for array in flat_outputs),
            unused if sums is None else sums[start // RUN : -(-stop // RUN)],
        )
        return hard

    return in_parallel(run, logits.size, RUN, parameters.threads or get_num_threads())


def _fits(logits: Array, targets: Array, parameters: Parameters, upstream: float | Array) -> bool:
    return (
        logits.size >= MINIMUM
        and parameters.form == "focal"
        and parameters.weights is None
        and isinstance(parameters.gamma, float)
        and (parameters.alpha is None or isinstance(parameters.alpha, float))
        and not isinstance(upstream, np.ndarray)
        and _is_plain(logits)
        and _is_plain(targets)
        and dtype_name(targets.dtype) in TARGETS
    )


def _is_plain(array: Array) -> bool:
    """Whether the elements lie one after the other, as the processor reads them."""
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative
