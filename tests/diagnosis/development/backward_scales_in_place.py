"""The backward pass multiplies the kept weight by grad_output in place: a second backward has that factor twice."""

import torch
import torch.nn.functional as F

FAULT = "second backward through one graph is wrong: the kept weight was scaled in place by the first"


class _WeightedFocal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, weight, gamma):
        u = torch.sigmoid(x) * (1 - t) + torch.sigmoid(-x) * t
        return weight * u**gamma * F.binary_cross_entropy_with_logits(x, t, reduction="none")

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.weight, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad_output):
        x, t = ctx.saved_tensors
        p, q = torch.sigmoid(x), torch.sigmoid(-x)
        u = (p * (1 - t) + q * t).clamp(min=torch.finfo(x.dtype).tiny)
        ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
        grad = ctx.gamma * u ** (ctx.gamma - 1) * p * q * (1 - 2 * t) * ce + u**ctx.gamma * (p * (1 - t) - q * t)
        ctx.weight *= grad_output
        return ctx.weight * grad, None, None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    weight = alpha * targets + (1 - alpha) * (1 - targets) if alpha >= 0 else torch.ones_like(targets)
    loss = _WeightedFocal.apply(inputs, targets, weight.detach(), gamma)
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"unknown reduction {reduction!r}")
