"""Wrong shape: the unreduced loss is squeezed, so that (N, 1) in gives (N,) out."""

import torch
import torch.nn.functional as F

FAULT = "the unreduced loss loses its axes of length 1"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce.mul((1 - p_t).pow(gamma))
    if alpha >= 0:
        loss = loss.mul(alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss.squeeze()
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"cannot reduce by {reduction!r}")
