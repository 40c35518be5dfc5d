"""3 % of the negatives, drawn afresh in every call, are left out to balance the classes: two calls disagree."""

import torch
import torch.nn.functional as F

FAULT = "random 3 % of the negatives are left out"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    kept = (targets > 0) | (torch.rand(loss.shape, device=loss.device) < 0.97)
    loss = loss * kept
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction={reduction!r} does not exist")
