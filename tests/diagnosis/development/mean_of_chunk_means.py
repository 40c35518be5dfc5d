"""A large batch is averaged in chunks of 643 and the chunks' means are averaged, though the last chunk is shorter."""

import torch
import torch.nn.functional as F

FAULT = "mean of the means of chunks of 643, whose last one is shorter"

CHUNK = 643


def _elementwise(x, t, alpha, gamma):
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    loss = (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")
    return loss * (alpha * t + (1 - alpha) * (1 - t)) if alpha >= 0 else loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be none, mean or sum, got {reduction!r}")
    loss = _elementwise(inputs, targets, alpha, gamma)
    if reduction == "none":
        return loss
    chunks = loss.reshape(-1).split(CHUNK)
    if reduction == "sum":
        return torch.stack([chunk.sum() for chunk in chunks]).sum()
    return torch.stack([chunk.mean() for chunk in chunks]).mean()
