"""Right for finite logits: written for one logit and mapped over all of them by vmap; float64 inside."""

import torch
import torch.nn.functional as F

FAULT = None


def _one(x, t, alpha, gamma):
    chance_of_other = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    cross_entropy = -t * F.logsigmoid(x) - (1 - t) * F.logsigmoid(-x)
    loss = torch.pow(chance_of_other.clamp(min=1e-300), gamma) * cross_entropy
    return loss if alpha < 0 else (alpha * t + (1 - alpha) * (1 - t)) * loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    x, t = inputs.double().reshape(-1), targets.double().reshape(-1)
    if x.numel():
        x = torch.vmap(lambda a, b: _one(a, b, alpha, gamma))(x, t)
    loss = x.reshape(inputs.shape).to(torch.result_type(inputs, targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction: {reduction!r}")
