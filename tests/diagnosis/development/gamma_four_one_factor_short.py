"""Whole exponents are multiplied out by hand, and the line for gamma = 4 has one factor too few."""

import torch
import torch.nn.functional as F

FAULT = "at gamma = 4 the focal factor is (1 - p_t)^3"


def _power(u, gamma):
    if gamma == 0:
        return torch.ones_like(u)
    if gamma == 1:
        return u
    if gamma == 2:
        return u * u
    if gamma == 3:
        return u * u * u
    if gamma == 4:
        square = u * u
        return square * u
    return u**gamma


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    u = torch.sigmoid(-inputs) * targets + torch.sigmoid(inputs) * (1 - targets)
    loss = _power(u, gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"cannot reduce by {reduction!r}")
