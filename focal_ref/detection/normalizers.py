"""What the sums of a batch are divided by: the public conventions, each by its name."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from focal_ref.detection._arrays import Adapter, Array, adapter_of, check_array, device_of, first_true

__all__ = ["NORMALIZERS", "moving_average_normalizer", "normalize_loss"]

NORMALIZERS = ("per_picture", "batch", "plus_one", "plus_one_per_picture")


def normalize_loss(
    sums: Array,
    num_positive: Array,
    /,
    normalizer: str | float | Array = "per_picture",
    *,
    sum_over_ranks: Callable[[Array], Array | float] | None = None,
) -> Array:
    r"""One loss for a batch from the sum :math:`s_i` and the positive anchors :math:`n_i` of each picture.

    ======================  ==================================================  =================================
    normalizer              loss                                                sums 40, 40 and positives 10, 0
    ======================  ==================================================  =================================
    "per_picture"           :math:`\frac1N \sum_i s_i / \max(1, n_i)`           22
    "batch"                 :math:`\sum_i s_i / \max(1, \sum_i n_i)`            8
    "plus_one"              :math:`\sum_i s_i / (1 + \sum_i n_i)`               80/11
    "plus_one_per_picture"  :math:`\sum_i s_i / \sum_i (1 + n_i)`               80/12
    a number                :math:`\sum_i s_i / \mathrm{number}`
    ======================  ==================================================  =================================

    The paper divides by "the number of anchors assigned to a ground-truth box" and says nothing of pictures without
    one. They are why the conventions differ: where every picture has about as many positives, they nearly agree.

    Parameters
    ----------
    sums : array
        Shape (N,), float32 or float64: the loss of each picture, summed over its anchors.
    num_positive : array
        Shape (N,), integers >= 0.
    normalizer : str, float or array, default "per_picture"
        A name of the table, or a number or an array of shape (), finite and > 0, such as that of
        `moving_average_normalizer`.
    sum_over_ranks : callable, optional
        For training on several devices: takes this device's count (:math:`\sum_i n_i`, with "plus_one_per_picture"
        :math:`\sum_i (1 + n_i)`, with "per_picture" the number of pictures N) as an array of shape () in the dtype of
        the sums and returns it summed over the devices, before 1 is added or the maximum is taken. An attribute
        ``averaged_over`` of it, a number of devices over which gradients are averaged and not summed, multiplies the
        loss, so that their mean is the gradient of all; it is of use with a number as well.
        `focal_ref.integrations.torch_distributed.SumOverRanks` is such a function.

    Returns
    -------
    array
        Of shape (). Of no pictures it is 0.

    Raises
    ------
    TypeError, ValueError
        For an unknown normalizer, shapes that differ, ``sum_over_ranks`` where nothing is summed or averaged over
        devices, and on the host for a negative count or a normalizer that is not finite and > 0. Elsewhere these give
        NaN.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.1.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import normalize_loss
    >>> sums, num_positive = np.array([40.0, 40.0]), np.array([10, 0])
    >>> for normalizer in ("per_picture", "batch", "plus_one", "plus_one_per_picture", 100):
    ...     print(round(float(normalize_loss(sums, num_positive, normalizer)), 2))
    22.0
    8.0
    7.27
    6.67
    0.8
    """
    check_normalizer(normalizer, sum_over_ranks)
    adapter = adapter_of(sums)
    xp = adapter.namespace(sums)
    sums = check_array(adapter, "sums", sums, "real floating", ("N",))
    num_positive = check_array(adapter, "num_positive", num_positive, "integral", ("N",))
    if len(sums.shape) != 1 or tuple(num_positive.shape) != tuple(sums.shape):
        raise ValueError(
            f"num_positive: got shape {tuple(num_positive.shape)} with sums of shape {tuple(sums.shape)}; both are (N,)"
        )
    return divisor_of(adapter, sums, num_positive, normalizer, sum_over_ranks).divide(xp, sums)


class Divisor(NamedTuple):
    """What the sums of a batch are divided by.

    Attributes
    ----------
    each
        Of each picture's sum, shape (N,), or None.
    whole
        Of what the pictures add up to.
    factor
        That multiplies the quotient.
    """

    each: Array | None
    whole: Any
    factor: float

    def divide(self, xp: Any, sums: Array) -> Array:
        """The loss of the batch."""
        quotient = xp.sum(sums if self.each is None else sums / self.each) / self.whole
        return quotient if self.factor == 1 else quotient * self.factor


def divisor_of(
    adapter: Adapter, sums: Array, num_positive: Array, normalizer: Any, sum_over_ranks: Any = None
) -> Divisor:
    """What `normalize_loss` divides by; counts are summed over devices here, once for all sums of a batch."""
    xp = adapter.namespace(sums)
    counts = _checked_counts(adapter, num_positive, sums)
    factor = getattr(sum_over_ranks, "averaged_over", 1)
    # An array is not compared with a name, which some libraries refuse.
    if not isinstance(normalizer, str):
        return Divisor(None, _divisor(adapter, normalizer, sums), factor)
    if normalizer == "per_picture":
        each, pictures = _at_least_one(xp, counts), sums.shape[0]
        if sum_over_ranks is None:
            return Divisor(each, max(pictures, 1), factor)
        count = xp.full((), float(pictures), dtype=sums.dtype, device=device_of(sums))
        count = _count_of_ranks(adapter, sum_over_ranks(count), sums)
        return Divisor(each, _at_least_one(xp, count), factor)
    count = xp.sum(counts + 1.0 if normalizer == "plus_one_per_picture" else counts)
    if sum_over_ranks is not None:
        count = _count_of_ranks(adapter, sum_over_ranks(count), sums)
    # Of no pictures even the last convention divides by one.
    return Divisor(None, count + 1.0 if normalizer == "plus_one" else _at_least_one(xp, count), factor)


def moving_average_normalizer(previous: float | Array, num_positive: Array, /, *, momentum: float = 0.9) -> Array:
    r"""The next value of a normalizer that follows the number of positive anchors slowly.

    .. math:: m' = \mu m + (1 - \mu) \max(1, \sum_i n_i)

    Detectron2 divides by it, from a first value of 100. The caller keeps it from step to step and passes it to
    `normalize_loss` or `retinanet_loss` as ``normalizer``.

    Parameters
    ----------
    previous : float or array
        The last value, a number or an array of shape (), finite and > 0.
    num_positive : array
        Integers >= 0 of any shape; their sum enters.
    momentum : float, default 0.9
        In [0, 1).

    Returns
    -------
    array
        Of shape (), in the dtype of `previous` if it is an array, else float64 (float32 in JAX).

    Raises
    ------
    TypeError, ValueError
        For a momentum or, on the host, a value out of range. Elsewhere a bad value gives NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import moving_average_normalizer
    >>> float(moving_average_normalizer(100.0, np.array([30, 20])))
    95.0
    """
    if not _is_number(momentum):
        raise TypeError(f"momentum: got {momentum!r}; it is a number in [0, 1)")
    if not 0.0 <= momentum < 1.0:
        raise ValueError(f"momentum: got {momentum!r}; it is in [0, 1)")
    adapter = adapter_of(num_positive)
    xp = adapter.namespace(num_positive)
    check_array(adapter, "num_positive", num_positive, "integral")
    if adapter.owns(type(previous)):
        dtype = check_array(adapter, "previous", previous, "real floating").dtype
    else:
        dtype = xp.float32 if adapter.name == "jax" else xp.float64
    like = xp.zeros((), dtype=dtype, device=device_of(num_positive))
    last = _divisor(adapter, previous, like, "previous")
    count = _at_least_one(xp, xp.sum(_checked_counts(adapter, num_positive, like)))
    return momentum * last + (1.0 - momentum) * count


def check_normalizer(normalizer: Any, sum_over_ranks: Any) -> None:
    """Raise for a name that is none, and for a sum over ranks that nothing would use."""
    if isinstance(normalizer, str) and normalizer not in NORMALIZERS:
        names = ", ".join(map(repr, NORMALIZERS))
        raise ValueError(f"normalizer: got {normalizer!r}; allowed are {names}, a number or an array of shape ()")
    if sum_over_ranks is None:
        return
    if not callable(sum_over_ranks):
        raise TypeError(f"sum_over_ranks: got {_kind(sum_over_ranks)}; it is a function from a count to a count")
    averaged_over = getattr(sum_over_ranks, "averaged_over", None)
    if averaged_over is not None and not (_is_number(averaged_over) and 1 <= averaged_over < math.inf):
        got = repr(averaged_over) if _is_number(averaged_over) else _kind(averaged_over)
        raise ValueError(f"sum_over_ranks: its averaged_over is {got}; it is a number of devices, >= 1")
    if not isinstance(normalizer, str) and averaged_over is None:
        got = repr(normalizer) if _is_number(normalizer) else _kind(normalizer)
        names = ", ".join(map(repr, NORMALIZERS))
        raise ValueError(
            f"sum_over_ranks: got a function with normalizer={got}, which counts nothing over devices; it belongs to "
            f"{names}, and one with an attribute averaged_over to any normalizer"
        )


def _checked_counts(adapter: Adapter, num_positive: Array, like: Array) -> Array:
    """Counts in the dtype of an array, NaN for negative ones."""
    xp = adapter.namespace(like)
    negative = num_positive < 0
    if adapter.is_host(num_positive):
        first = first_true(adapter, negative)
        if first is not None:
            got = int(adapter.to_numpy(num_positive)[first])
            raise ValueError(f"num_positive: got {got} at position {first}; it is >= 0")
    return xp.where(negative, xp.nan, xp.astype(num_positive, like.dtype))


def _at_least_one(xp: Any, counts: Array) -> Array:
    # NaN is not below 1 and stays.
    return xp.where(counts < 1.0, 1.0, counts)


def _divisor(adapter: Adapter, value: Any, like: Array, name: str = "normalizer") -> Any:
    """A number or a scalar array as one of the dtype; NaN where it is not finite and > 0."""
    xp = adapter.namespace(like)
    value = _scalar(adapter, value, like, name)
    positive = (value > 0) & xp.isfinite(value)
    if adapter.is_host(value) and not bool(positive):
        got = float(adapter.to_numpy(value))
        raise ValueError(f"{name}: got {got!r}; it is finite and > 0")
    return xp.where(positive, value, xp.nan)


def _count_of_ranks(adapter: Adapter, value: Any, like: Array) -> Array:
    xp = adapter.namespace(like)
    value = _scalar(adapter, value, like, "sum_over_ranks")
    counted = (value >= 0) & xp.isfinite(value)
    if adapter.is_host(value) and not bool(counted):
        got = float(adapter.to_numpy(value))
        raise ValueError(f"sum_over_ranks: it returned {got!r}; a count is finite and >= 0")
    return xp.where(counted, value, xp.nan)


def _scalar(adapter: Adapter, value: Any, like: Array, name: str) -> Array:
    xp = adapter.namespace(like)
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "iuf":
        value = value[()]
    if _is_number(value):
        # Beyond the largest number of the dtype it is infinite, and refused as that.
        largest = float(xp.finfo(like.dtype).max)
        number = float(value) if abs(value) <= largest or math.isnan(value) else math.inf
        return xp.asarray(number, dtype=like.dtype, device=device_of(like))
    real = adapter.owns(type(value)) and xp.isdtype(value.dtype, ("integral", "real floating"))
    if not real or tuple(value.shape) != ():
        raise TypeError(f"{name}: got {_kind(value)}; it is a number or an array of shape ()")
    return xp.astype(value, like.dtype)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return f"{type(value).__module__}.{type(value).__qualname__}{shape}"
