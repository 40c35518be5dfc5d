"""The first derivative is right, and what it is made of is detached: the second is that of another function."""

from typing import Any

import torch

import focal_ref

TITLE = "a second backward that takes the factor as a constant"
REQUIREMENT = "FL-GRAD-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "Give the backward pass a derivative of its own."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "second_derivative", "reduction_sum", "reduction_mean"})


class Backward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        ctx.save_for_backward(logits)
        gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)[1]
        return gradient

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        p = torch.sigmoid(ctx.saved_tensors[0])
        return upstream[0] * p * (1 - p), None, None


class Forward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        ctx.save_for_backward(logits, targets)
        ctx.options = options
        return focal_ref.loss(logits.detach(), targets, **options)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        apply: Any = Backward.apply
        return upstream[0] * apply(*ctx.saved_tensors, ctx.options), None, None


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    apply: Any = Forward.apply
    values = apply(logits, targets, options)
    return values if reduction == "none" else getattr(values, reduction)()
