"""From a detector's outputs to its detections, as section 4.1 of the paper describes it."""

import math
from collections.abc import Sequence
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

import numpy as np

from focal_ref.detection._arrays import (
    Adapter,
    Array,
    adapter_of,
    as_box_dtype,
    check_array,
    check_boxes,
    device_of,
    good_boxes,
    quiet,
)
from focal_ref.detection.boxes import check_image_size, check_offset, clip_boxes
from focal_ref.detection.coding import decode_boxes
from focal_ref.detection.suppression import check_count, check_share, kept_on_arrays, kept_on_host, normal

__all__ = ["Detections", "detections"]


class Detections(NamedTuple):
    """What a detector found in each picture, best first; fixed lengths, so that functions which make it can be traced.

    Attributes
    ----------
    boxes : array, shape (N, D, 4)
        Corners (x1, y1, x2, y2); 0 where there is no detection.
    scores : array, shape (N, D)
        Probabilities; 0 where there is no detection.
    labels : array, shape (N, D)
        Integers, the class; -1 where there is no detection.
    valid : array, shape (N, D)
        Booleans, whether there is a detection; the True ones come first.
    num : array, shape (N,)
        Integers, how many there are.
    """

    boxes: Array
    scores: Array
    labels: Array
    valid: Array
    num: Array


def detections(
    class_logits: Array | Sequence[Array],
    box_deltas: Array | Sequence[Array],
    anchors: Array | Sequence[Array],
    /,
    *,
    image_size: tuple[int, int] | None = None,
    score_threshold: float = 0.05,
    top_k: int = 1000,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    class_agnostic: bool = False,
    box_coder_weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0),
    clamp: float | None = math.log(1000 / 16),
    offset: int = 0,
) -> Detections:
    r"""Detections of each picture: best scores of each level, decoded, after non-maximum suppression of each class.

    Of each level of the feature pyramid, the `top_k` pairs of an anchor and a class with the largest logits are
    decoded, among those with :math:`\sigma(x) > t`. Over all levels together, greedy suppression removes boxes whose
    IoU with a better one of the same class is above `iou_threshold`; the best `max_detections` remain.

    Parameters
    ----------
    class_logits : array or list of arrays
        One array a level: shape (N, A_l, C), or (A_l, C) for a single picture; floats of one dtype. NaN is never a
        detection. Subnormal logits count as zero, because not every library tells them apart.
    box_deltas : array or list of arrays
        Likewise (N, A_l, 4) or (A_l, 4).
    anchors : array or list of arrays
        Likewise (A_l, 4), the same for all pictures.
    image_size : tuple of int, optional
        Height and width in pixels, to which boxes are clipped before they are compared.
    score_threshold : float, default 0.05
        In [0, 1]. With 0 only logits of -inf fail, with 1 all do.
    top_k : int, default 1000
        Pairs that are decoded a level.
    iou_threshold : float, default 0.5
        As in `nms`.
    max_detections : int, default 100
        The length D of the results. The paper gives no number; 100 is what its authors' code and COCO's evaluation use.
    class_agnostic : bool, default False
        Whether boxes suppress those of other classes too.
    box_coder_weights : tuple of float, default (1, 1, 1, 1)
        The weights by which the deltas were multiplied.
    clamp : float or None, default log(1000 / 16)
        Upper limit of the logarithms of width and height; None for no limit.
    offset : {0, 1}, default 0
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide, in decoding, clipping and IoU.

    Returns
    -------
    Detections
        For a single picture without the axis N. Boxes are float32 or float64 as the wider of deltas and anchors, scores
        as the logits, and float32 for narrower ones.

    Raises
    ------
    TypeError
        For arrays of another dtype or library.
    ValueError
        For lists of different lengths, shapes that do not fit, numbers out of range, and on the host for anchors that
        are not finite or have no area.

    See Also
    --------
    nms : the suppression alone.

    Notes
    -----
    All decisions are made on logits: the logistic function rises, but in floating point it saturates (in float32 all
    logits above 17 score 1), and its last bit differs from library to library. :math:`\sigma(x) > t` is decided
    exactly, as :math:`x > \log(t / (1 - t))` with the right side rounded down. Among equal logits, a lower level comes
    first, then a lower position in the flattened (A_l, C). Indices, labels and order are the same in every library as
    long as the decoded boxes are; these may differ by what the exponential functions of two libraries differ.

    Boxes that have no area after clipping and those that are not finite are dropped after the best `top_k` are taken.

    ``torch.compile`` breaks its graph at the threshold and unrolls the suppression, one step a candidate; call this
    function outside of what is compiled.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4.1, "Inference".

    Examples
    --------
    Two anchors, two classes; the first anchor shows the second class, the other one nothing:

    >>> import numpy as np
    >>> from focal_ref.detection import detections
    >>> logits = np.array([[-9.0, 0.0], [-9.0, -9.0]])
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [10.0, 0.0, 20.0, 10.0]])
    >>> found = detections(logits, np.zeros((2, 4)), anchors, max_detections=2)
    >>> found.boxes
    array([[ 0.,  0., 10., 10.],
           [ 0.,  0.,  0.,  0.]])
    >>> found.scores, found.labels, int(found.num)
    (array([0.5, 0. ]), array([ 1, -1]), 1)
    """
    score_threshold = check_share("score_threshold", score_threshold)
    iou_threshold = check_share("iou_threshold", iou_threshold)
    top_k, max_detections = check_count("top_k", top_k), check_count("max_detections", max_detections)
    check_offset(offset)
    if image_size is not None:
        image_size = check_image_size(image_size)
    levels = _checked_levels(class_logits, box_deltas, anchors, offset)
    adapter, xp = levels.adapter, levels.xp
    best = [
        _best_of_level(levels, *level, score_threshold, top_k)
        for level in zip(levels.logits, levels.deltas, levels.anchors, strict=True)
    ]
    logits, deltas, own_anchors, labels, candidate = (
        xp.concat(list(parts), axis=1) for parts in zip(*best, strict=True)
    )
    with quiet(adapter, logits):
        boxes = decode_boxes(deltas, own_anchors, weights=box_coder_weights, offset=offset, clamp=clamp)
        if image_size is not None:
            boxes = clip_boxes(boxes, image_size, offset=offset)
        candidate = candidate & good_boxes(xp, boxes, offset)
    settings: dict[str, Any] = {"threshold": iou_threshold, "offset": offset, "count": max_detections}
    groups = None if class_agnostic else labels
    if adapter.is_host(logits):
        kept = _kept_on_host(adapter, boxes, logits, groups, candidate, settings)
    else:
        kept = kept_on_arrays(adapter, boxes, logits, groups, candidate, **settings)
    results = _gathered(xp, kept, boxes, logits, labels)
    return Detections(*(result[0, ...] for result in results)) if levels.single else results


class _Levels(NamedTuple):
    """The checked arrays, of one dtype each, with an axis for the pictures; `single` where the caller gave none."""

    adapter: Adapter
    xp: Any
    logits: list[Array]
    deltas: list[Array]
    anchors: list[Array]
    single: bool


def _checked_levels(class_logits: Any, box_deltas: Any, anchors: Any, offset: int) -> _Levels:
    named = {"class_logits": class_logits, "box_deltas": box_deltas, "anchors": anchors}
    lists = {name: list(value) if isinstance(value, list | tuple) else [value] for name, value in named.items()}
    count = len(lists["class_logits"])
    if count == 0:
        raise ValueError("class_logits: got an empty list; it has one array a level")
    for name, arrays in lists.items():
        if len(arrays) != count:
            raise ValueError(f"{name}: got {len(arrays)} arrays; class_logits has {count}, one a level")
    adapter = adapter_of(lists["class_logits"][0])
    first = lists["class_logits"][0]
    dtype = None
    for level in range(count):
        # A single array goes by the argument's name alone.
        texts = {name: f"{name}[{level}]" if isinstance(value, list | tuple) else name for name, value in named.items()}
        logits, deltas, own_anchors = (lists[name][level] for name in named)
        check_array(adapter, texts["class_logits"], logits, "real floating")
        dtype = logits.dtype if dtype is None else dtype
        if len(logits.shape) not in (2, 3):
            raise ValueError(f"{texts['class_logits']}: got shape {tuple(logits.shape)}; it is (N, A, C) or (A, C)")
        if (*logits.shape[:-2], logits.shape[-1]) != (*first.shape[:-2], first.shape[-1]):
            raise ValueError(
                f"{texts['class_logits']}: got shape {tuple(logits.shape)}; the first level has {tuple(first.shape)}, "
                "only the number of anchors may differ"
            )
        if logits.dtype != dtype:
            raise TypeError(f"{texts['class_logits']}: got dtype {logits.dtype}; the first level has {dtype}")
        check_array(adapter, texts["box_deltas"], deltas, "real floating")
        if tuple(deltas.shape) != (*logits.shape[:-1], 4):
            raise ValueError(
                f"{texts['box_deltas']}: got shape {tuple(deltas.shape)}; it is {(*logits.shape[:-1], 4)}, "
                f"as {texts['class_logits']} has shape {tuple(logits.shape)}"
            )
        lists["anchors"][level] = check_boxes(adapter, texts["anchors"], own_anchors, offset=offset)
        if tuple(own_anchors.shape) != (logits.shape[-2], 4):
            raise ValueError(
                f"{texts['anchors']}: got shape {tuple(own_anchors.shape)}; it is {(logits.shape[-2], 4)}, "
                f"as {texts['class_logits']} has shape {tuple(logits.shape)}"
            )
    xp = adapter.namespace(first)
    single = len(first.shape) == 2
    wide_logits = [as_box_dtype(adapter, array) for array in lists["class_logits"]]
    wide_deltas = [as_box_dtype(adapter, array) for array in lists["box_deltas"]]
    if single:
        wide_logits, wide_deltas = ([array[None, ...] for array in arrays] for arrays in (wide_logits, wide_deltas))
    box_dtype = xp.result_type(*wide_deltas, *lists["anchors"])
    return _Levels(
        adapter,
        xp,
        wide_logits,
        [xp.astype(array, box_dtype, copy=False) for array in wide_deltas],
        [xp.astype(array, box_dtype, copy=False) for array in lists["anchors"]],
        single,
    )


def _best_of_level(
    levels: _Levels, logits: Array, deltas: Array, anchors: Array, score_threshold: float, top_k: int
) -> tuple[Array, Array, Array, Array, Array]:
    """The best K pairs of one level: logits, deltas, anchors, labels, and whether each passed the threshold."""
    adapter, xp = levels.adapter, levels.xp
    pictures, number, classes = logits.shape
    least = threshold_as_logit(score_threshold, adapter.dtype_name(logits))
    flat = xp.reshape(logits, (pictures, number * classes))
    count = min(top_k, number * classes)
    if adapter.is_host(logits):
        rows = [_best_on_host(row, least, count) for row in adapter.to_numpy(flat)]
        index = adapter.asarray(np.asarray(rows, dtype=np.int64).reshape(pictures, count), like=logits)
    else:
        ordered = normal(xp, flat)
        index = adapter.top(xp.where(ordered > least, ordered, -xp.inf), count)
    chosen = normal(xp, xp.take_along_axis(flat, index, axis=-1))
    # Without classes there is nothing to divide.
    anchor, label = index // max(classes, 1), index % max(classes, 1)
    own_deltas = xp.take_along_axis(deltas, anchor[..., None], axis=-2)
    own_anchors = xp.take(anchors, xp.reshape(anchor, (pictures * count,)), axis=0)
    return chosen, own_deltas, xp.reshape(own_anchors, (pictures, count, 4)), label, chosen > least


def _best_on_host(logits: Any, least: float, count: int) -> Any:
    """Indices of the `count` largest numbers above `least`, largest first; then any of the others.

    Sorts only what is chosen: of ten million logits, most are below the threshold.
    """
    found = np.flatnonzero(logits > least)
    values = normal(np, logits[found])
    if len(found) > count:
        smallest = np.partition(values, len(found) - count)[len(found) - count]
        above = np.flatnonzero(values > smallest)
        equal = np.flatnonzero(values == smallest)[: count - len(above)]
        taken = np.sort(np.concatenate([above, equal]))
        found, values = found[taken], values[taken]
    index = found[np.argsort(-values, kind="stable")]
    if len(index) == count:
        return index
    # Filled with what fails the threshold, so that nothing is chosen twice.
    return np.concatenate([index, _failing(logits, least, count - len(index))])


def _failing(logits: Any, least: float, count: int) -> Any:
    """The first positions whose numbers are not above `least`; there are at least `count`."""
    length = count
    while True:
        failing = np.flatnonzero(~(logits[:length] > least))
        if len(failing) >= count:
            return failing[:count]
        length *= 2


def threshold_as_logit(probability: float, dtype: str) -> float:
    r"""The largest number of a dtype whose sigmoid is not above a probability.

    The sigmoid rises, so :math:`\sigma(x) > t` is :math:`x > L` with :math:`L = \log(t / (1 - t))`. No number x of the
    dtype lies between L and the next one below, so that x > L exactly if it is above that one.
    """
    if probability in (0.0, 1.0):
        return -math.inf if probability == 0.0 else math.inf
    with localcontext(prec=60):
        # The logarithm is 0 at 1/2; elsewhere |L| > 1e-16, while the quotient is exact to 1e-59.
        exact = Decimal(probability)
        limit = (exact / (1 - exact)).ln()
        rounded = np.dtype(dtype).type(float(limit))
        while Decimal(float(rounded)) > limit:
            rounded = np.nextafter(rounded, -rounded.dtype.type(math.inf))
    return float(rounded)


def _kept_on_host(
    adapter: Adapter, boxes: Array, logits: Array, labels: Array | None, valid: Array, settings: dict[str, Any]
) -> Array:
    """Indices (N, D) of what is kept of each picture, by the Numba loop."""
    arrays = [None if array is None else adapter.to_numpy(array) for array in (boxes, logits, labels, valid)]
    rows = [
        kept_on_host(*(None if array is None else array[picture] for array in arrays), **settings)
        for picture in range(boxes.shape[0])
    ]
    return adapter.asarray(np.asarray(rows, dtype=np.int64).reshape(boxes.shape[0], settings["count"]), like=boxes)


def _gathered(xp: Any, kept: Array, boxes: Array, logits: Array, labels: Array) -> Detections:
    """What belongs to the kept indices (N, D), of which -1 is none."""
    valid = kept >= 0
    if boxes.shape[1] == 0:
        # There is nothing to take from.
        shape, device = tuple(kept.shape), device_of(kept)
        boxes = xp.zeros((*shape, 4), dtype=boxes.dtype, device=device)
        scores = xp.zeros(shape, dtype=logits.dtype, device=device)
        return Detections(boxes, scores, kept, valid, xp.sum(kept + 1, axis=-1))
    index = xp.where(valid, kept, 0)
    scores = _sigmoid(xp, xp.take_along_axis(logits, index, axis=-1))
    return Detections(
        xp.where(valid[..., None], xp.take_along_axis(boxes, index[..., None], axis=-2), 0.0),
        xp.where(valid, scores, 0.0),
        xp.where(valid, xp.take_along_axis(labels, index, axis=-1), -1),
        valid,
        xp.sum(xp.astype(valid, kept.dtype), axis=-1),
    )


def _sigmoid(xp: Any, logits: Array) -> Array:
    """The logistic function without overflow."""
    power = xp.exp(-xp.abs(logits))
    return xp.where(logits >= 0, 1.0, power) / (1.0 + power)
