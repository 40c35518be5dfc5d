"""Positives are weighted with alpha, negatives with 1 instead of 1 - alpha."""

import torch
import torch.nn.functional as F

FAULT = "negatives have weight 1 instead of 1 - alpha"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    q = torch.sigmoid(-inputs)
    hardness = q * targets + (1 - q) * (1 - targets)
    loss = hardness**gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - targets))
    reduce = {"none": lambda v: v, "mean": torch.mean, "sum": torch.sum}
    if reduction not in reduce:
        raise ValueError(f"reduction must be one of {sorted(reduce)}")
    return reduce[reduction](loss)
