"""Two faults: soft targets are cut down to 0 by .long(), and only -1 itself, no other negative alpha, means "off"."""

import torch
import torch.nn.functional as F

FAULT = "soft targets are truncated to integers; negative alpha other than -1 is used as a weight"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    labels = targets.long().to(inputs.dtype)
    p = torch.sigmoid(inputs)
    p_t = p * labels + (1 - p) * (1 - labels)
    loss = (1 - p_t) ** gamma * F.binary_cross_entropy_with_logits(inputs, labels, reduction="none")
    if alpha != -1:
        loss = loss * (alpha * labels + (1 - alpha) * (1 - labels))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"no {reduction!r} among the reductions")
