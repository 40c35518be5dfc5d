"""fastai's FocalLossFlat, which flattens its rows."""

from typing import Any

import torch
from bindings.rows import shaped
from fastai.losses import FocalLossFlat


class Flat:
    """Classes along the last axis; the result back in the shape of the labels."""

    imports = "from fastai.losses import FocalLossFlat"

    def expression(self, quantity: str, *, gamma: str, reduction: str, alpha: str = "None") -> str:
        """How it is called."""
        weight = "" if alpha == "None" else f", weight={alpha}.to(x.dtype)"
        return f"FocalLossFlat(gamma={gamma}{weight}, reduction={reduction})(x, t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of rows of logits."""
        weight = None if alpha is None else torch.as_tensor(alpha, dtype=logits.dtype)
        result = FocalLossFlat(gamma=gamma, weight=weight, reduction=reduction)(logits, targets)
        return shaped(result, logits.shape[:-1], reduction)
