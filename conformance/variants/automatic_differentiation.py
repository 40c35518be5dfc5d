"""Losses of PyTorch's softplus, differentiated automatically."""

from typing import Any

import torch
from torch.nn import functional

PROFILE: dict[str, Any] = {
    "profile": {"library": "torch"},
    "signature": {"reduction": "reduction"},
    "conventions": {"gradient": "autodiff", "sum": "elements", "mean": "elements"},
    "claims": {"dtypes": {"float32": "cancellation-limited"}},
}


def loss(logits: Any, targets: Any, *, alpha: float | None, gamma: float, reduction: str = "none") -> Any:
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {tuple(targets.shape)}, logits have {tuple(logits.shape)}")
    if reduction not in ("none", "sum", "mean"):
        raise ValueError(f"reduction: got {reduction!r}; 'none', 'sum' or 'mean'")
    margin = torch.where(targets == 1, logits, -logits)
    entropy = -functional.logsigmoid(margin)
    # The factor of a huge loss is 1 and has no derivative, which would be multiplied by the loss.
    lost = margin < -1e30
    safe = torch.where(lost, 0.0, margin)
    factor = (
        torch.where(lost, 1.0, torch.exp(gamma * functional.logsigmoid(-safe))) if gamma else torch.ones_like(margin)
    )
    weight = torch.ones_like(logits) if alpha is None else torch.where(targets == 1, alpha, 1.0 - alpha)
    values = (weight * factor * entropy).to(logits.dtype)
    if reduction == "none":
        return values
    total = values.sum()
    return total / max(1, values.numel()) if reduction == "mean" else total
