"""Gamma is an argument that nothing reads: the exponent is always 2."""

from typing import Any

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "gamma accepted and ignored"
REQUIREMENT = "FL-VAL-005"
SEEN = ("https://github.com/zylo117/Yet-Another-EfficientDet-Pytorch/issues/205",)
ADVICE = "Raise to the gamma that is given."
GAMMA = 2.0
TRIED = {"GAMMA": (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)}


def loss(logits: Array, targets: Array, *, gamma: Any = 2.0, **options: Any) -> Pair:
    return right.loss(logits, targets, gamma=GAMMA, **options)
