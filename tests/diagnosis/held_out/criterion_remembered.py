"""Wrong once alpha changes: criteria are kept by gamma alone, so the first alpha seen with a gamma stays."""

from typing import ClassVar

import torch
import torch.nn.functional as F

FAULT = "criterion kept by gamma alone: a later alpha is ignored"


class FocalCriterion(torch.nn.Module):
    """Focal loss of fixed alpha and gamma."""

    kept: ClassVar[dict] = {}

    def __init__(self, alpha, gamma):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    @classmethod
    def of(cls, alpha, gamma):
        """Return the criterion, built at most once."""
        return cls.kept.setdefault(gamma, cls(alpha, gamma))

    def forward(self, x, t):
        """Return the loss of each element."""
        p = torch.sigmoid(x)
        ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** self.gamma
        return loss if self.alpha < 0 else loss * (self.alpha * t + (1 - self.alpha) * (1 - t))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = FocalCriterion.of(alpha, gamma)(inputs, targets)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
