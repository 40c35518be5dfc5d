"""mmdet's quality focal losses, whose target is a pair: the label of a row, and the quality of that class."""

from collections.abc import Callable
from typing import Any

import torch
from mmdet.models.losses.gfocal_loss import quality_focal_loss, quality_focal_loss_with_prob


def _as_rows(function: Callable[..., Any], logits: Any, targets: Any, beta: Any, reduction: str) -> Any:
    """Each element as a row of one class: quality 0 is the background, whose label is the number of classes."""
    if targets.shape != logits.shape and targets.numel() == logits.numel():
        raise ValueError(f"elements {tuple(logits.shape)} and targets {tuple(targets.shape)} are no rows and pairs")
    quality = targets.reshape(-1)
    result = function(logits.reshape(-1, 1), (torch.where(quality > 0, 0, 1), quality), beta=beta, reduction=reduction)
    return result.reshape(logits.shape) if reduction == "none" and result.numel() == logits.numel() else result


class OfLogits:
    """``quality_focal_loss``."""

    imports = "from mmdet.models.losses.gfocal_loss import quality_focal_loss"
    expression = (
        "quality_focal_loss(x.reshape(-1, 1), (torch.where(t.reshape(-1) > 0, 0, 1), t.reshape(-1)), "
        "beta={beta}, reduction={reduction})"
    )

    def loss(self, logits: Any, targets: Any, *, beta: Any, reduction: str = "none", alpha: Any = None) -> Any:
        """The loss of logits."""
        return _as_rows(quality_focal_loss, logits, targets, beta, reduction)


class OfProbabilities:
    """``quality_focal_loss_with_prob``."""

    imports = "from mmdet.models.losses.gfocal_loss import quality_focal_loss_with_prob"
    expression = (
        "quality_focal_loss_with_prob(x.reshape(-1, 1), (torch.where(t.reshape(-1) > 0, 0, 1), t.reshape(-1)), "
        "beta={beta}, reduction={reduction})"
    )

    def loss(self, logits: Any, targets: Any, *, beta: Any, reduction: str = "none", alpha: Any = None) -> Any:
        """The loss of probabilities, which the canonical call names logits."""
        return _as_rows(quality_focal_loss_with_prob, logits, targets, beta, reduction)
