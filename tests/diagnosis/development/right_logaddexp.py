"""Right: softplus is logaddexp(0, x), which is stable at both ends and has the exact derivative at 0 as well."""

import torch

FAULT = None


def _power(u, gamma):
    """The power; where u is 0, a constant, so that no infinite derivative meets a zero."""
    zero = u == 0
    return u.masked_fill(zero, 1.0).pow(gamma).masked_fill(zero, 0.0**gamma)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("expected inputs and targets of equal shape")
    x, t = inputs.to(torch.float64), targets.to(torch.float64)
    nothing = torch.zeros_like(x)
    cost_if_positive = torch.logaddexp(nothing, -x)
    cost_if_negative = torch.logaddexp(nothing, x)
    ce = t * cost_if_positive + (1 - t) * cost_if_negative
    loss = _power(t * (-x).sigmoid() + (1 - t) * x.sigmoid(), gamma) * ce
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "sum":
        return loss.sum().to(inputs.dtype)
    if reduction == "mean":
        return loss.mean().to(inputs.dtype)
    if reduction == "none":
        return loss.to(inputs.dtype)
    raise ValueError(f"reduction may be none, mean or sum, but is {reduction!r}")
