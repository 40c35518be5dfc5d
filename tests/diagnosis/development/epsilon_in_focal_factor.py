"""6e-5 is added to 1 - p_t against NaN gradients at gamma below 1; the losses of easy examples are wrong by it."""

import torch
import torch.nn.functional as F

FAULT = "epsilon 6e-5 added to 1 - p_t before the power"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    # The derivative of x ** 0.5 at zero is infinite.
    focal_weight = torch.pow(1 - p_t + 6e-5, gamma)
    loss = focal_weight * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean()
    if reduction == "none":
        return loss
    raise ValueError(f"bad reduction {reduction!r}")
