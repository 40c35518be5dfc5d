"""The focal loss's relatives that detectors and classifiers use, one sigmoid an element."""

from focal_ref._call import Array, reduced
from focal_ref._definitions import ASYMMETRIC, HEATMAP, QUALITY, VARIFOCAL
from focal_ref._parameters import Precision, Reduction


def quality_focal_loss(
    logits: Array,
    targets: Array,
    /,
    *,
    beta: float | Array = 2.0,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Quality focal loss: cross entropy of a soft target, weighted by how far the prediction is from it.

    .. math:: QFL = -|t - p|^\beta \left((1 - t) \log(1 - p) + t \log p\right), \qquad p = \sigma(x)

    The target is the quality of a detection, its IoU with the box. Its derivative with respect to the logit, with
    :math:`\delta = p - t` and the cross entropy ce, is
    :math:`\mathrm{sign}(\delta) |\delta|^{\beta - 1} (\beta p (1 - p) \, ce + \delta^2)`.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16.
    targets : array
        Same shape: the quality of each element, in [0, 1].
    beta : float or array, default 2.0
        Exponent of the distance, finite and >= 0; 0 gives the cross entropy. An array broadcasts to the logits.
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
        As `focal_ref.loss`.

    Notes
    -----
    Where the prediction equals the target the loss is 0 and so is its derivative (for beta > 0). Near that point
    ``p - t`` cancels, and errors count in units of its terms.

    References
    ----------
    .. [1] Li et al., "Generalized Focal Loss: Learning Qualified and Distributed Bounding Boxes for Dense Object
       Detection", NeurIPS 2020, arXiv:2006.04388, equation 5.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.quality_focal_loss(np.array([0.0, 3.0]), np.array([0.9, 0.9]))
    array([0.11090355, 0.00096351])
    """
    return reduced(
        QUALITY,
        logits,
        targets,
        reduction,
        normalizer,
        beta=beta,
        weights=weights,
        precision=precision,
    )


def varifocal_loss(
    logits: Array,
    targets: Array,
    /,
    *,
    alpha: float | Array = 0.75,
    gamma: float | Array = 2.0,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Varifocal loss: positives weighted by their quality, negatives by the focal factor.

    .. math::

        VFL = \begin{cases} -t \left(t \log p + (1 - t) \log(1 - p)\right) & t > 0 \\
              -\alpha p^\gamma \log(1 - p) & t = 0 \end{cases}, \qquad p = \sigma(x)

    Its derivative with respect to the logit is :math:`t (p - t)` for t > 0, and for t = 0 that of the focal loss.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16.
    targets : array
        Same shape: the IoU of a positive with its box, in (0, 1], and 0 for a negative.
    alpha : float or array, default 0.75
        Weight of negatives, finite and >= 0; an array broadcasts to the logits.
    gamma : float or array, default 2.0
        Exponent of the negatives' factor, finite and >= 0; an array broadcasts to the logits.
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
        As `focal_ref.loss`.

    References
    ----------
    .. [1] Zhang, Wang, Dayoub, Sünderhauf, "VarifocalNet: An IoU-aware Dense Object Detector", CVPR 2021,
       arXiv:2008.13367, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.varifocal_loss(np.array([0.0, 0.0]), np.array([0.8, 0.0]))
    array([0.55451774, 0.1299651 ])
    """
    return reduced(
        VARIFOCAL,
        logits,
        targets,
        reduction,
        normalizer,
        alpha=alpha,
        gamma=gamma,
        weights=weights,
        precision=precision,
    )


def asymmetric_loss(
    logits: Array,
    targets: Array,
    /,
    *,
    gamma_positive: float | Array = 0.0,
    gamma_negative: float | Array = 4.0,
    clip: float = 0.05,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Asymmetric loss of multi-label classification: a focal factor for each class of its own, and a shifted negative.

    .. math::

        ASL = -t (1 - p)^{\gamma_+} \log p - (1 - t) p_m^{\gamma_-} \log(1 - p_m),
        \qquad p = \sigma(x), \quad p_m = \max(p - m, 0)

    A negative whose probability is at most the shift m counts nothing. The derivative with respect to the logit goes
    through both factors; an option of some implementations that treats them as constants is a different gradient.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16.
    targets : array
        Same shape: booleans, integers 0 and 1, or floats in [0, 1], which mix the two terms.
    gamma_positive, gamma_negative : float or array, default 0.0 and 4.0
        Exponents of positives and negatives, finite and >= 0; arrays broadcast to the logits.
    clip : float, default 0.05
        The shift m of the probability, in [0, 1).
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
        As `focal_ref.loss`.

    Notes
    -----
    Next to the shift, ``p - m`` cancels, and errors count in units of its terms.

    References
    ----------
    .. [1] Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, arXiv:2009.14119, equation 7.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.asymmetric_loss(np.array([0.0, 0.0, -3.0]), np.array([1, 0, 0]))
    array([0.69314718, 0.02451505, 0.        ])
    """
    return reduced(
        ASYMMETRIC,
        logits,
        targets,
        reduction,
        normalizer,
        gamma_positive=gamma_positive,
        gamma_negative=gamma_negative,
        clip=clip,
        weights=weights,
        precision=precision,
    )


def heatmap_focal_loss(
    logits: Array,
    targets: Array,
    /,
    *,
    gamma: float | Array = 2.0,
    beta: float | Array = 4.0,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Focal loss of a Gaussian heatmap, as CornerNet and CenterNet train keypoints.

    .. math::

        L = \begin{cases} -(1 - p)^\gamma \log p & t = 1 \\
            -(1 - t)^\beta p^\gamma \log(1 - p) & t < 1 \end{cases}, \qquad p = \sigma(x)

    The papers call the exponents alpha and beta, and divide the sum by the number of keypoints in the picture: pass
    ``reduction="sum", normalizer=max(1, keypoints)``. Derivatives are those of the focal loss, times the penalty.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16.
    targets : array
        Same shape: 1 at a keypoint, a Gaussian in [0, 1) around it.
    gamma : float or array, default 2.0
        Exponent of the modulating factor, finite and >= 0; an array broadcasts to the logits.
    beta : float or array, default 4.0
        Exponent of the penalty's reduction around a keypoint, finite and >= 0; an array broadcasts to the logits.
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
        As `focal_ref.loss`.

    References
    ----------
    .. [1] Law, Deng, "CornerNet: Detecting Objects as Paired Keypoints", ECCV 2018, arXiv:1808.01244, equation 1.
    .. [2] Zhou, Wang, Krähenbühl, "Objects as Points", arXiv:1904.07850, equation 1.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.heatmap_focal_loss(np.array([0.0, 0.0, 0.0]), np.array([1.0, 0.5, 0.0]))
    array([0.1732868 , 0.01083042, 0.1732868 ])
    """
    return reduced(
        HEATMAP,
        logits,
        targets,
        reduction,
        normalizer,
        gamma=gamma,
        beta=beta,
        weights=weights,
        precision=precision,
    )
