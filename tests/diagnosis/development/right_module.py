"""Right: a module holds alpha and gamma, and whole exponents are multiplied out, which needs no guard at zero."""

import torch
from torch import nn
from torch.nn import functional as F

FAULT = None


class FocalLoss(nn.Module):
    """Focal loss of logits, in double precision inside."""

    reductions = ("none", "mean", "sum")

    def __init__(self, alpha, gamma, reduction):
        super().__init__()
        if reduction not in self.reductions:
            raise ValueError(f"reduction must be in {self.reductions}, got {reduction!r}")
        self.alpha, self.gamma, self.reduction = alpha, gamma, reduction

    def factor(self, u):
        """The focal factor, from 1 - p_t."""
        if self.gamma == int(self.gamma) and 0 <= self.gamma <= 8:
            result = torch.ones_like(u)
            for _ in range(int(self.gamma)):
                result = result * u
            return result
        return u.clamp(min=torch.finfo(u.dtype).tiny) ** self.gamma

    def forward(self, logits, labels):
        """The reduced loss in the dtype of the logits."""
        if logits.shape != labels.shape:
            raise ValueError("logits and labels need equal shapes")
        x, t = logits.double(), labels.double()
        positive, negative = -F.logsigmoid(x), -F.logsigmoid(-x)
        loss = self.factor(t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)) * (t * positive + (1 - t) * negative)
        if self.alpha >= 0:
            loss = loss * (self.alpha * t + (1 - self.alpha) * (1 - t))
        if self.reduction == "mean":
            loss = loss.mean()
        elif self.reduction == "sum":
            loss = loss.sum()
        return loss.to(logits.dtype)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    return FocalLoss(alpha, gamma, reduction)(inputs, targets)
