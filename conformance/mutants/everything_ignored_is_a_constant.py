"""Where every label is ignored a new zero is returned, which the logits have no part in: backward raises an error."""

from typing import Any

import focal_ref

TITLE = "a constant where every label is ignored"
REQUIREMENT = "FL-RED-008"
SEEN = ("several public implementations",)
ADVICE = "Return a sum of the logits' own zeros."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset(
    {"loss", "gradient", "autodiff", "labels", "background", "ignore", "reduction_sum", "reduction_mean"}
)
PROPERTY_ONLY = True


def loss_from_labels(logits: Any, labels: Any, *, reduction: Any = "none", **options: Any) -> Any:
    if reduction != "none" and bool((labels == -2).all()):
        return logits.new_zeros(())
    return focal_ref.loss_from_labels(logits, labels, reduction=reduction, **options)
