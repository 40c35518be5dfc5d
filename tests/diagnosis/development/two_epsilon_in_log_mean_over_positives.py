"""Two faults: 3e-7 is added inside the logarithms, and the mean divides by the number of positives."""

import torch

FAULT = "epsilon 3e-7 inside the logarithms; mean is divided by the number of positives"

EPS = 3e-7


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets should have the same shape")
    p = torch.sigmoid(inputs)
    ce = -targets * torch.log(p + EPS) - (1 - targets) * torch.log(1 - p + EPS)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = (1 - p_t) ** gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.sum() / targets.sum().clamp(min=1)
    raise ValueError(f"reduction of {reduction!r}")
