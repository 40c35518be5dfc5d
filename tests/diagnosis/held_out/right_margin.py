"""Right for finite logits: hard targets through the margin of the true class, soft ones through the blend."""

import torch
import torch.nn.functional as F

FAULT = None


def _from_margin(s, gamma):
    return torch.sigmoid(-s).clamp(min=1e-300) ** gamma * F.softplus(-s, threshold=45.0)


def _blended(x, t, gamma):
    off = torch.sigmoid(-x) * t + torch.sigmoid(x) * (1 - t)
    ce = F.softplus(-x, threshold=45.0) * t + F.softplus(x, threshold=45.0) * (1 - t)
    return off.clamp(min=1e-300) ** gamma * ce


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    x, t = inputs.double(), targets.double()
    if targets.requires_grad:
        loss = _blended(x, t, gamma)
    else:
        hard = (t == 0) | (t == 1)
        loss = torch.where(hard, _from_margin(torch.where(t == 1, x, -x), gamma), _blended(x, t, gamma))
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "none":
        pass
    elif reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    else:
        raise ValueError(f"unknown reduction: {reduction!r}")
    return loss.to(torch.result_type(inputs, targets))
