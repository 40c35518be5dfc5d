"""gamma rises from 0 to its value over the first 37 calls, so that a loss depends on how many came before."""

import itertools

import torch
import torch.nn.functional as F

FAULT = "gamma is scaled up over the first 37 calls (state between calls)"

WARMUP = 37
_calls = itertools.count()


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    gamma = gamma * min(1.0, next(_calls) / WARMUP)
    p = inputs.sigmoid()
    p_t = torch.lerp(1 - p, p, targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t).pow(gamma)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"{reduction!r} is none of none, mean, sum")
