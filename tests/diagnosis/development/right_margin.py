"""Right: hard labels go by their margin, ±x, in the short form q^gamma * softplus; soft ones by the blended formula."""

import torch
import torch.nn.functional as F

FAULT = None


def _hard(x, t, gamma):
    margin = torch.where(t == 1, x, -x)
    return -torch.exp(gamma * F.logsigmoid(-margin)) * F.logsigmoid(margin)


def _soft(x, t, gamma):
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    ce = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
    return (p * (1 - t) + q * t) ** gamma * ce


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must share their shape")
    x, t = inputs.double(), targets.double()
    is_hard = (t == 0) | (t == 1)
    # Each formula is given a harmless label where the other one counts.
    loss = torch.where(is_hard, _hard(x, t, gamma), _soft(x, t.masked_fill(is_hard, 0.5), gamma))
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"not a reduction: {reduction!r}")
    return loss.to(inputs.dtype)
