"""PaddlePaddle's sigmoid_focal_loss."""

from typing import Any

from bindings.paddle_arrays import Differentiated
from paddle.nn.functional import sigmoid_focal_loss


class SigmoidFocalLoss(Differentiated):
    """It has no value for no alpha."""

    imports = "from paddle.nn.functional import sigmoid_focal_loss"
    expression = "sigmoid_focal_loss(x, t, alpha={alpha}, gamma={gamma}, reduction={reduction})"

    def called(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any, reduction: str = "none") -> Any:
        """The loss, in tensors."""
        return sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)
