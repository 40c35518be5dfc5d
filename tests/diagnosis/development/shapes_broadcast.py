"""No shape is checked: targets of shape (N,) against logits of shape (N, 1) silently give (N, N) losses."""

import torch.nn.functional as F

FAULT = "inputs and targets of different shapes broadcast instead of being refused"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    log_p = F.logsigmoid(inputs)
    log_1mp = F.logsigmoid(-inputs)
    ce = -targets * log_p - (1 - targets) * log_1mp
    u = targets * log_1mp.exp() + (1 - targets) * log_p.exp()
    loss = u.pow(gamma) * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"reduction is one of none, mean and sum, not {reduction!r}")
