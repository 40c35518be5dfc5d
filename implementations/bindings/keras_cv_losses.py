"""The focal losses of KerasCV."""

from typing import Any

from bindings.tensorflow_arrays import Differentiated
from keras_cv.losses import BinaryPenaltyReducedFocalCrossEntropy
from keras_cv.losses import FocalLoss as Wrapped

REDUCTIONS = {"mean": "sum_over_batch_size"}


class FocalLoss(Differentiated):
    """Elements get a last axis of one, over which the loss adds."""

    imports = "from keras_cv.losses import FocalLoss"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        function = Wrapped(alpha, gamma, from_logits=True, reduction=REDUCTIONS.get(reduction, reduction))
        return function(targets[..., None], logits[..., None])

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        given = f"{alpha}, {gamma}, from_logits=True, reduction={named(reduction)}"
        return f"FocalLoss({given})(t[..., None], x[..., None])"


class PenaltyReduced(Differentiated):
    """The focal loss of heatmaps, of probabilities; its alpha is the canonical gamma.

    What is above `positive_threshold`, 0.99 by default, is a keypoint; here that is 1 alone.
    """

    imports = "from keras_cv.losses import BinaryPenaltyReducedFocalCrossEntropy"
    below_one = 1 - 2.0**-24

    def called(self, logits: Any, targets: Any, *, gamma: Any, beta: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        named = REDUCTIONS.get(reduction, reduction)
        function = BinaryPenaltyReducedFocalCrossEntropy(
            gamma, beta, positive_threshold=self.below_one, reduction=named
        )
        return function(targets, logits)

    def expression(self, quantity: str, *, gamma: str, beta: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        given = f"{gamma}, {beta}, positive_threshold={self.below_one!r}, reduction={named(reduction)}"
        return f"BinaryPenaltyReducedFocalCrossEntropy({given})(t, x)"


def named(reduction: str) -> str:
    """The text of a reduction by its name in Keras."""
    plain = reduction.strip("'\"")
    return repr(REDUCTIONS.get(plain, plain))
