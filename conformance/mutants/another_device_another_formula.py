"""On a device that is not the CPU another kernel runs, which has no alpha."""

from typing import Any

import focal_ref

TITLE = "another result on another device"
REQUIREMENT = "FL-VAL-001"
SEEN = (
    "https://github.com/open-mmlab/mmdetection/issues/7907",
    "https://github.com/open-mmlab/mmsegmentation/issues/3249",
)
ADVICE = "Run the suite on every device: --device."
LIBRARY = "array_api_strict"
DEVICE = "device1"
CONVENTIONS = {"gradient": "none"}
ONLY_CLAIMS = frozenset({"loss", "alpha", "alpha_balanced", "easy_elements", "hard_elements"})


def loss(logits: Any, targets: Any, *, alpha: Any = 0.25, **options: Any) -> Any:
    on_cpu = "CPU" in str(logits.device)
    return focal_ref.loss(logits, targets, alpha=alpha if on_cpu else None, **options)
