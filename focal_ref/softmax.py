"""The focal loss of a softmax over the classes."""

from focal_ref._call import Array, reduced
from focal_ref._definitions import SOFTMAX
from focal_ref._parameters import Precision, Reduction


def softmax_loss(
    logits: Array,
    labels: Array,
    /,
    *,
    axis: int = -1,
    alpha: Array | None = None,
    gamma: float | Array = 2.0,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Focal loss of a softmax over the classes: the multi-class form of the write-ups, not the paper's.

    .. math:: FL = -\sum_i t_i \, \alpha_i (1 - p_i)^\gamma \log p_i, \qquad p = \mathrm{softmax}(z)

    where t is 1 for the labelled class and 0 for every other. The paper's loss has one sigmoid a class, see
    `loss_from_labels`. Of two classes, it is the paper's loss of the logit ``z_1 - z_0``.

    Parameters
    ----------
    logits : array
        Any shape with the C classes along `axis`; float64, float32, float16 or bfloat16.
    labels : array
        Integers of the logits' shape without `axis`: 0 to C - 1, or ``focal_ref.IGNORE`` (-2), which makes loss and
        gradient of the row 0. Or rows of shares, of the logits' shape: one-hot or soft, each in [0, 1].
    axis : int, default -1
        Where the classes lie; 1 for images of shape (N, C, H, W).
    alpha : array of shape (C,), optional
        Weight of each class, finite and >= 0.
    gamma : float or array of shape (C,), default 2.0
        Exponent of the modulating factor, finite and >= 0; an array gives each class its own.
    weights : array, optional
        Further factors of each row, finite and >= 0, that broadcast to the labels' shape.
    reduction : {"none", "sum", "mean"}, default "none"
        The mean divides by the number of rows that are not ignored, whatever their weights; of none it is 0.
    normalizer : float, optional
        Divides the sum (``reduction="sum"``); finite and > 0.
    precision : {"exact", "fast"}, default "exact"
        As in `loss`; there is no faster way, "fast" computes the same.

    Returns
    -------
    array
        One loss a row without reduction: the logits' shape without `axis`, in their dtype.

    Raises
    ------
    TypeError
        For labels that are neither integers nor rows, and as `loss`.
    ValueError
        For shapes that do not fit, a label outside the classes (on the host; elsewhere the row is NaN), and as `loss`.

    Notes
    -----
    Arithmetic is in float64, and the differences to the largest logit keep what rounding cuts off: float32 results are
    within 1 ulp for up to 1000 classes, float64 within 16 ulp for up to 100. Gradients of a row add up to 0.

    See Also
    --------
    loss_from_labels : one sigmoid a class.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3. The paper has one sigmoid a class; this form is that of its public write-ups.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> logits = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> focal_ref.softmax_loss(logits, np.array([0, 2]))
    array([0.01086933, 0.48827213])
    """
    return reduced(
        SOFTMAX,
        logits,
        labels,
        reduction,
        normalizer,
        axis=axis,
        alpha=alpha,
        gamma=gamma,
        weights=weights,
        precision=precision,
    )
