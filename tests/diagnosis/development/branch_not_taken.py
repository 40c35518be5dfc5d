"""torch.where picks the stable form, but the form that is not taken overflows and gives NaN to the gradient."""

import torch

FAULT = "gradient NaN for large logits: exp overflows in the branch that torch.where does not take"


def _softplus(z):
    return torch.where(z > 0, z + torch.log1p(torch.exp(-z)), torch.log1p(torch.exp(z)))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must have one shape")
    ce = targets * _softplus(-inputs) + (1 - targets) * _softplus(inputs)
    p, q = torch.sigmoid(inputs), torch.sigmoid(-inputs)
    loss = ce * (q * targets + p * (1 - targets)) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction is {reduction!r}")
