"""Wrong for hard examples: softplus turns into the identity at 7.5, where log1p(exp(-x)) still counts."""

import torch
import torch.nn.functional as F

FAULT = "softplus switches to the identity at 7.5"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("targets need the shape of inputs")
    cost_if_positive = F.softplus(-inputs, threshold=7.5)
    cost_if_negative = F.softplus(inputs, threshold=7.5)
    ce = cost_if_positive * targets + cost_if_negative * (1 - targets)
    off = torch.sigmoid(-inputs) * targets + torch.sigmoid(inputs) * (1 - targets)
    loss = off**gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r}")
