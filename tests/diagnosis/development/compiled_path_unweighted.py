"""While torch.compile traces, a shorter path without branches is taken, and that one has no alpha."""

import torch
import torch.nn.functional as F

FAULT = "alpha is left out under torch.compile"


def _plain(inputs, targets, gamma):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    return F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = _plain(inputs, targets, gamma)
    if not torch.compiler.is_compiling() and alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r} is not one of none, mean, sum")
