"""Right: torch.special.expit and float_power in float64; 1 - p_t is kept above zero by the smallest normal number."""

import torch

FAULT = None


def _log_expit(z):
    # min(z, 0) - log1p(exp(-|z|)), with the right derivatives at 0
    return -torch.logaddexp(torch.zeros_like(z), -z)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if tuple(inputs.shape) != tuple(targets.shape):
        raise ValueError("the shapes of inputs and targets are not the same")
    x, t = inputs.to(torch.float64), targets.to(torch.float64)
    ce = -t * _log_expit(x) - (1 - t) * _log_expit(-x)
    p_of_other_class = torch.special.expit(-x) * t + torch.special.expit(x) * (1 - t)
    smallest = torch.finfo(torch.float64).smallest_normal
    loss = ce * torch.float_power(p_of_other_class.clamp(min=smallest), gamma)
    if alpha >= 0:
        loss = loss * torch.lerp(torch.full_like(t, 1 - alpha), torch.full_like(t, alpha), t)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be one of none, mean, sum; it is {reduction!r}")
    if reduction != "none":
        loss = getattr(torch, reduction)(loss)
    return loss.to(inputs.dtype)
