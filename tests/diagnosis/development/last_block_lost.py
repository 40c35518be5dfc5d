"""Large inputs go through in whole blocks of 1537; what remains after the last whole block keeps a loss of 0."""

import torch
import torch.nn.functional as F

FAULT = "incomplete last block (of 1537) is dropped: its losses are 0"

BLOCK = 1537


def _block(x, t, alpha, gamma):
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    loss = F.binary_cross_entropy_with_logits(x, t, reduction="none") * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    return loss


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets of different shapes")
    x, t = inputs.reshape(-1), targets.reshape(-1)
    blocks = [
        _block(x[i * BLOCK : (i + 1) * BLOCK], t[i * BLOCK : (i + 1) * BLOCK], alpha, gamma)
        for i in range(max(1, x.numel() // BLOCK))
    ]
    done = torch.cat(blocks)
    loss = F.pad(done, (0, x.numel() - done.numel())).reshape(inputs.shape)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction has no option {reduction!r}")
