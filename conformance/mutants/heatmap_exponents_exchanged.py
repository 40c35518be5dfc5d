"""The paper calls them alpha and beta, and they have changed places."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "the exponents of the heatmap loss exchanged"
REQUIREMENT = "FL-REL-012"
SEEN = ("nobody has reported it yet",)
ADVICE = "gamma is the exponent of the probability, beta that of the distance from a keypoint."


def heatmap_focal_loss(logits: Array, targets: Array, **options: Any) -> Pair:
    first, second = options.get("gamma", 2.0), options.get("beta", 4.0)
    return right.heatmap_focal_loss(logits, targets, **{**options, "gamma": second, "beta": first})
