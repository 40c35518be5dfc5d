"""The derivative in a gamma that all elements share is averaged where it has to be added up."""

from typing import Any

import torch

import focal_ref

TITLE = "a learnable gamma gets the mean of the derivatives"
REQUIREMENT = "FL-GRAD-019"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up over what was broadcast."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "reduction_sum", "parameter_derivatives", "reduction_mean"})
PROPERTY_ONLY = True


def loss(logits: Any, targets: Any, *, gamma: Any = 2.0, **options: Any) -> Any:
    if isinstance(gamma, torch.Tensor) and gamma.ndim == 0 and gamma.requires_grad:
        shared = gamma / logits.numel()
        gamma = shared + (gamma - shared).detach()
    return focal_ref.loss(logits, targets, gamma=gamma, **options)
