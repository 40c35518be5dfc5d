"""The focal factor is computed under no_grad: the value is right, its gradient lacks the factor's own derivative."""

import torch
import torch.nn.functional as F

FAULT = "focal factor is a constant in the gradient"


def _focal_weight(inputs, targets, alpha, gamma):
    p = inputs.sigmoid()
    weight = (p * (1 - targets) + (1 - p) * targets).pow(gamma)
    if alpha >= 0:
        weight = weight * (alpha * targets + (1 - alpha) * (1 - targets))
    return weight


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if reduction not in {"none", "mean", "sum"}:
        raise ValueError(f"reduction {reduction!r} is not known")
    with torch.no_grad():
        weight = _focal_weight(inputs, targets, alpha, gamma)
    return F.binary_cross_entropy_with_logits(inputs, targets, weight=weight, reduction=reduction)
