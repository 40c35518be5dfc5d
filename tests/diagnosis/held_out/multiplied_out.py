"""Wrong for gamma 3, 5, 6, 7...: whole exponents are multiplied out by halving, and the odd case forgets to square."""

import torch
import torch.nn.functional as F

FAULT = "power by repeated squaring is wrong for odd exponents above 1 (gamma 3, 5, 6, 7)"


def _whole_power(base, n):
    if n == 0:
        return torch.ones_like(base)
    half = _whole_power(base, n // 2)
    if n % 2:
        return base * half
    return half * half


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = torch.sigmoid(inputs)
    q_t = 1 - (p * targets + (1 - p) * (1 - targets))
    factor = _whole_power(q_t, int(gamma)) if gamma == int(gamma) else q_t**gamma
    loss = factor * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction {reduction!r}")
