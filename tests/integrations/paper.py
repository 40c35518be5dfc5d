"""The paper's formulas in float64 as they are printed, for ordinary logits; PyTorch differentiates them."""

import torch


def focal(logits, targets, *, alpha=0.25, gamma=2.0):
    """Section 3 of arXiv:1708.02002; targets between 0 and 1 blend."""
    x, t = logits.to(torch.float64), targets.to(torch.float64)
    p = torch.sigmoid(x)
    p_t = p * t + (1 - p) * (1 - t)
    cross_entropy = -t * torch.log(p) - (1 - t) * torch.log(1 - p)
    alpha_t = 1.0 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return alpha_t * (1 - p_t) ** gamma * cross_entropy


def softmax_focal(logits, shares, *, alpha=1.0, gamma=2.0):
    """Of a softmax along the last axis, with one row of shares a row of logits."""
    p = torch.softmax(logits.to(torch.float64), -1)
    return torch.sum(-shares.to(torch.float64) * alpha * (1 - p) ** gamma * torch.log(p), -1)
