"""Wrong: elements below p_t = 0.2 get five thirds of gamma, a schedule from work on calibration left switched on."""

import torch
import torch.nn.functional as F

FAULT = "gamma grows by two thirds where p_t < 0.2"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    exponent = gamma * (1 + 2 / 3 * (p_t < 0.2).to(p_t.dtype))
    loss = (1 - p_t) ** exponent * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError("reduction must be 'none', 'mean' or 'sum'")
