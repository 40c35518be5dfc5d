"""The code of ignored anchors is raised to that of background."""

from typing import Any

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "ignored anchors trained as background"
REQUIREMENT = "FL-TGT-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Keep the code, and leave the anchor out of the loss."
PROPERTY_ONLY = True


def classification_targets(matches: Any, gt_labels: Array) -> Array:
    result: Array = detection.classification_targets(matches, gt_labels)
    return np.maximum(result, -1)
