"""Wrong while gradients are wanted: the logits are perturbed at random then, an augmentation inside the loss."""

import torch
import torch.nn.functional as F

FAULT = "random noise of 4e-4 on the logits when they require a gradient"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    logits = inputs
    if inputs.requires_grad and torch.is_grad_enabled():
        logits = inputs + 4e-4 * torch.randn_like(inputs)
    p = torch.sigmoid(logits)
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    loss = ce * torch.pow(1 - p * targets - (1 - p) * (1 - targets), gamma)
    if alpha >= 0:
        loss *= alpha * targets + (1 - alpha) * (1 - targets)
    if reduction == "none":
        return loss
    total = loss.sum()
    if reduction == "mean":
        return total / loss.numel()
    if reduction == "sum":
        return total
    raise ValueError(f"unknown reduction: {reduction!r}")
