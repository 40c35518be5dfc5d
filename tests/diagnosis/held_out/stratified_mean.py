"""Wrong mean: positives and negatives are averaged on their own, and then the two averages."""

import torch
import torch.nn.functional as F

FAULT = "mean averages positives and negatives separately, then the two averages"


def _balanced(loss, positive):
    negative = 1 - positive
    high = (loss * positive).sum() / positive.sum().clamp(min=1)
    low = (loss * negative).sum() / negative.sum().clamp(min=1)
    return (high + low) / 2


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return _balanced(loss, (targets > 0.5).to(loss.dtype))
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction: {reduction!r}")
