"""Non-maximum suppression, greedy and exact: what is kept does not depend on the array library."""

import operator
from typing import Any

import numpy as np

from focal_ref._arguments import check_choice
from focal_ref.detection._arrays import (
    Adapter,
    Array,
    adapter_of,
    as_box_dtype,
    check_array,
    check_boxes,
    device_of,
    first_true,
    good_boxes,
    quiet,
)
from focal_ref.detection.boxes import area_of, check_offset, intersections, union_of

__all__ = ["nms"]


def nms(
    boxes: Array,
    scores: Array,
    /,
    *,
    iou_threshold: float = 0.5,
    labels: Array | None = None,
    valid: Array | None = None,
    max_output: int | None = None,
    offset: int = 0,
    invalid: str = "raise",
) -> Array:
    r"""Greedy non-maximum suppression: the boxes that no better box overlaps too much.

    In the order of their scores, each box is kept unless its overlap with a box kept before is above the threshold,

    .. math:: \mathrm{IoU}(a, b) = \frac{|a \cap b|}{(|a| + |b|) - |a \cap b|} > \text{iou\_threshold}

    A box whose IoU is exactly the threshold stays.

    Parameters
    ----------
    boxes : array, shape (B, 4)
        Corners (x1, y1, x2, y2). IoU and threshold are compared in their dtype, float32 or float64; narrower ones are
        taken as float32, wider integers as float64.
    scores : array, shape (B,)
        Floats, probabilities or logits; infinities are allowed. Boxes of equal scores are taken in their order.
        Subnormal scores count as zero, because not every library tells them apart.
    iou_threshold : float, default 0.5
        In [0, 1]. With 1 nothing is suppressed, with 0 every overlap suppresses.
    labels : array, shape (B,), optional
        Integers; boxes of different labels do not suppress each other.
    valid : array, shape (B,), optional
        Booleans; what is False is neither looked at nor kept.
    max_output : int, optional
        The result has this length: the best boxes kept, and -1 after the last one. Without it the length depends on
        the values, which a traced function cannot return.
    offset : {0, 1}, default 0
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide.
    invalid : {"raise", "drop"}, default "raise"
        What becomes of boxes that are not finite or have no area, and of NaN scores. On the host (NumPy, PyTorch on
        the CPU, array_api_strict) they raise or are not kept; traced arrays and those on a device cannot be looked at,
        and there they are never kept.

    Returns
    -------
    array, shape (K,) or (max_output,)
        Integer indices of the kept boxes, by descending score.

    Raises
    ------
    TypeError
        For arrays of another dtype or library.
    ValueError
        For shapes that differ, numbers out of range, bad boxes and scores on the host, and a missing `max_output`
        where the values cannot be read.

    See Also
    --------
    detections : everything from a detector's outputs to its detections.

    Notes
    -----
    The memory is O(B): there is no matrix of all pairs. Per-class suppression compares labels; moving each class to a
    region of its own, as is often done, rounds the coordinates and changes decisions.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.1, "Inference".

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import nms
    >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 5], [50, 50, 60, 60]], dtype=np.float32)
    >>> scores = np.array([0.9, 0.8, 0.7, 0.95], dtype=np.float32)

    The second box overlaps the first by 0.6; the third by exactly 0.5, which is not more than the threshold:

    >>> nms(boxes, scores)
    array([3, 0, 2])
    >>> nms(boxes, scores, labels=np.array([0, 1, 0, 0]), max_output=6)
    array([ 3,  0,  1,  2, -1, -1])
    """
    adapter = adapter_of(boxes)
    iou_threshold = check_share("iou_threshold", iou_threshold)
    check_offset(offset)
    check_choice("invalid", invalid, ("raise", "drop"))
    limit = None if max_output is None else check_count("max_output", max_output)
    boxes, scores, valid = _checked(adapter, boxes, scores, labels, valid, offset, invalid)
    if adapter.is_host(boxes):
        return adapter.asarray(
            kept_on_host(
                adapter.to_numpy(boxes),
                adapter.to_numpy(scores),
                None if labels is None else adapter.to_numpy(labels),
                adapter.to_numpy(valid),
                threshold=iou_threshold,
                offset=offset,
                count=limit,
            ),
            like=boxes,
        )
    count = boxes.shape[0] if limit is None else limit
    kept = kept_on_arrays(adapter, boxes, scores, labels, valid, threshold=iou_threshold, offset=offset, count=count)
    return kept if limit is not None else kept[: _number_kept(adapter, kept)]


def check_share(name: str, value: Any) -> float:
    """A number in [0, 1]."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{name}: got {type(value).__qualname__}; it is a number in [0, 1]")
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name}: got {value!r}; it is a number in [0, 1]")
    return float(value)


def check_count(name: str, value: Any) -> int:
    """An integer that is at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}: got {type(value).__qualname__}; it is an integer >= 1")
    if value < 1:
        raise ValueError(f"{name}: got {value!r}; it is an integer >= 1")
    return operator.index(value)


def _checked(
    adapter: Adapter,
    boxes: Any,
    scores: Any,
    labels: Any,
    valid: Any,
    offset: int,
    invalid: str,
) -> tuple[Array, Array, Array]:
    """Boxes, scores and mask of what takes part, after all checks."""
    # Values last: a bad shape is reported before bad numbers.
    checked = check_boxes(adapter, "boxes", boxes, valid=valid, offset=offset, values=False)
    if len(checked.shape) != 2:
        raise ValueError(f"boxes: got shape {tuple(checked.shape)}; it is (B, 4)")
    length = checked.shape[0]
    check_array(adapter, "scores", scores, "real floating")
    named = {"scores": scores}
    if labels is not None:
        named["labels"] = check_array(adapter, "labels", labels, "integral")
    for name, array in named.items():
        if tuple(array.shape) != (length,):
            raise ValueError(f"{name}: got shape {tuple(array.shape)}; it is ({length},), one a box")
    scores = as_box_dtype(adapter, scores)
    xp = adapter.namespace(checked)
    known = ~xp.isnan(scores)
    if invalid == "raise" and adapter.is_host(checked):
        check_boxes(adapter, "boxes", checked, valid=valid, offset=offset)
        index = first_true(adapter, ~known if valid is None else valid & ~known)
        if index is not None:
            raise ValueError(f"scores: got nan at position {index}; scores are numbers, or invalid='drop' drops them")
    with quiet(adapter, checked):
        good = good_boxes(xp, checked, offset) & known
    return checked, scores, good if valid is None else good & valid


def kept_on_host(
    boxes: Any,
    scores: Any,
    labels: Any,
    valid: Any,
    *,
    threshold: float,
    offset: int,
    count: int | None,
) -> Any:
    """NumPy arrays through the Numba loop; what is not valid may be anything. `count` as `max_output`."""
    # Imported on use: it loads Numba.
    from focal_ref._kernels.nms import suppress

    candidates = np.flatnonzero(valid)
    order = candidates[np.argsort(-normal(np, scores[candidates]), kind="stable")]
    kept = order[
        suppress(
            boxes[order],
            np.zeros(len(order), dtype=np.int64) if labels is None else labels[order],
            threshold=threshold,
            offset=offset,
            limit=len(order) if count is None else count,
        )
    ]
    if count is None:
        return kept
    padded = np.full(count, -1, dtype=np.int64)
    padded[: len(kept)] = kept
    return padded


def kept_on_arrays(
    adapter: Adapter,
    boxes: Array,
    scores: Array,
    labels: Array | None,
    valid: Array,
    *,
    threshold: float,
    offset: int,
    count: int,
) -> Array:
    """The same of shape (..., B) with any library, in B steps over the boxes by descending score, each O(B).

    Returns shape (..., count), padded with -1.
    """
    xp = adapter.namespace(boxes)
    length = boxes.shape[-2]
    keys = xp.where(valid, normal(xp, scores), -xp.inf)
    order = adapter.top(keys, length)
    # What is not valid takes part in the arithmetic, as a box that raises no warning.
    unit = xp.asarray([0.0, 0.0, 1.0, 1.0], dtype=boxes.dtype, device=device_of(boxes))
    boxes = xp.where(valid[..., None], boxes, unit)
    boxes = xp.take_along_axis(boxes, order[..., None], axis=-2)
    valid = xp.take_along_axis(valid, order, axis=-1)
    labels = None if labels is None else xp.take_along_axis(labels, order, axis=-1)
    kept = _suppress(adapter, boxes, labels, valid, threshold, offset) if length else valid
    # A stable selection of the ones among zeros: first what is kept, in its order.
    flags = xp.astype(kept, order.dtype)
    first = adapter.top(flags, min(count, length))
    none = xp.full((*order.shape[:-1], count - first.shape[-1]), -1, dtype=order.dtype, device=device_of(order))
    chosen = xp.where(xp.take_along_axis(kept, first, axis=-1), xp.take_along_axis(order, first, axis=-1), -1)
    return xp.concat([chosen, none], axis=-1)


def _suppress(
    adapter: Adapter, boxes: Array, labels: Array | None, valid: Array, threshold: float, offset: int
) -> Array:
    """Which of the sorted boxes are kept."""
    xp = adapter.namespace(boxes)
    limit = xp.asarray(threshold, dtype=boxes.dtype, device=device_of(boxes))
    positions = xp.arange(boxes.shape[-2], device=device_of(boxes))
    areas = area_of(xp, boxes, offset)

    def step(suppressed: Array, items: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        position, box, area, *label = items
        intersection = intersections(xp, box[..., None, :], boxes, offset)[..., 0, :]
        overlaps = intersection / union_of(areas, area[..., None], intersection) > limit
        if label:
            overlaps = overlaps & (labels == label[0][..., None])
        kept = ~xp.any(suppressed & (positions == position), axis=-1)
        # Marks itself and boxes before it too, which are decided and not asked again.
        return suppressed | (overlaps & kept[..., None]), (kept,)

    items = [positions, xp.moveaxis(boxes, -2, 0), xp.moveaxis(areas, -1, 0)]
    if labels is not None:
        items.append(xp.moveaxis(labels, -1, 0))
    _, (kept,) = adapter.scan(step, ~valid, tuple(items))
    return xp.moveaxis(kept, 0, -1)


def normal(xp: Any, values: Array) -> Array:
    """The values to sort by, with subnormal ones and -0 as 0: XLA flushes some and orders -0 below 0."""
    return xp.where(xp.abs(values) < xp.finfo(values.dtype).smallest_normal, 0.0, values)


def _number_kept(adapter: Adapter, kept: Array) -> int:
    """How many indices come before the -1, read from the array."""
    xp = adapter.namespace(kept)
    message = "max_output: got None; where the values cannot be read (jit, vmap, compile) the length must be given"
    if adapter.name == "torch" and adapter.device_name(kept) == "cpu":
        raise ValueError(message)
    try:
        return int(adapter.to_numpy(xp.sum(xp.astype(kept >= 0, kept.dtype))))
    except TypeError as error:
        raise ValueError(message) from error
