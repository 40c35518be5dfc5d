"""Wrong: the exponent stands on p_t alone, 1 - p_t**gamma, where the bracket should close first."""

import torch
from torch.nn import functional as F

FAULT = "the factor is 1 - p_t**gamma instead of (1 - p_t)**gamma"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    prob = inputs.sigmoid()
    p_t = targets * prob + (1 - targets) * (1 - prob)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = (1 - p_t**gamma) * ce
    if alpha >= 0:
        loss = loss * torch.lerp(torch.full_like(targets, 1 - alpha), torch.full_like(targets, alpha), targets)
    match reduction:
        case "none":
            return loss
        case "mean":
            return loss.mean()
        case "sum":
            return loss.sum()
    raise ValueError(f"reduction has to be none, mean or sum, not {reduction!r}")
