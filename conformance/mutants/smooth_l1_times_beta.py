"""One of the two conventions for the factor of smooth L1, under the name of the other."""

import numpy as np

from focal_ref import detection
from focal_ref.conformance.mutants._right import Array

TITLE = "smooth L1 multiplied by beta"
REQUIREMENT = "FL-BOX-005"
SEEN = ("nobody has reported it yet",)
ADVICE = "Divide the Huber loss by beta."
PROPERTY_ONLY = True


def smooth_l1(prediction: Array, target: Array, *, beta: float) -> Array:
    result: Array = detection.smooth_l1(prediction, target, beta=beta)
    return np.asarray(result * prediction.dtype.type(beta or 1))
