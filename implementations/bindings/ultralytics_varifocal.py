"""ultralytics' VarifocalLoss, which takes scores and labels and returns one number."""

from typing import Any

import torch
from ultralytics.utils.loss import VarifocalLoss


class Varifocal:
    """One element at a time; an element with a score above 0 has the label 1."""

    imports = "from ultralytics.utils.loss import VarifocalLoss"
    expression = (
        "VarifocalLoss(gamma={gamma}, alpha={alpha})"
        "(x.reshape(-1, 1), t.reshape(-1, 1), (t > 0).to(x.dtype).reshape(-1, 1))"
    )

    def loss(self, logits: Any, targets: Any, *, alpha: float, gamma: float) -> Any:
        """The loss of each element."""
        function = VarifocalLoss(gamma=gamma, alpha=alpha)
        if targets.shape != logits.shape:
            # To refuse them is up to the function.
            return function(logits, targets, (targets > 0).to(logits.dtype))
        flat, scores = logits.reshape(-1, 1, 1), targets.to(logits.dtype).reshape(-1, 1, 1)
        results = [function(x, score, (score > 0).to(x.dtype)) for x, score in zip(flat, scores, strict=True)]
        return torch.stack(results).reshape(logits.shape) if results else logits
