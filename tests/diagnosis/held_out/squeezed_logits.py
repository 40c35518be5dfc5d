"""Wrong for a last axis of length 1: only the logits lose it, and (N,) against (N, 1) broadcasts to (N, N)."""

import torch
import torch.nn.functional as F

FAULT = "(N, 1) logits are squeezed and broadcast against the targets to (N, N)"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    logits = inputs.squeeze(-1) if inputs.dim() > 1 else inputs
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    ce = -(targets * log_p + (1 - targets) * log_q)
    p = torch.sigmoid(logits)
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"not a reduction: {reduction!r}")
