"""The focal loss of tf-extra."""

from typing import Any

from bindings.tensorflow_arrays import Differentiated, one_by_one
from tf_extra.losses import FocalLoss as Wrapped

REDUCTIONS = {"mean": "sum_over_batch_size"}


class FocalLoss(Differentiated):
    """Its `call` takes the mean before Keras reduces anything, so that elements are asked for one by one."""

    imports = "from tf_extra.losses import FocalLoss"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        function = Wrapped(alpha, gamma, from_logits=True, reduction=REDUCTIONS.get(reduction, reduction))
        alone = reduction == "none" and targets.shape == logits.shape
        return one_by_one(function, logits, targets) if alone else function(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        plain = reduction.strip("'\"")
        return f"FocalLoss({alpha}, {gamma}, from_logits=True, reduction={REDUCTIONS.get(plain, plain)!r})(t, x)"
