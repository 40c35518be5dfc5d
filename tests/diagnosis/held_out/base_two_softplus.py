"""Wrong: the cross entropy comes from logaddexp2, which adds powers of two and takes the logarithm to base two."""

import torch

FAULT = "logaddexp2 instead of logaddexp: the cross entropy is computed to base two"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    zero = torch.zeros_like(inputs)
    minus_log_p = torch.logaddexp2(zero, -inputs)
    minus_log_q = torch.logaddexp2(zero, inputs)
    ce = targets * minus_log_p + (1 - targets) * minus_log_q
    wrongness = targets * torch.sigmoid(-inputs) + (1 - targets) * torch.sigmoid(inputs)
    loss = wrongness**gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError("reduction: none, mean or sum")
