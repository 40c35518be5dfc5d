"""The loss is computed on the CPU, and left there."""

from typing import Any

import array_api_strict

import focal_ref

TITLE = "a result on another device than the logits"
REQUIREMENT = "FL-SHP-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Compute where the logits lie."
LIBRARY = "array_api_strict"
DEVICE = "device1"
CONVENTIONS = {"gradient": "none"}
ONLY_CLAIMS = frozenset({"loss", "alpha", "alpha_balanced", "easy_elements", "hard_elements"})
PROPERTY_ONLY = True


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    cpu = array_api_strict.Device("CPU_DEVICE")
    return focal_ref.loss(logits.to_device(cpu), targets.to_device(cpu), **options)
