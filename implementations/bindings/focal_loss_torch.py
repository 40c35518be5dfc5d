"""focal_loss.FocalLoss, which takes probabilities, as its README calls it."""

from typing import Any

import torch
from bindings.rows import flat_elements, flat_rows, shaped
from focal_loss import FocalLoss


class Binary:
    """Probabilities in one dimension; alpha and 1 - alpha are the weights of its two classes."""

    imports = "from focal_loss import FocalLoss"

    def expression(self, quantity: str, *, gamma: str, reduction: str, alpha: str = "None") -> str:
        """How it is called."""
        weights = "" if alpha == "None" else f", weights=torch.tensor([1 - {alpha}, {alpha}], dtype=x.dtype)"
        return f"FocalLoss({gamma}{weights}, reduction={reduction})(x, t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of probabilities, which the canonical call names logits."""
        weights = None if alpha is None else torch.tensor([1 - alpha, alpha], dtype=logits.dtype)
        result = FocalLoss(gamma, weights, reduction)(*flat_elements(logits, targets))
        return shaped(result, logits.shape, reduction)


class MultiClass:
    """Logits by way of a softmax over the last axis, and labels."""

    imports = "from focal_loss import FocalLoss"

    def expression(self, quantity: str, *, gamma: str, reduction: str, alpha: str = "None") -> str:
        """How it is called."""
        weights = "" if alpha == "None" else f", weights={alpha}.to(x.dtype)"
        return f"FocalLoss({gamma}{weights}, reduction={reduction})(torch.softmax(x, -1), t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of rows of logits."""
        weights = None if alpha is None else torch.as_tensor(alpha, dtype=logits.dtype)
        rows, labels = flat_rows(logits, targets)
        result = FocalLoss(gamma, weights, reduction)(torch.softmax(rows, dim=-1), labels)
        return shaped(result, logits.shape[:-1], reduction)
