"""CuPy arrays through the kernels of `focal_ref.adapters._cupy_source`. Not yet run on a GPU.

Everything runs on the device of the logits and on its current stream, and nothing waits for it: sums, divisors and
faults in the data stay on the device. Arrays that are not contiguous are copied first, and outputs that are not receive
a copy; a sum takes one float64 for every 2048 logits beside its result.
"""

from functools import cache
from typing import Any

import cupy
import numpy as np

from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._kernels.storage import arithmetic_of, capped_gamma, class_weights
from focal_ref._parameters import Parameters
from focal_ref.adapters import _cupy_source as source
from focal_ref.adapters._cupy_source import FLOATS, INTEGERS, Variant

Array = Any

BLOCKS_A_PROCESSOR = 8
"""At least as many as run on a multiprocessor at once; the same blocks walk the rest of a large array."""

_NULL = np.uint64(0)

# Instructions without ".ftz", which CuPy's compiler would choose.
_WIDEN = """
double result;
asm("cvt.f64.f32 %0, %1;" : "=d"(result) : "f"(narrow));
wide = result;
"""
_NARROW = """
float result;
asm("cvt.rn.f32.f64 %0, %1;" : "=f"(result) : "d"(wide));
narrow = result;
"""


def fits(targets: str, parameters: Parameters, *, soft: bool = False, second: bool = False) -> bool:
    """Whether there is a kernel for targets of this dtype and these parameters; `second` for second derivatives.

    Floating-point targets may be soft, which only reading them would tell; signed ones are always hard. There are forms
    of soft ones for a gamma of 0, 1 or 2, and for value and gradient. With `soft` the answer is yes for all others too:
    the kernel gives NaN where a target is neither 0 nor 1.
    """
    numbers = isinstance(parameters.gamma, float) and (parameters.alpha is None or isinstance(parameters.alpha, float))
    if not numbers or parameters.weights is not None or parameters.form != "focal":
        return False
    forms = soft or parameters.encoding == "signed" or (parameters.gamma in SPECIAL_EXPONENTS and not second)
    return targets in INTEGERS or (targets in FLOATS and forms)


def elementwise(
    logits: Array, targets: Array, parameters: Parameters, names: tuple[str, ...], out: tuple[Array, ...] | None = None
) -> tuple[Array, ...]:
    """What `names` says ("value", "gradient", "second") of each logit, in the logits' dtype."""
    with logits.device:
        results = out or tuple(cupy.empty(logits.shape, logits.dtype) for _ in names)
        written = tuple(_contiguous_output(array) for array in results)
        _run_pass(logits, targets, parameters, names, dict(zip(names, written, strict=True)))
        _copy_back(written, results)
    return results


def total(
    logits: Array, targets: Array, parameters: Parameters, normalizer: Any, gradient: Array | None = None
) -> Array:
    """Sum of the values over the normalizer; `gradient` receives the derivatives of that."""
    dtype = str(logits.dtype.name)
    result_dtype = dtype if dtype == "float64" else "float32"
    pieces = -(-logits.size // source.PIECE)
    with logits.device:
        numbers = {"divisor": np.float64(1.0), "normalizer": _NULL}
        if isinstance(normalizer, cupy.ndarray):
            # Not as a number: reading it would wait for the device.
            numbers["normalizer"] = normalizer.astype(cupy.float64, copy=False)
        elif normalizer is not None:
            numbers["divisor"] = np.float64(normalizer)
        sums = cupy.empty(pieces, cupy.float64)
        names: tuple[str, ...] = ("value",) if gradient is None else ("value", "gradient")
        written = () if gradient is None else (_contiguous_output(gradient),)
        outputs = dict(zip(names[1:], written, strict=True))
        _run_pass(logits, targets, parameters, names, outputs, {**numbers, "sums": sums})
        if gradient is not None:
            _copy_back(written, (gradient,))
        result = cupy.empty((), result_dtype)
        given = {**numbers, "pieces": np.int64(pieces), "sums": sums, "result": result}
        kernel = _compiled(source.finish_source(result_dtype), "finish", logits.device.id)
        kernel((1,), (source.FINISHING_THREADS,), _arguments(source.finish_parameters(result_dtype), given))
    return result


def _run_pass(
    logits: Array,
    targets: Array,
    parameters: Parameters,
    names: tuple[str, ...],
    outputs: dict[str, Array],
    further: dict[str, Any] | None = None,
) -> None:
    """Launch the pass; `outputs` are contiguous, and `further` belongs to a sum."""
    if logits.size == 0:
        return
    dtype = str(logits.dtype.name)
    arithmetic = arithmetic_of(parameters, dtype)
    gamma, exponent = capped_gamma(parameters.gamma, arithmetic)
    number: Any = np.dtype(arithmetic).type
    positive_weight, negative_weight = class_weights(parameters.alpha)
    variant = Variant(
        dtype, str(targets.dtype.name), parameters.encoding, arithmetic, exponent, names, summed=further is not None
    )
    given = {
        "size": np.int64(logits.size),
        # Of labels alone; a scalar has none.
        "classes": np.int64(logits.shape[-1] if logits.ndim else 1),
        "rows": np.int64(targets.size),
        "logits": cupy.ascontiguousarray(logits),
        "targets": cupy.ascontiguousarray(targets),
        "positive_weight": number(positive_weight),
        "negative_weight": number(negative_weight),
        "gamma": number(gamma),
        "gamma_tail": number(gamma - float(number(gamma))),
        **{f"{name}_out": array for name, array in outputs.items()},
        **(further or {}),
    }
    device = logits.device.id
    blocks = min(-(-logits.size // source.PIECE), BLOCKS_A_PROCESSOR * _processors(device))
    kernel = _compiled(source.pass_source(variant), "focal", device)
    kernel((blocks,), (source.THREADS,), _arguments(source.pass_parameters(variant), given))


def _arguments(parameters: tuple[tuple[str, str], ...], given: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(given[name] for _, name in parameters)


def _contiguous_output(array: Array) -> Array:
    return array if array.flags.c_contiguous else cupy.empty(array.shape, array.dtype)


def _copy_back(written: tuple[Array, ...], results: tuple[Array, ...]) -> None:
    for array, result in zip(written, results, strict=True):
        if array is not result:
            result[...] = array


def widened(array: Array) -> Array:
    """Floating-point numbers in float64; subnormal ones stay what they are."""
    dtype = str(array.dtype.name)
    if dtype == "bfloat16":
        array = (array.view(cupy.uint16).astype(cupy.uint32) << 16).view(cupy.float32)
    return _widening()(array) if dtype in ("float32", "bfloat16") else array.astype(cupy.float64, copy=False)


def narrowed(wide: Array) -> Array:
    """Numbers of float64 in float32, rounded once; subnormal ones are not flushed to zero."""
    return _narrowing()(wide)


@cache
def _widening() -> Any:
    return cupy.ElementwiseKernel("float32 narrow", "float64 wide", _WIDEN, "focal_ref_widen")


@cache
def _narrowing() -> Any:
    return cupy.ElementwiseKernel("float64 wide", "float32 narrow", _NARROW, "focal_ref_narrow")


@cache
def _processors(device: int) -> int:
    return int(cupy.cuda.runtime.deviceGetAttribute(cupy.cuda.runtime.cudaDevAttrMultiProcessorCount, device))


@cache
def _compiled(code: str, name: str, device: int) -> Any:
    """Compile for the current device, which has the number `device`.

    Not by `cupy.RawKernel`, which appends ``-ftz=true`` to the options, of which the last one counts.
    """
    image, _ = cupy.cuda.compiler.compile_using_nvrtc(code, source.OPTIONS)
    module = cupy.cuda.function.Module()
    module.load(image)
    return module.get_function(name)
