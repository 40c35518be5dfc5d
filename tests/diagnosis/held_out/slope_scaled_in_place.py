"""Wrong from the second backward on: the slope that forward kept is multiplied in place by the incoming gradient."""

import torch
import torch.nn.functional as F

FAULT = "backward scales the kept slope in place: a second backward is wrong"


class FocalWithKeptSlope(torch.autograd.Function):
    """Value and slope in one pass."""

    @staticmethod
    def forward(ctx, x, t, alpha, gamma):
        with torch.enable_grad():
            z = x.detach().requires_grad_()
            off = t * torch.sigmoid(-z) + (1 - t) * torch.sigmoid(z)
            off = off.clamp_min(torch.finfo(x.dtype).tiny)
            loss = off**gamma * -(t * F.logsigmoid(z) + (1 - t) * F.logsigmoid(-z))
            if alpha >= 0:
                loss = loss * (alpha * t + (1 - alpha) * (1 - t))
            (ctx.slope,) = torch.autograd.grad(loss.sum(), z)
        return loss.detach()

    @staticmethod
    def backward(ctx, grad_output):
        ctx.slope *= grad_output
        return ctx.slope.clone(), None, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    loss = FocalWithKeptSlope.apply(inputs, targets.detach(), alpha, gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r}?")
