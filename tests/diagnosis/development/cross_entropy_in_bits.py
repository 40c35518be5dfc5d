"""The cross entropy is converted to bits for the log file and stays so: everything is 1/ln 2 too large."""

import math

import torch.nn.functional as F

FAULT = "logarithm to base 2 instead of the natural one"

NATS_PER_BIT = math.log(2.0)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    log_p, log_q = F.logsigmoid(inputs), F.logsigmoid(-inputs)
    bits = -(targets * log_p + (1 - targets) * log_q) / NATS_PER_BIT
    wrongness = log_p.exp() * (1 - targets) + log_q.exp() * targets
    loss = wrongness**gamma * bits
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"reduction={reduction!r}")
