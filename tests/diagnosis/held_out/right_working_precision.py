"""Right for finite logits: computed in the inputs' own type from float32 on, with the closed derivative as backward."""

import torch
from torch.nn.functional import logsigmoid

FAULT = None


class _Elementwise(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x, t, gamma):
        background = 1 - t
        surprise = t * logsigmoid(x).neg() + background * logsigmoid(-x).neg()
        return surprise * (t * x.neg().sigmoid() + background * x.sigmoid()).pow(gamma)

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, t, ctx.gamma = inputs
        ctx.save_for_backward(x, t)

    @staticmethod
    def backward(ctx, grad):
        x, t = ctx.saved_tensors
        gamma, background = ctx.gamma, 1 - t
        p, q = x.sigmoid(), x.neg().sigmoid()
        surprise = t * logsigmoid(x).neg() + background * logsigmoid(-x).neg()
        off = (t * q + background * p).clamp_min(torch.finfo(x.dtype).tiny)
        steep = gamma * (p / off * q * surprise) * (1 - 2 * t)
        plain = background * p - t * q
        by_targets = grad * off**gamma * (gamma * surprise * (q - p) / off - x)
        return grad * off**gamma * (steep + plain), by_targets, None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    dtype = torch.result_type(inputs, targets)
    work = torch.promote_types(dtype, torch.float32)
    x, t = inputs.to(work), targets.to(work)
    loss = _Elementwise.apply(x, t, gamma)
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"unknown reduction: {reduction!r}")
    if reduction != "none":
        loss = getattr(loss, reduction)()
    return loss.to(dtype)
