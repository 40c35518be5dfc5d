"""Right: at most 4099 elements at a time, the incomplete last block included, put together before the reduction."""

import torch
import torch.nn.functional as F

FAULT = None

BLOCK = 4099


def _block(x, t, alpha, gamma):
    x, t = x.double(), t.double()
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    u = torch.sigmoid(-x) * t + torch.sigmoid(x) * (1 - t)
    is_zero = u == 0
    power = torch.where(is_zero, 0.0**gamma, torch.where(is_zero, 1.0, u).pow(gamma))
    loss = -power * (t * log_p + (1 - t) * log_q)
    return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if reduction not in {"none", "mean", "sum"}:
        raise ValueError(f"no reduction {reduction!r}")
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets are not of the same shape")
    pairs = zip(inputs.reshape(-1).split(BLOCK), targets.reshape(-1).split(BLOCK), strict=True)
    loss = torch.cat([_block(x, t, alpha, gamma) for x, t in pairs])
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    else:
        loss = loss.reshape(inputs.shape)
    return loss.to(inputs.dtype)
