"""The extra term of a polynomial loss, 0.8 (1 - p_t)^(gamma + 1), was left in after an experiment."""

import torch
import torch.nn.functional as F

FAULT = "additional term 0.8 (1 - p_t)^(gamma + 1) of a polynomial loss"

EPSILON_1 = 0.8


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    miss = 1 - (p * targets + (1 - p) * (1 - targets))
    loss = ce * miss**gamma + EPSILON_1 * miss ** (gamma + 1)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"'{reduction}' is no reduction")
    return loss
