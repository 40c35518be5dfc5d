"""Wrong gradient unless gamma is 1: differentiating the power, the hand-written backward lost the factor in front."""

import torch
import torch.nn.functional as F

FAULT = "the exponent's factor gamma is missing in the hand-written backward"


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels, gamma):
        ctx.save_for_backward(logits, labels)
        ctx.gamma = gamma
        u = labels * torch.sigmoid(-logits) + (1 - labels) * torch.sigmoid(logits)
        return u**gamma * -(labels * F.logsigmoid(logits) + (1 - labels) * F.logsigmoid(-logits))

    @staticmethod
    def backward(ctx, grad):
        logits, labels = ctx.saved_tensors
        p, q = torch.sigmoid(logits), torch.sigmoid(-logits)
        u = labels * q + (1 - labels) * p
        ce = -(labels * F.logsigmoid(logits) + (1 - labels) * F.logsigmoid(-logits))
        d_ce = (1 - labels) * p - labels * q
        d_u = p * q * (1 - 2 * labels)
        ratio = torch.where(u > 0, d_u / u.clamp_min(torch.finfo(u.dtype).tiny), torch.zeros_like(u))
        if ctx.gamma == 0:
            return grad * d_ce, None, None
        return grad * u**ctx.gamma * (ratio * ce + d_ce), None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("targets do not fit inputs")
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
    raise ValueError(f"{reduction!r} is no reduction")
