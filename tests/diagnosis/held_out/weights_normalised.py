"""Wrong: the class weights of the batch are divided by their mean, so that a loss depends on its neighbours."""

import torch
import torch.nn.functional as F

FAULT = "alpha_t divided by its mean over the batch"


def _class_weights(targets, alpha):
    weights = alpha * targets + (1 - alpha) * (1 - targets)
    return weights / weights.mean()


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    p = torch.sigmoid(inputs)
    error = p * (1 - targets) + (1 - p) * targets
    loss = error**gamma * F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    if alpha >= 0:
        loss = loss * _class_weights(targets, alpha)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(reduction)
