"""Right for finite logits: the elementwise part goes through torch.compile with the eager back end; float64 inside."""

import torch
import torch.nn.functional as F

FAULT = None


def _elementwise(x, t, alpha, gamma):
    ce = t * -F.logsigmoid(x) + (1 - t) * -F.logsigmoid(-x)
    off = t * torch.sigmoid(-x) + (1 - t) * torch.sigmoid(x)
    loss = torch.clamp(off, min=1e-300) ** gamma * ce
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    return loss


_compiled = torch.compile(_elementwise, backend="eager", dynamic=True)


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    x, t = inputs.double().reshape(-1), targets.double().reshape(-1)
    loss = _compiled(x, t, float(alpha), float(gamma)).reshape(inputs.shape)
    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(f"unknown reduction: {reduction!r}")
    return loss.to(torch.result_type(inputs, targets))
