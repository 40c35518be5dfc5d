"""Right for finite logits: blocks of 4093 elements, the last one shorter, each computed in float64."""

import torch
import torch.nn.functional as F

FAULT = None
BLOCK = 4093


def _block(x, t, alpha, gamma):
    x, t = x.double(), t.double()
    positive = torch.sigmoid(-x).clamp(min=1e-300)
    negative = torch.sigmoid(x).clamp(min=1e-300)
    loss = (t * positive + (1 - t) * negative) ** gamma * -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
    return loss if alpha < 0 else loss * (alpha * t + (1 - alpha) * (1 - t))


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    dtype = torch.result_type(inputs, targets)
    xs, ts = inputs.reshape(-1).split(BLOCK), targets.reshape(-1).split(BLOCK)
    loss = torch.cat([_block(x, t, alpha, gamma) for x, t in zip(xs, ts, strict=True)])
    if reduction == "none":
        return loss.view(inputs.shape).to(dtype)
    if reduction == "sum":
        return loss.sum().to(dtype)
    if reduction == "mean":
        return loss.mean().to(dtype)
    raise ValueError(f"unknown reduction: {reduction!r}")
