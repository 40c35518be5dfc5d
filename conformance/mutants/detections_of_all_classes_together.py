"""A box of one class suppresses those of another."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "suppression across classes"
REQUIREMENT = "FL-INF-003"
SEEN = ("nobody has reported it yet",)
ADVICE = "Suppress class by class."
PROPERTY_ONLY = True


def detections(*arrays: Array, **options: Any) -> Any:
    return detection.detections(*arrays, **{**options, "class_agnostic": True})
