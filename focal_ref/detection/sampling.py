"""What the focal loss replaces: choosing some of the anchors and leaving the others out of the loss."""

import math
from typing import Any

import numpy as np

from focal_ref.detection._arrays import (
    Adapter,
    Array,
    adapter_of,
    as_box_dtype,
    check_array,
    check_boxes,
    device_of,
    first_true,
)
from focal_ref.detection.matching import IGNORED, NEGATIVE, POSITIVE
from focal_ref.detection.suppression import nms

__all__ = ["hard_negative_mining", "ohem", "sample_anchors"]


def hard_negative_mining(losses: Array, state: Array, /, *, ratio: float = 3.0, min_negatives: int = 0) -> Array:
    """Which anchors to keep: all positives, and for each of them `ratio` negatives, those with the largest losses.

    Of P positives and Q negatives of a picture, ``min(max(floor(ratio * P), min_negatives), Q)`` negatives stay.

    Parameters
    ----------
    losses : array
        Shape (..., A), the loss of each anchor; each row along the last axis is a picture. NaN counts as the largest,
        so that it is kept and seen. Subnormal numbers count as 0.
    state : array
        Same shape: 1 positive, 0 negative, -1 ignored, as ``Matches.state``.
    ratio : float, default 3.0
        Finite and >= 0.
    min_negatives : int, default 0
        How many negatives stay at least, so that a picture without positives teaches something too.

    Returns
    -------
    array of bool
        Same shape. Among equal losses the lower index stays. Ignored anchors are never kept.

    Raises
    ------
    TypeError, ValueError
        For shapes that differ, options out of range, and on the host for a state that is none. Elsewhere such an anchor
        counts as ignored.

    References
    ----------
    .. [1] Liu, Anguelov, Erhan, Szegedy, Reed, Fu, Berg, "SSD: Single Shot MultiBox Detector", ECCV 2016,
       arXiv:1512.02325, section 2.2.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import hard_negative_mining
    >>> losses, state = np.array([0.1, 5.0, 0.3, 0.2, 9.0]), np.array([1, 0, 0, 0, -1])
    >>> hard_negative_mining(losses, state, ratio=2)
    array([ True,  True,  True, False, False])
    """
    if not _is_number(ratio):
        raise TypeError(f"ratio: got {ratio!r}; it is a number >= 0")
    if not 0 <= ratio < math.inf:
        raise ValueError(f"ratio: got {ratio!r}; it is finite and >= 0")
    _check_count("min_negatives", min_negatives)
    adapter, losses = _losses(losses)
    xp = adapter.namespace(losses)
    _check_state(adapter, state, tuple(losses.shape))
    positive, negative = state == POSITIVE, state == NEGATIVE
    number = state.shape[-1]
    wanted = _floor_of(adapter, float(ratio), _count(xp, positive), number)
    least = min(min_negatives, number)
    wanted = xp.where(wanted < least, least, wanted)
    return positive | _first_of(xp, negative, wanted, adapter.top(_comparable(xp, losses), number))


def ohem(
    losses: Array, boxes: Array, /, *, count: int = 128, iou_threshold: float = 0.7, valid: Array | None = None
) -> Array:
    """Which boxes to keep in online hard example mining: the largest losses, of which no two overlap much.

    Boxes that overlap have correlated losses, so non-maximum suppression with the losses as scores goes first; of what
    it leaves, the `count` boxes with the largest losses stay. It does not look at classes or at positive and negative.

    Parameters
    ----------
    losses : array
        Shape (A,) or (N, A), the loss of each box. NaN counts as the largest, so that it is kept and seen.
    boxes : array
        Shape (A, 4), shared by the batch, or (N, A, 4).
    count : int, default 128
        How many boxes a picture stay at most.
    iou_threshold : float, default 0.7
        Boxes with a larger IoU than this to one with a larger loss are left out.
    valid : array of bool, optional
        Same shape as the losses; what is False is never kept.

    Returns
    -------
    array of bool
        Same shape as the losses. Among equal losses the lower index goes first.

    Raises
    ------
    TypeError, ValueError
        For shapes that do not belong together and options out of range, and as `nms`.

    References
    ----------
    .. [1] Shrivastava, Gupta, Girshick, "Training Region-Based Object Detectors with Online Hard Example Mining", CVPR
       2016, arXiv:1604.03540, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import ohem
    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], dtype=np.float32)
    >>> ohem(np.array([2.0, 3.0, 1.0]), boxes, count=2)
    array([False,  True,  True])
    """
    _check_count("count", count)
    adapter, losses = _losses(losses)
    xp = adapter.namespace(losses)
    shape = tuple(losses.shape)
    if len(shape) > 2:
        raise ValueError(f"losses: got shape {shape}; it is (A,) or (N, A)")
    boxes = check_boxes(adapter, "boxes", boxes, values=False)
    if tuple(boxes.shape) not in ((*shape, 4), (shape[-1], 4)):
        raise ValueError(f"boxes: got shape {tuple(boxes.shape)}; losses of shape {shape} take {(*shape, 4)}")
    if valid is not None:
        check_array(adapter, "valid", valid, "bool")
        if tuple(valid.shape) != shape:
            raise ValueError(f"valid: got shape {tuple(valid.shape)}; it is {shape}, as losses")

    losses = xp.where(xp.isnan(losses), math.inf, losses)
    most = min(count, shape[-1])
    if most == 0 or shape[0] == 0:
        return xp.zeros(shape, dtype=xp.bool, device=device_of(losses))

    def keep(losses: Array, boxes: Array, valid: Array | None) -> Array:
        kept = nms(boxes, losses, iou_threshold=iou_threshold, valid=valid, max_output=most)
        return _holds(xp, kept, shape[-1])

    if len(shape) == 1:
        return keep(losses, boxes, valid)
    rows = []
    for row in range(shape[0]):
        own_boxes = boxes if len(boxes.shape) == 2 else boxes[row, ...]
        rows.append(keep(losses[row, ...], own_boxes, None if valid is None else valid[row, ...]))
    return xp.stack(rows)


def sample_anchors(
    state: Array,
    /,
    *,
    count: int = 256,
    positive_fraction: float = 0.5,
    seed: int | None = None,
    priorities: Array | None = None,
) -> Array:
    """Which anchors to keep in a random sample of fixed size with at most a fixed share of positives.

    At most ``floor(count * positive_fraction)`` positives of a picture, chosen at random, and as many negatives as
    `count` still asks for. Where positives are few, negatives fill up.

    Parameters
    ----------
    state : array
        Shape (..., A): 1 positive, 0 negative, -1 ignored, as ``Matches.state``; each row is a picture.
    count : int, default 256
        Size of the sample of each picture.
    positive_fraction : float, default 0.5
        In [0, 1].
    seed : int, optional
        >= 0. Each seed gives one choice, the same on every array library, device and version: the anchors are put in
        order by the bits of ``numpy.random.Philox(seed)``. Take another one in every step; under ``jax.jit`` or
        ``torch.compile`` it is a constant, so pass `priorities` there.
    priorities : array, optional
        In the place of a seed, random numbers of the shape of `state`; the largest are chosen, and among equal ones the
        lower index. NaN comes last.

    Returns
    -------
    array of bool
        Same shape. Ignored anchors are never kept.

    Raises
    ------
    TypeError, ValueError
        For options out of range, for both or neither of `seed` and `priorities`, and on the host for a state that is
        none. Elsewhere such an anchor counts as ignored.

    References
    ----------
    .. [1] Ren, He, Girshick, Sun, "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks",
       NIPS 2015, arXiv:1506.01497, section 3.1.3.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import sample_anchors
    >>> state = np.array([1, 1, 1, 0, 0, 0, -1])
    >>> keep = sample_anchors(state, count=4, positive_fraction=0.25, seed=7)
    >>> int(np.sum(keep[:3])), int(np.sum(keep[3:6])), bool(keep[6])
    (1, 3, False)
    """
    _check_count("count", count)
    if not _is_number(positive_fraction):
        raise TypeError(f"positive_fraction: got {positive_fraction!r}; it is a number in [0, 1]")
    if not 0 <= positive_fraction <= 1:
        raise ValueError(f"positive_fraction: got {positive_fraction!r}; it is in [0, 1]")
    adapter = adapter_of(state)
    xp = adapter.namespace(state)
    _check_state(adapter, state, None)
    if (seed is None) == (priorities is None):
        raise ValueError("seed: got both a seed and priorities; pass one" if priorities is not None else _NO_SEED)
    if priorities is None:
        priorities = adapter.asarray(_drawn(seed, tuple(state.shape)), like=state)
    else:
        priorities = as_box_dtype(adapter, check_array(adapter, "priorities", priorities, "real floating"))
        if tuple(priorities.shape) != tuple(state.shape):
            raise ValueError(
                f"priorities: got shape {tuple(priorities.shape)}, state has shape {tuple(state.shape)}; they must be "
                "equal"
            )
        priorities = _comparable(xp, priorities, nan=-math.inf)
    positive, negative = state == POSITIVE, state == NEGATIVE
    order = adapter.top(priorities, state.shape[-1])
    # Not more than there are, so that any count fits the integers of the library.
    quota = min(math.floor(min(count, 2**53) * positive_fraction), state.shape[-1])
    positives = _count(xp, positive)
    positives = xp.where(positives > quota, quota, positives)
    negatives = min(count, 2 * state.shape[-1]) - positives
    return _first_of(xp, positive, positives, order) | _first_of(xp, negative, negatives, order)


_NO_SEED = "seed: got None; it is an integer >= 0, or pass priorities"


def _losses(losses: Array) -> tuple[Adapter, Array]:
    adapter = adapter_of(losses)
    return adapter, as_box_dtype(adapter, check_array(adapter, "losses", losses, "real floating", ("A",)))


def _comparable(xp: Any, values: Array, nan: float = math.inf) -> Array:
    """Values that every library sorts alike: no NaN, no negative zero, no subnormal number, which XLA takes for 0."""
    small = xp.abs(values) < float(xp.finfo(values.dtype).smallest_normal)
    return xp.where(xp.isnan(values), nan, xp.where(small, 0.0, values))


def _count(xp: Any, member: Array) -> Array:
    return xp.sum(xp.astype(member, xp.arange(0).dtype), axis=-1)


def _first_of(xp: Any, member: Array, number: Array, order: Array) -> Array:
    """The first so many members of each row, in an order of its places."""
    ordered = xp.take_along_axis(member, order, axis=-1)
    rank = xp.cumulative_sum(xp.astype(ordered, number.dtype), axis=-1)
    kept = ordered & (rank <= number[..., None])
    return xp.take_along_axis(kept, xp.argsort(order, axis=-1), axis=-1)


def _holds(xp: Any, indices: Array, length: int) -> Array:
    """Which of the places 0 to length - 1 are among the indices; without a table of both."""
    places = xp.arange(length, dtype=indices.dtype, device=device_of(indices))
    indices = xp.sort(indices)
    nearest = xp.searchsorted(indices, places)
    last = indices.shape[0] - 1
    return xp.take(indices, xp.where(nearest > last, last, nearest)) == places


def _floor_of(adapter: Adapter, ratio: float, counts: Array, most: int) -> Array:
    """floor(ratio * count), but at most `most`, with the product rounded to float64 on every library."""
    xp = adapter.namespace(counts)
    # One count is enough for `most` then, and nothing overflows.
    ratio = min(ratio, float(most))
    if adapter.name != "jax":
        product = xp.floor(xp.astype(counts, xp.float64) * ratio)
        return xp.astype(xp.where(product > most, float(most), product), counts.dtype)
    # Without float64 all products are looked up: float32 would round some of them over the next integer.
    products = np.minimum(np.floor(ratio * np.arange(most + 1)), most).astype(np.int32)
    table = xp.astype(adapter.asarray(products, like=counts), counts.dtype)
    return xp.reshape(xp.take(table, xp.reshape(counts, (-1,))), counts.shape)


def _drawn(seed: Any, shape: tuple[int, ...]) -> Any:
    """A random order of each row, as float32 numbers, of which no two are equal up to 2^24 places."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"seed: got {seed!r}; it is an integer >= 0")
    if seed < 0:
        raise ValueError(f"seed: got {seed}; it is an integer >= 0")
    # The raw bits: what NumPy makes of them may change with its versions, they do not.
    bits = np.random.Philox(int(seed)).random_raw(math.prod(shape)).reshape(shape)
    return np.argsort(np.argsort(bits, axis=-1, kind="stable"), axis=-1).astype(np.float32)


def _check_state(adapter: Adapter, state: Any, shape: tuple[int, ...] | None) -> None:
    check_array(adapter, "state", state, "integral", ("A",))
    if shape is not None and tuple(state.shape) != shape:
        raise ValueError(f"state: got shape {tuple(state.shape)}, losses have shape {shape}; they must be equal")
    if adapter.is_host(state):
        first = first_true(adapter, (state != POSITIVE) & (state != NEGATIVE) & (state != IGNORED))
        if first is not None:
            got = int(adapter.to_numpy(state)[first])
            raise ValueError(f"state: got {got} at position {first}; it is 1 positive, 0 negative or -1 ignored")


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: got {value!r}; it is an integer >= 0")
    if value < 0:
        raise ValueError(f"{name}: got {value}; it is an integer >= 0")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
