"""Objectives of gradient boosting: of margins and labels in NumPy arrays, the derivative and the Hessian's diagonal.

Classes import what they bind when they are called, so that each needs its own distribution alone.
"""

from typing import Any

import numpy as np


class Objective:
    """What stands for a loss: `call` is how it is written, with x for the margins and t for the labels."""

    framework = "numpy"
    differentiated = False
    call = ""

    def expression(self, quantity: str, **texts: str) -> str:
        """The call as a user writes it."""
        return self.call.format(**texts) + {"gradient": "[0]", "second_derivative": "[1]"}[quantity]


class ImbalanceXgboost(Objective):
    """The focal objective of imbalance-xgboost; it has no alpha."""

    imports = "import xgboost; from imxgboost.focal_loss import Focal_Binary_Loss"
    call = "Focal_Binary_Loss({gamma}).focal_binary_object(x, xgboost.DMatrix(np.zeros((len(t), 1)), label=t))"

    def derivatives(self, logits: Any, targets: Any, *, gamma: Any, alpha: Any = None) -> Any:
        """First and second derivatives."""
        from imxgboost.focal_loss import Focal_Binary_Loss

        return _in_one_dimension(Focal_Binary_Loss(gamma).focal_binary_object, logits, targets)


class Bokbokbok(Objective):
    """WeightedFocalLoss, whose alpha weighs positives alone; 1 stands for no alpha."""

    imports = "import xgboost; from bokbokbok.loss_functions.classification import WeightedFocalLoss"
    call = "WeightedFocalLoss({alpha}, {gamma})(x, xgboost.DMatrix(np.zeros((len(t), 1)), label=t))"

    def derivatives(self, logits: Any, targets: Any, *, alpha: Any, gamma: Any) -> Any:
        """First and second derivatives."""
        from bokbokbok.loss_functions.classification import WeightedFocalLoss

        return _in_one_dimension(WeightedFocalLoss(1.0 if alpha is None else alpha, gamma), logits, targets)

    def expression(self, quantity: str, **texts: str) -> str:
        """The call as a user writes it."""
        alpha = "1.0" if texts["alpha"] == "None" else texts["alpha"]
        return super().expression(quantity, **{**texts, "alpha": alpha})


class ImlightgbmBinary(Objective):
    """The binary focal objective of imlightgbm; it has no alpha."""

    imports = "from imlightgbm.objective import binary_focal_objective"
    call = "binary_focal_objective(t, x, {gamma})"

    def derivatives(self, logits: Any, targets: Any, *, gamma: Any, alpha: Any = None) -> Any:
        """First and second derivatives."""
        from imlightgbm.objective import binary_focal_objective

        return binary_focal_objective(targets, logits, gamma)


class ImlightgbmMulticlass(Objective):
    """The focal objective of rows of imlightgbm; it has no alpha."""

    imports = "from imlightgbm.objective import multiclass_focal_objective"
    call = "multiclass_focal_objective(t, x, {gamma}, x.shape[-1])"

    def derivatives(self, logits: Any, targets: Any, *, gamma: Any, alpha: Any = None) -> Any:
        """First and second derivatives, with classes along the last axis."""
        from imlightgbm.objective import multiclass_focal_objective

        rows, labels = logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)
        first, second = multiclass_focal_objective(labels, rows, gamma, rows.shape[-1])
        return first.reshape(logits.shape), second.reshape(logits.shape)


class GbdtcblBinary(Objective):
    """FLLoss of gbdtCBL; it has no alpha."""

    imports = "from gbdtCBL.binary import FLLoss"
    call = "FLLoss({gamma})(t, x)"

    def derivatives(self, logits: Any, targets: Any, *, gamma: Any, alpha: Any = None) -> Any:
        """First and second derivatives."""
        from gbdtCBL.binary import FLLoss

        return FLLoss(gamma)(targets, logits)


class GbdtcblMulticlass(Objective):
    """XGBFLMulti of gbdtCBL; it has no alpha.

    It takes as many classes as there are different labels, so that a row of each class stands behind those asked for.
    """

    imports = "from gbdtCBL.xgbmulti import XGBFLMulti"

    def derivatives(self, logits: Any, targets: Any, *, gamma: Any, alpha: Any = None) -> Any:
        """First and second derivatives, with classes along the last axis."""
        from gbdtCBL.xgbmulti import XGBFLMulti

        classes = logits.shape[-1]
        rows = np.concatenate([logits.reshape(-1, classes), np.zeros((classes, classes), logits.dtype)])
        labels = np.concatenate([targets.reshape(-1), np.arange(classes)])
        first, second = XGBFLMulti(gamma)(labels, rows)
        return first[:-classes].reshape(logits.shape), second[:-classes].reshape(logits.shape)

    def expression(self, quantity: str, **texts: str) -> str:
        """The call as a user writes it, with a row of each class behind those asked for."""
        call = "XGBFLMulti({gamma})(np.append(t, range(x.shape[-1])), np.concatenate([x, 0 * np.eye(x.shape[-1])]))"
        return call.format(**texts) + {"gradient": "[0]", "second_derivative": "[1]"}[quantity] + "[:len(x)]"


def _in_one_dimension(objective: Any, logits: Any, targets: Any) -> Any:
    """What an objective of predictions and an xgboost.DMatrix gives, in the shape and dtype of the logits."""
    import xgboost

    data = xgboost.DMatrix(np.zeros((logits.size, 1), dtype=np.float32), label=targets.reshape(-1))
    pair = objective(logits.reshape(-1).copy(), data)
    return tuple(np.asarray(array).reshape(logits.shape).astype(logits.dtype) for array in pair)
