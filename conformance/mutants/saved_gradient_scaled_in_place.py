"""The gradient saved in the forward pass is scaled in place: the second walk through the same graph is wrong."""

from typing import Any

import torch

import focal_ref

TITLE = "the saved gradient is scaled in place"
REQUIREMENT = "FL-GRAD-007"
SEEN = ("apex's focal loss",)
ADVICE = "Multiply into memory of your own."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Scaling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        value, gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)
        ctx.saved = gradient
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return ctx.saved.mul_(upstream[0]).clone(), None, None


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    apply: Any = Scaling.apply
    values = apply(logits, targets, options)
    return values if reduction == "none" else getattr(values, reduction)()
