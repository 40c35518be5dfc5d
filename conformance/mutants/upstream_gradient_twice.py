"""The backward pass multiplies by the upstream gradient, and so does what it calls."""

from typing import Any

import torch

import focal_ref

TITLE = "the upstream gradient applied twice"
REQUIREMENT = "FL-GRAD-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply once."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        value, gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return upstream[0] * upstream[0] * ctx.saved_tensors[0], None, None


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    apply: Any = Twice.apply
    values = apply(logits, targets, options)
    return values if reduction == "none" else getattr(values, reduction)()
