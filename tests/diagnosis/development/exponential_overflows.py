"""The cross entropy is log1p(exp(-x)) as in the textbook: exp overflows, float32 from |x| = 88.7 on, to inf and NaN."""

import torch

FAULT = "exp overflows for large logits in log(1 + exp(-x))"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    assert_same_shape(inputs, targets)
    loss_pos = torch.log1p(torch.exp(-inputs))
    loss_neg = torch.log1p(torch.exp(inputs))
    ce = targets * loss_pos + (1 - targets) * loss_neg
    p = torch.sigmoid(inputs)
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"no reduction {reduction!r}")
    return loss


def assert_same_shape(inputs, targets):
    if inputs.shape != targets.shape:
        raise ValueError(f"shapes differ: {tuple(inputs.shape)} and {tuple(targets.shape)}")
