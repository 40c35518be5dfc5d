"""Wrong gradient after a reduction: the number is made into a new leaf, which ends the graph without an error."""

import torch
import torch.nn.functional as F

FAULT = "the reduced loss is a new leaf tensor: nothing flows back to the logits"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    distance = targets * torch.sigmoid(-inputs) + (1 - targets) * torch.sigmoid(inputs)
    loss = distance.pow(gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        value = loss.mean().item()
    elif reduction == "sum":
        value = loss.sum().item()
    else:
        raise ValueError(f"unknown reduction {reduction!r}")
    return torch.tensor(value, dtype=loss.dtype, device=loss.device, requires_grad=inputs.requires_grad)
