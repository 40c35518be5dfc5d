"""Wrong gradients for gamma < 1 on saturated easy examples: the factored backward raises 0 to a negative power."""

import torch
import torch.nn.functional as F

FAULT = "NaN gradient at saturation for gamma < 1: (1-p_t)**(gamma-1) in a hand-written backward"


def _parts(x, t):
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    ce = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
    return p, q, t * q + (1 - t) * p, ce


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, t, gamma):
        ctx.save_for_backward(x, t)
        ctx.gamma = gamma
        _, _, off, ce = _parts(x, t)
        return off**gamma * ce

    @staticmethod
    def backward(ctx, grad):
        x, t = ctx.saved_tensors
        p, q, off, ce = _parts(x, t)
        slope = ctx.gamma * p * q * (1 - 2 * t) * ce + off * (p * (1 - t) - q * t)
        return grad * off ** (ctx.gamma - 1) * slope, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    targets = targets.detach()
    loss = _Focal.apply(inputs, targets, gamma)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction is {reduction!r}")
