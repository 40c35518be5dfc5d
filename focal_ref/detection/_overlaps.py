"""The best overlaps between anchors and ground truths, without the matrix of all pairs.

Two ways to the same bits: fused loops where arrays are NumPy's in memory, and array operations on blocks of anchors
everywhere else. Overlaps are computed a second time where ties are looked for; nothing in the arithmetic depends on how
a compiler arranges it (`focal_ref.detection.boxes`), so that the second time gives the same bits.
"""

from typing import Any, NamedTuple

import numpy as np

from focal_ref.detection._arrays import Adapter, Array, device_of
from focal_ref.detection.boxes import area_of, intersections, union_of
from focal_ref.detection.matching_options import MatchingOptions

PAIRS = 1 << 18
"""Pairs a block: 1 MiB of float32 for each of up to eight arrays at a time, so 32 bytes a pair, and 64 in float64."""

UNDEFINED = 2.0
"""Stands for an overlap that is NaN and beats all others."""


class Overlaps(NamedTuple):
    """What matching needs to know of all pairs.

    Attributes
    ----------
    best
        (N, A), the largest IoU of each anchor with a valid ground truth; 0 without one, UNDEFINED where one is NaN.
    best_box
        (N, A), the first ground truth that reaches it; of those that are valid.
    owner
        (N, A), the ground truth that promotes the anchor, -1 where none does; None where nothing is promoted.
    """

    best: Array
    best_box: Array
    owner: Array | None


def kernel_overlaps(anchors: Any, anchor_valid: Any, boxes: Any, box_valid: Any, options: MatchingOptions) -> Overlaps:
    """Overlaps of NumPy arrays by the fused loops; every box that a mask leaves is finite and has an area.

    Parameters
    ----------
    anchors
        Shape (A, 4) or (N, A, 4), the dtype of the boxes.
    anchor_valid
        Shape (A,) or (N, A).
    boxes
        Shape (N, G, 4), with G at least 1.
    box_valid
        Shape (N, G).
    options
        How anchors are matched.
    """
    pictures, count = boxes.shape[0], anchors.shape[-2]
    best = np.zeros((pictures, count), anchors.dtype)
    # Half as long as an index, so that they take less memory than the result.
    best_box = np.empty((pictures, count), np.int32)
    owner = None if options.low_quality == "none" else np.full((pictures, count), -1, np.int32)
    anchors = np.broadcast_to(anchors, (pictures, count, 4))
    anchor_valid = np.broadcast_to(anchor_valid, (pictures, count))
    for picture in range(pictures):
        _kernel_picture(
            anchors[picture],
            anchor_valid[picture],
            boxes[picture],
            box_valid[picture],
            options,
            best[picture],
            best_box[picture],
            None if owner is None else owner[picture],
        )
    return Overlaps(best, best_box, owner)


def _kernel_picture(
    anchors: Any,
    anchor_valid: Any,
    boxes: Any,
    box_valid: Any,
    options: MatchingOptions,
    best: Any,
    best_box: Any,
    owner: Any,
) -> None:
    from focal_ref._kernels.overlaps import best_overlaps, scratch, tied_overlaps

    best_box[...] = np.argmax(box_valid)
    by_box, first = np.zeros(len(boxes), anchors.dtype), np.full(len(boxes), np.argmax(anchor_valid))
    pairs = (anchors, anchor_valid, boxes, box_valid, options.offset, options.epsilon, options.exact_union)
    best_overlaps(owner is not None)(*pairs, best, best_box, by_box, first, *scratch(anchors.dtype))
    if owner is None:
        return
    last = options.low_quality_owner == "forcing_last"
    apart = np.flatnonzero(box_valid & (by_box == 0.0)) if not options.low_quality_overlap else np.array([], np.intp)
    promoting = box_valid & (by_box > 0.0)
    if options.low_quality_ties == "first":
        for box in sorted([*np.flatnonzero(promoting), *apart], reverse=not last):
            if anchor_valid[first[box]]:
                owner[first[box]] = box
        return
    tied_overlaps(anchors, anchor_valid, boxes, promoting, *pairs[4:], by_box, last, owner)
    if apart.size:
        # Every anchor ties at 0 for a ground truth that overlaps none.
        box = apart[-1] if last else apart[0]
        takes = anchor_valid & ((owner < box) if last else (owner < 0) | (owner > box))
        owner[takes] = box


def array_overlaps(
    adapter: Adapter, anchors: Array, anchor_valid: Array, boxes: Array, box_valid: Array, options: MatchingOptions
) -> Overlaps:
    """Overlaps by array operations on blocks of anchors; arguments as in `kernel_overlaps`, and one anchor at least.

    Takes memory for about eight times `PAIRS` numbers beside a copy of the anchors, however many pairs there are.
    """
    return _Blocks(adapter, anchors, anchor_valid, boxes, box_valid, options).overlaps()


class _Blocks:
    """The anchors of all pictures in blocks, and what is computed of one."""

    def __init__(
        self,
        adapter: Adapter,
        anchors: Array,
        anchor_valid: Array,
        boxes: Array,
        box_valid: Array,
        options: MatchingOptions,
    ) -> None:
        self.adapter, self.xp, self.options = adapter, adapter.namespace(boxes), options
        self.boxes, self.box_valid = boxes, box_valid
        self.count = anchors.shape[-2]
        pictures, number = boxes.shape[0], boxes.shape[1]
        self.length = max(1, min(self.count, PAIRS // (pictures * number)))
        self.blocks = -(-self.count // self.length)
        self.device = device_of(boxes)
        self.numbers = self.xp.arange(number, device=self.device)
        self.items = (
            self._split(anchors, self.xp.zeros_like(anchors[..., :1, :])),
            self._split(anchor_valid[..., None], self.xp.zeros_like(anchor_valid[..., :1, None])),
            # Positions of the anchors, (blocks, length).
            self.xp.reshape(self.xp.arange(self.blocks * self.length, device=self.device), (self.blocks, self.length)),
        )

    def overlaps(self) -> Overlaps:
        """Both passes."""
        xp, boxes, options = self.xp, self.boxes, self.options
        below = xp.full(boxes.shape[:2], -1.0, dtype=boxes.dtype, device=self.device)
        start = (below, xp.zeros(boxes.shape[:2], dtype=self.numbers.dtype, device=self.device))
        (by_box, first), (best, best_box) = self.adapter.scan(self._best, start, self.items)
        owner = None
        if options.low_quality != "none":
            reaches = by_box > 0.0 if options.low_quality_overlap else by_box >= 0.0
            # A NaN equals nothing, so that it promotes nothing.
            promoting = reaches & (by_box < UNDEFINED) & self.box_valid

            def promote(carry: Array, items: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
                return carry, (self._owner(by_box, first, promoting, items),)

            owner = self._join(self.adapter.scan(promote, below, self.items)[1][0])
        return Overlaps(self._join(best), self._join(best_box), owner)

    def _split(self, values: Array, filler: Array) -> Array:
        """Values (..., A, K) as (blocks, ..., length, K), the last block filled up."""
        xp, missing = self.xp, self.blocks * self.length - self.count
        if missing:
            shape = (*values.shape[:-2], missing, values.shape[-1])
            values = xp.concat([values, xp.broadcast_to(filler, shape)], axis=-2)
        values = xp.reshape(values, (*values.shape[:-2], self.blocks, self.length, values.shape[-1]))
        return xp.moveaxis(values, -3, 0)

    def _join(self, blocks: Array) -> Array:
        """Results (blocks, N, length) as (N, A)."""
        joined = self.xp.moveaxis(blocks, 0, 1)
        return self.xp.reshape(joined, (joined.shape[0], self.blocks * self.length))[:, : self.count]

    def _pairs(self, anchors: Array, anchor_valid: Array) -> Array:
        """IoU (N, length, G) of a block; -1 where a mask excludes the anchor or the box."""
        xp, options = self.xp, self.options
        overlap = intersections(xp, anchors, self.boxes, options.offset)
        own, theirs = area_of(xp, anchors, options.offset), area_of(xp, self.boxes, options.offset)
        union = union_of(own[..., :, None], theirs[..., None, :], overlap, options.exact_union)
        iou = overlap / (union + options.epsilon if options.epsilon else union)
        iou = xp.where(xp.isnan(iou), 0.0 if options.undefined == "zero" else UNDEFINED, iou)
        return xp.where(self.box_valid[:, None, :] & anchor_valid, iou, -1.0)

    def _best(self, carry: tuple[Array, Array], items: tuple[Array, ...]) -> tuple[Any, tuple[Array, ...]]:
        xp = self.xp
        anchors, anchor_valid, positions = items
        iou = self._pairs(anchors, anchor_valid)
        best, best_box = xp.max(iou, axis=-1), xp.argmax(iou, axis=-1)
        by_box, first = xp.max(iou, axis=-2), positions[0] + xp.argmax(iou, axis=-2)
        larger = by_box > carry[0]
        carry = xp.where(larger, by_box, carry[0]), xp.where(larger, first, carry[1])
        # Without an overlap the first valid ground truth stands for all.
        nothing = best < 0.0
        first_valid = xp.argmax(xp.astype(self.box_valid, self.numbers.dtype), axis=-1)[:, None]
        best_box = xp.where(nothing, first_valid, best_box)
        return carry, (xp.where(nothing, 0.0, best), best_box)

    def _owner(self, by_box: Array, first: Array, promoting: Array, items: tuple[Array, ...]) -> Array:
        xp = self.xp
        anchors, anchor_valid, positions = items
        if self.options.low_quality_ties == "first":
            tied = (positions[:, None] == first[:, None, :]) & anchor_valid
        else:
            tied = self._pairs(anchors, anchor_valid) == by_box[:, None, :]
        tied = tied & promoting[:, None, :]
        if self.options.low_quality_owner == "forcing_last":
            return xp.max(xp.where(tied, self.numbers, -1), axis=-1)
        beyond = self.boxes.shape[1]
        owner = xp.min(xp.where(tied, self.numbers, beyond), axis=-1)
        return xp.where(owner == beyond, -1, owner)

    def covered(self, least: float) -> Array:
        """Anchors (N, A) of whose area some valid box covers at least this share."""

        def step(carry: Array, items: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
            anchors, anchor_valid, _ = items
            share = intersections(self.xp, anchors, self.boxes, self.options.offset)
            share = share / area_of(self.xp, anchors, self.options.offset)[..., :, None]
            limit = self.xp.asarray(least, dtype=share.dtype, device=self.device)
            return carry, (self.xp.any((share >= limit) & self.box_valid[:, None, :] & anchor_valid, axis=-1),)

        return self._join(self.adapter.scan(step, self.boxes, self.items)[1][0])


def covered_anchors(
    adapter: Adapter,
    anchors: Array,
    anchor_valid: Array,
    boxes: Array,
    box_valid: Array,
    options: MatchingOptions,
    least: float,
) -> Array:
    """Anchors (N, A) of whose area a valid box covers at least the share `least`, in blocks of anchors."""
    return _Blocks(adapter, anchors, anchor_valid, boxes, box_valid, options).covered(least)


def claimed_boxes(adapter: Adapter, index: Array, number: int) -> Array:
    """Which of a number of boxes (N, G) an index (N, A) names; -1 names none."""
    xp = adapter.namespace(index)
    if adapter.shares_memory and adapter.is_host(index):
        claimed = np.zeros((index.shape[0], number + 1), bool)
        for picture, named in enumerate(adapter.to_numpy(index)):
            claimed[picture, named] = True
        return adapter.asarray(claimed[:, :number], like=index)
    numbers = xp.arange(number, device=device_of(index))
    length = max(1, min(index.shape[1], PAIRS // max(1, index.shape[0] * number)))
    blocks = -(-index.shape[1] // length)
    filler = xp.full((index.shape[0], blocks * length - index.shape[1]), -1, dtype=index.dtype, device=device_of(index))
    filled = xp.reshape(xp.concat([index, filler], axis=1), (index.shape[0], blocks, length))

    def step(carry: Array, items: tuple[Array, ...]) -> tuple[Array, tuple[Array, ...]]:
        return carry | xp.any(items[0][:, :, None] == numbers, axis=1), (items[0][:, :1],)

    start = xp.zeros((index.shape[0], number), dtype=xp.bool, device=device_of(index))
    return adapter.scan(step, start, (xp.moveaxis(filled, 1, 0),))[0]
