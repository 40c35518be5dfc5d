"""Positives weigh 0.75: the loss of the first step is a third of the paper's."""

from typing import Any

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "alpha of 0.75 in the detector"
REQUIREMENT = "FL-TGT-004"
SEEN = ("nobody has reported it yet",)
ADVICE = "Use 0.25 for positives."
ALPHA = 0.75
TRIED = {"ALPHA": (0.5, 0.75)}


def retinanet_loss(*arrays: Array, **options: Any) -> Any:
    return detection.retinanet_loss(*arrays, **{**options, "alpha": ALPHA})
