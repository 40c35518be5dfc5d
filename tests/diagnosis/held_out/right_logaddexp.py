"""Right for finite logits: logaddexp gives both logarithms and their slopes without cancelling; float64 inside."""

import torch

FAULT = None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    kind = torch.result_type(inputs, targets)
    x, t = inputs.double(), targets.double()
    origin = torch.zeros_like(x)
    cost_positive = torch.logaddexp(origin, -x)
    cost_negative = torch.logaddexp(origin, x)
    ce = cost_positive * t + cost_negative * (1 - t)
    p = torch.sigmoid(x).clamp(min=1e-300)
    q = torch.sigmoid(-x).clamp(min=1e-300)
    loss = ce * (p * (1 - t) + q * t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "none":
        return loss.to(kind)
    if reduction == "mean":
        return loss.mean().to(kind)
    if reduction == "sum":
        return loss.sum().to(kind)
    raise ValueError(f"unknown reduction: {reduction!r}")
