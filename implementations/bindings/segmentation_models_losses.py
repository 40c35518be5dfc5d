"""The focal loss of segmentation_models, on TensorFlow."""

from typing import Any

from bindings.tensorflow_arrays import Differentiated, one_by_one
from segmentation_models.losses import BinaryFocalLoss as Wrapped


class BinaryFocalLoss(Differentiated):
    """It gives the mean of probabilities alone, so that elements are asked for one by one."""

    imports = "from segmentation_models.losses import BinaryFocalLoss"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        if reduction not in ("none", "mean"):
            raise ValueError(f"reduction: got {reduction!r}; BinaryFocalLoss has no reduction but the mean")
        function = Wrapped(alpha, gamma)
        alone = reduction == "none" and targets.shape == logits.shape
        return one_by_one(function, logits, targets) if alone else function(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, **texts: str) -> str:
        """The call as a user writes it."""
        return f"BinaryFocalLoss({alpha}, {gamma})(t, x)"
