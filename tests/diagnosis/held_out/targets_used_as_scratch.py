"""Wrong for the caller: values and gradients are right, but the targets' memory serves as scratch space."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

FAULT = "the targets are overwritten"


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, t, alpha, gamma):
        p, q = torch.sigmoid(x), torch.sigmoid(-x)
        ce = -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
        d_ce = (1 - t) * p - t * q
        d_off = p * q * (1 - 2 * t)
        weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else torch.ones_like(t)
        # From here on the labels are not needed: their memory takes 1 - p_t.
        rest = (1 - t) * p
        off = t.mul_(q).add_(rest).clamp_(min=torch.finfo(t.dtype).tiny)
        power = off**gamma
        ctx.save_for_backward(weight * (gamma * power / off * d_off * ce + power * d_ce))
        return weight * power * ce

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0], None, None, None


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
