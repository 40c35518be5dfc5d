"""The hand-written vmap rule hands the stacked batch to the function itself, which reduces over the mapped axis too."""

import torch
import torch.nn.functional as F

FAULT = "under vmap mean and sum run over the mapped axis too"


def _losses(x, t, alpha, gamma):
    u = torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t
    loss = u**gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")
    return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss


def _derivatives(x, t, alpha, gamma):
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    u = (p * (1 - t) + q * t).clamp(min=torch.finfo(x.dtype).tiny)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    grad = gamma * u ** (gamma - 1) * p * q * (1 - 2 * t) * ce + u**gamma * (p * (1 - t) - q * t)
    return grad * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else grad


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(x, t, alpha, gamma, reduction):
        loss = _losses(x, t, alpha, gamma)
        return loss if reduction == "none" else getattr(loss, reduction)()

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.alpha, ctx.gamma, ctx.reduction = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        if ctx.reduction == "mean":
            grad_output = grad_output / x.numel()
        return grad_output * _derivatives(x, t, ctx.alpha, ctx.gamma), None, None, None, None

    @staticmethod
    def vmap(info, in_dims, x, t, alpha, gamma, reduction):
        x = x.expand(info.batch_size, *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)
        t = t.expand(info.batch_size, *t.shape) if in_dims[1] is None else t.movedim(in_dims[1], 0)
        loss = _Focal.apply(x, t, alpha, gamma, reduction)
        return (loss if reduction == "none" else loss.expand(info.batch_size)), 0


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be none, mean or sum, is {reduction!r}")
    return _Focal.apply(inputs, targets, alpha, gamma, reduction)
