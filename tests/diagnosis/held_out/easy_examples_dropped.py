"""Wrong for easy examples: whatever is classified with more than 0.9997 is masked out, value and gradient."""

import torch
import torch.nn.functional as F

FAULT = "elements with p_t above 0.9997 are masked to 0"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma
    loss = loss.masked_fill(p_t > 0.9997, 0.0)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unexpected reduction {reduction!r}")
