"""CUDA tensors through the Triton kernel of the softmax: which calls fit it, and how it is launched."""

from typing import Any

import torch

from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._parameters import IGNORE, ROWS, Parameters
from focal_ref.adapters import _triton_softmax as kernels
from focal_ref.adapters._torch_triton import FORMATS, added_up, bits_of, on_device
from focal_ref.adapters._triton_kernels import OPTIONS

Tensor = torch.Tensor

LOGITS_A_PROGRAM = 512

WARPS = 8
"""Enough that what is under way stays in registers."""


def fits(logits: Tensor, targets: Tensor, parameters: Parameters) -> bool:
    """Whether the kernel computes this call: labels, a gamma of 0, 1 or 2, and an alpha of each class or none."""
    classes, alpha = logits.shape[-1], parameters.alpha
    return (
        parameters.form == ROWS
        and parameters.encoding == "labels"
        and parameters.gamma in SPECIAL_EXPONENTS
        and (alpha is None or (isinstance(alpha, Tensor) and alpha.shape == (classes,)))
        and logits.dtype in FORMATS
        and targets.dtype != torch.uint64
        and classes > 0
    )


def run(
    logits: Tensor,
    labels: Tensor,
    parameters: Parameters,
    *,
    value: Tensor | None = None,
    gradient: Tensor | None = None,
    upstream: float | Tensor = 1.0,
) -> None:
    """Write what there is a tensor for; `upstream`, a number or one for each row, multiplies the gradient."""
    count, classes = labels.numel(), logits.shape[-1]
    if count == 0:
        return
    table = logits.reshape(count, classes)
    flat_labels = labels.reshape(-1).contiguous()
    shares = _shares(flat_labels, labels.shape, parameters, classes)
    plain_value = None if value is None else value.contiguous()
    plain_gradient = None if gradient is None else gradient.contiguous()
    factors, factor = logits, 1.0
    if isinstance(upstream, Tensor):
        factors = upstream.expand(labels.shape).reshape(-1)
    else:
        factor = upstream
    part = min(LOGITS_A_PROGRAM, 1 << (classes - 1).bit_length())
    rows = LOGITS_A_PROGRAM // part
    with on_device(logits):
        kernels.rows[(-(-count // rows),)](
            table,
            flat_labels,
            logits if shares is None else shares,
            factors,
            logits if plain_value is None else plain_value,
            logits if plain_gradient is None else plain_gradient,
            count,
            classes,
            *table.stride(),
            factors.stride(0) if isinstance(upstream, Tensor) else 0,
            bits_of(float(parameters.gamma)),
            bits_of(factor),
            EXPONENTIAL=kernels.exponential_function(),
            ROW=kernels.row_function(float(parameters.gamma), value is not None and value.dtype != torch.float64),
            WITH_SHARES=shares is not None,
            WITH_UPSTREAM=isinstance(upstream, Tensor),
            WITH_VALUE=value is not None,
            WITH_GRADIENT=gradient is not None,
            ROWS=rows,
            PART=part,
            num_warps=WARPS,
            **OPTIONS,
        )
    for output, plain in ((value, plain_value), (gradient, plain_gradient)):
        if output is not None and plain is not None and plain is not output:
            output.copy_(plain)


def total(
    logits: Tensor,
    labels: Tensor,
    parameters: Parameters,
    *,
    gradient: Tensor | None = None,
    upstream: float | Tensor = 1.0,
) -> Tensor:
    """Sum of the rows' unrounded losses, in float64, and the gradients where there is a tensor for them."""
    terms = torch.empty(labels.numel(), dtype=torch.float64, device=logits.device)
    run(logits, labels, parameters, value=terms.view(labels.shape), gradient=gradient, upstream=upstream)
    return added_up(terms)


def _shares(labels: Tensor, shape: torch.Size, parameters: Parameters, classes: int) -> Any:
    """Weight of each row's label; None where all are one."""
    alpha, weights = parameters.alpha, parameters.weights
    if alpha is None and weights is None:
        return None
    share = torch.ones((), dtype=torch.float64, device=labels.device)
    if weights is not None:
        weights = weights.expand(shape).reshape(-1).to(torch.float64)
        share = torch.where((weights >= 0) & torch.isfinite(weights), weights, torch.nan)
    if alpha is not None:
        # One class's alpha out of range leaves no row with a loss.
        valid = ((alpha >= 0) & torch.isfinite(alpha)).all()
        of_label = alpha.to(torch.float64)[labels.to(torch.int64).clamp(0, classes - 1)]
        share = share * torch.where(valid, of_label, torch.nan)
    return torch.where(labels == IGNORE, 0.0, share.expand(labels.shape)).contiguous()
