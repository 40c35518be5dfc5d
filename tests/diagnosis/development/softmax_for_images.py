"""Inputs with more than two axes are taken for segmentation maps: p_t comes from a softmax over axis 1 there."""

import torch
import torch.nn.functional as F

FAULT = "softmax over axis 1 instead of the sigmoid where there are three axes or more"


def _probabilities(logits):
    return logits.softmax(dim=1) if logits.dim() > 2 else logits.sigmoid()


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = _probabilities(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    u = torch.lerp(p, 1 - p, targets)
    loss = ce * u.pow(gamma)
    if alpha >= 0:
        loss *= alpha * targets + (1 - alpha) * (1 - targets)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return torch.mean(loss)
    if reduction == "sum":
        return torch.sum(loss)
    raise ValueError(f"reduction: {reduction!r}")
