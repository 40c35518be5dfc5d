"""Right for finite logits: both probabilities are exponentials of their logarithms; float64 inside."""

import torch
import torch.nn.functional as F

FAULT = None


class FocalLoss(torch.nn.Module):
    """The loss of each element in float64."""

    def __init__(self, alpha, gamma):
        super().__init__()
        self.alpha, self.gamma = alpha, gamma

    def forward(self, logits, labels):
        """Return the losses in the logits' shape."""
        if logits.shape != labels.shape:
            raise ValueError("logits and labels differ in shape")
        x, t = logits.double(), labels.double()
        log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
        off = torch.exp(log_q) * t + torch.exp(log_p) * (1 - t)
        loss = -(t * log_p + (1 - t) * log_q) * off.clamp_min(1e-300) ** self.gamma
        return loss if self.alpha < 0 else loss * (self.alpha * t + (1 - self.alpha) * (1 - t))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = FocalLoss(alpha, gamma)(inputs, targets)
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown reduction: {reduction!r}")
    return loss.to(torch.result_type(inputs, targets))
