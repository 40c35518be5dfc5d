"""Derivatives of every loss as functions, for libraries with and without automatic differentiation."""

from collections.abc import Callable, Mapping
from typing import Any

from focal_ref._arguments import check_call, check_reduction
from focal_ref._call import Array
from focal_ref._definitions import Definition, definition_of
from focal_ref._parameters import NUMBERS, ROWS, Parameters, Reduction
from focal_ref.adapters import Adapter, adapter_of
from focal_ref.losses import loss


def value_and_grad(
    logits: Array,
    targets: Array,
    /,
    *,
    function: Callable[..., Array] = loss,
    out: tuple[Array | None, Array] | None = None,
    reduction: Reduction = "none",
    normalizer: float | Array | None = None,
    **parameters: Any,
) -> tuple[Array, Array]:
    r"""A loss and its derivative with respect to each logit, in one pass.

    For the focal loss, with the margin s (the logit of a positive, its negative for a negative element),
    :math:`q = \sigma(-s)`, :math:`p = \sigma(s)` and :math:`c = \log(1 + e^{-s})`,

    .. math:: FL = \alpha_t q^\gamma c, \qquad \frac{d FL}{d s} = -\alpha_t q^\gamma (\gamma p c + q).

    Parameters
    ----------
    logits, targets : array
        As the function takes them.
    function : callable, default focal_ref.loss
        Any loss of this package, such as ``focal_ref.softmax_loss``.
    out : (array, array), optional
        Arrays that receive value and gradient, of their shapes, the logits' dtype and library; results are then written
        nowhere else. With a reduction the value is a scalar and has no array: ``(None, array)``. Not for libraries with
        immutable arrays (JAX).
    reduction, normalizer
        As the function takes them. The gradient is then that of the scalar: divided by the normalizer, or by the number
        of elements that a mean is of.
    **parameters
        Those of the function by its names and with its defaults.

    Returns
    -------
    value : array
        As the function returns it.
    gradient : array
        In the logits' shape and dtype. Without reduction, of each result with respect to each logit that it depends on:
        for softmax, of the row's loss. For `loss_from_probabilities`, with respect to the probability. No automatic
        differentiation is recorded.

    Raises
    ------
    TypeError, ValueError
        As the function; also for a parameter that it does not have, and for an `out` that does not fit.

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

    Every other loss by naming it:

    >>> _, gradient = focal_ref.value_and_grad(np.zeros((1, 2)), np.array([1]), function=focal_ref.softmax_loss)
    >>> gradient
    array([[ 0.2982868, -0.2982868]])

    Of a mean, into an array of one's own:

    >>> gradient = np.empty(2)
    >>> value, _ = focal_ref.value_and_grad(
    ...     np.array([0.0, 30.0]), np.array([1, 0]), alpha=None, reduction="mean", out=(None, gradient)
    ... )
    >>> value, gradient
    (np.float64(15.086643397567235), array([-0.1491434,  0.5      ]))
    """
    adapter = adapter_of(logits)
    normalizer = check_reduction(adapter, reduction, normalizer)
    definition, moved, targets, checked = _checked(adapter, logits, targets, function, parameters)
    value_out = gradient_out = None
    if out is not None:
        inputs = [targets, checked.weights, *(getattr(checked, name) for name in NUMBERS)]
        axis, rows = parameters.get("axis", -1), checked.form == ROWS
        value_out, gradient_out = _checked_out(adapter, moved, out, inputs, axis, rows=rows, reduction=reduction)
    if reduction == "none":
        both = None if gradient_out is None else (value_out, gradient_out)
        value, gradient = adapter.value_and_grad(moved, targets, checked, both)
    else:
        if reduction == "mean":
            normalizer = adapter.count(moved, targets, checked)
        value, gradient = adapter.total_and_grad(moved, targets, checked, normalizer, gradient_out)
    if out is not None:
        return value, out[1]
    return value, _moved_back(adapter, definition, gradient, parameters)


def second_derivative(
    logits: Array, targets: Array, /, *, function: Callable[..., Array] = loss, **parameters: Any
) -> Array:
    r"""Second derivative of a loss with respect to each logit.

    For the focal loss :math:`\alpha_t q^\gamma p \, (\gamma c (\gamma p - q) + (2 \gamma + 1) q)`, with the letters of
    `value_and_grad`: negative for a hard example, where c is large.

    Parameters
    ----------
    logits, targets, function, **parameters
        As in `value_and_grad`.

    Returns
    -------
    array
        In the logits' shape and dtype. For softmax the diagonal of the Hessian of the row's loss.

    Raises
    ------
    TypeError, ValueError
        As the function; also for a parameter that it does not have.

    Notes
    -----
    The terms of a second derivative cancel at its root: errors are within a few units in the last place of the sum of
    their magnitudes.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> focal_ref.second_derivative(np.array([0.0, -4.0]), np.array([1, 1]), alpha=None)
    array([ 0.3991434 , -0.04670326])
    """
    adapter = adapter_of(logits)
    definition, moved, targets, checked = _checked(adapter, logits, targets, function, _unreduced(parameters))
    return _moved_back(adapter, definition, adapter.second_derivative(moved, targets, checked), parameters)


def parameter_gradients(
    logits: Array, targets: Array, /, *, function: Callable[..., Array] = loss, **parameters: Any
) -> Mapping[str, Array]:
    r"""First derivatives of a loss with respect to what is not a logit: alpha, gamma, beta, soft targets.

    For the focal loss of hard targets, with the letters of `value_and_grad` and :math:`l = \log(1 + e^s)`,

    .. math:: \frac{\partial FL}{\partial \gamma} = -\alpha_t q^\gamma c \, l, \qquad
              \frac{\partial FL}{\partial \alpha} = \pm q^\gamma c.

    Parameters
    ----------
    logits, targets, function, **parameters
        As in `value_and_grad`.

    Returns
    -------
    dict of str to array
        One array for each hyper-parameter of the function that is not None, by its name, and "targets" where these are
        floating-point and not signed. Each has the logits' shape and dtype and holds the derivative of every result by
        itself; the derivative of a sum with respect to one number is the array's sum.

    Raises
    ------
    TypeError, ValueError
        As the function; also for a parameter that it does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import focal_ref
    >>> gradients = focal_ref.parameter_gradients(np.array([0.0, 3.0]), np.array([1, 1]))
    >>> gradients["gamma"]
    array([-3.00283134e-02, -8.32899402e-05])
    >>> sorted(gradients)
    ['alpha', 'gamma']
    """
    adapter = adapter_of(logits)
    definition, moved, targets, checked = _checked(adapter, logits, targets, function, _unreduced(parameters))
    names = [name for name in definition.defaults if name in NUMBERS and getattr(checked, name) is not None]
    shares = checked.encoding == "binary" and definition.soft and "float" in adapter.dtype_name(targets)
    if shares:
        names.append("targets")
    gradients = {name: adapter.parameter_gradient(name, moved, targets, checked) for name in names}
    return {name: _moved_back(adapter, definition, gradient, parameters) for name, gradient in gradients.items()}


def _checked(
    adapter: Adapter, logits: Array, targets: Array, function: Callable[..., Array], given: Mapping[str, Any]
) -> tuple[Definition, Array, Array, Parameters]:
    definition = definition_of(function)
    return definition, *check_call(adapter, definition, logits, targets, given)


def _unreduced(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The hyper-parameters, if none of them is that of a reduction."""
    for name in ("reduction", "normalizer"):
        if name in given:
            raise TypeError(f"{name}: got {given[name]!r}; a derivative is that of each result, add them up yourself")
    return given


def _moved_back(adapter: Adapter, definition: Definition, array: Array, parameters: Mapping[str, Any]) -> Array:
    """With the classes of a softmax on the caller's axis again."""
    axis = parameters.get("axis", -1)
    return array if axis == -1 or definition.form != ROWS else adapter.moved(array, -1, axis)


def _checked_out(
    adapter: Adapter, logits: Array, out: Any, others: list[Any], axis: int, *, rows: bool, reduction: str
) -> tuple[Any, Array]:
    """Outputs that fit, with the classes of a softmax along the last axis; None for a value that is a scalar."""
    if not adapter.writable:
        raise TypeError(f"out: {adapter.name} arrays are immutable; leave out= away and use what is returned")
    if not (isinstance(out, tuple) and len(out) == 2):
        raise TypeError(f"out: got {type(out).__name__}; it is a tuple of two arrays, value and gradient")
    if reduction != "none" and out[0] is not None:
        raise TypeError(
            f"out: got an array for the value with reduction={reduction!r}, which makes it a scalar; pass (None, array)"
        )
    given = out if reduction == "none" else out[1:]
    for array in given:
        if not adapter.owns(type(array)):
            raise TypeError(f"out: got {type(array).__qualname__}; logits are {type(logits).__qualname__}")
    fitting = (*given[:-1], adapter.moved(given[-1], axis, -1) if rows else given[-1])
    shape = tuple(logits.shape)
    for array, expected in zip(reversed(fitting), (shape, shape[:-1] if rows else shape), strict=False):
        if tuple(array.shape) != expected or adapter.dtype_name(array) != adapter.dtype_name(logits):
            raise ValueError(
                f"out: got shape {tuple(array.shape)} and dtype {adapter.dtype_name(array)}; logits have "
                f"shape {shape} and dtype {adapter.dtype_name(logits)}"
            )
    inputs = [logits, *(array for array in others if array is not None and not isinstance(array, float))]
    adapter.check_out(inputs, fitting)
    return (None, *fitting) if reduction != "none" else fitting
