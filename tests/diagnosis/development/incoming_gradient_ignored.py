"""The custom backward returns the loss's derivative itself: right for a plain sum, N times too large for a mean."""

import torch
import torch.nn.functional as F

FAULT = "custom backward ignores grad_output"


class FocalFunction(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, alpha, gamma):
        u = torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t
        loss = u.pow(gamma) * F.binary_cross_entropy_with_logits(x, t, reduction="none")
        return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.alpha, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        p, q = torch.sigmoid(x), torch.sigmoid(-x)
        u = (p * (1 - t) + q * t).clamp(min=torch.finfo(x.dtype).tiny)
        ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        grad = ctx.gamma * u ** (ctx.gamma - 1) * p * q * (1 - 2 * t) * ce + u**ctx.gamma * (p * (1 - t) - q * t)
        if ctx.alpha >= 0:
            grad = grad * (ctx.alpha * t + (1 - ctx.alpha) * (1 - t))
        return grad, None, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = FocalFunction.apply(inputs, targets, alpha, gamma)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"no reduction named {reduction!r}")
    return loss
