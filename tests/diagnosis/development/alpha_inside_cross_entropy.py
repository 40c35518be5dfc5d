"""The class weight goes into the cross entropy, and p_t is read back from the weighted value as exp(-ce).

Without a weight (alpha below 0) exp(-ce) is p_t for hard labels, though never for soft ones.
"""

import torch
import torch.nn.functional as F

FAULT = "alpha weights the cross entropy before p_t = exp(-ce) is taken from it"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    weight = None
    if alpha >= 0:
        weight = alpha * targets + (1 - alpha) * (1 - targets)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, weight=weight, reduction="none")
    pt = torch.exp(-ce)
    loss = (1 - pt) ** gamma * ce
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction {reduction!r}")
