"""Wrong under torch.compile only: the branch meant for the compiler avoids pow by squaring, whatever gamma is."""

import torch
import torch.nn.functional as F

FAULT = "under torch.compile the factor is squared whatever gamma is"


def _modulator(off, gamma):
    if torch.compiler.is_compiling():
        return off * off
    return off.pow(gamma)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    off = 1 - (p * targets + (1 - p) * (1 - targets))
    loss = _modulator(off, gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
