"""Wrong: the labels are smoothed by 0.026 on entry, a trick from another training that stayed in the function."""

import torch
import torch.nn.functional as F

FAULT = "label smoothing of 0.026 that nobody asked for"
SMOOTHING = 0.026


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    y = targets * (1.0 - SMOOTHING) + 0.5 * SMOOTHING
    ce = F.binary_cross_entropy_with_logits(inputs, y, reduction="none")
    p = torch.sigmoid(inputs)
    loss = ce * (1.0 - (p * y + (1.0 - p) * (1.0 - y))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * y + (1.0 - alpha) * (1.0 - y))
    reducers = {"none": lambda v: v, "mean": torch.mean, "sum": torch.sum}
    if reduction not in reducers:
        raise ValueError(f"reduction {reduction!r} is not one of {sorted(reducers)}")
    return reducers[reduction](loss)
