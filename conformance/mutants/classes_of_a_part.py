"""With the classes divided over processes, each counts classes from the first one that it has."""

from typing import Any

import torch
from torch.distributed.tensor import DTensor

import focal_ref

TITLE = "classes counted from the start of a part"
REQUIREMENT = "FL-XFM-008"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add the offset of the part to the numbers of its classes."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset(
    {
        "loss",
        "gradient",
        "autodiff",
        "devices",
        "labels",
        "background",
        "ignore",
        "reduction_sum",
        "reduction_mean",
    }
)
PROPERTY_ONLY = True


def loss_from_labels(logits: Any, labels: Any, **options: Any) -> Any:
    if not isinstance(logits, DTensor) or options.get("reduction", "none") != "none":
        return focal_ref.loss_from_labels(logits, labels, **options)
    part, own = logits.to_local(), labels.to_local()
    own = torch.where(own < part.shape[-1], own, -1)
    return DTensor.from_local(
        focal_ref.loss_from_labels(part, own, **options), logits.device_mesh, logits.placements, run_check=False
    )
