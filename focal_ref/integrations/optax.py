"""`sigmoid_focal_loss` with optax's signature, and the softmax form in the style of its cross entropies.

Both need JAX and not optax.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from focal_ref._parameters import IGNORE
from focal_ref.losses import loss
from focal_ref.softmax import softmax_loss

__all__ = ["sigmoid_focal_loss", "softmax_focal_loss_with_integer_labels"]


def sigmoid_focal_loss(
    logits: ArrayLike, labels: ArrayLike, *, alpha: ArrayLike | None = None, gamma: ArrayLike = 2.0
) -> jax.Array:
    r"""Focal loss of one sigmoid an element, in place of ``optax.losses.sigmoid_focal_loss``.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t, \qquad p = \sigma(x)

    with :math:`p_t = p, \alpha_t = \alpha` for labels 1 and :math:`p_t = 1 - p, \alpha_t = 1 - \alpha` for labels 0.
    Labels between 0 and 1 blend the two, in optax and here.

    Parameters
    ----------
    logits : array
        Any shape; float32, float16, bfloat16, or float64 where JAX has it enabled.
    labels : array
        Of the logits' shape, or broadcasting to it: booleans, integers 0 and 1, or floats in [0, 1].
    alpha : float or array, optional
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. An array broadcasts to the logits. None weighs
        both 1.
    gamma : float or array, default 2.0
        Exponent of the modulating factor, finite and >= 0; an array broadcasts to the logits.

    Returns
    -------
    jax.Array
        One loss an element, in the logits' shape and dtype.

    Raises
    ------
    TypeError
        For logits that are no floats.
    ValueError
        For labels that do not broadcast to the logits' shape, and numbers out of range. Labels, alpha and gamma that
        are arrays give NaN in the elements that are out of range.

    Notes
    -----
    Ordinary logits give optax's numbers, up to its rounding. What differs:

    - Infinite and huge logits give limits, where optax 0.2.8 gives NaN.
    - Labels never enlarge the result: optax makes an (N, N) array of logits (N,) and labels (N, 1).
    - Derivatives with respect to logits (first and second), alpha, gamma and soft labels are closed forms.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.
    .. [2] optax, ``optax.losses.sigmoid_focal_loss``, https://optax.readthedocs.io/en/latest/api/losses.html

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from focal_ref.integrations.optax import sigmoid_focal_loss
    >>> print(sigmoid_focal_loss(jnp.array([0.0, jnp.inf, jnp.inf]), jnp.array([1, 1, 0])))
    [0.1732868 0.              inf]
    """
    logits = jnp.asarray(logits)
    labels = _labels_of_shape(labels, logits.shape)
    result: jax.Array = loss(logits, labels, alpha=alpha, gamma=gamma)
    return result


def softmax_focal_loss_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int = -1,
    where: ArrayLike | None = None,
    *,
    alpha: ArrayLike | None = None,
    gamma: ArrayLike = 2.0,
) -> jax.Array:
    r"""Focal loss of a softmax, beside ``optax.softmax_cross_entropy_with_integer_labels``, which is its gamma = 0.

    .. math:: FL = -\alpha_y (1 - p_y)^\gamma \log p_y, \qquad p = \mathrm{softmax}(z)

    with the label y; `focal_ref.softmax_loss` in the style of optax.

    Parameters
    ----------
    logits : array
        Any shape with the C classes along `axis`; float32, float16, bfloat16, or float64 where JAX has it enabled.
    labels : array
        Integers 0 to C - 1 of the logits' shape without `axis`; ``focal_ref.IGNORE`` (-2) makes the loss 0.
    axis : int, default -1
        Where the classes lie.
    where : array of bool, optional
        What to include, as in optax: in the labels' shape the rows, the loss of all others being 0; or in the logits'
        shape the classes of each row over which the softmax runs, as if the logits of all others were -inf. A row
        without any class has loss 0, and one whose label is not among its classes is infinite.
    alpha : array of shape (C,), optional
        Weight of each class, finite and >= 0.
    gamma : float or array of shape (C,), default 2.0
        Exponent of the modulating factor, finite and >= 0.

    Returns
    -------
    jax.Array
        One loss a row: the labels' shape, in the logits' dtype.

    Raises
    ------
    TypeError
        For logits that are no floats, labels that are no integers, and several axes, which optax takes: reshape first.
    ValueError
        For shapes that do not fit, and numbers out of range. A label outside the classes gives NaN.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3. The paper has one sigmoid a class; this form is that of its public write-ups.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> from focal_ref.integrations.optax import softmax_focal_loss_with_integer_labels
    >>> logits, labels = jnp.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), jnp.array([0, 2])
    >>> print(softmax_focal_loss_with_integer_labels(logits, labels))
    [0.01086933 0.48827213]
    >>> print(softmax_focal_loss_with_integer_labels(logits, labels, where=jnp.array([True, False])))
    [0.01086933 0.        ]
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if where is not None:
        logits, labels = _included(logits, labels, jnp.asarray(where), axis)
    result: jax.Array = softmax_loss(logits, labels, axis=axis, alpha=alpha, gamma=gamma)
    return result


def _labels_of_shape(labels: ArrayLike, shape: tuple[int, ...]) -> jax.Array:
    """The labels in the shape of the logits, never the logits in that of the labels."""
    labels = jnp.asarray(labels)
    try:
        return jnp.broadcast_to(labels, shape)
    except ValueError as error:
        raise ValueError(
            f"labels: got shape {labels.shape}, which does not broadcast to the logits' shape {shape}"
        ) from error


def _included(logits: jax.Array, labels: jax.Array, where: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Logits and labels without what `where` leaves out."""
    if where.shape == logits.shape:
        logits = jnp.where(where, logits, -jnp.inf).astype(logits.dtype)
        rows = jnp.any(where, axis)
    elif where.shape == labels.shape:
        rows = where
    else:
        raise ValueError(
            f"where: got shape {where.shape}; it has the labels' shape {labels.shape} or the logits' {logits.shape}"
        )
    # Unsigned labels have no room for the code.
    labels = labels.astype(jnp.promote_types(labels.dtype, jnp.int8))
    return logits, jnp.where(rows, labels, IGNORE)
