"""The hand-written derivative has the term with the logarithm, but forgot its factor gamma; right at gamma = 1."""

import torch
import torch.nn.functional as F

FAULT = "custom backward lacks the factor gamma in the derivative of the focal factor"


class _Focal(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(logits, labels, gamma):
        ce = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        u = torch.sigmoid(logits) * (1 - labels) + torch.sigmoid(-logits) * labels
        return u**gamma * ce

    @staticmethod
    def setup_context(ctx, inputs, output):
        logits, labels, ctx.gamma = inputs
        ctx.save_for_backward(logits, labels)

    @staticmethod
    def backward(ctx, grad_output):
        logits, labels = ctx.saved_tensors
        p, q = torch.sigmoid(logits), torch.sigmoid(-logits)
        ce = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
        u = (p * (1 - labels) + q * labels).clamp(min=torch.finfo(logits.dtype).tiny)
        slope = u ** (ctx.gamma - 1) * p * q * (1 - 2 * labels)
        return grad_output * (slope * ce + u**ctx.gamma * (p * (1 - labels) - q * labels)), None, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = _Focal.apply(inputs, targets, gamma)
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"reduction {reduction!r} is not supported")
