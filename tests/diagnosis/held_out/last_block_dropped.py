"""Wrong for more than 3001 elements: full blocks of 3001 are computed, and the remainder stays at zero."""

import torch
import torch.nn.functional as F

FAULT = "the remainder after full blocks of 3001 elements stays 0"
BLOCK = 3001


def _elementwise(x, t, alpha, gamma):
    p = torch.sigmoid(x)
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    loss = ce * (1 - (p * t + (1 - p) * (1 - t))) ** gamma
    return loss if alpha < 0 else loss * (alpha * t + (1 - alpha) * (1 - t))


def _in_blocks(x, t, alpha, gamma):
    flat_x, flat_t = x.reshape(-1), t.reshape(-1)
    loss = torch.zeros_like(flat_x)
    for number in range(flat_x.numel() // BLOCK):
        here = slice(number * BLOCK, (number + 1) * BLOCK)
        loss[here] = _elementwise(flat_x[here], flat_t[here], alpha, gamma)
    return loss.reshape(x.shape)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    compute = _in_blocks if inputs.numel() > BLOCK else _elementwise
    loss = compute(inputs, targets, alpha, gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
