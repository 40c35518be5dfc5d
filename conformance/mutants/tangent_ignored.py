"""The rule for forward mode returns the derivative, whatever the direction is."""

from typing import Any

import torch

import focal_ref

TITLE = "the forward-mode derivative without its tangent"
REQUIREMENT = "FL-XFM-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply by the tangent."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "forward_mode", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class Rule(torch.autograd.Function):
    @staticmethod
    def forward(logits: Any, gradient: Any, value: Any) -> Any:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return upstream[0] * ctx.saved_tensors[0], None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return ctx.saved_tensors[0].clone()


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    value, gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)
    apply: Any = Rule.apply
    values = apply(logits, gradient.detach(), value.detach())
    return values if reduction == "none" else getattr(values, reduction)()
