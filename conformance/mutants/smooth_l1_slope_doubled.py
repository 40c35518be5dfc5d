"""The distance is doubled before it is compared with beta."""

from typing import Any

from focal_ref import detection

TITLE = "twice the slope of smooth L1"
REQUIREMENT = "FL-BOX-006"
SEEN = ("nobody has reported it yet",)
ADVICE = "The slope is d / beta below beta and the sign beyond."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "smooth_l1", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


def smooth_l1(prediction: Any, target: Any, *, beta: float) -> Any:
    right_one = detection.smooth_l1(prediction, target, beta=beta)
    twice = detection.smooth_l1(2 * prediction, 2 * target, beta=beta)
    return twice - (twice - right_one).detach()
