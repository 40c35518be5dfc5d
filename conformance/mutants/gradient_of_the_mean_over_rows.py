"""Mean and gradient are written separately, and the gradient is divided by the first dimension."""

from typing import Any

import torch

import focal_ref

TITLE = "the gradient of the mean divided by the rows"
REQUIREMENT = "FL-RED-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide both by the number of elements."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: Any, scale: float) -> Any:
        ctx.scale = scale
        return total.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return upstream[0] * ctx.scale, None


def loss(logits: Any, targets: Any, *, reduction: Any = "none", **options: Any) -> Any:
    result = focal_ref.loss(logits, targets, reduction=reduction, **options)
    if reduction != "mean" or logits.ndim < 2 or not logits.numel():
        return result
    apply: Any = Scaled.apply
    return apply(result, logits.numel() / logits.shape[0])
