"""Right: everything stays a logarithm, in float64, until one exponential; log(1 - p_t) is a logaddexp."""

import torch
import torch.nn.functional as F

FAULT = None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must have the same shape")
    x, t = inputs.double(), targets.double()
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    ce = -(t * log_p + (1 - t) * log_q)
    log_u = torch.logaddexp(log_p + torch.log(1 - t), log_q + torch.log(t))
    loss = torch.exp(gamma * log_u) * ce
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown reduction {reduction!r}")
    return loss.to(inputs.dtype)
