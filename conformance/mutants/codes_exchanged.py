"""-2 is background and -1 ignored, where the reverse is declared."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "background and ignored labels exchanged"
REQUIREMENT = "FL-DECL-010"
SEEN = ("several public implementations",)
ADVICE = "Declare what the codes mean: conventions.background and conventions.ignore."
PROPERTY_ONLY = True
FUNCTION = "loss_from_labels"
CONVENTIONS = {"soft_targets": "unsupported", "mean": "valid"}
ONLY_CLAIMS = frozenset(
    {"labels", "gradient", "alpha", "alpha_balanced", "background", "ignore", "reduction_sum", "reduction_mean"}
)


def loss_from_labels(logits: Array, labels: Array, **options: Any) -> Pair:
    exchanged = np.select([labels == -1, labels == -2], [-2, -1], labels)
    return right.loss_from_labels(logits, exchanged, **options)
