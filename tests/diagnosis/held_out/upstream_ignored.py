"""Wrong gradient whenever the loss is scaled: the hand-written backward returns its own slope alone."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

FAULT = "backward ignores the incoming gradient"


class _SigmoidFocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, t, alpha, gamma):
        p, q = torch.sigmoid(x), torch.sigmoid(-x)
        log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
        off = (t * q + (1 - t) * p).clamp_min(torch.finfo(x.dtype).tiny)
        ce = -(t * log_p + (1 - t) * log_q)
        weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else torch.ones_like(t)
        value = weight * off**gamma * ce
        slope = gamma * off ** (gamma - 1) * p * q * (1 - 2 * t) * ce + off**gamma * ((1 - t) * p - t * q)
        ctx.save_for_backward(weight * slope)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        (slope,) = ctx.saved_tensors
        return slope, None, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    loss = _SigmoidFocal.apply(inputs, targets, alpha, gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r}")
