"""Boxes: areas, overlaps, and the picture's border."""

from typing import Any

from focal_ref.detection._arrays import Array, adapter_of, check_array, check_boxes, good_boxes

__all__ = ["box_area", "box_iou", "clip_boxes"]


def box_area(boxes: Array, /, *, offset: int = 0) -> Array:
    """Area of boxes.

    Parameters
    ----------
    boxes : array
        Shape (..., B, 4): corners (x1, y1, x2, y2) in pixels.
    offset : {0, 1}, default 0
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide.

    Returns
    -------
    array
        Shape (..., B) in square pixels: float32 or float64 as the boxes, float32 for narrower types, float64 for
        wider integers.

    Raises
    ------
    TypeError, ValueError
        For another dtype, shape or offset, and on the host for the first box that is not finite or has no area.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import box_area
    >>> box_area(np.array([[0.0, 0.0, 10.0, 5.0]])), box_area(np.array([[0.0, 0.0, 9.0, 4.0]]), offset=1)
    (array([50.]), array([50.]))
    """
    adapter = adapter_of(boxes)
    check_offset(offset)
    boxes = check_boxes(adapter, "boxes", boxes, offset=offset)
    return area_of(adapter.namespace(boxes), boxes, offset)


def box_iou(boxes1: Array, boxes2: Array, /, *, crowd: Array | None = None, offset: int = 0) -> Array:
    r"""Intersection over union of every box of one set with every box of another.

    .. math:: IoU(a, b) = \frac{|a \cap b|}{|a| + |b| - |a \cap b|}

    Computed in the boxes' dtype, with nothing added to the denominator: of integer boxes whose union is below 2^24
    (float32) or 2^53 (float64) it is the correctly rounded quotient, so that 1/2 is exactly 0.5, and 2/5 the number
    nearest to 0.4. Every library gives the same bits, compiled or not.

    Parameters
    ----------
    boxes1 : array
        Shape (..., A, 4): corners (x1, y1, x2, y2) in pixels.
    boxes2 : array
        Shape (..., B, 4), the same leading axes or none.
    crowd : array, optional
        Booleans, shape (..., B): for such boxes of the second set the denominator is the area of the first box alone,
        as COCO's evaluation counts a crowd.
    offset : {0, 1}, default 0
        1 for the convention in which a box from x1 to x2 is ``x2 - x1 + 1`` wide, in areas and intersections alike.

    Returns
    -------
    array
        Shape (..., A, B), in [0, 1]; float32 or float64 as the wider of the two, float32 for narrower types.

    Raises
    ------
    TypeError, ValueError
        For other dtypes, shapes or offsets, and on the host for the first box that is not finite or has no area;
        elsewhere its overlaps are NaN.

    Notes
    -----
    The matrix takes A x B numbers, and computing it about five times as much; `match_anchors` needs neither.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4 (anchors).

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import box_iou
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 15.0, 15.0]])
    >>> ground_truth = np.array([[0.0, 0.0, 10.0, 20.0]])
    >>> box_iou(anchors, ground_truth)
    array([[0.5],
           [0.2]])
    >>> box_iou(anchors, ground_truth, crowd=np.array([True]))
    array([[1. ],
           [0.5]])
    """
    adapter = adapter_of(boxes1)
    check_offset(offset)
    xp = adapter.namespace(boxes1)
    boxes1 = check_boxes(adapter, "boxes1", boxes1, offset=offset)
    boxes2 = check_boxes(adapter, "boxes2", boxes2, offset=offset)
    leading1, leading2 = tuple(boxes1.shape[:-2]), tuple(boxes2.shape[:-2])
    if leading1 != leading2 and leading1 and leading2:
        raise ValueError(
            f"boxes2: got shape {tuple(boxes2.shape)}; boxes1 have shape {tuple(boxes1.shape)}, "
            "leading axes are equal or only one of the two has them"
        )
    boxes1, boxes2 = same_dtype(xp, boxes1, boxes2)
    overlap = intersections(xp, boxes1, boxes2, offset)
    own = area_of(xp, boxes1, offset)[..., :, None]
    union = union_of(own, area_of(xp, boxes2, offset)[..., None, :], overlap)
    if crowd is not None:
        check_array(adapter, "crowd", crowd, "bool")
        if tuple(crowd.shape) != tuple(boxes2.shape[:-1]):
            raise ValueError(f"crowd: got shape {tuple(crowd.shape)}; it is {tuple(boxes2.shape[:-1])}, one a box")
        union = xp.where(crowd[..., None, :], own, union)
    iou = overlap / union
    if adapter.is_host(iou):
        return iou
    good = good_boxes(xp, boxes1, offset)[..., :, None] & good_boxes(xp, boxes2, offset)[..., None, :]
    return xp.where(good, iou, xp.nan)


def clip_boxes(boxes: Array, image_size: tuple[int, int], /, *, offset: int = 0) -> Array:
    """Boxes moved to the inside of a picture, corner by corner.

    Parameters
    ----------
    boxes : array
        Shape (..., B, 4): corners (x1, y1, x2, y2) in pixels. They may have no area, before and after.
    image_size : tuple of int
        Height and width of the picture in pixels, each at least 1.
    offset : {0, 1}, default 0
        With 1 the last pixel's index is the border: ``width - 1`` and ``height - 1``.

    Returns
    -------
    array
        Shape and dtype of the boxes; NaN stays NaN.

    Raises
    ------
    TypeError, ValueError
        For other dtypes, shapes, offsets or sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import clip_boxes
    >>> clip_boxes(np.array([[-16.0, -16.0, 16.0, 16.0]]), (100, 8))
    array([[ 0.,  0.,  8., 16.]])
    """
    adapter = adapter_of(boxes)
    check_offset(offset)
    height, width = check_image_size(image_size)
    boxes = check_boxes(adapter, "boxes", boxes, values=False)
    xp = adapter.namespace(boxes)
    columns = []
    for index, last in enumerate((width, height, width, height)):
        corner = boxes[..., index]
        corner = xp.where(corner < 0, xp.zeros_like(corner), corner)
        columns.append(xp.where(corner > last - offset, xp.full_like(corner, last - offset), corner))
    return xp.stack(columns, axis=-1)


def check_offset(offset: Any) -> None:
    """Raise unless the offset is 0 or 1."""
    if isinstance(offset, bool) or offset not in (0, 1):
        raise ValueError(f"offset: got {offset!r}; it is 0, or 1 for boxes whose last pixel counts")


def check_image_size(image_size: Any) -> tuple[int, int]:
    """Height and width as integers of at least 1."""
    try:
        height, width = (side.__index__() for side in image_size)
    except (TypeError, ValueError, AttributeError):
        height = width = 0
    if height < 1 or width < 1:
        raise ValueError(f"image_size: got {image_size!r}; it is (height, width) in pixels, integers of at least 1")
    return height, width


def same_dtype(xp: Any, first: Array, second: Array) -> tuple[Array, Array]:
    """Two arrays of boxes in the wider of their dtypes."""
    if first.dtype == second.dtype:
        return first, second
    wide = xp.result_type(first, second)
    return xp.astype(first, wide), xp.astype(second, wide)


def area_of(xp: Any, boxes: Array, offset: int) -> Array:
    """Areas, unchecked."""
    return _product(xp, boxes[..., 2] - boxes[..., 0] + offset, boxes[..., 3] - boxes[..., 1] + offset)


def intersections(xp: Any, boxes1: Array, boxes2: Array, offset: int) -> Array:
    """Areas in which each pair overlaps, shape (..., A, B), unchecked."""
    return _product(xp, _overlap(xp, boxes1, boxes2, 0, offset), _overlap(xp, boxes1, boxes2, 1, offset))


def union_of(own: Array, theirs: Array, overlap: Array, exact: bool = True) -> Array:
    """Areas that two boxes cover together; an `exact` union keeps what rounding takes from the sum of the two areas."""
    total = own + theirs
    union = total - overlap
    if not exact:
        return union
    # own + theirs = total + lost, without an error (Knuth's sum of two). Where total needs a bit more than the dtype
    # has, the union of integer boxes still fits, and would be off by one without this.
    back = total - own
    lost = (own - (total - back)) + (theirs - back)
    return union + lost


def _overlap(xp: Any, boxes1: Array, boxes2: Array, side: int, offset: int) -> Array:
    low = xp.maximum(boxes1[..., :, None, side], boxes2[..., None, :, side])
    high = xp.minimum(boxes1[..., :, None, side + 2], boxes2[..., None, :, side + 2])
    length = high - low + offset
    return xp.where(length < 0, xp.zeros_like(length), length)


def _product(xp: Any, width: Array, height: Array) -> Array:
    # A compiler may contract a product and the sum that it enters into one instruction with one rounding, here and not
    # there: the same pair then has two overlaps, and ties and thresholds come out differently. Nothing can be
    # contracted across the choice, which for finite areas changes no value.
    area = width * height
    largest = xp.finfo(area.dtype).max
    return xp.where(area > largest, xp.full_like(area, largest), area)
