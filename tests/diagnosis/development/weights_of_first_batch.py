"""alpha_t is kept for every shape, because it "depends on alpha alone": later batches get the first one's weights."""

import torch
import torch.nn.functional as F

FAULT = "alpha_t of the first batch is reused for later targets of the same shape"

_weights = {}


def _alpha_t(targets, alpha):
    key = (tuple(targets.shape), targets.dtype, targets.device, alpha)
    if key not in _weights:
        _weights[key] = (alpha * targets + (1 - alpha) * (1 - targets)).detach()
    return _weights[key]


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    probability = torch.sigmoid(inputs)
    p_t = probability * targets + (1 - probability) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * _alpha_t(targets, alpha)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"what is {reduction!r}?")
