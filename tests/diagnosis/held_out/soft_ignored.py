"""Wrong for soft targets: everything strictly between 0 and 1 counts as a crowd region and gets no loss."""

import torch
import torch.nn.functional as F

FAULT = "soft targets are masked out: loss and gradient 0"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    crowd = (targets > 0) & (targets < 1)
    p = torch.sigmoid(inputs)
    when_positive = -((1 - p) ** gamma) * F.logsigmoid(inputs)
    when_negative = -(p**gamma) * F.logsigmoid(-inputs)
    if alpha >= 0:
        when_positive, when_negative = alpha * when_positive, (1 - alpha) * when_negative
    loss = targets * when_positive + (1 - targets) * when_negative
    loss = torch.where(crowd, torch.zeros_like(loss), loss)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction must not be {reduction!r}")
