"""The multi-class loss adds up binary losses: 0.0659 in the place of 0.0041."""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "softmax by name, one sigmoid a class by body"
REQUIREMENT = "FL-SMX-001"
SEEN = (
    "https://github.com/qubvel-org/segmentation_models.pytorch/issues/671",
    "https://github.com/BloodAxe/pytorch-toolbelt/issues/78",
    'segmentation-models-pytorch FocalLoss(mode="multiclass")',
)
ADVICE = 'Take the softmax, or declare one sigmoid a class: conventions.multi_class = "sigmoid".'


def softmax_loss(logits: Array, labels: Array, **options: Any) -> Pair:
    value, gradient = right.softmax_loss(logits, labels, **options)
    if labels.ndim == logits.ndim or options.get("axis", -1) != -1 or np.any(labels < 0):
        return value, gradient
    each, slopes = right.loss_from_labels(logits, labels, alpha=None, gamma=options.get("gamma", 2.0))
    return each.sum(axis=-1).astype(value.dtype), slopes
