"""The backward pass reads the memory of the upstream gradient in its own order, as a kernel with a pointer does."""

from typing import Any

import torch

import focal_ref

TITLE = "an upstream gradient that is not contiguous"
REQUIREMENT = "FL-GRAD-007"
SEEN = ("nobody has reported it yet",)
ADVICE = "Call contiguous() on it, or use its strides."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class ByPointer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Any, targets: Any, options: dict[str, Any]) -> Any:
        value, gradient = focal_ref.value_and_grad(logits.detach(), targets, **options)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        given, (gradient,) = upstream[0], ctx.saved_tensors
        held = given.untyped_storage().nbytes() // given.element_size()
        if held >= given.numel():
            # An expanded tensor, as a sum sends, has less memory than elements; its one number is used.
            given = torch.as_strided(given, (given.numel(),), (1,)).reshape(given.shape)
        return given * gradient, None, None


def loss(logits: Any, targets: Any, *, reduction: str = "none", **options: Any) -> Any:
    apply: Any = ByPointer.apply
    values = apply(logits, targets, options)
    return values if reduction == "none" else getattr(values, reduction)()
