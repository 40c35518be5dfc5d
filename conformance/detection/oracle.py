"""Overlap of boxes and the matching of anchors, in rational arithmetic.

Coordinates are taken as the rational numbers that they are, thresholds as the decimal fractions that are printed (2/5,
not the float nearest to 0.4), and decisions compare fractions: nothing is ever rounded.

>>> from focal_ref.conformance.detection.oracle import Options, iou, match
>>> iou([0, 0, 10, 10], [0, 0, 10, 4])
Fraction(2, 5)
>>> match([[0, 0, 10, 10], [0, 0, 10, 4]], [[0, 0, 10, 4]]).codes
('I', 'P0')
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from focal_ref.conformance.formats import FORMATS, exact_value, round_to_format

__all__ = ["PRESETS", "Answer", "BadBox", "Box", "Options", "area", "coverage", "intersection", "iou", "match"]

Box = Sequence[float]
"""Corners (x1, y1, x2, y2)."""

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1
"""States of an anchor."""


class BadBox(ValueError):
    """A ground truth that is not finite or has no area, where the options say that it raises."""


@dataclass(frozen=True)
class Options:
    """What decides about anchors; the default is the paper's text.

    Attributes
    ----------
    positive, negative
        An IoU of at least `positive` makes a positive anchor, one below `negative` a negative one.
    negative_closed
        Whether an IoU of exactly `negative` is negative too.
    low_quality
        Which anchors with the best IoU of a ground truth are promoted: "none", "band" (those whose best IoU is between
        the thresholds) or "all".
    low_quality_overlap
        Whether the best IoU of a ground truth has to be above 0 to promote; False in libraries that compare with the
        maximum alone.
    low_quality_owner
        Whom a promoted anchor belongs to: "argmax" (its own best ground truth), "forcing_first" or "forcing_last" (the
        first or last ground truth that promotes it).
    low_quality_ties
        "all" anchors that share the best IoU of a ground truth, or the "first" one.
    offset
        1 for the convention that a box from x1 to x2 is x2 - x1 + 1 wide.
    epsilon
        What is added to the union, in the format `format`, in which the sum is rounded; 0 for nothing.
    ignore_iof
        Share of an anchor inside an ignore box from which on it is ignored unless positive.
    invalid
        Of ground truths that are not finite or have no area: "raise"; "drop"; "keep" for what arithmetic makes of them,
        which is an IoU of 0 without area.
    undefined
        With "keep", what a NaN box makes of every anchor: "positive", "ignored", "background"; "zero" is an IoU of 0.
    """

    positive: Fraction = Fraction(1, 2)
    negative: Fraction = Fraction(2, 5)
    negative_closed: bool = False
    low_quality: str = "none"
    low_quality_overlap: bool = True
    low_quality_owner: str = "argmax"
    low_quality_ties: str = "all"
    offset: int = 0
    epsilon: Fraction = Fraction(0)
    format: str = "float32"
    ignore_iof: Fraction = Fraction(1, 2)
    invalid: str = "raise"
    undefined: str = "ignored"


_FORCED = Options(low_quality="all", low_quality_overlap=False)

_TENSORFLOW = replace(_FORCED, negative=Fraction(1, 2), low_quality_owner="forcing_first", low_quality_ties="first")

PRESETS = {
    "paper": Options(),
    "detectron": Options(low_quality="band", offset=1),
    "detectron2": replace(_FORCED, undefined="zero"),
    "torchvision": replace(_FORCED, undefined="positive"),
    "mmdet": replace(_FORCED, low_quality_owner="forcing_last"),
    "fizyr": Options(negative_closed=True, undefined="background"),
    "tf_official": _TENSORFLOW,
    "effdet": replace(_TENSORFLOW, undefined="positive"),
    "keras_hub": Options(epsilon=Fraction(1, 10**7)),
}
"""What public detectors do, by the names of `focal_ref.detection.matching_preset`."""


@dataclass(frozen=True)
class Answer:
    """What matching gives.

    Attributes
    ----------
    state
        1 positive, 0 negative, -1 ignored, one an anchor.
    gt_index
        Of positive anchors; -1 for others.
    iou
        The best IoU with a valid ground truth, or 0.
    unmatched
        Valid ground truths that own no positive anchor.
    """

    state: tuple[int, ...]
    gt_index: tuple[int, ...]
    iou: tuple[Fraction, ...]
    unmatched: tuple[bool, ...]

    @property
    def codes(self) -> tuple[str, ...]:
        """Each anchor as text: P and the index of its ground truth, B or I."""
        names = {NEGATIVE: "B", IGNORED: "I"}
        return tuple(names.get(state, f"P{index}") for state, index in zip(self.state, self.gt_index, strict=True))


def area(box: Box, offset: int = 0) -> Fraction:
    """Width times height."""
    x1, y1, x2, y2 = map(Fraction, box)
    return (x2 - x1 + offset) * (y2 - y1 + offset)


def intersection(one: Box, other: Box, offset: int = 0) -> Fraction:
    """Area that both boxes cover."""
    width = Fraction(min(one[2], other[2])) - Fraction(max(one[0], other[0])) + offset
    height = Fraction(min(one[3], other[3])) - Fraction(max(one[1], other[1])) + offset
    return max(width, Fraction(0)) * max(height, Fraction(0))


def iou(one: Box, other: Box, offset: int = 0, epsilon: Fraction = Fraction(0), format: str = "float32") -> Fraction:
    """Intersection over union; with an epsilon, over the rounded sum of the union and that."""
    common = intersection(one, other, offset)
    union = area(one, offset) + area(other, offset) - common
    if epsilon:
        union = _rounded(union + _rounded(epsilon, format), format)
    return common / union


def coverage(box: Box, region: Box, offset: int = 0) -> Fraction:
    """Intersection over the area of the first box: COCO's rule for a crowd as the second one."""
    return intersection(box, region, offset) / area(box, offset)


def is_good(box: Box, offset: int = 0) -> bool:
    """Whether a box is finite and has an area."""
    if not all(map(math.isfinite, box)):
        return False
    return box[2] - box[0] + offset > 0 and box[3] - box[1] + offset > 0


def match(
    anchors: Sequence[Box],
    gt_boxes: Sequence[Box],
    options: Options = PRESETS["paper"],
    *,
    gt_valid: Sequence[bool] | None = None,
    anchor_valid: Sequence[bool] | None = None,
    ignore_boxes: Sequence[Box] = (),
    ignore_valid: Sequence[bool] | None = None,
) -> Answer:
    """Assign anchors to ground truths."""
    takes_part = [True] * len(anchors) if anchor_valid is None else list(anchor_valid)
    valid = [True] * len(gt_boxes) if gt_valid is None else list(gt_valid)
    good = [is_good(box, options.offset) for box in gt_boxes]
    if options.invalid == "raise" and any(v and not g for v, g in zip(valid, good, strict=True)):
        raise BadBox(str(next(list(box) for box, v, g in zip(gt_boxes, valid, good, strict=True) if v and not g)))
    if options.invalid == "drop":
        valid = [v and g for v, g in zip(valid, good, strict=True)]
    overlap = [
        [
            _overlap(anchor, box, is_good_box, options) if is_valid else None
            for box, is_valid, is_good_box in zip(gt_boxes, valid, good, strict=True)
        ]
        for anchor in anchors
    ]
    state, owner, best = _by_thresholds(overlap, takes_part, options)
    promoted = _promoted(overlap, takes_part, best, options)
    for index, forcing in promoted.items():
        state[index] = POSITIVE
        if options.low_quality_owner != "argmax":
            owner[index] = forcing[0 if options.low_quality_owner == "forcing_first" else -1]
    regions = [True] * len(ignore_boxes) if ignore_valid is None else list(ignore_valid)
    for index, anchor in enumerate(anchors):
        inside = any(
            coverage(anchor, region, options.offset) >= options.ignore_iof
            for region, is_valid in zip(ignore_boxes, regions, strict=True)
            if is_valid
        )
        if not takes_part[index] or (inside and state[index] != POSITIVE):
            state[index] = IGNORED
    owners = tuple(o if s == POSITIVE else -1 for s, o in zip(state, owner, strict=True))
    unmatched = tuple(v and gt not in owners for gt, v in enumerate(valid))
    return Answer(tuple(state), owners, tuple(best), unmatched)


INFINITE = Fraction(10**9)
"""What stands in for the NaN that is every anchor's best."""


def _overlap(anchor: Box, box: Box, is_good_box: bool, options: Options) -> Fraction:
    if is_good_box:
        return iou(anchor, box, options.offset, options.epsilon, options.format)
    is_nan = not all(map(math.isfinite, box))
    return INFINITE if is_nan and options.undefined != "zero" else Fraction(0)


def _by_thresholds(
    overlap: list[list[Fraction | None]], takes_part: list[bool], options: Options
) -> tuple[list[int], list[int], list[Fraction]]:
    """State, best ground truth (the first one among equal ones) and best IoU of each anchor."""
    states, owners, bests = [], [], []
    for row, active in zip(overlap, takes_part, strict=True):
        best, owner = Fraction(0), -1
        for gt, value in enumerate(row):
            if value is not None and (owner < 0 or value > best):
                best, owner = value, gt
        is_negative = best < options.negative or (options.negative_closed and best == options.negative)
        # A threshold of both kinds belongs to the positive ones.
        state = POSITIVE if best >= options.positive and owner >= 0 else NEGATIVE if is_negative else IGNORED
        if best == INFINITE:
            state = {"positive": POSITIVE, "ignored": IGNORED, "background": NEGATIVE}[options.undefined]
        states.append(state if active else IGNORED)
        owners.append(owner)
        bests.append(best if active else Fraction(0))
    return states, owners, bests


def _promoted(
    overlap: list[list[Fraction | None]], takes_part: list[bool], best: list[Fraction], options: Options
) -> dict[int, list[int]]:
    """Anchors that are the best ones of ground truths, each with these ground truths in their order."""
    promoted: dict[int, list[int]] = {}
    if options.low_quality == "none" or not overlap:
        return promoted
    for gt in range(len(overlap[0])):
        column = [row[gt] if active else None for row, active in zip(overlap, takes_part, strict=True)]
        present = [value for value in column if value is not None]
        if not present or (max(present) == 0 and options.low_quality_overlap):
            continue
        if max(present) == INFINITE:  # nothing equals NaN
            continue
        ties = [anchor for anchor, value in enumerate(column) if value == max(present)]
        for anchor in ties[: 1 if options.low_quality_ties == "first" else None]:
            if options.low_quality == "all" or options.negative <= best[anchor] < options.positive:
                promoted.setdefault(anchor, []).append(gt)
    return promoted


def _rounded(number: Fraction, format: str) -> Fraction:
    return exact_value(round_to_format(number, FORMATS[format]), FORMATS[format])
