"""The paper's focal loss, one sigmoid an element: of logits and targets, of labels, and of probabilities."""

from focal_ref._call import Array, reduced
from focal_ref._definitions import LABELS, LOSS, PROBABILITIES
from focal_ref._parameters import Encoding, Precision, Reduction


def loss(
    logits: Array,
    targets: Array,
    /,
    *,
    alpha: float | Array | None = 0.25,
    gamma: float | Array = 2.0,
    encoding: Encoding = "binary",
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Focal loss of binary targets, one sigmoid an element.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t, \qquad p = \sigma(x)

    with :math:`p_t = p, \alpha_t = \alpha` for positives and :math:`p_t = 1 - p, \alpha_t = 1 - \alpha` for negatives.
    A soft target t blends the two: :math:`p_t = p t + (1-p)(1-t)`, the cross entropy is
    :math:`-t \log p - (1-t) \log(1-p)` and :math:`\alpha_t = \alpha t + (1-\alpha)(1-t)`.

    Parameters
    ----------
    logits : array
        Any shape; float64, float32, float16 or bfloat16. Infinities give the limits, NaN gives NaN.
    targets : array
        Same shape, nothing is broadcast. Booleans, integers 0 and 1, or floats in [0, 1].
    alpha : float, array or None, default 0.25
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. 0 and 1 are ordinary values. None weighs both 1.
        An array broadcasts to the logits.
    gamma : float or array, default 2.0
        Exponent of the modulating factor, finite and >= 0. With 0 the loss is the cross entropy. An array broadcasts to
        the logits.
    encoding : {"binary", "signed"}, default "binary"
        "signed" takes targets -1 and +1, as the paper writes them.
    weights : array, optional
        Further factors, finite and >= 0, that broadcast to the logits. A weight of zero gives zero, also where the loss
        is infinite.
    reduction : {"none", "sum", "mean"}, default "none"
        The mean divides by the number of elements, whatever their weights.
    normalizer : float, optional
        Divides the sum (``reduction="sum"``); finite and > 0. The paper divides by the number of anchors assigned to a
        box: pass ``max(1, number_of_positives)``.
    precision : {"exact", "fast"}, default "exact"
        "exact": float32, float16 and bfloat16 results are correctly rounded (at most 0.501 ulp), float64 within
        ``8 + 2 gamma`` ulp. "fast": float32 arithmetic for formats narrower than float64; float32 within
        ``10 + 2 gamma`` ulp, 16-bit results within 0.51 ulp.

    Returns
    -------
    array
        Of the logits' library, on their device. Without reduction in their shape and dtype; sums and means are scalars
        in the logits' dtype, float32 for 16-bit logits, and add the unrounded terms.

    Raises
    ------
    TypeError
        For logits that are no floats, and arguments that are neither numbers nor arrays.
    ValueError
        For shapes that differ, unknown options, and numbers out of range. Values inside arrays are checked where the
        array is on the host (NumPy, PyTorch on the CPU, array_api_strict); traced and device arrays give NaN in the
        elements concerned.

    See Also
    --------
    loss_from_labels : integer labels instead of one target an element.
    value_and_grad : value and derivative of each element, in any library.

    Notes
    -----
    In PyTorch and JAX the loss is differentiable twice with respect to the logits and once with respect to alpha,
    gamma, weights and soft targets, so that a learnable gamma trains. Each derivative is a closed form with the
    accuracy of the value, neither NaN at saturation nor wrong at zero.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       sections 3.1 and 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> logits = np.array([0.0, 3.0, -3.0])
    >>> focal_ref.loss(logits, np.array([1, 1, 0]))
    array([4.33216988e-02, 2.73208311e-05, 8.19624934e-05])

    Cross entropy is the loss without modulating factor and weight:

    >>> focal_ref.loss(logits, np.array([1, 1, 0]), gamma=0, alpha=None, reduction="sum")
    np.float64(0.7903218837074294)
    """
    return reduced(
        LOSS,
        logits,
        targets,
        reduction,
        normalizer,
        alpha=alpha,
        gamma=gamma,
        encoding=encoding,
        weights=weights,
        precision=precision,
    )


def loss_from_labels(
    logits: Array,
    labels: Array,
    /,
    *,
    alpha: float | Array | None = 0.25,
    gamma: float | Array = 2.0,
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Focal loss of integer labels, one sigmoid a class: what a detector's classification head takes.

    The same loss as `loss` with target 1 for the class that the label names and 0 for every other; one-hot targets are
    never built.

    Parameters
    ----------
    logits : array
        Shape (..., C), one logit a class; float64, float32, float16 or bfloat16.
    labels : array
        Shape (...), integers: 0 to C - 1 names a class, ``focal_ref.BACKGROUND`` (-1) none of them, and
        ``focal_ref.IGNORE`` (-2) makes loss and gradient of all its classes 0, whatever the logits are.
    alpha : float, array or None, default 0.25
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. An array of shape (C,) gives each class its own.
    gamma : float or array, default 2.0
        Exponent of the modulating factor, finite and >= 0; an array broadcasts to the logits.
    weights : array, optional
        Further factors, finite and >= 0, that broadcast to the logits: shape (..., 1) for one a label.
    reduction : {"none", "sum", "mean"}, default "none"
        The mean divides by the number of logits whose label is not IGNORE; of none it is 0.
    normalizer : float, optional
        Divides the sum (``reduction="sum"``); the paper's is ``max(1, number of labels >= 0)``.
    precision : {"exact", "fast"}, default "exact"
        As in `loss`.

    Returns
    -------
    array
        As `loss`: shape (..., C) without reduction.

    Raises
    ------
    TypeError
        For labels that are no integers, and as `loss`.
    ValueError
        For labels of another shape than ``logits.shape[:-1]``, for a label that is neither a class nor a code (on the
        host; elsewhere its elements are NaN), and as `loss`.

    See Also
    --------
    softmax_loss : one softmax over the classes instead of one sigmoid a class.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       sections 3 and 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> logits = np.zeros((3, 2))
    >>> focal_ref.loss_from_labels(logits, np.array([1, focal_ref.BACKGROUND, focal_ref.IGNORE]))
    array([[0.1299651, 0.0433217],
           [0.1299651, 0.1299651],
           [0.       , 0.       ]])
    """
    return reduced(
        LABELS,
        logits,
        labels,
        reduction,
        normalizer,
        alpha=alpha,
        gamma=gamma,
        weights=weights,
        precision=precision,
    )


def loss_from_probabilities(
    probabilities: Array,
    targets: Array,
    /,
    *,
    alpha: float | Array | None = 0.25,
    gamma: float | Array = 2.0,
    encoding: Encoding = "binary",
    weights: Array | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    precision: Precision = "exact",
) -> Array:
    r"""Focal loss of probabilities: FL(p, y) as the write-ups of the paper print it.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t

    Where there are logits, `loss` is the better choice: a probability next to 1 has lost what the loss of an easy
    example depends on. Derivatives are with respect to the probability.

    Parameters
    ----------
    probabilities : array
        Any shape, in [0, 1]; float64, float32, float16 or bfloat16. Exactly 0 and 1 give the limits: 0 for the right
        class, infinity for the wrong one.
    targets : array
        Same shape: booleans, integers 0 and 1, or floats in [0, 1], as in `loss`.
    alpha, gamma, encoding, weights, reduction, normalizer
        As in `loss`.
    precision : {"exact", "fast"}, default "exact"
        As in `loss`; there is no faster way, "fast" computes the same.

    Returns
    -------
    array
        As `loss`.

    Raises
    ------
    TypeError, ValueError
        As `loss`; also for a probability outside [0, 1] (on the host; elsewhere it gives NaN).

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.loss_from_probabilities(np.array([0.9, 0.99, 1.0, 0.0]), np.array([1, 1, 1, 0]), alpha=None)
    array([1.05360516e-03, 1.00503359e-06, 0.00000000e+00, 0.00000000e+00])
    """
    return reduced(
        PROBABILITIES,
        probabilities,
        targets,
        reduction,
        normalizer,
        alpha=alpha,
        gamma=gamma,
        encoding=encoding,
        weights=weights,
        precision=precision,
    )
