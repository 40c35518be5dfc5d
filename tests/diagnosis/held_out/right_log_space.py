"""Right for finite logits: the power is taken in log space, exp(gamma * log(1 - p_t)); float64 inside."""

import torch
import torch.nn.functional as F

FAULT = None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if inputs.shape != targets.shape:
        raise ValueError("inputs and targets differ in shape")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"unknown reduction: {reduction!r}")
    x, t = inputs.to(torch.float64), targets.to(torch.float64)
    log_p, log_q = F.logsigmoid(x), F.logsigmoid(-x)
    ce = -(t * log_p + (1 - t) * log_q)
    # log(t q + (1 - t) p), the larger of log p and log q taken out of the bracket.
    largest = torch.maximum(log_p, log_q).detach()
    inside = t * torch.exp(log_q - largest) + (1 - t) * torch.exp(log_p - largest)
    loss = torch.exp(gamma * (largest + torch.log(inside.clamp(min=1e-300)))) * ce
    if alpha >= 0:
        loss = loss * (alpha * t + (1 - alpha) * (1 - t))
    if reduction != "none":
        loss = loss.sum() if reduction == "sum" else loss.mean()
    return loss.to(torch.result_type(inputs, targets))
