"""catalyst's FocalLossMultiClass, which adds up the losses of the classes of a row."""

from typing import Any

import torch
from catalyst.contrib.losses import FocalLossMultiClass

OTHER = 1


class MultiClass:
    """Rows of labels; elements by asking for one class at a time, as there is no other way to see them.

    An element of class c is the loss of the column c alone, whose only class, 0, stands for c.
    """

    imports = "from catalyst.contrib.losses import FocalLossMultiClass"
    adds_classes = True
    expression = (
        "FocalLossMultiClass(alpha={alpha}, gamma={gamma}, reduction={reduction})(x.movedim(-1, 1).contiguous(), t)"
    )

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, with classes along the last axis of the logits."""
        function = FocalLossMultiClass(alpha=alpha, gamma=gamma, reduction=reduction)
        if reduction != "none":
            return function(torch.movedim(logits, -1, 1).contiguous() if logits.ndim > 1 else logits, targets)
        columns = []
        for label in range(logits.shape[-1]):
            column = logits[..., label].reshape(-1, 1)
            columns.append(function(column, torch.where(targets == label, 0, OTHER)))
        together = torch.stack(columns, dim=-1)
        return together.reshape(logits.shape) if together.numel() == logits.numel() else together
