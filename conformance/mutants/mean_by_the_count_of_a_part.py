"""Each process divides by the labels that count in its own part, and the means of the parts are averaged."""

from typing import Any

from torch.distributed.tensor import DTensor, Partial, Replicate

import focal_ref

TITLE = "the mean of the means of parts"
REQUIREMENT = "FL-XFM-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide the sum of all parts by the count of all parts."
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
    divided = isinstance(labels, DTensor) and labels.to_local().shape != labels.shape
    if not divided or options.get("reduction", "none") != "mean":
        return focal_ref.loss_from_labels(logits, labels, **options)
    mesh = logits.device_mesh
    own = focal_ref.loss_from_labels(logits.to_local(), labels.to_local(), **options) / mesh.size()
    return DTensor.from_local(own, mesh, [Partial()], run_check=False).redistribute(placements=[Replicate()])
