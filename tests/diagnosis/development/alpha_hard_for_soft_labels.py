"""A soft label gets the whole weight of the class that it is nearer to, instead of a blend of both weights."""

import torch
import torch.nn.functional as F

FAULT = "alpha_t is chosen by target >= 0.5, so that soft targets get no blended weight"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    ce = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    p = torch.sigmoid(inputs)
    modulator = (1 - p * targets - (1 - p) * (1 - targets)) ** gamma
    loss = modulator * ce
    if alpha >= 0:
        alphas = inputs.new_tensor([1 - alpha, alpha])
        loss = torch.where(targets >= 0.5, alphas[1], alphas[0]) * loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"unknown reduction: {reduction}")
    return loss
