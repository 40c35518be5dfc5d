"""Box coding: ground truths as offsets from anchors, and back."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from focal_ref._arguments import check_choice
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
from focal_ref.detection.boxes import check_offset

__all__ = ["CLAMP", "decode_boxes", "encode_boxes"]

CLAMP = math.log(1000.0 / 16.0)
"""Default limit of the offsets of width and height in `decode_boxes`: a box is at most 62.5 anchors wide."""


def encode_boxes(
    gt_boxes: Array,
    anchors: Array,
    /,
    *,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    offset: int = 0,
    form: Literal["centers", "corners"] = "centers",
) -> Array:
    r"""Offsets of boxes from anchors, which a box head learns to predict.

    .. math:: \left(w_x \frac{x - x_a}{w_a},\ w_y \frac{y - y_a}{h_a},\ w_w \log\frac{w}{w_a},\
        w_h \log\frac{h}{h_a}\right)

    with the box's center (x, y), width w and height h, those of the anchor with the index a, and the `weights`
    :math:`(w_x, w_y, w_w, w_h)`. ``form="corners"`` is :math:`(x_1 - x_{1a})/w_a`, :math:`(y_1 - y_{1a})/h_a`,
    :math:`(x_2 - x_{2a})/w_a`, :math:`(y_2 - y_{2a})/h_a`, each times its weight.

    Parameters
    ----------
    gt_boxes : array
        Shape (..., A, 4): corners (x1, y1, x2, y2) in pixels, one box for each anchor.
    anchors : array
        Shape (..., A, 4); leading axes of both broadcast.
    weights : sequence of four numbers, default (1, 1, 1, 1)
        Factors of the offsets, finite and > 0. RetinaNet has none; Faster R-CNN has (10, 10, 5, 5), which others call
        variances of (0.1, 0.1, 0.2, 0.2); keras-retinanet has (5, 5, 5, 5), its standard deviations of 0.2, in the
        corner form.
    offset : {0, 1}, default 0
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide (Detectron).
    form : {"centers", "corners"}, default "centers"
        "corners" for keras-retinanet.

    Returns
    -------
    array
        Shape (..., A, 4); float32 or float64 as the wider of the two, float32 for narrower types. Differentiable in
        both arrays. Away from the host, NaN where a box or its anchor is not finite or has no area.

    Raises
    ------
    TypeError, ValueError
        For other dtypes, shapes and options, and on the host for the first box that is not finite or has no area.

    References
    ----------
    .. [1] Girshick, Donahue, Darrell, Malik, "Rich feature hierarchies for accurate object detection and semantic
       segmentation", CVPR 2014, arXiv:1311.2524, appendix C.
    .. [2] Ren, He, Girshick, Sun, "Faster R-CNN", NeurIPS 2015, arXiv:1506.01497, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import encode_boxes
    >>> encode_boxes(np.array([[1.0, 0.0, 11.0, 20.0]]), np.array([[0.0, 0.0, 10.0, 10.0]])).round(4)
    array([[0.1   , 0.5   , 0.    , 0.6931]])
    """
    adapter = adapter_of(gt_boxes)
    factors = _options(weights, offset, form)
    gt_boxes = check_boxes(adapter, "gt_boxes", gt_boxes, offset=offset)
    anchors = check_boxes(adapter, "anchors", anchors, offset=offset)
    xp, gt_boxes, anchors = _pair(adapter, "gt_boxes", gt_boxes, anchors)
    good = good_boxes(xp, gt_boxes, offset) & good_boxes(xp, anchors, offset)
    # A box without area would give infinite derivatives, which not even `where` keeps out.
    gt_boxes, anchors = _replaced(xp, gt_boxes, good), _replaced(xp, anchors, good)
    x, y, width, height = _centers(gt_boxes, offset)
    anchor_x, anchor_y, anchor_width, anchor_height = _centers(anchors, offset)
    if form == "corners":
        sizes = (anchor_width, anchor_height, anchor_width, anchor_height)
        deltas = [factors[k] * (gt_boxes[..., k] - anchors[..., k]) / sizes[k] for k in range(4)]
    else:
        deltas = [
            factors[0] * (x - anchor_x) / anchor_width,
            factors[1] * (y - anchor_y) / anchor_height,
            factors[2] * xp.log(width / anchor_width),
            factors[3] * xp.log(height / anchor_height),
        ]
    return xp.where(good[..., None], xp.stack(deltas, axis=-1), xp.nan)


def decode_boxes(
    deltas: Array,
    anchors: Array,
    /,
    *,
    weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    offset: int = 0,
    clamp: float | None = CLAMP,
    form: Literal["centers", "corners"] = "centers",
) -> Array:
    r"""Boxes from offsets to anchors: the inverse of `encode_boxes`.

    .. math:: x = x_a + w_a \frac{d_x}{w_x}, \quad w = w_a \exp \min\left(\frac{d_w}{w_w}, clamp\right)

    and likewise y and h; the corners are ``x - w / 2`` and ``x + w / 2 - offset``.

    Parameters
    ----------
    deltas : array
        Shape (..., A, 4): a floating dtype. NaN gives NaN.
    anchors : array
        Shape (..., A, 4): corners (x1, y1, x2, y2) in pixels; leading axes of both broadcast.
    weights, offset, form
        As in `encode_boxes`.
    clamp : float or None, default log(1000/16)
        What the offsets of width and height, over their weights, are at most; None for no limit. The corner form has no
        exponential, and no limit.

    Returns
    -------
    array
        Shape (..., A, 4): corners (x1, y1, x2, y2); float32 or float64 as the wider of the two, float32 for narrower
        types. Differentiable in both arrays; above the limit, a box does not depend on the offset. Away from the host,
        NaN where the anchor is not finite or has no area.

    Raises
    ------
    TypeError, ValueError
        For other dtypes, shapes and options, and on the host for the first anchor that is not finite or has no area.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import decode_boxes
    >>> decode_boxes(np.array([[0.1, 0.5, 0.0, np.log(2.0)]]), np.array([[0.0, 0.0, 10.0, 10.0]])).round(4)
    array([[ 1.,  0., 11., 20.]])
    """
    adapter = adapter_of(deltas)
    factors = _options(weights, offset, form)
    if clamp is not None and (not _is_number(clamp) or math.isnan(clamp)):
        raise ValueError(f"clamp: got {clamp!r}; a number, or None for no limit")
    deltas = as_box_dtype(adapter, check_array(adapter, "deltas", deltas, "real floating", ("A", 4)))
    anchors = check_boxes(adapter, "anchors", anchors, offset=offset)
    xp, deltas, anchors = _pair(adapter, "deltas", deltas, anchors)
    good = good_boxes(xp, anchors, offset)
    anchors = _replaced(xp, anchors, good)
    anchor_x, anchor_y, anchor_width, anchor_height = _centers(anchors, offset)
    # Offsets so large that their box overflows make infinite boxes, or NaN; NumPy need not warn of them too.
    with quiet(adapter, deltas):
        first, second, third, fourth = (deltas[..., k] / factors[k] for k in range(4))
        if form == "corners":
            boxes = [
                anchors[..., 0] + first * anchor_width,
                anchors[..., 1] + second * anchor_height,
                anchors[..., 2] + third * anchor_width,
                anchors[..., 3] + fourth * anchor_height,
            ]
        else:
            x, y = first * anchor_width + anchor_x, second * anchor_height + anchor_y
            half_width = 0.5 * (xp.exp(_limited(xp, third, clamp)) * anchor_width)
            half_height = 0.5 * (xp.exp(_limited(xp, fourth, clamp)) * anchor_height)
            boxes = [x - half_width, y - half_height, x + half_width - offset, y + half_height - offset]
    return xp.where(good[..., None], xp.stack(boxes, axis=-1), xp.nan)


def _options(weights: Any, offset: Any, form: Any) -> tuple[float, ...]:
    """The weights as floats, after a check of what both directions share."""
    check_offset(offset)
    check_choice("form", form, ("centers", "corners"))
    factors = tuple(weights) if isinstance(weights, (tuple, list)) else ()
    if len(factors) != 4 or not all(_is_number(factor) and math.isfinite(factor) and factor > 0 for factor in factors):
        raise ValueError(f"weights: got {weights!r}; four finite numbers > 0, such as (10.0, 10.0, 5.0, 5.0)")
    return tuple(float(factor) for factor in factors)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _pair(adapter: Adapter, name: str, array: Array, anchors: Array) -> tuple[Any, Array, Array]:
    """The namespace, and both arrays with one dtype and one shape."""
    xp = adapter.namespace(array)
    shape, other = tuple(array.shape), tuple(anchors.shape)
    # The axis of anchors is the same thing in both; a length of 1 does not stand for all.
    fits = shape[-2] == other[-2] and all(
        1 in lengths or lengths[0] == lengths[1] for lengths in zip(shape[-3::-1], other[-3::-1], strict=False)
    )
    if not fits:
        raise ValueError(f"anchors: got shape {other} with {name} of shape {shape}; one anchor for each of the {name}")
    dtype = xp.result_type(array, anchors)
    array, anchors = xp.broadcast_arrays(xp.astype(array, dtype), xp.astype(anchors, dtype))
    return xp, array, anchors


def _replaced(xp: Any, boxes: Array, good: Array) -> Array:
    """Boxes with a square in the place of those that are not good."""
    unit = xp.asarray([0.0, 0.0, 1.0, 1.0], dtype=boxes.dtype, device=device_of(boxes))
    return xp.where(good[..., None], boxes, unit)


def _centers(boxes: Array, offset: int) -> tuple[Array, Array, Array, Array]:
    """Centers, widths and heights."""
    width = boxes[..., 2] - boxes[..., 0] + offset
    height = boxes[..., 3] - boxes[..., 1] + offset
    return boxes[..., 0] + 0.5 * width, boxes[..., 1] + 0.5 * height, width, height


def _limited(xp: Any, values: Array, limit: float | None) -> Array:
    """Values, at most the limit; NaN stays NaN, and at the limit the derivative is 1."""
    return values if limit is None else xp.where(values > limit, limit, values)
