"""Keras' focal losses on TensorFlow."""

from typing import Any

import keras
from bindings.tensorflow_arrays import Differentiated

REDUCTIONS = {"mean": "sum_over_batch_size"}


class BinaryFocalCrossentropy(Differentiated):
    """Elements get a last axis of one, over which the loss averages."""

    imports = "import keras"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        weight = {} if alpha is None else {"apply_class_balancing": True, "alpha": alpha}
        named = REDUCTIONS.get(reduction, reduction)
        function = keras.losses.BinaryFocalCrossentropy(from_logits=True, gamma=gamma, reduction=named, **weight)
        return function(targets[..., None], logits[..., None])

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        weight = "" if alpha == "None" else f", apply_class_balancing=True, alpha={alpha}"
        given = f"from_logits=True, gamma={gamma}{weight}, reduction={_named(reduction)}"
        return f"keras.losses.BinaryFocalCrossentropy({given})(t[..., None], x[..., None])"


class CategoricalFocalCrossentropy(Differentiated):
    """Targets are one-hot rows; 1 stands for no alpha."""

    imports = "import keras"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        weight = 1.0 if alpha is None else alpha
        named = REDUCTIONS.get(reduction, reduction)
        function = keras.losses.CategoricalFocalCrossentropy(
            from_logits=True, alpha=weight, gamma=gamma, reduction=named
        )
        return function(targets, logits)

    def expression(self, quantity: str, *, alpha: str, gamma: str, reduction: str, **texts: str) -> str:
        """The call as a user writes it."""
        given = f"from_logits=True, alpha={'1.0' if alpha == 'None' else alpha}, gamma={gamma}"
        return f"keras.losses.CategoricalFocalCrossentropy({given}, reduction={_named(reduction)})(t, x)"


def _named(reduction: str) -> str:
    return repr(REDUCTIONS.get(reduction.strip("'\""), reduction.strip("'\"")))
