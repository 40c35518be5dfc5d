"""Wrong for other reductions: the name is looked up in torch: "median" runs, and a typing error is no ValueError."""

import torch
import torch.nn.functional as F

FAULT = "reduction looked up in torch by name: others run, unknown ones raise AttributeError instead of ValueError"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return loss if reduction == "none" else getattr(torch, reduction)(loss)
