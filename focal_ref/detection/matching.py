"""Matching: which anchor is a positive of which ground truth, which is background, and which is ignored."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from focal_ref._arguments import check_choice
from focal_ref.detection._arrays import (
    Adapter,
    Array,
    adapter_of,
    check_boxes,
    device_of,
    good_boxes,
    quiet,
)
from focal_ref.detection._overlaps import (
    UNDEFINED,
    Overlaps,
    array_overlaps,
    claimed_boxes,
    covered_anchors,
    kernel_overlaps,
)
from focal_ref.detection.boxes import same_dtype
from focal_ref.detection.matching_options import MatchingOptions, matching_preset

__all__ = ["IGNORED", "NEGATIVE", "POSITIVE", "Matches", "match_anchors"]

POSITIVE = 1
"""State of an anchor that is matched to a ground truth."""
NEGATIVE = 0
"""State of an anchor that no ground truth comes near."""
IGNORED = -1
"""State of an anchor that takes no part in the loss."""


class Matches(NamedTuple):
    """What `match_anchors` returns; A anchors, G ground truths, and for a batch a leading axis of N pictures.

    Attributes
    ----------
    state
        (..., A) int8: 1 positive, 0 background, -1 ignored.
    gt_index
        (..., A) integers: the ground truth of a positive anchor, -1 for all others.
    iou
        (..., A): the largest IoU with a valid ground truth, 0 without one. NaN says that a box was bad where bad boxes
        cannot raise.
    num_positive
        (...,) integers: anchors that are positive, after everything that promotes or masks.
    unmatched
        (..., G) booleans: valid ground truths that no positive anchor belongs to.
    """

    state: Array
    gt_index: Array
    iou: Array
    num_positive: Array
    unmatched: Array


def match_anchors(
    anchors: Array,
    gt_boxes: Array,
    /,
    *,
    preset: str = "paper",
    gt_valid: Array | None = None,
    anchor_valid: Array | None = None,
    ignore_boxes: Array | None = None,
    ignore_valid: Array | None = None,
    ignore_iof: float = 0.5,
    invalid: str = "raise",
    **options: Any,
) -> Matches:
    r"""Match anchors to ground truths by their overlap.

    With :math:`m_a = \max_g IoU(a, g)`, an anchor is positive for the first ground truth that reaches :math:`m_a` if
    :math:`m_a \ge 0.5`, background if :math:`m_a < 0.4`, and ignored in between. A ground truth may have any number of
    positive anchors, and none.

    The matrix of anchors times ground truths is never built.

    Parameters
    ----------
    anchors : array
        Shape (A, 4), corners (x1, y1, x2, y2) in pixels, or (N, A, 4) for a batch with anchors of its own each.
    gt_boxes : array
        Shape (G, 4), or (N, G, 4) for a batch; G may be 0.
    preset : str, default "paper"
        Whose options: "paper", "detectron", "detectron2", "torchvision", "mmdet", "fizyr", "tf_official", "effdet" or
        "keras_hub"; `matching_preset` says what each does.
    gt_valid : array, optional
        Booleans of the shape ``gt_boxes.shape[:-1]``: False where a row is padding, whatever it holds.
    anchor_valid : array, optional
        Booleans of the shape ``anchors.shape[:-1]``: False for anchors that take no part and are ignored, such as
        those whose centre lies outside the picture.
    ignore_boxes : array, optional
        Shape (I, 4), or (N, I, 4) for a batch: regions such as COCO's crowds. An anchor that is not positive is ignored
        if a region covers at least `ignore_iof` of its area.
    ignore_valid : array, optional
        Booleans of the shape ``ignore_boxes.shape[:-1]``.
    ignore_iof : float, default 0.5
        In (0, 1].
    invalid : {"raise", "drop", "keep"}, default "raise"
        What becomes of a box that is not finite or has no area and that no mask excludes: an error, a row that counts
        as masked, or, for ground truths, whatever the arithmetic gives (what detectors do that do not look).
    **options
        Fields of `MatchingOptions` that replace the preset's: positive, negative, negative_closed, low_quality,
        low_quality_owner, low_quality_ties, low_quality_overlap, offset, epsilon, exact_union, undefined.

    Returns
    -------
    Matches
        state, gt_index, iou, num_positive and unmatched, none of which has a derivative.

    Raises
    ------
    TypeError
        For dtypes and libraries that do not fit, and for unknown options.
    ValueError
        For shapes, thresholds out of order, and on the host for the first bad box, with its index and values. Elsewhere
        (JAX, compiled functions, GPUs) a bad ground truth makes all anchors of its picture ignored with an IoU of NaN,
        and a bad anchor itself; `retinanet_loss` is NaN then.

    See Also
    --------
    matching_preset, classification_targets, box_targets

    Notes
    -----
    IoU is computed as in `box_iou`, in the wider of the two dtypes, and decided against thresholds rounded to it: right
    for integer boxes whose union is below 2^24 in float32 or 2^53 in float64. State and index are the same on every
    library, ties included.

    Memory beside the result: on the host a few kilobytes and a copy of the index; elsewhere, on GPUs too, 8 MiB for
    float32 and 16 MiB for float64 (2^18 pairs at a time, of 32 or 64 bytes each) and 32 bytes an anchor, however many
    pairs there are. Nothing is read back from a device.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 4 (anchors).

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.detection import match_anchors
    >>> anchors = np.array([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 5.0], [50.0, 50.0, 60.0, 60.0]])
    >>> matches = match_anchors(anchors, np.array([[0.0, 0.0, 10.0, 4.5]]))
    >>> matches.state, matches.gt_index
    (array([-1,  1,  0], dtype=int8), array([-1,  0, -1]))
    """
    adapter = adapter_of(anchors)
    chosen = _options(preset, options)
    check_choice("invalid", invalid, ("raise", "drop", "keep"))
    if not isinstance(ignore_iof, (int, float)) or isinstance(ignore_iof, bool) or not 0.0 < ignore_iof <= 1.0:
        raise ValueError(f"ignore_iof: got {ignore_iof!r}; a share of the anchor's area in (0, 1]")
    with quiet(adapter, anchors):
        pictures = _Pictures(adapter, anchors, gt_boxes, gt_valid, anchor_valid, chosen, invalid)
        pictures.ignore(ignore_boxes, ignore_valid, float(ignore_iof), invalid)
        return pictures.matches()


def _options(preset: str, given: dict[str, Any]) -> MatchingOptions:
    chosen = matching_preset(preset)
    unknown = [name for name in given if not hasattr(chosen, name)]
    if unknown:
        allowed = ", ".join(MatchingOptions.__dataclass_fields__)
        raise TypeError(f"match_anchors: got an unknown option {unknown[0]!r}; allowed are {allowed}")
    return replace(chosen, **given) if given else chosen


class _Pictures:
    """The checked arrays of a call, always as a batch."""

    def __init__(
        self,
        adapter: Adapter,
        anchors: Array,
        gt_boxes: Array,
        gt_valid: Array | None,
        anchor_valid: Array | None,
        options: MatchingOptions,
        invalid: str,
    ) -> None:
        self.adapter, self.options, self.invalid = adapter, options, invalid
        raises = invalid == "raise"
        anchors = check_boxes(
            adapter, "anchors", anchors, valid=anchor_valid, offset=options.offset, values=invalid != "drop"
        )
        gt_boxes = check_boxes(adapter, "gt_boxes", gt_boxes, valid=gt_valid, offset=options.offset, values=raises)
        self.xp = adapter.namespace(gt_boxes)
        if len(gt_boxes.shape) > 3:
            raise ValueError(f"gt_boxes: got shape {tuple(gt_boxes.shape)}; it is (G, 4) or (N, G, 4)")
        self.batched = len(gt_boxes.shape) == 3
        if len(anchors.shape) == 3 and (not self.batched or anchors.shape[0] != gt_boxes.shape[0]):
            raise ValueError(
                f"anchors: got shape {tuple(anchors.shape)} with gt_boxes of shape {tuple(gt_boxes.shape)}; "
                "it is (A, 4), or (N, A, 4) for a batch of N pictures"
            )
        if len(anchors.shape) > 3:
            raise ValueError(f"anchors: got shape {tuple(anchors.shape)}; it is (A, 4) or (N, A, 4)")
        # Which anchor is matched has no derivative, and a graph of all pairs is not to be kept.
        anchors, gt_boxes = adapter.constant(anchors), adapter.constant(gt_boxes)
        self.anchors, self.boxes = same_dtype(self.xp, anchors, self._lifted(gt_boxes))
        self.box_valid = self._mask(self._lifted(gt_valid), self.boxes)
        self.anchor_valid = self._mask(anchor_valid, self.anchors)
        self.bad_picture: Array | None = None
        self.bad_anchor: Array | None = None
        self.undefined: Array | None = None
        self.covered: Array | None = None
        # On the host bad boxes have raised.
        unchecked = not (adapter.is_host(self.boxes) and adapter.is_host(self.anchors))
        if unchecked or invalid != "raise":
            self._look(unchecked)

    def _look(self, unchecked: bool) -> None:
        """Find the boxes that are not finite or have no area, and treat them as the caller asks."""
        good_box = good_boxes(self.xp, self.boxes, self.options.offset)
        good_anchor = good_boxes(self.xp, self.anchors, self.options.offset)
        bad_box, bad_anchor = self.box_valid & ~good_box, self.anchor_valid & ~good_anchor
        self.anchor_valid = self.anchor_valid & good_anchor
        if self.invalid == "drop":
            self.box_valid = self.box_valid & good_box
        elif self.invalid == "keep":
            self.undefined = bad_box
        else:
            self.bad_picture = self.xp.any(bad_box, axis=-1)[:, None]
        if unchecked and self.invalid != "drop":
            self.bad_anchor = bad_anchor

    def ignore(self, boxes: Array | None, valid: Array | None, least: float, invalid: str) -> None:
        """Take note of the anchors that regions to ignore cover."""
        if boxes is None:
            if valid is not None:
                raise ValueError("ignore_valid: got a mask without ignore_boxes")
            return
        boxes = check_boxes(
            self.adapter, "ignore_boxes", boxes, valid=valid, offset=self.options.offset, values=invalid == "raise"
        )
        if len(boxes.shape) != (3 if self.batched else 2) or (self.batched and boxes.shape[0] != self.boxes.shape[0]):
            wanted = f"({self.boxes.shape[0]}, I, 4)" if self.batched else "(I, 4)"
            raise ValueError(f"ignore_boxes: got shape {tuple(boxes.shape)}; it is {wanted}, as gt_boxes")
        boxes = self.xp.astype(self._lifted(boxes), self.boxes.dtype)
        mask = self._mask(self._lifted(valid), boxes) & good_boxes(self.xp, boxes, self.options.offset)
        if boxes.shape[1] and self.anchors.shape[-2]:
            self.covered = covered_anchors(
                self.adapter, self.anchors, self.anchor_valid, boxes, mask, self.options, least
            )

    def matches(self) -> Matches:
        """Compare, decide, and give the result the shape of the call."""
        xp, options = self.xp, self.options
        best, best_box, owner = self._overlaps()
        positive = best >= self._limit(options.positive)
        lower = self._limit(options.negative)
        background = best <= lower if options.negative_closed else best < lower
        if self.undefined is not None and options.undefined in ("ignored", "background"):
            unknown = best == UNDEFINED
            positive = positive & ~unknown
            background = background | unknown if options.undefined == "background" else background
        index = best_box
        if owner is not None:
            promoted = owner >= 0
            if options.low_quality == "band":
                promoted = promoted & ~(background | positive)
            positive = positive | promoted
            if options.low_quality_owner != "argmax":
                index = xp.where(promoted, owner, index)
        del best_box, owner
        ignored = ~(positive | background) | ~self.anchor_valid
        if self.covered is not None:
            ignored = ignored | (self.covered & ~positive)
        positive = positive & self.anchor_valid
        for bad in (self.bad_picture, self.bad_anchor):
            if bad is not None:
                positive, ignored = positive & ~bad, ignored | bad
                best = xp.where(bad, xp.nan, best)
        if self.undefined is not None:
            best = xp.where(best == UNDEFINED, xp.nan, best)
        state = xp.astype(positive, xp.int8) - xp.astype(ignored, xp.int8)
        index = xp.astype(xp.where(positive, index, -1), self._index_dtype())
        claimed = claimed_boxes(self.adapter, index, self.boxes.shape[1])
        count = xp.sum(xp.astype(positive, xp.int8), axis=-1, dtype=index.dtype)
        results = state, index, best, count, self.box_valid & ~claimed
        return Matches(*(result if self.batched else result[0, ...] for result in results))

    def _overlaps(self) -> Overlaps:
        xp, adapter = self.xp, self.adapter
        shape = (self.boxes.shape[0], self.anchors.shape[-2])
        if 0 in (*shape, self.boxes.shape[1]):
            return Overlaps(
                xp.zeros(shape, dtype=self.boxes.dtype, device=device_of(self.boxes)),
                xp.zeros(shape, dtype=self._index_dtype(), device=device_of(self.boxes)),
                None,
            )
        arrays = self.anchors, self.anchor_valid, self.boxes, self.box_valid
        in_memory = adapter.shares_memory and all(adapter.is_host(array) for array in arrays)
        if not in_memory or (self.undefined is not None and bool(xp.any(self.undefined))):
            return array_overlaps(adapter, *arrays, self.options)
        anchors, anchor_valid, boxes, box_valid = (np.ascontiguousarray(adapter.to_numpy(array)) for array in arrays)
        found = kernel_overlaps(anchors, anchor_valid, boxes, box_valid, self.options)
        return Overlaps(*(None if array is None else adapter.asarray(array, like=self.boxes) for array in found))

    def _index_dtype(self) -> Any:
        return self.xp.arange(1, device=device_of(self.boxes)).dtype

    def _lifted(self, array: Array | None) -> Array | None:
        return array if array is None or self.batched else array[None, ...]

    def _mask(self, valid: Array | None, boxes: Array) -> Array:
        if valid is not None:
            return valid
        return self.xp.ones(boxes.shape[:-1], dtype=self.xp.bool, device=device_of(boxes))

    def _limit(self, threshold: float) -> Array:
        return self.xp.asarray(threshold, dtype=self.boxes.dtype, device=device_of(self.boxes))
