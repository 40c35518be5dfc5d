"""Wrong mean: it divides by the sum of the class weights, as weighted cross entropies do, and not by the elements."""

import torch
import torch.nn.functional as F

FAULT = "mean divides by the sum of alpha_t instead of the number of elements"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    weight = torch.ones_like(targets) if alpha < 0 else alpha * targets + (1 - alpha) * (1 - targets)
    p = torch.sigmoid(inputs)
    modulator = (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    loss = weight * modulator * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / weight.sum()
    raise ValueError(f"do not know the reduction {reduction!r}")
