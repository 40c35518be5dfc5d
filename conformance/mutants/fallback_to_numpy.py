"""The loss falls back to NumPy and returns what it got."""

from typing import Any

import focal_ref

TITLE = "NumPy arrays in the place of tensors"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Return an array of the library, on the device of the logits."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff"})
PROPERTY_ONLY = True


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    return focal_ref.loss(logits, targets, **options).detach().numpy()
