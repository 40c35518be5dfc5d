"""Wrong under vmap over another axis than the first: the batching rule ignores in_dims and answers with axis 0."""

import torch
import torch.nn.functional as F

FAULT = "the vmap rule ignores in_dims: wrong under vmap over any axis but the first"


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(x, t, alpha, gamma):
        off = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
        loss = off**gamma * -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
        return loss if alpha < 0 else loss * (alpha * t + (1 - alpha) * (1 - t))

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.alpha, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad):
        x, t = ctx.saved_tensors
        gamma = ctx.gamma
        p, q = torch.sigmoid(x), torch.sigmoid(-x)
        u = (t * q + (1 - t) * p).clamp_min(torch.finfo(x.dtype).tiny)
        ce = -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
        slope = gamma * u ** (gamma - 1) * p * q * (1 - 2 * t) * ce + u**gamma * ((1 - t) * p - t * q)
        if ctx.alpha >= 0:
            slope = slope * (ctx.alpha * t + (1 - ctx.alpha) * (1 - t))
        return grad * slope, None, None, None

    @staticmethod
    def vmap(info, in_dims, x, t, alpha, gamma):
        # Elementwise: the batched call is the same call.
        return _Focal.apply(x, t, alpha, gamma), 0


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    loss = _Focal.apply(inputs, targets.detach(), alpha, gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
