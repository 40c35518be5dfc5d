"""CUDA tensors through the Triton kernel: which calls fit it, and how it is launched. Not yet run on a GPU."""

import struct
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from focal_ref._kernels.storage import arithmetic_of, capped_gamma, class_weights
from focal_ref._parameters import Parameters
from focal_ref.adapters import _triton_kernels as kernels
from focal_ref.adapters._triton_kernels import PIECE, PIECES_A_RUN, RANK

Tensor = torch.Tensor

FORMATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)

RUNS_A_PROGRAM = 16


def fits(logits: Tensor, targets: Tensor, parameters: Parameters, *, second: bool = False) -> bool:
    """Whether the kernel computes this call: the paper's loss with numbers for alpha and gamma, and no weights.

    Targets of a floating-point dtype may be soft. The kernel has forms of those for a gamma of 0, 1 or 2, and for value
    and gradient alone.
    """
    if parameters.form != "focal" or parameters.weights is not None or logits.dtype not in FORMATS:
        return False
    if not isinstance(parameters.gamma, float) or not (parameters.alpha is None or isinstance(parameters.alpha, float)):
        return False
    # A label of 64 bits without a sign may be beyond what the kernel compares.
    if targets.dtype == torch.uint64:
        return False
    _, exponent = capped_gamma(parameters.gamma, _arithmetic(logits, parameters))
    return _encoding(targets, parameters) != "soft" or (exponent is not None and not second)


def run(
    logits: Tensor,
    targets: Tensor,
    parameters: Parameters,
    *,
    value: Tensor | None = None,
    gradient: Tensor | None = None,
    second: Tensor | None = None,
    upstream: float | Tensor = 1.0,
) -> None:
    """Write what there is a tensor for.

    `upstream`, a number or a tensor that broadcasts to the logits, multiplies gradient and second derivative. Nothing
    waits for the device.
    """
    outputs = {"value": value, "gradient": gradient, "second": second}
    plain = {name: output.contiguous() for name, output in outputs.items() if output is not None}
    _launch(logits, targets, parameters, plain, None, upstream)
    for name, written in plain.items():
        output = outputs[name]
        if output is not None and output is not written:
            output.copy_(written)


def total(
    logits: Tensor,
    targets: Tensor,
    parameters: Parameters,
    *,
    gradient: Tensor | None = None,
    upstream: float | Tensor = 1.0,
) -> Tensor:
    """Sum of the unrounded losses, in float64, and the gradients where there is a tensor for them.

    Takes a float64 for each `PIECE` elements beside the results. Nothing waits for the device.
    """
    pieces = torch.empty(-(-logits.numel() // PIECE), dtype=torch.float64, device=logits.device)
    plain = None if gradient is None else gradient.contiguous()
    _launch(logits, targets, parameters, {"gradient": plain}, pieces, upstream)
    if gradient is not None and plain is not None and gradient is not plain:
        gradient.copy_(plain)
    return _sum_of_pieces(pieces)


def _launch(
    logits: Tensor,
    targets: Tensor,
    parameters: Parameters,
    outputs: Mapping[str, Tensor | None],
    pieces: Tensor | None,
    upstream: float | Tensor,
) -> None:
    size, arithmetic, encoding = logits.numel(), _arithmetic(logits, parameters), _encoding(targets, parameters)
    if size == 0:
        return
    gamma, exponent = capped_gamma(parameters.gamma, arithmetic)
    head = torch.tensor(gamma, dtype=getattr(torch, arithmetic)).item()
    factor = 1.0 if isinstance(upstream, Tensor) else upstream
    numbers = (*class_weights(parameters.alpha), gamma, gamma - head, factor)
    value, gradient, second = (outputs.get(name) for name in ("value", "gradient", "second"))
    wanted = {"value": value is not None or pieces is not None, "gradient": gradient is not None}
    results = tuple(name for name, needed in {**wanted, "second": second is not None}.items() if needed)
    narrowed = pieces is None and value is not None and value.dtype != torch.float64
    hard, soft = kernels.element_functions(arithmetic, exponent, narrowed, results, encoding == "soft")

    labelled = encoding == "labels"
    operands = [logits, _readable(targets.unsqueeze(-1).expand(logits.shape) if labelled else targets)]
    if isinstance(upstream, Tensor):
        operands.append(upstream.expand(logits.shape))
    shape, strides = joined(operands)
    if len(shape) > RANK:
        operands = [operand.contiguous() for operand in operands]
        shape, strides = joined(operands)
    rank = len(shape) if len(shape) <= 2 else RANK
    missing = rank - len(shape)
    shape = (*(1 for _ in range(missing)), *shape, *(1 for _ in range(RANK - rank)))
    strides = [(*(0 for _ in range(missing)), *own, *(0 for _ in range(RANK - rank))) for own in strides]
    while len(operands) < 3:
        operands.append(logits)
        strides.append((0,) * RANK)
    with on_device(logits):
        kernels.losses[(-(-size // PIECE),)](
            *operands,
            *(logits if output is None else output for output in (value, gradient, second, pieces)),
            size,
            logits.shape[-1] if labelled else 1,
            *shape[1:],
            *(stride for own in strides for stride in own),
            *(bits_of(number) for number in numbers),
            HARD=hard,
            SOFT=soft,
            ENCODING=encoding,
            WORKING=kernels.working_format(arithmetic),
            WITH_UPSTREAM=isinstance(upstream, Tensor),
            WITH_VALUE=value is not None,
            WITH_GRADIENT=gradient is not None,
            WITH_SECOND=second is not None,
            WITH_SUM=pieces is not None,
            PLAIN=operands[0].is_contiguous(),
            RANK=rank,
            WIDE=any(_reach(shape, own) >= (1 << 31) - PIECE for own in [*strides, _plain_strides(shape)]),
            PIECE=PIECE,
            LEVELS=PIECE.bit_length() - 1,
            num_warps=kernels.warps(arithmetic, results, encoding == "soft"),
            **kernels.OPTIONS,
        )


def added_up(terms: Tensor) -> Tensor:
    """Sum of float64 terms, in the order in which the losses of elements are added."""
    return _sum_of_pieces(_sums_of(terms, PIECE, 1))


def _sum_of_pieces(pieces: Tensor) -> Tensor:
    runs = _sums_of(pieces, PIECES_A_RUN, RUNS_A_PROGRAM)
    count = runs.numel()
    if count == 0:
        return torch.zeros((), dtype=torch.float64, device=pieces.device)
    return _sums_of(runs, 1 << (count - 1).bit_length(), 1).reshape(())


def _sums_of(terms: Tensor, length: int, rows: int) -> Tensor:
    """Sums of stretches of a power of two of terms, `rows` of which a program adds up."""
    size = terms.numel()
    count = -(-size // length)
    sums = torch.empty(count, dtype=torch.float64, device=terms.device)
    if count:
        with on_device(terms):
            kernels.add_up[(-(-count // rows),)](
                terms, sums, size, ROWS=rows, LENGTH=length, LEVELS=length.bit_length() - 1, **kernels.OPTIONS
            )
    return sums


def joined(operands: list[Tensor]) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Shape and strides of tensors of one shape, with axes joined that follow one another in each of them."""
    shape: list[int] = []
    strides: list[list[int]] = [[] for _ in operands]
    for axis, length in enumerate(operands[0].shape):
        if length == 1:
            continue
        steps = [operand.stride(axis) for operand in operands]
        if shape and all(own[-1] == step * length for own, step in zip(strides, steps, strict=True)):
            shape[-1] *= length
            for own, step in zip(strides, steps, strict=True):
                own[-1] = step
            continue
        shape.append(length)
        for own, step in zip(strides, steps, strict=True):
            own.append(step)
    if not shape:
        return (1,), [(0,) for _ in operands]
    return tuple(shape), [tuple(own) for own in strides]


def bits_of(number: float) -> int:
    """A float64 as the integer that has its bits."""
    bits: int = struct.unpack("<q", struct.pack("<d", number))[0]
    return bits


def on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    """Launches go to the device of a tensor; elsewhere, to Triton's interpreter."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _arithmetic(logits: Tensor, parameters: Parameters) -> str:
    return arithmetic_of(parameters, str(logits.dtype).removeprefix("torch."))


def _encoding(targets: Tensor, parameters: Parameters) -> str:
    """As in `Parameters`, or "soft" where targets may be anything between the classes."""
    return "soft" if parameters.encoding == "binary" and targets.dtype.is_floating_point else parameters.encoding


def _readable(targets: Tensor) -> Tensor:
    return targets.view(torch.uint8) if targets.dtype == torch.bool else targets


def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How far from the first element the last one lies."""
    return sum((length - 1) * abs(stride) for length, stride in zip(shape, strides, strict=True))


def _plain_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides = [1]
    for length in reversed(shape[1:]):
        strides.insert(0, strides[0] * length)
    return tuple(strides)
