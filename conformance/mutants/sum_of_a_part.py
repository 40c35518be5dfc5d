"""Of divided logits each process returns the sum of its own part."""

from typing import Any

from torch.distributed.tensor import DTensor, Replicate

import focal_ref

TITLE = "the sum of one part"
REQUIREMENT = "FL-XFM-009"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up the sums of all parts."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "devices", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    if not isinstance(logits, DTensor) or options.get("reduction", "none") != "sum":
        return focal_ref.loss(logits, targets, **options)
    own = focal_ref.loss(logits.to_local(), targets.to_local(), **options)
    return DTensor.from_local(own, logits.device_mesh, [Replicate()], run_check=False)
