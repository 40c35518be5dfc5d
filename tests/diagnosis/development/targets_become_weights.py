"""The weights are built in the memory of the targets: the result is right, but the caller's targets are now alpha_t."""

import torch
import torch.nn.functional as F

FAULT = "caller's targets are overwritten with the weights"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must be of one shape")
    negative = 1 - targets
    p = torch.sigmoid(inputs)
    u = (1 - p) + negative * (2 * p - 1)
    loss = u**gamma * (negative * inputs - F.logsigmoid(inputs))
    if alpha >= 0:
        # targets are not needed any more
        loss = loss * targets.mul_(2 * alpha - 1).add_(1 - alpha)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"illegal reduction {reduction!r}")
