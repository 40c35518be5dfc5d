"""unified_focal_loss.FocalLoss, which gives the mean over rows of probabilities."""

from typing import Any

import torch
from bindings.rows import flat_rows
from unified_focal_loss import FocalLoss

IGNORED = -100


class OfSoftmax:
    """Logits by way of a softmax, as its README calls it.

    There is no other reduction: a row by itself is asked together with one whose loss is zero, so that a row that is
    ignored leaves a mean as well.
    """

    imports = "from unified_focal_loss import FocalLoss"

    def expression(self, quantity: str, *, alpha: str, gamma: str, **others: str) -> str:
        """How it is called: there is one reduction."""
        return f"FocalLoss(delta={alpha}, gamma={gamma}, ignore_index=-100)(torch.softmax(x, -1), t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of rows of logits."""
        if reduction not in ("none", "mean"):
            raise TypeError(f"FocalLoss has one reduction, which is a mean; got {reduction!r}")
        function = FocalLoss(delta=alpha, gamma=gamma, ignore_index=IGNORED)
        rows, labels = flat_rows(logits, targets)
        p = torch.softmax(rows, dim=-1)
        if reduction != "none" or labels.shape != rows.shape[:1]:
            return function(p, labels)
        certain = torch.nn.functional.one_hot(torch.zeros(1, dtype=torch.int64), rows.shape[-1]).to(p.dtype)
        losses = []
        for row, label in zip(p, labels, strict=True):
            mean = function(torch.cat([row[None], certain]), torch.stack([label, torch.zeros_like(label)]))
            losses.append(mean * (1 if label == IGNORED else 2))
        return torch.stack(losses).reshape(logits.shape[:-1]) if losses else logits.sum(-1)
