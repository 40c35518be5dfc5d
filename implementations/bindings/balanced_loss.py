"""balanced_loss.Loss, which gives one number for a batch of rows."""

from typing import Any

import torch
from balanced_loss import Loss

FAR = 1e4
"""A logit whose own class has a loss of zero, so that the other one is alone in the sum."""


class Focal:
    """A batch of rows as it is; elements from rows of two classes, of which one is surely right.

    The loss is divided by the number of rows, which is 1 there. A positive is a row of its own.
    """

    imports = "from balanced_loss import Loss"
    adds_classes = True

    def expression(self, quantity: str, *, gamma: str, **others: str) -> str:
        """How it is called: there is one reduction."""
        return f'Loss(loss_type="focal_loss", fl_gamma={gamma})(x, t)'

    def loss(self, logits: Any, targets: Any, *, gamma: Any, reduction: str = "none", alpha: Any = None) -> Any:
        """The loss, with classes along the last axis of the logits."""
        if reduction not in ("none", "mean"):
            raise TypeError(f"Loss has one reduction, which is a mean; got {reduction!r}")
        function = Loss(loss_type="focal_loss", fl_gamma=gamma)
        if reduction != "none" or targets.shape != logits.shape[:-1]:
            classes = logits.shape[-1]
            rows = targets.shape == logits.shape[:-1]
            return function(logits.reshape(-1, classes), targets.reshape(-1)) if rows else function(logits, targets)
        positive = torch.nn.functional.one_hot(targets.long(), logits.shape[-1]).reshape(-1).bool()
        first, second = torch.zeros(1, dtype=torch.int64), torch.ones(1, dtype=torch.int64)
        far = torch.full((1,), FAR, dtype=logits.dtype)
        losses = [
            function(x.reshape(1, 1), first) if right else function(torch.stack([x.reshape(1), far], dim=1), second)
            for x, right in zip(logits.reshape(-1), positive, strict=True)
        ]
        return torch.stack(losses).reshape(logits.shape) if losses else logits
