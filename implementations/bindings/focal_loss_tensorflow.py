"""The distribution focal-loss: focal losses for TensorFlow."""

from typing import Any

from bindings.tensorflow_arrays import Differentiated
from focal_loss import BinaryFocalLoss, SparseCategoricalFocalLoss

REDUCTIONS = {"mean": "sum_over_batch_size"}


class Binary(Differentiated):
    """BinaryFocalLoss of logits; pos_weight weighs positives alone."""

    imports = "from focal_loss import BinaryFocalLoss"
    from_logits = True

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        named = REDUCTIONS.get(reduction, reduction)
        return BinaryFocalLoss(gamma, pos_weight=alpha, from_logits=self.from_logits, reduction=named)(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        given = f"{gamma}, pos_weight={alpha}, from_logits={self.from_logits}, reduction={_named(reduction)}"
        return f"BinaryFocalLoss({given})(t, x)"


class BinaryOfProbabilities(Binary):
    """The same of probabilities."""

    from_logits = False


class SparseCategorical(Differentiated):
    """SparseCategoricalFocalLoss of logits; class_weight has one weight a class."""

    imports = "from focal_loss import SparseCategoricalFocalLoss"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        named = REDUCTIONS.get(reduction, reduction)
        function = SparseCategoricalFocalLoss(gamma, class_weight=alpha, from_logits=True, reduction=named)
        return function(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        given = f"{gamma}, class_weight={alpha}, from_logits=True, reduction={_named(reduction)}"
        return f"SparseCategoricalFocalLoss({given})(t, x)"


def _named(reduction: str) -> str:
    return repr(REDUCTIONS.get(reduction.strip("'\""), reduction.strip("'\"")))
