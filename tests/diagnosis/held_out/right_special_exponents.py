"""Right for finite logits: usual exponents are multiplied out, all others go through pow; float64 inside."""

import torch
import torch.nn.functional as F

FAULT = None

_POWERS = {
    0: torch.ones_like,
    1: lambda u: u,
    2: lambda u: u * u,
    3: lambda u: u * u * u,
}


def _power(u, gamma):
    return _POWERS[gamma](u) if gamma in _POWERS else u.clamp(min=1e-300) ** gamma


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    x, t = inputs.double(), targets.double()
    wrong = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    loss = _power(wrong, gamma) * (t * -F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x))
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown reduction: {reduction!r}")
    return loss.to(torch.result_type(inputs, targets))
