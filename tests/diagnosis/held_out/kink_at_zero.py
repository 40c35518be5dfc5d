"""Wrong gradient at a logit of exactly 0: relu and abs meet there, and both have the slope 0 under autograd."""

import torch

FAULT = "autograd through relu(-x) + log1p(exp(-|x|)) is wrong at x = 0"


def _minus_log_sigmoid(z):
    return torch.relu(-z) + torch.log1p(torch.exp(-z.abs()))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    ce = targets * _minus_log_sigmoid(inputs) + (1 - targets) * _minus_log_sigmoid(-inputs)
    off = targets * torch.sigmoid(-inputs) + (1 - targets) * torch.sigmoid(inputs)
    loss = off**gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
