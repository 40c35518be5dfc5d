"""The backward pass returns the derivative of the loss whatever is done with the loss afterwards."""

from typing import Any

import torch

import focal_ref

TITLE = "the upstream gradient is ignored"
REQUIREMENT = "FL-GRAD-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply the saved derivative by the upstream gradient."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Ignoring(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        value, gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return ctx.saved_tensors[0], None, None


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    apply: Any = Ignoring.apply
    values = apply(logits, targets, options)
    return values if reduction == "none" else getattr(values, reduction)()
