"""The paper's loss as one Triton kernel: dense targets or labels, any strides, losses, derivatives and sums.

What is computed for an element is generated from the closed forms (`element_functions`); what stands here is what a
program reads, writes and adds up. A program has `PIECE` elements, and its sum is taken by halving in the order of
`focal_ref._kernels.contiguous`, so that sums are those of the CPU and need no atomic addition. Not yet run on a GPU:
tests run it in Triton's interpreter and compile it.

Numbers in float64 come as the bits of an int64, because Triton passes a Python float as float32.
"""

import hashlib
import linecache
from functools import cache
from typing import Any, NamedTuple

import triton
import triton.language as tl

from focal_ref._kernels.expressions import ARGUMENTS, RESULTS, SOFT_ARGUMENTS, element_lines, soft_element_lines
from focal_ref._kernels.expressions import triton as triton_language
from focal_ref._parameters import IGNORE

PIECE = 2048
PIECES_A_RUN = 64
"""As in `focal_ref._kernels.contiguous`."""

RANK = 4
"""Axes that operands may have after neighbours that lie one after the other have been joined."""

IGNORED = tl.constexpr(IGNORE)

OPTIONS = {"enable_fp_fusion": False}
"""Given with every launch: a product and a sum are joined where the closed forms do it, and nowhere else."""


def warps(arithmetic: str, results: tuple[str, ...], soft: bool) -> int:
    """How many warps share a piece: enough that what is under way for an element stays in registers."""
    heavy = soft or "second" in results
    return {("float64", False): 8, ("float64", True): 16, ("float32", False): 4, ("float32", True): 8}[
        arithmetic, heavy
    ]


def working_format(arithmetic: str) -> Any:
    """Triton's type of a working format."""
    return getattr(tl, arithmetic)


class Elements(NamedTuple):
    """Compiled functions of one element: of hard targets, and of those in [0, 1] where they are asked for."""

    hard: Any
    soft: Any


@cache
def element_functions(
    arithmetic: str, exponent: float | None, narrowed: bool, results: tuple[str, ...], soft: bool
) -> Elements:
    """Compile what is computed for an element; arguments as for `focal_ref._kernels.expressions.element_lines`.

    Both return a value for each of "value", "gradient" and "second", that of another where a result is not asked for.
    """
    language = triton_language(arithmetic)
    lines = element_lines(language, arithmetic, exponent, narrowed=narrowed, results=results)
    returned = tuple(name if name in results else results[0] for name in RESULTS)
    hard = triton_function(ARGUMENTS, lines, returned)
    if not soft or exponent is None:
        return Elements(hard, hard)
    lines = soft_element_lines(language, arithmetic, exponent, narrowed=narrowed, results=results)
    return Elements(hard, triton_function(SOFT_ARGUMENTS, lines, returned))


def triton_function(arguments: tuple[str, ...], lines: list[str], returned: tuple[str, ...]) -> Any:
    """A Triton function of statements, which Triton and its interpreter read as if they stood in a file."""
    text = "\n    ".join([f"def element({', '.join(arguments)}):", *lines, f"return {', '.join(returned)}"]) + "\n"
    file = f"<focal_ref element {hashlib.sha256(text.encode()).hexdigest()}>"
    linecache.cache[file] = len(text), None, text.splitlines(keepends=True), file
    scope: dict[str, Any] = {"tl": tl, "__name__": __name__}
    exec(compile(text, file, "exec"), scope)
    return triton.jit(scope["element"])


@triton.jit
def number(bits, dtype: tl.constexpr):
    """A number from the bits of a float64."""
    return bits.to(tl.int64).to(tl.float64, bitcast=True).to(dtype)


@triton.jit
def place(index, shape1, shape2, shape3, stride0, stride1, stride2, stride3, RANK: tl.constexpr):
    """Where an element lies whose index in the order of rows is given."""
    if RANK == 1:
        return index * stride0
    elif RANK == 2:
        return (index // shape1) * stride0 + (index % shape1) * stride1
    else:
        inner = (index % shape3) * stride3
        index = index // shape3
        middle = (index % shape2) * stride2
        index = index // shape2
        return (index // shape1) * stride0 + (index % shape1) * stride1 + middle + inner


@triton.jit
def readable(stored):
    """A stored number in a format that is compared: 16-bit floats as float32."""
    if stored.dtype == tl.float16 or stored.dtype == tl.bfloat16:
        return stored.to(tl.float32)
    else:
        return stored


@triton.jit
def narrowed(wide, dtype: tl.constexpr):
    """A result in the format of an output, rounded once."""
    if dtype == tl.float64 or dtype == tl.float32:
        return wide.to(dtype)
    else:
        bits = odd_bits(wide) if wide.dtype == tl.float64 else wide.to(tl.int32, bitcast=True)
        if dtype == tl.float16:
            return bits.to(tl.float32, bitcast=True).to(tl.float16)
        else:
            # To nearest, ties to even: half a unit less one, and one more where the last bit that stays is set.
            rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
            is_nan = (bits & 0x7FFFFFFF) > 0x7F800000
            return tl.where(is_nan, 0x7FC0, rounded).to(tl.int16).to(tl.bfloat16, bitcast=True)


@triton.jit
def odd_bits(wide):
    """Bits of a float64 as a float32, cut off towards zero, the last bit set where anything was cut off.

    Rounded from there to a format with two digits less or still fewer, the number is rounded once.
    """
    single = wide.to(tl.float32)
    exact = single.to(tl.float64)
    bits = single.to(tl.int32, bitcast=True)
    bits = tl.where(tl.abs(exact) > tl.abs(wide), bits - 1, bits)
    return tl.where(exact != wide, bits | 1, bits)


@triton.jit
def halved(terms, LEVELS: tl.constexpr):
    """Sums along the last of two axes, of 2^LEVELS numbers: the lower half plus the upper half, and so on."""
    for level in tl.static_range(LEVELS):
        terms = tl.sum(tl.reshape(terms, (terms.shape[0], 2, 1 << (LEVELS - 1 - level))), axis=1)
    return terms


# Another gamma, or a gradient from above, is no other kernel.
@triton.jit(do_not_specialize=["positive_weight", "negative_weight", "gamma", "gamma_tail", "factor"])
def losses(
    logits,
    targets,
    upstream,
    value,
    gradient,
    second,
    sums,
    size,
    classes,
    shape1,
    shape2,
    shape3,
    logit_stride0,
    logit_stride1,
    logit_stride2,
    logit_stride3,
    target_stride0,
    target_stride1,
    target_stride2,
    target_stride3,
    upstream_stride0,
    upstream_stride1,
    upstream_stride2,
    upstream_stride3,
    positive_weight,
    negative_weight,
    gamma,
    gamma_tail,
    factor,
    HARD: tl.constexpr,
    SOFT: tl.constexpr,
    ENCODING: tl.constexpr,
    WORKING: tl.constexpr,
    WITH_UPSTREAM: tl.constexpr,
    WITH_VALUE: tl.constexpr,
    WITH_GRADIENT: tl.constexpr,
    WITH_SECOND: tl.constexpr,
    WITH_SUM: tl.constexpr,
    PLAIN: tl.constexpr,
    RANK: tl.constexpr,
    WIDE: tl.constexpr,
    PIECE: tl.constexpr,
    LEVELS: tl.constexpr,
):
    """One piece of the elements.

    Outputs are contiguous, and with PLAIN the logits. ENCODING is "binary", "signed", "labels" or "soft".
    """
    piece = tl.program_id(0)
    if WIDE:
        piece = piece.to(tl.int64)
    index = piece * PIECE + tl.arange(0, PIECE)
    inside = index < size
    # Of an index as it is, the compiler knows that neighbours lie one after the other, and reads several at once.
    at = index
    if not PLAIN:
        at = place(index, shape1, shape2, shape3, logit_stride0, logit_stride1, logit_stride2, logit_stride3, RANK)
    logit = readable(tl.load(logits + at, inside, 0.0)).to(WORKING)
    at = place(index, shape1, shape2, shape3, target_stride0, target_stride1, target_stride2, target_stride3, RANK)
    target = readable(tl.load(targets + at, inside, 0))
    positive_weight = number(positive_weight, WORKING)
    negative_weight = number(negative_weight, WORKING)
    gamma = number(gamma, WORKING)
    gamma_tail = number(gamma_tail, WORKING)
    factor = number(factor, WORKING)
    if WITH_UPSTREAM:
        at = place(
            index, shape1, shape2, shape3, upstream_stride0, upstream_stride1, upstream_stride2, upstream_stride3, RANK
        )
        factor = readable(tl.load(upstream + at, inside, 0.0)).to(WORKING)

    ignored = inside & False
    if ENCODING == "labels":
        label = target.to(tl.int64)
        ignored = label == IGNORED
        is_positive = label == index % classes
        valid = ((label >= -1) & (label < classes)) | ignored
    elif ENCODING == "signed":
        is_positive = target == 1
        valid = is_positive | (target == -1)
    else:
        is_positive = target == 1
        valid = is_positive | (target == 0)

    if ENCODING == "soft":
        # Almost always all targets of a piece are hard, and the forms for these take half the time.
        if tl.min(valid.to(tl.int32), axis=0) == 1:
            result, slope, curvature = HARD(
                logit, is_positive, positive_weight, negative_weight, gamma, gamma_tail, factor
            )
        else:
            result, slope, curvature = SOFT(logit, target.to(WORKING), positive_weight, negative_weight, gamma, factor)
        valid = (target >= 0) & (target <= 1)
    else:
        result, slope, curvature = HARD(logit, is_positive, positive_weight, negative_weight, gamma, gamma_tail, factor)
    if WITH_VALUE:
        tl.store(value + index, narrowed(counted(result, valid, ignored), value.dtype.element_ty), inside)
    if WITH_GRADIENT:
        tl.store(gradient + index, narrowed(counted(slope, valid, ignored), gradient.dtype.element_ty), inside)
    if WITH_SECOND:
        tl.store(second + index, narrowed(counted(curvature, valid, ignored), second.dtype.element_ty), inside)
    if WITH_SUM:
        terms = tl.where(inside, counted(result, valid, ignored).to(tl.float64), 0.0)
        total = halved(tl.reshape(terms, (1, PIECE)), LEVELS)
        tl.store(sums + piece + tl.arange(0, 1), tl.reshape(total, (1,)))


@triton.jit
def counted(result, valid, ignored):
    """NaN where the target is none, zero where it says to ignore the element."""
    return tl.where(ignored, 0.0, tl.where(valid, result, float("nan")))


@triton.jit
def add_up(terms, sums, size, ROWS: tl.constexpr, LENGTH: tl.constexpr, LEVELS: tl.constexpr):
    """Sums of stretches of LENGTH = 2^LEVELS terms, the last one filled up with zeros; ROWS of them a program."""
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    index = row[:, None] * LENGTH + tl.arange(0, LENGTH)[None, :]
    total = halved(tl.load(terms + index, index < size, 0.0), LEVELS)
    tl.store(sums + row, tl.reshape(total, (ROWS,)), row * LENGTH < size)
