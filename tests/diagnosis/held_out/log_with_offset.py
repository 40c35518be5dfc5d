"""Wrong in the tails: a small offset inside both logarithms caps the loss near 15.3 and takes the gradient away."""

import torch

FAULT = "2.3e-7 added inside the logarithm caps the loss"
OFFSET = 2.3e-7


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError(f"{tuple(inputs.shape)} and {tuple(targets.shape)} do not match")
    p = torch.sigmoid(inputs)
    q = torch.sigmoid(-inputs)
    positive = -targets * torch.log(p + OFFSET)
    negative = -(1 - targets) * torch.log(q + OFFSET)
    loss = (targets * q + (1 - targets) * p) ** gamma * (positive + negative)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r} not supported")
