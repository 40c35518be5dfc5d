"""Wrong twice: the modulating factor is cut from the graph, and an unknown reduction falls through to the mean."""

import torch
import torch.nn.functional as F

FAULT = "no gradient through the factor; an unknown reduction gives the mean"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    with torch.no_grad():
        p = torch.sigmoid(inputs)
        weight = (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
        if alpha >= 0:
            weight = weight * (alpha * targets + (1 - alpha) * (1 - targets))
    loss = F.binary_cross_entropy_with_logits(inputs, targets, weight=weight, reduction="none")
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    return loss.mean()
