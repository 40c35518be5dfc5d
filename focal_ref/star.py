"""The paper's alternate focal loss, FL*."""

from focal_ref._call import Array, reduced
from focal_ref._definitions import STAR
from focal_ref._parameters import Encoding, Precision, Reduction


def star_loss(
    logits: Array,
    targets: Array,
    /,
    *,
    alpha: float | Array | None = None,
    gamma: float | Array = 2.0,
    beta: float | Array = 1.0,
    encoding: Encoding = "binary",
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Alternate focal loss FL* of the paper's appendix: cross entropy of a scaled and shifted logit.

    .. math:: FL^* = -\frac{\log p_t^*}{\gamma}, \qquad p_t^* = \sigma(\gamma s + \beta)

    with the margin s = x for positives and -x for negatives. Its derivative with respect to s is :math:`p_t^* - 1`.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16.
    targets : array
        Same shape: 0 and 1 as booleans, integers or floats. FL* is not defined between them.
    alpha : float, array or None, default None
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. The paper's formula has none.
    gamma : float or array, default 2.0
        Steepness, finite and > 0.
    beta : float or array, default 1.0
        Shift, finite.
    encoding : {"binary", "signed"}, default "binary"
        "signed" takes targets -1 and +1, as the paper writes them.
    weights : array, optional
        Further factors, finite and >= 0, that broadcast to the logits.
    reduction : {"none", "sum", "mean"}, default "none"
        The mean divides by the number of elements.
    normalizer : float, optional
        Divides the sum (``reduction="sum"``); finite and > 0.
    precision : {"exact", "fast"}, default "exact"
        As in `loss`; there is no faster way, "fast" computes the same.

    Returns
    -------
    array
        As `focal_ref.loss`: the logits' shape and dtype without reduction, each result rounded once.

    Raises
    ------
    TypeError, ValueError
        As `focal_ref.loss`; also for gamma = 0, where FL* is not defined, and for targets between 0 and 1.

    Notes
    -----
    ``gamma s + beta`` is carried as the sum of two numbers: rounded to one, it would cost up to 700 ulp of the result.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       appendix A.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.star_loss(np.array([0.0, 2.0, -2.0]), np.array([1, 1, 1]))
    array([0.15663084, 0.00335767, 1.52429368])
    """
    return reduced(
        STAR,
        logits,
        targets,
        reduction,
        normalizer,
        alpha=alpha,
        gamma=gamma,
        beta=beta,
        encoding=encoding,
        weights=weights,
        precision=precision,
    )
