"""Wrong: alpha goes into the cross entropy as pos_weight, alpha / (1 - alpha) for positives and 1 for negatives."""

import torch
import torch.nn.functional as F

FAULT = "alpha as odds: positives weigh alpha/(1-alpha), negatives 1"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    odds = None
    if alpha >= 0:
        odds = torch.as_tensor(alpha / max(1 - alpha, 1e-6), dtype=inputs.dtype, device=inputs.device)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, pos_weight=odds, reduction="none")
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = torch.pow(1 - p_t, gamma) * ce
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean()
    if reduction == "none":
        return loss
    raise ValueError(f"Unsupported reduction {reduction}")
