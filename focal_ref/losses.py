"""The focal loss: what it is, its arguments, and the choice of the library that computes it."""

from typing import Any

from focal_ref._arguments import check_parameters, check_reduction
from focal_ref._parameters import Encoding, Precision, Reduction
from focal_ref.adapters import adapter_of

Array = Any
"""An array of any supported library: NumPy, PyTorch, JAX, CuPy, or one that follows the Array API standard."""


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
    value_and_grad : value and derivative of each element, in any library.

    Notes
    -----
    In PyTorch and JAX the loss is differentiable twice with respect to the logits, and the gradient is the closed form
    with the same accuracy as the value; it is neither NaN at saturation nor wrong at zero. Targets, alpha, gamma and
    weights are constants to the automatic differentiation: asking for their gradient is an error.

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
    adapter = adapter_of(logits)
    normalizer = check_reduction(adapter, reduction, normalizer)
    targets, parameters = check_parameters(
        adapter,
        logits,
        targets,
        alpha=alpha,
        gamma=gamma,
        encoding=encoding,
        weights=weights,
        precision=precision,
    )
    if reduction == "none":
        return adapter.loss(logits, targets, parameters)
    if reduction == "mean":
        # Empty input has mean zero, like its sum. Lengths may be symbols of a compiler, so that nothing converts them.
        size = 1
        for length in logits.shape:
            size *= length
        normalizer = max(size, 1)
    return adapter.total(logits, targets, parameters, normalizer)


def value_and_grad(
    logits: Array,
    targets: Array,
    /,
    *,
    out: tuple[Array, Array] | None = None,
    alpha: float | Array | None = 0.25,
    gamma: float | Array = 2.0,
    encoding: Encoding = "binary",
    weights: Array | None = None,
    precision: Precision = "exact",
) -> tuple[Array, Array]:
    r"""Focal loss of each element and its derivative with respect to the element's logit, in one pass.

    With the margin s (the logit of a positive, its negative for a negative element),
    :math:`q = \sigma(-s)`, :math:`p = \sigma(s)` and :math:`c = \log(1 + e^{-s})`,

    .. math:: FL = \alpha_t q^\gamma c, \qquad \frac{d FL}{d s} = -\alpha_t q^\gamma (\gamma p c + q).

    Parameters
    ----------
    logits, targets, alpha, gamma, encoding, weights, precision
        As in `loss`.
    out : (array, array), optional
        Arrays that receive value and gradient, of the logits' shape, dtype and library; results are then written
        nowhere else. Not for libraries with immutable arrays (JAX).

    Returns
    -------
    value, gradient : array
        In the logits' shape and dtype, each rounded once as `precision` says. No automatic differentiation is recorded.

    Raises
    ------
    TypeError, ValueError
        As `loss`; also for an `out` that does not fit.

    See Also
    --------
    loss : reductions and automatic differentiation.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.2 and appendix B.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> value, gradient = focal_ref.value_and_grad(np.array([0.0, 30.0]), np.array([1, 0]), alpha=None)
    >>> value
    array([ 0.1732868, 30.       ])
    >>> gradient
    array([-0.2982868,  1.       ])
    """
    adapter = adapter_of(logits)
    targets, parameters = check_parameters(
        adapter,
        logits,
        targets,
        alpha=alpha,
        gamma=gamma,
        encoding=encoding,
        weights=weights,
        precision=precision,
    )
    if out is not None:
        _check_out(adapter, logits, out, [targets, parameters.alpha, parameters.gamma, parameters.weights])
    return adapter.value_and_grad(logits, targets, parameters, out)


def _check_out(adapter: Any, logits: Array, out: Any, others: list[Any]) -> None:
    if not adapter.writable:
        raise TypeError(f"out: {adapter.name} arrays are immutable; leave out= away and use what is returned")
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(f"out: got {type(out).__name__}; it is a tuple of two arrays, value and gradient")
    for array in out:
        if not adapter.owns(type(array)):
            raise TypeError(f"out: got {type(array).__qualname__}; logits are {type(logits).__qualname__}")
        if tuple(array.shape) != tuple(logits.shape) or adapter.dtype_name(array) != adapter.dtype_name(logits):
            raise ValueError(
                f"out: got shape {tuple(array.shape)} and dtype {adapter.dtype_name(array)}; logits have "
                f"shape {tuple(logits.shape)} and dtype {adapter.dtype_name(logits)}"
            )
    inputs = [logits, *(array for array in others if array is not None and not isinstance(array, float))]
    adapter.check_out(inputs, out)
