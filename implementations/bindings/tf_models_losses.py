"""The focal loss of the TensorFlow Model Garden's vision models."""

from typing import Any

from bindings.tensorflow_arrays import Differentiated
from official.vision.losses.focal_loss import FocalLoss as Wrapped

REDUCTIONS = {"mean": "sum_over_batch_size"}


class FocalLoss(Differentiated):
    """It gives elements, which Keras reduces."""

    imports = "from official.vision.losses.focal_loss import FocalLoss"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        return Wrapped(alpha, gamma, reduction=REDUCTIONS.get(reduction, reduction))(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        plain = reduction.strip("'\"")
        return f"FocalLoss({alpha}, {gamma}, reduction={REDUCTIONS.get(plain, plain)!r})(t, x)"
