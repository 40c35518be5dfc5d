"""Right: the cross entropy is a blend of two softplus, which become the identity only where float64 cannot tell."""

import torch
import torch.nn.functional as F

FAULT = None


def _softplus(z):
    # log1p(exp(z)) loses nothing in float64 as long as exp(z) is finite.
    return F.softplus(z, threshold=700)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError(f"shapes {tuple(inputs.shape)} and {tuple(targets.shape)} differ")
    x, t = inputs.to(torch.float64), targets.to(torch.float64)
    ce = t * _softplus(-x) + (1 - t) * _softplus(x)
    miss = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    # An exact zero gets its power without the derivative, which would be inf * 0 for gamma below 1.
    zero = miss == 0
    factor = torch.where(zero, 0.0**gamma, torch.where(zero, 1.0, miss) ** gamma)
    loss = factor * ce
    if alpha >= 0:
        loss = (alpha * t + (1 - alpha) * (1 - t)) * loss
    if reduction == "none":
        return loss.to(inputs.dtype)
    if reduction == "mean":
        return loss.mean().to(inputs.dtype)
    if reduction == "sum":
        return loss.sum().to(inputs.dtype)
    raise ValueError(f"reduction {reduction!r}")
