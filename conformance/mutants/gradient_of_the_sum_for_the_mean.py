"""The mean has the gradient of the sum: the learning rate grows with the batch."""

from typing import Any

import torch

import focal_ref

TITLE = "the gradient of the sum for the mean"
REQUIREMENT = "FL-RED-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide the gradient as well."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Undivided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, total: Any, count: int) -> Any:
        ctx.count = count
        return total.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return upstream[0] * ctx.count, None


def loss(logits: Any, targets: Any, *, reduction: Any = "none", **options: Any) -> Any:
    result = focal_ref.loss(logits, targets, reduction=reduction, **options)
    apply: Any = Undivided.apply
    return apply(result, logits.numel()) if reduction == "mean" else result
