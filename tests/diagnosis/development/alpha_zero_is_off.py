"""The test for "weighting wanted" is alpha > 0: alpha = 0, which silences the positives, switches weighting off."""

import torch
import torch.nn.functional as F

FAULT = "alpha = 0 is taken for no weighting"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    pred_prob = inputs.sigmoid()
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p_t = targets * pred_prob + (1 - targets) * (1 - pred_prob)
    loss = loss * (1.0 - p_t) ** gamma
    if alpha > 0:
        loss = loss * (targets * alpha + (1 - targets) * (1 - alpha))
    if reduction == "none":
        return loss
    if reduction in ("mean", "sum"):
        return getattr(torch, reduction)(loss)
    raise ValueError(f"reduction {reduction}?")
