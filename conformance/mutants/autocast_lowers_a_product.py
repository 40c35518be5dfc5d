"""Weight and loss are multiplied by a matrix product, which autocast computes in bfloat16."""

from typing import Any

import torch

import focal_ref

TITLE = "a product in 16 bits under autocast"
REQUIREMENT = "FL-XFM-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Multiply element by element, or leave autocast for the loss."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "autocast", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    result = focal_ref.loss(logits, targets, **options)
    if not torch.is_autocast_enabled("cpu"):
        return result
    one = torch.ones(1, 1, dtype=logits.dtype)
    return (result.reshape(-1, 1) @ one).reshape(result.shape).to(logits.dtype)
