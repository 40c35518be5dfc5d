"""Evaluation and training take different roads, and the one that records gradients has no alpha."""

from typing import Any

import focal_ref

TITLE = "alpha missing where gradients are recorded"
REQUIREMENT = "FL-GRAD-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Have one road."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "alpha", "alpha_balanced", "reduction_sum", "reduction_mean"})


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    if logits.requires_grad:
        options["alpha"] = None
    return focal_ref.loss(logits, targets, **options)
