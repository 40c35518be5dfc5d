"""p_t is p or 1 - p, chosen by target > 0.5, where a soft target blends them; the cross entropy does blend."""

import torch
import torch.nn.functional as F

FAULT = "p_t is chosen by target > 0.5, so that soft targets get no blended p_t"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    prob = torch.sigmoid(inputs)
    pt = torch.where(targets > 0.5, prob, 1 - prob)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = torch.pow(1 - pt, gamma) * ce
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unexpected reduction {reduction!r}")
