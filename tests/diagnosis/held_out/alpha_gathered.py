"""Wrong for soft targets: the class weight is looked up under targets.long(), which is 0 for everything below one."""

import torch
import torch.nn.functional as F

FAULT = "class weight looked up by targets.long(): soft targets weigh 1 - alpha"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = torch.sigmoid(inputs)
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        table = torch.tensor([1 - alpha, alpha], dtype=loss.dtype, device=loss.device)
        loss = table[targets.long()] * loss
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction={reduction!r}")
