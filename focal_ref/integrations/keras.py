"""Focal losses for ``model.compile`` of Keras 3, on its PyTorch and JAX backends."""

from collections.abc import Sequence
from typing import Any, cast

import keras
import numpy as np
from keras import ops
from keras.src.backend import set_keras_mask

from focal_ref._arguments import check_call
from focal_ref._definitions import LOSS, SOFTMAX, Definition
from focal_ref._parameters import IGNORE
from focal_ref.adapters import adapter_of
from focal_ref.losses import loss, loss_from_probabilities
from focal_ref.softmax import softmax_loss

__all__ = ["BinaryFocalLoss", "CategoricalFocalLoss", "SparseCategoricalFocalLoss"]

Tensor = Any
Numbers = float | Sequence[float]

BACKENDS = ("torch", "jax")

LARGEST_LABEL = {"bfloat16": 2**8, "float16": 2**11}
"""Keras hands labels over in the dtype of the loss; up to this one each integer is there."""


class _FocalLoss(keras.losses.Loss):
    """What the losses share: checked hyper-parameters and their configuration."""

    def __init__(
        self,
        definition: Definition,
        alpha: Numbers | None,
        gamma: Numbers,
        from_logits: bool,
        axis: int,
        reduction: str | None,
        name: str,
        dtype: Any,
    ) -> None:
        backend = keras.config.backend()
        if backend not in BACKENDS:
            raise RuntimeError(
                f"Keras runs on {backend!r}; these losses run on {' and '.join(map(repr, BACKENDS))}: set "
                "the environment variable KERAS_BACKEND to one of them before keras is imported"
            )
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.alpha = None if alpha is None else _plain(alpha)
        self.gamma = _plain(gamma)
        if definition is SOFTMAX and isinstance(self.alpha, float):
            raise ValueError(
                f"alpha: got {alpha!r}; it holds one number a class. To scale the whole loss, pass loss_weights to "
                "model.compile"
            )
        self.from_logits = from_logits
        self.axis = axis
        # On nothing, so that numbers out of range are an error here and not in the first step.
        classes = max((len(value) for value in (self.alpha, self.gamma) if isinstance(value, list)), default=1)
        nothing = np.zeros((0, classes))
        check_call(adapter_of(nothing), definition, nothing, nothing, {"alpha": self.alpha, "gamma": self.gamma})

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as plain data."""
        own = ("alpha", "gamma", "from_logits", "axis", "dtype")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}

    def _of_rows(self, y_pred: Tensor, labels: Tensor) -> Tensor:
        """Softmax loss of labels or of rows of shares."""
        logits = y_pred if self.from_logits else _logits_of(y_pred)
        return softmax_loss(logits, labels, axis=self.axis, alpha=self.alpha, gamma=self.gamma)


@keras.saving.register_keras_serializable(package="focal_ref")
class BinaryFocalLoss(_FocalLoss):
    r"""Focal loss of one sigmoid an element, where Keras has ``BinaryFocalCrossentropy``.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t, \qquad p = \sigma(x)

    with :math:`p_t = p, \alpha_t = \alpha` for targets 1 and :math:`p_t = 1 - p, \alpha_t = 1 - \alpha` for targets 0.

    Parameters
    ----------
    alpha : float, sequence of float or None, default 0.25
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. A sequence gives each element along the last axis
        its own. None weighs both 1, which is what Keras does unless ``apply_class_balancing`` is set.
    gamma : float or sequence of float, default 2.0
        Exponent of the modulating factor, finite and >= 0; a sequence as for alpha.
    from_logits : bool, default False
        Whether predictions are logits, which is what to train on (see Notes), or probabilities, the default of every
        loss of Keras.
    label_smoothing : float, default 0.0
        In [0, 1]: moves targets towards 1/2, t to ``t (1 - label_smoothing) + label_smoothing / 2``.
    axis : int, default -1
        Over which the loss of a sample is averaged.
    reduction : {"sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none"} or None
        As in every loss of Keras.
    name : str, default "binary_focal_loss"
        Of the loss.
    dtype : str, optional
        In which predictions and targets arrive; by default ``keras.config.floatx()``.

    Raises
    ------
    RuntimeError
        Where Keras runs on another backend than PyTorch and JAX.
    TypeError, ValueError
        For numbers out of range; at the call for shapes that differ by more than a last axis of length 1, and for
        targets outside [0, 1] (on the host; elsewhere their samples are NaN).

    Notes
    -----
    Train on logits: a probability of the wrong class that has saturated, in float32 from a logit of 17.4 on, has an
    infinite loss. Keras clips probabilities at 1e-7, also those that it computes from logits itself, which floors easy
    examples and takes the gradient of hard ones.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.integrations.keras import BinaryFocalLoss
    >>> criterion = BinaryFocalLoss(from_logits=True)
    >>> print(f"{float(criterion(np.array([[1, 1], [0, 0]]), np.array([[0.0, 3.0], [-3.0, 0.0]]))):.6f}")
    0.043349
    """

    def __init__(
        self,
        alpha: Numbers | None = 0.25,
        gamma: Numbers = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(LOSS, alpha, gamma, from_logits, axis, reduction, name, dtype)
        self.label_smoothing = _checked_smoothing(label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Mean loss of each sample: the predictions' shape without `axis`."""
        y_true, y_pred = _of_same_rank(y_true, y_pred)
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0
        function = loss if self.from_logits else loss_from_probabilities
        return ops.mean(function(y_pred, y_true, alpha=self.alpha, gamma=self.gamma), axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as plain data."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="focal_ref")
class CategoricalFocalLoss(_FocalLoss):
    r"""Focal loss of a softmax and one-hot targets, where Keras has ``CategoricalFocalCrossentropy``.

    .. math:: FL = -\sum_i t_i \, \alpha_i (1 - p_i)^\gamma \log p_i, \qquad p = \mathrm{softmax}(z)

    Parameters
    ----------
    alpha : sequence of C float, optional
        Weight of each class, finite and >= 0. Keras's default of 0.25 scales the whole loss; there is no such number
        here.
    gamma : float or sequence of C float, default 2.0
        Exponent of the modulating factor, finite and >= 0.
    from_logits : bool, default True
        Whether predictions are logits. With False they are the probabilities of a softmax, which are divided by their
        sum as in Keras; those below 1e-38 count as that, so that ``-log p`` is at most about 87.
    label_smoothing : float, default 0.0
        In [0, 1]: moves targets towards 1/C, t to ``t (1 - label_smoothing) + label_smoothing / C``.
    axis : int, default -1
        Where the classes lie.
    reduction, name, dtype
        As in `BinaryFocalLoss`.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As `BinaryFocalLoss`; also for an alpha that is one number.

    See Also
    --------
    SparseCategoricalFocalLoss : integer labels instead of one-hot targets.

    Notes
    -----
    Train on logits, as `BinaryFocalLoss` says.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3. The paper has one sigmoid a class; this form is that of its public write-ups.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.integrations.keras import CategoricalFocalLoss
    >>> criterion = CategoricalFocalLoss(reduction="sum", from_logits=True)
    >>> print(f"{float(criterion(np.eye(3)[[0, 2]], np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))):.6f}")
    0.499141
    """

    def __init__(
        self,
        alpha: Sequence[float] | None = None,
        gamma: Numbers = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(SOFTMAX, alpha, gamma, from_logits, axis, reduction, name, dtype)
        self.label_smoothing = _checked_smoothing(label_smoothing)

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Loss of each row: the predictions' shape without `axis`."""
        if tuple(y_true.shape) != tuple(y_pred.shape):
            raise ValueError(
                f"y_true: got shape {tuple(y_true.shape)}, predictions have shape {tuple(y_pred.shape)}; for integer "
                "labels use SparseCategoricalFocalLoss"
            )
        if self.label_smoothing:
            y_true = y_true * (1.0 - self.label_smoothing) + self.label_smoothing / y_pred.shape[self.axis]
        return self._of_rows(y_pred, y_true)

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as plain data."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable(package="focal_ref")
class SparseCategoricalFocalLoss(_FocalLoss):
    r"""Focal loss of a softmax and integer labels, beside ``SparseCategoricalCrossentropy`` of Keras, its gamma = 0.

    .. math:: FL = -\alpha_y (1 - p_y)^\gamma \log p_y, \qquad p = \mathrm{softmax}(z)

    with the label y. Rows labelled ``focal_ref.IGNORE`` (-2) have loss 0 and are not counted in the mean.

    Parameters
    ----------
    alpha, gamma, from_logits
        As in `CategoricalFocalLoss`.
    ignore_class : int, optional
        Another label that counts nowhere.
    axis, reduction, name, dtype
        As in `CategoricalFocalLoss`. A 16-bit dtype cannot hold every label: bfloat16 those up to 256, float16 up to
        2048.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        As `CategoricalFocalLoss`; at the call for a label that names no class (on the host; elsewhere its row is NaN),
        and for more classes than labels of the dtype can name.

    Notes
    -----
    Train on logits, as `BinaryFocalLoss` says.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3. The paper has one sigmoid a class; this form is that of its public write-ups.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.integrations.keras import SparseCategoricalFocalLoss
    >>> criterion = SparseCategoricalFocalLoss(reduction="sum", from_logits=True)
    >>> print(f"{float(criterion(np.array([0, 2]), np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))):.6f}")
    0.499141
    """

    def __init__(
        self,
        alpha: Sequence[float] | None = None,
        gamma: Numbers = 2.0,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "sparse_categorical_focal_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(SOFTMAX, alpha, gamma, from_logits, axis, reduction, name, dtype)
        self.ignore_class = ignore_class

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Loss of each row: the predictions' shape without `axis`."""
        classes = y_pred.shape[self.axis]
        if classes - 1 > LARGEST_LABEL.get(self.dtype, classes):
            raise ValueError(f"dtype: got {self.dtype!r}, which cannot name {classes} classes; pass dtype='float32'")
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[self.axis] == 1:
            y_true = ops.squeeze(y_true, self.axis)
        labels = ops.cast(y_true, "int32")
        if self.ignore_class is not None:
            labels = ops.where(labels == self.ignore_class, IGNORE, labels)
        losses = self._of_rows(y_pred, labels)
        # How Keras learns what a mean does not count.
        set_keras_mask(losses, labels != IGNORE)
        return losses

    def get_config(self) -> dict[str, Any]:
        """What the constructor takes, as plain data."""
        return {**super().get_config(), "ignore_class": self.ignore_class}


def _plain(value: Numbers) -> float | list[float]:
    """A number or a list of numbers, as configurations hold them."""
    return cast("float | list[float]", np.asarray(value, dtype=np.float64).tolist())


def _logits_of(probabilities: Tensor) -> Tensor:
    """Logits whose softmax the probabilities are: their logarithms, in float32 at least.

    Zeros are lifted to the smallest normal number, where the chain rule would multiply 0 by infinity. What is negative
    or above 1 is no probability but, say, a logit by mistake, and becomes NaN.
    """
    probabilities = ops.cast(probabilities, keras.backend.result_type(probabilities.dtype, "float32"))
    tiny = float(np.finfo(np.float32).tiny)
    lifted = ops.where((probabilities >= 0.0) & (probabilities < tiny), tiny, probabilities)
    # The rounded sum of a softmax may leave its largest probability a little above 1.
    return ops.log(ops.where(lifted > 1.0 + 1e-3, float("nan"), lifted))


def _checked_smoothing(label_smoothing: float) -> float:
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: got {label_smoothing!r}; it is in [0, 1]")
    return label_smoothing


def _of_same_rank(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """With a last axis of length 1 where only one of them has it; as in Keras, samples keep theirs."""
    ranks = len(y_true.shape), len(y_pred.shape)
    if ranks[0] == ranks[1] + 1 and y_true.shape[-1] == 1:
        return (y_true, ops.expand_dims(y_pred, -1)) if ranks[1] == 1 else (ops.squeeze(y_true, -1), y_pred)
    if ranks[1] == ranks[0] + 1 and y_pred.shape[-1] == 1:
        return (ops.expand_dims(y_true, -1), y_pred) if ranks[0] == 1 else (y_true, ops.squeeze(y_pred, -1))
    return y_true, y_pred
