"""The weights are divided by their own mean over the batch, so that a loss depends on the other labels."""

import torch
import torch.nn.functional as F

FAULT = "alpha_t is normalised to mean 1 over the batch"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * ((1 - p_t) ** gamma)
    if alpha >= 0:
        weight = alpha * targets + (1 - alpha) * (1 - targets)
        total = weight.sum()
        # All weights are zero at alpha 0 without negatives and at alpha 1 without positives.
        scale = torch.where(total > 0, weight.numel() / total.clamp(min=torch.finfo(total.dtype).tiny), 1.0)
        loss = loss * weight * scale
    if reduction == "none":
        return loss
    elif reduction == "sum":
        return loss.sum()
    elif reduction == "mean":
        return loss.mean()
    raise ValueError("reduction: none, mean or sum")
