"""Wrong gradients at large logits: exp overflows in the branch that where() does not take, and 0 times inf is NaN."""

import torch

FAULT = "NaN gradient at large logits: exp overflows in the branch of where() that is not taken"


def _softplus(z):
    return torch.where(z > 36.5, z, torch.log1p(torch.exp(z)))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("shapes differ")
    ce = targets * _softplus(-inputs) + (1 - targets) * _softplus(inputs)
    off = targets * torch.sigmoid(-inputs) + (1 - targets) * torch.sigmoid(inputs)
    loss = off**gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"bad reduction {reduction!r}")
    if reduction == "none":
        return loss
    return loss.sum() if reduction == "sum" else loss.mean()
