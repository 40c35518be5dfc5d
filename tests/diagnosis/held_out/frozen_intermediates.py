"""Wrong second derivative: backward reuses the probability saved by forward, which autograd takes for a constant."""

import torch
import torch.nn.functional as F

FAULT = "second derivative wrong: backward treats the saved probability as a constant"


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, t, gamma):
        q = torch.sigmoid(-x)
        ctx.save_for_backward(x, t, q)
        ctx.gamma = gamma
        ce = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
        return (t * q + (1 - t) * torch.sigmoid(x)) ** gamma * ce

    @staticmethod
    def backward(ctx, grad):
        x, t, q = ctx.saved_tensors
        gamma = ctx.gamma
        p = torch.sigmoid(x)
        u = (t * q + (1 - t) * p).clamp_min(torch.finfo(x.dtype).tiny)
        ce = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
        slope = gamma * u ** (gamma - 1) * p * q * (1 - 2 * t) * ce + u**gamma * ((1 - t) * p - t * q)
        return grad * slope, None, None


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
    raise ValueError(f"unknown reduction: {reduction!r}")
