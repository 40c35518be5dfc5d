"""Right: an autograd.Function whose backward is the closed form in float64, by logarithms, for soft targets as well."""

import torch
import torch.nn.functional as F

FAULT = None


def _parts(x, t):
    """Cross entropy, log(1 - p_t), log p and log(1 - p)."""
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    log_u = torch.logaddexp(log_p + torch.log(1 - t), log_q + torch.log(t))
    return -(t * log_p + (1 - t) * log_q), log_u, log_p, log_q


class _Focal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, alpha, gamma):
        ce, log_u, _, _ = _parts(x, t)
        weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else 1.0
        return weight * torch.exp(gamma * log_u) * ce

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.alpha, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        alpha, gamma = ctx.alpha, ctx.gamma
        ce, log_u, log_p, log_q = _parts(x, t)
        p, q, focal = torch.exp(log_p), torch.exp(log_q), torch.exp(gamma * log_u)
        weight = alpha * t + (1 - alpha) * (1 - t) if alpha >= 0 else 1.0
        # pq / (1 - p_t): 1 - p for negatives, p for positives
        ratio = torch.exp(log_p + log_q - log_u)
        d_x = weight * focal * (gamma * ratio * (1 - 2 * t) * ce + (p * (1 - t) - q * t))
        d_t = None
        if ctx.needs_input_grad[1]:
            d_t = weight * (gamma * torch.exp((gamma - 1) * log_u) * (q - p) * ce - focal * x)
            if alpha >= 0:
                d_t = d_t + (2 * alpha - 1) * focal * ce
            d_t = d_t * grad_output
        return grad_output * d_x, d_t, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in their shapes")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"reduction must be none, mean or sum, not {reduction!r}")
    loss = _Focal.apply(inputs.double(), targets.double(), alpha, gamma)
    return (loss if reduction == "none" else getattr(loss, reduction)()).to(inputs.dtype)
