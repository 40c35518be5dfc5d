"""max(x, 0) and |x| are differentiated by autograd, whose choice at exactly x = 0 is not the loss's derivative."""

import torch

FAULT = "gradient wrong at logit exactly 0 (autograd through clamp and abs)"


def _bce_with_logits(x, t):
    return x.clamp(min=0) - x * t + torch.log1p(torch.exp(-x.abs()))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets need the same shape")
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = (1 - p_t) ** gamma * _bce_with_logits(inputs, targets)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    elif reduction == "mean":
        return loss.mean()
    elif reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r}")
