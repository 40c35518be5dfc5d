"""The focal factor is (1 - p)^gamma whatever the label is, so that easy negatives are not damped but hard ones are."""

import torch
import torch.nn.functional as F

FAULT = "focal factor is (1 - p)^gamma for negatives too"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    one_minus_p = torch.sigmoid(-inputs)
    loss = one_minus_p.pow(gamma) * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * torch.lerp(torch.full_like(targets, 1 - alpha), torch.full_like(targets, alpha), targets)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"Unsupported reduction: {reduction}")
    return loss if reduction == "none" else getattr(loss, reduction)()
