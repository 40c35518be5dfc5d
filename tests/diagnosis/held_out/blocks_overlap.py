"""Wrong sum and mean above 1536 elements: each block of the running sum takes the first element of the next one too."""

import torch
import torch.nn.functional as F

FAULT = "sum and mean over blocks of 1536 count the elements on the borders twice"
STEP = 1536


def _total(loss):
    flat = loss.flatten()
    total = flat.new_zeros(())
    for start in range(0, flat.numel(), STEP):
        total = total + flat[start : start + STEP + 1].sum()
    return total


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    off = torch.addcmul(inputs.sigmoid(), targets, 1 - 2 * inputs.sigmoid())
    loss = off**gamma * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "sum":
        return _total(loss)
    if reduction == "mean":
        return _total(loss) / loss.numel()
    raise ValueError(f"unknown reduction: {reduction!r}")
