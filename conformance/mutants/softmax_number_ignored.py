"""A softmax whose alpha is declared to weigh all classes alike returns the unweighted loss."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "one alpha for a softmax accepted and ignored"
REQUIREMENT = "FL-SMX-015"
SEEN = ("nobody has reported it yet",)
ADVICE = 'Multiply by alpha, or declare that there is none: conventions.alpha = "none".'
PROPERTY_ONLY = True
FUNCTION = "softmax_loss"
CONVENTIONS = {
    "multi_class": "softmax",
    "alpha": "uniform",
    "soft_targets": "mixture",
    "mean": "valid",
    "background": "none",
}
ONLY_CLAIMS = frozenset(
    {"softmax", "gradient", "alpha", "softmax_alpha", "ignore", "soft_targets", "reduction_sum", "reduction_mean"}
)


def softmax_loss(logits: Array, labels: Array, *, alpha: Any = None, **options: Any) -> Pair:
    return right.softmax_loss(logits, labels, **options)
