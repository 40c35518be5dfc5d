"""Right: no where, abs, clamp or branch on values: 1 - p_t is a logsumexp over the two classes, in float64."""

import torch
import torch.nn.functional as F

FAULT = None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("shape of targets has to be the shape of inputs")
    x = inputs.double()
    shares = torch.stack([targets.double(), 1 - targets.double()])
    log_probabilities = F.logsigmoid(torch.stack([x, -x]))
    ce = -(shares * log_probabilities).sum(0)
    log_miss = torch.logsumexp(log_probabilities + shares.flip(0).log(), 0)
    loss = ce * (gamma * log_miss).exp()
    if alpha >= 0:
        loss = loss * (alpha * shares[0] + (1 - alpha) * shares[1])
    if reduction == "none":
        return loss.to(inputs.dtype)
    if reduction == "mean":
        return loss.mean().to(inputs.dtype)
    if reduction == "sum":
        return loss.sum().to(inputs.dtype)
    raise ValueError(f"reduction={reduction!r} is unknown")
