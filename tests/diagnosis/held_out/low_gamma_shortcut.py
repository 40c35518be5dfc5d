"""Wrong for 0 < gamma < 0.36: small exponents are rounded down to zero, to go round the infinite slope of the power."""

import torch
import torch.nn.functional as F

FAULT = "gamma below 0.36 treated as 0"


class _Focal(torch.nn.Module):
    def __init__(self, alpha, gamma):
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma

    def forward(self, logits, labels):
        loss = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        if self.gamma >= 0.36:
            p = logits.sigmoid()
            loss = loss * (labels + p - 2 * labels * p) ** self.gamma
        if self.alpha >= 0:
            loss = loss * (self.alpha * labels + (1 - self.alpha) * (1 - labels))
        return loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = _Focal(alpha, gamma)(inputs, targets)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"{reduction!r}: expected none, mean or sum")
