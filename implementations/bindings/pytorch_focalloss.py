"""torch_focalloss, whose alpha is a tensor."""

from typing import Any

import torch
from bindings.rows import flat_rows, shaped
from torch_focalloss import BinaryFocalLoss, MultiClassFocalLoss


class Binary:
    """One number alpha as the tensor that is the weight of positives."""

    imports = "from torch_focalloss import BinaryFocalLoss"

    def expression(self, quantity: str, *, gamma: str, reduction: str, alpha: str = "None") -> str:
        """How it is called."""
        weight = "" if alpha == "None" else f", alpha=torch.tensor({alpha}, dtype=x.dtype)"
        return f"BinaryFocalLoss({gamma}{weight}, reduction={reduction})(x, t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of logits."""
        weight = None if alpha is None else torch.tensor(alpha, dtype=logits.dtype)
        return BinaryFocalLoss(gamma, weight, reduction)(logits, targets)


class MultiClass:
    """Rows of logits in two dimensions, which is the shape that its documentation has."""

    imports = "from torch_focalloss import MultiClassFocalLoss"

    def expression(self, quantity: str, *, gamma: str, reduction: str, alpha: str = "None") -> str:
        """How it is called."""
        weight = "" if alpha == "None" else f", alpha={alpha}.to(x.dtype)"
        return f"MultiClassFocalLoss({gamma}{weight}, reduction={reduction})(x, t)"

    def loss(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss of rows of logits."""
        weight = None if alpha is None else torch.as_tensor(alpha, dtype=logits.dtype)
        result = MultiClassFocalLoss(gamma, weight, reduction)(*flat_rows(logits, targets))
        return shaped(result, logits.shape[:-1], reduction)
