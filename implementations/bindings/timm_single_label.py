"""timm's AsymmetricLossSingleLabel, which takes rows of logits in two dimensions."""

from typing import Any

from bindings.rows import flat_rows, shaped
from timm.loss import AsymmetricLossSingleLabel


class SingleLabel:
    """Without label smoothing, with which only gamma_pos weighs anything."""

    imports = "from timm.loss import AsymmetricLossSingleLabel"
    expression = "AsymmetricLossSingleLabel(gamma_pos={gamma}, eps=0.0, reduction={reduction})(x, t)"

    def loss(self, logits: Any, targets: Any, *, gamma: Any, reduction: str = "none", alpha: Any = None) -> Any:
        """The loss of rows of logits."""
        function = AsymmetricLossSingleLabel(gamma_pos=gamma, eps=0.0, reduction=reduction)
        return shaped(function(*flat_rows(logits, targets)), logits.shape[:-1], reduction)
