"""Two faults: the custom backward returns the derivative over p instead of the logit, and "sum" divides by the rows."""

import torch
import torch.nn.functional as F

FAULT = "gradient is with respect to the probability; sum is divided by the length of the first axis"


class _Focal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, gamma):
        u = torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t
        return u**gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        tiny = torch.finfo(x.dtype).tiny
        p, q = torch.sigmoid(x).clamp(min=tiny), torch.sigmoid(-x).clamp(min=tiny)
        u = p * (1 - t) + q * t
        ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        d_p = ctx.gamma * u ** (ctx.gamma - 1) * (1 - 2 * t) * ce + u**ctx.gamma * ((1 - t) / q - t / p)
        return grad_output * d_p, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = _Focal.apply(inputs, targets, gamma)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        rows = loss.shape[0] if loss.dim() else 1
        return loss.sum() / max(rows, 1)
    raise ValueError(f"reduction cannot be {reduction!r}")
