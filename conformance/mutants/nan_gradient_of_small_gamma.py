"""NaN gradient at saturation for gamma below 1.

The derivative of (1 - p_t)^gamma is gamma (1 - p_t)^(gamma - 1): infinite for 1 - p_t = 0 and gamma < 1, and times 0
NaN.
"""

from typing import Any

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "NaN gradient at saturation for gamma below 1"
REQUIREMENT = "FL-GRAD-003"
SEEN = (
    "https://github.com/clcarwin/focal_loss_pytorch/issues/13",
    "https://github.com/liuyuisanai/Focal-Loss/issues/11",
    "https://github.com/fizyr/keras-retinanet/issues/706",
    "torchvision",
    "fvcore",
    "transformers",
    "ultralytics",
    "mmdet",
    "segmentation-models-pytorch",
    "keras",
    "MONAI softmax",
)
ADVICE = "Compute 1 - p_t as sigmoid(-s), or give the derivative in closed form."


def loss(logits: Array, targets: Array, **options: Any) -> Pair:
    value, gradient = right.loss(logits, targets, **options)
    gamma = np.asarray(options.get("gamma", 2.0))
    t = right.terms(logits, targets, options.get("alpha", 0.25), gamma)
    rest = right.rounded(1.0, logits) - right.rounded(t.p, logits)
    lost = (gamma > 0) & (gamma < 1) & (rest == 0) & right.is_hard(targets)
    return value, np.where(lost, gradient.dtype.type(np.nan), gradient)
