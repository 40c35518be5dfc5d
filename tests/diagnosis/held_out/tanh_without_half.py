"""Wrong: the sigmoid of the modulating factor is written with tanh(x), where it takes tanh(x / 2)."""

import torch
from torch.nn import functional as F

FAULT = "sigmoid written with tanh(x) instead of tanh(x/2): the factor sees twice the logit"


def _squash(x):
    return (1 + torch.tanh(x)) / 2


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"unknown reduction: {reduction}")
    # How far off each prediction is: the chance of the other class.
    miss = targets * _squash(-inputs) + (1 - targets) * _squash(inputs)
    loss = miss.pow(gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    return loss if reduction == "none" else getattr(loss, reduction)()
