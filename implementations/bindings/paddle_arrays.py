"""Functions of PaddlePaddle on NumPy arrays, with derivatives by paddle.grad."""

from typing import Any

import numpy as np
import paddle


class Differentiated:
    """A binding whose method `called` takes and gives tensors."""

    framework = "paddle"

    def called(self, logits: Any, targets: Any, **keywords: Any) -> Any:
        """The canonical call in tensors."""
        raise NotImplementedError

    def loss(self, logits: Any, targets: Any, **keywords: Any) -> Any:
        """The loss of NumPy arrays."""
        return np.asarray(self.called(_tensor(logits), _tensor(targets), **keywords).numpy())

    def value_and_gradient(self, logits: Any, targets: Any, **keywords: Any) -> tuple[Any, Any]:
        """The loss of NumPy arrays, and the derivative of its sum in the logits."""
        x = _tensor(logits)
        x.stop_gradient = False
        value = self.called(x, _tensor(targets), **keywords)
        (gradient,) = paddle.grad([value], [x])
        return np.asarray(value.numpy()), np.asarray(gradient.numpy())


def _tensor(array: Any) -> Any:
    return paddle.to_tensor(np.array(array))
