"""Right: float32 stays float32, only half precision is widened; no form cancels, and backward is the closed form."""

import torch
import torch.nn.functional as F

FAULT = None


def _parts(x, t):
    p, q = torch.sigmoid(x), torch.sigmoid(-x)
    ce = -(t * F.logsigmoid(x) + (1 - t) * F.logsigmoid(-x))
    return p, q, p * (1 - t) + q * t, ce


def _power(u, gamma):
    return torch.where(u > 0, torch.where(u > 0, u, 1) ** gamma, u * 0 + 0.0**gamma)


class _Losses(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, gamma):
        _, _, u, ce = _parts(x, t)
        return _power(u, gamma) * ce

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        p, q, u, ce = _parts(x, t)
        power = _power(u, ctx.gamma)
        # pq / u lies between 0 and 1; where u underflows to 0, everything is multiplied by 0 or by gamma = 0.
        ratio = p * q / torch.where(u > 0, u, 1)
        d_x = power * (ctx.gamma * ratio * (1 - 2 * t) * ce + (p * (1 - t) - q * t))
        d_t = None
        if ctx.needs_input_grad[1]:
            d_t = grad_output * (ctx.gamma * u ** (ctx.gamma - 1) * (q - p) * ce - power * x)
        return grad_output * d_x, d_t, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets must have equal shapes")
    dtype = inputs.dtype if inputs.dtype in (torch.float32, torch.float64) else torch.float32
    x, t = inputs.to(dtype), targets.to(dtype)
    loss = _Losses.apply(x, t, gamma)
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown kind of reduction: {reduction!r}")
    return loss.to(inputs.dtype)
