"""The paper's 0.25 is written into the body, so that the argument only switches the weighting on and off."""

import torch
import torch.nn.functional as F

FAULT = "alpha is ignored: 0.25 always"

ALPHA = 0.25


class _FocalLoss(torch.nn.Module):
    def __init__(self, weighted, gamma):
        super().__init__()
        self.weighted = weighted
        self.gamma = gamma

    def forward(self, logits, labels):
        p = torch.sigmoid(logits)
        p_t = p * labels + (1 - p) * (1 - labels)
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none") * (1 - p_t).pow(self.gamma)
        if self.weighted:
            loss = loss * (ALPHA * labels + (1 - ALPHA) * (1 - labels))
        return loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = _FocalLoss(alpha >= 0, gamma)(inputs, targets)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"Reduction {reduction!r} is not supported")
