"""MAT: which anchor belongs to which ground truth, by the options that the target declares."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import corners, declared, evaluate, same_matches
from focal_ref.conformance.detection.oracle import Answer, Options, match
from focal_ref.conformance.detection.scenes import BOXES, at_threshold, filled, grid, picture
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.targets import Array

FAR = np.array([[400, 400, 430, 420]])
"""A box that overlaps no anchor of a picture."""


def truth(anchors: Array, boxes: Array, options: Options) -> Answer:
    """The oracle's answer for one picture."""
    return match(corners(anchors), corners(boxes), options)


def compare(examiner: Examiner, case: str, anchors: Array, boxes: Array, options: Options | None = None) -> None:
    """Run one picture by the declared options and compare it with the oracle."""
    arrays = {"anchors": examiner.array(anchors), "gt_boxes": examiner.array(boxes)}
    got = evaluate(examiner, "match_anchors", arrays, case)
    if got is not None:
        same_matches(examiner, case, got, truth(anchors, boxes, options or declared(examiner)), anchors, boxes)


@check("FL-MAT-001")
def thresholds(examiner: Examiner) -> None:
    for seed in range(10, 16):
        compare(examiner, f"picture {seed}", *picture(seed))


@check("FL-MAT-002")
def exact_thresholds(examiner: Examiner) -> None:
    options = declared(examiner)
    for threshold in (options.positive, options.negative):
        if 0 < threshold < 1:
            compare(examiner, f"an IoU of exactly {threshold}", *at_threshold(threshold, options.offset))
    # Unions just below 2^24, where a float32 still has every integer.
    large = np.array([[0, 0, 4094, 4096], [0, 0, 2047, 4096], [0, 0, 2046, 4096], [0, 0, 1638, 4096]])
    compare(examiner, "an IoU of 1/2 with a union near 2^24", *filled(large, large[:1]))


@check("FL-MAT-003")
def no_overlap(examiner: Examiner) -> None:
    anchors, boxes = picture(20)
    touching = np.array([[104, 0, 124, 20]])
    cases = {
        "ground truths far from all anchors": FAR + 50 * np.arange(BOXES)[:, np.newaxis],
        "a ground truth that touches the edge of an anchor": np.concatenate([touching, *[FAR] * (BOXES - 1)]),
    }
    # The first anchor ends where that box begins.
    limited = np.concatenate([[[84, 0, 104, 20]], np.minimum(anchors[1:], 104)])
    declared_only: list[dict[str, str]] = [{}]
    more = [{"low_quality": "all"}] if examiner.claims("matching_options") else []
    for options in (*declared_only, *more):
        for name, alone in cases.items():
            case = ", ".join([name, *(f"{key}={value}" for key, value in options.items())])
            arrays = {"anchors": examiner.array(limited), "gt_boxes": examiner.array(alone)}
            got = evaluate(examiner, "match_anchors", arrays, case, **options)
            if got is None:
                continue
            count = int(np.sum(got["state"] == 1))
            examiner.comparisons += len(limited)
            if count:
                text = f"{count} of {len(limited)} anchors positive for boxes with which their IoU is 0"
                shown = {"box": str(alone[0].tolist()), "best IoU": "0, with every anchor"}
                expected = "no positive anchor"
                examiner.findings.append(
                    Finding(case, "matches", expected, text, shown, failed=count, compared=len(limited))
                )
    beside = np.concatenate([boxes[:-1], FAR])
    compare(examiner, "a ground truth that overlaps no anchor beside others", anchors, beside)


@check("FL-MAT-004")
def ties(examiner: Examiner) -> None:
    anchors, boxes = picture(21)
    compare(examiner, "ground truths twice", anchors, boxes[[0, 1, 1, 0, 2]])
    halves = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 5, 10, 10]])
    compare(examiner, "two halves of an anchor", *filled(halves, halves[1:]))
    compare(examiner, "two halves of an anchor, exchanged", *filled(halves, halves[:0:-1]))


@check("FL-MAT-005")
def order(examiner: Examiner) -> None:
    options = declared(examiner)
    found = 0
    for seed in range(30, 60):
        anchors, boxes = picture(seed)
        generator = np.random.default_rng(seed)
        of_boxes, of_anchors = generator.permutation(len(boxes)), generator.permutation(len(anchors))
        before, after = truth(anchors, boxes, options), truth(anchors[of_anchors], boxes[of_boxes], options)
        owners = [-1 if owner < 0 else int(of_boxes[owner]) for owner in after.gt_index]
        # Where two overlaps are equal, the first one counts, and then the order matters by definition.
        if owners != [before.gt_index[anchor] for anchor in of_anchors]:
            continue
        found += 1
        compare(examiner, f"picture {seed}, in another order", anchors[of_anchors], boxes[of_boxes])
        if found == 3:
            return


@check("FL-MAT-006")
def moved_and_scaled(examiner: Examiner) -> None:
    anchors, boxes = picture(22)
    options = declared(examiner)
    for x, y in ((37, -21), (-1000, 512)):
        shift = np.array([x, y, x, y])
        expected = truth(anchors, boxes, options)
        case = f"moved by {x}, {y}"
        arrays = {"anchors": examiner.array(anchors + shift), "gt_boxes": examiner.array(boxes + shift)}
        got = evaluate(examiner, "match_anchors", arrays, case)
        if got is not None:
            same_matches(examiner, case, got, expected, anchors, boxes)
    if options.offset or options.epsilon:
        return
    for scale in (0.125, 16.0):
        arrays = {"anchors": examiner.array(anchors * scale), "gt_boxes": examiner.array(boxes * scale)}
        got = evaluate(examiner, "match_anchors", arrays, f"scaled by {scale}")
        if got is not None:
            same_matches(examiner, f"scaled by {scale}", got, truth(anchors, boxes, options), anchors, boxes)


@check("FL-MAT-007")
def no_ground_truth(examiner: Examiner) -> None:
    anchors, boxes = picture(23)
    compare(examiner, "no ground truth", anchors, boxes[:0])


@check("FL-MAT-008")
def low_quality(examiner: Examiner) -> None:
    pictures = {"picture 24": picture(24), "a grid": filled(grid(), [[4, 4, 12, 12], [9, 9, 31, 31], [0, 0, 8, 3]])}
    for name, (anchors, boxes) in pictures.items():
        compare(examiner, name, anchors, boxes)
        if not examiner.claims("matching_options"):
            continue
        arrays = {"anchors": examiner.array(anchors), "gt_boxes": examiner.array(boxes)}
        for given in _COMBINATIONS:
            case = f"{name}, {', '.join(f'{key}={value}' for key, value in given.items())}"
            got = evaluate(examiner, "match_anchors", arrays, case, **given)
            if got is not None:
                exact: dict[str, Any] = {key: _exact(value) for key, value in given.items()}
                options = replace(declared(examiner), **exact)
                same_matches(examiner, case, got, truth(anchors, boxes, options), anchors, boxes)


_COMBINATIONS: tuple[dict[str, object], ...] = (
    {"low_quality": "all"},
    {"low_quality": "band", "low_quality_owner": "forcing_first"},
    {"low_quality": "all", "low_quality_owner": "forcing_last"},
    {"low_quality": "all", "low_quality_owner": "forcing_last", "low_quality_ties": "first"},
    {"positive": 0.7, "negative": 0.3, "negative_closed": True, "low_quality": "all"},
)


def _exact(value: object) -> object:
    return Fraction(str(value)) if isinstance(value, float) else value


@check("FL-MAT-015")
def whole_picture(examiner: Examiner) -> None:
    """Thousands of anchors against integer arithmetic, by the paper's thresholds."""
    generator = np.random.default_rng(20170807)
    corner = generator.integers(0, 700, (40, 2))
    boxes = np.concatenate([corner, corner + generator.integers(8, 250, (40, 2))], axis=1)
    y, x = np.meshgrid(np.arange(0, 800, 25), np.arange(0, 800, 25), indexing="ij")
    centre = np.stack([x, y, x, y], axis=-1).reshape(-1, 1, 4)
    shapes = np.array([(w, h) for size in (16, 32, 64) for w, h in ((size, 2 * size), (size, size), (2 * size, size))])
    anchors = (centre + np.concatenate([-shapes, shapes], axis=1)).reshape(-1, 4)
    arrays = {"anchors": examiner.array(anchors), "gt_boxes": examiner.array(boxes)}
    got = evaluate(examiner, "match_anchors", arrays, f"{len(anchors)} anchors")
    if got is None:
        return
    state, owner = _by_integers(anchors, boxes)
    for name, wanted in (("state", state), ("gt_index", owner)):
        differs = np.flatnonzero(got[name] != wanted)
        text = "" if not len(differs) else f"{len(differs)} differ, first anchor {anchors[differs[0]].tolist()}"
        examiner.comparisons += len(anchors) - 1
        examiner.true(not len(differs), f"{len(anchors)} anchors", name, "what integer arithmetic gives", text)


def _by_integers(anchors: Array, boxes: Array) -> tuple[Array, Array]:
    low, high = (
        np.maximum(anchors[:, None, :2], boxes[None, :, :2]),
        np.minimum(anchors[:, None, 2:], boxes[None, :, 2:]),
    )
    common = np.prod(np.maximum(high - low, 0), axis=-1)
    area = [np.prod(array[:, 2:] - array[:, :2], axis=-1) for array in (anchors, boxes)]
    union = area[0][:, None] + area[1][None, :] - common
    best = np.zeros(len(anchors), np.int64)
    rows = np.arange(len(anchors))
    for box in range(1, len(boxes)):
        # a / b > c / d as integers
        better = common[:, box] * union[rows, best] > common[rows, best] * union[:, box]
        best = np.where(better, box, best)
    part, whole = common[rows, best], union[rows, best]
    state = np.where(2 * part >= whole, 1, np.where(5 * part < 2 * whole, 0, -1))
    return state, np.where(state == 1, best, -1)
