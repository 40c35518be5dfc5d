"""None is replaced by the default of 0.25, so that weighting cannot be switched off."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "alpha = None means the default"
REQUIREMENT = "FL-DECL-005"
SEEN = ("nobody has reported it yet",)
ADVICE = 'Let None switch weighting off, or declare it: conventions.alpha_off = "unsupported".'
PROPERTY_ONLY = True
DEFAULT = 0.25
TRIED = {"DEFAULT": (0.25, 0.5, 0.75)}


def loss(logits: Array, targets: Array, *, alpha: Any = 0.25, **options: Any) -> Pair:
    return right.loss(logits, targets, alpha=DEFAULT if alpha is None else alpha, **options)
