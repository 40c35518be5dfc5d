"""MAT: presets, masks, regions to ignore, batches, counts and errors."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.matching import FAR, truth
from focal_ref.conformance.detection.comparison import (
    corners,
    declared,
    evaluate,
    refused_or,
    same,
    same_codes,
    same_matches,
    same_numbers,
)
from focal_ref.conformance.detection.oracle import PRESETS, match
from focal_ref.conformance.detection.scenes import filled, picture
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array

AWAY = [900.0, 900.0, 910.0, 910.0]
"""What fills up anchors where pictures have different numbers of them."""

NOTHING = [0.0, 0.0, 0.0, 0.0]


def _of(results: Mapping[str, Array], index: int, length: int | None = None) -> dict[str, Array]:
    """One picture of a batch."""
    return {name: results[name][index][:length] for name in ("state", "gt_index")}


def _expected(test: Mapping[str, Any], preset: str, dtype: str) -> str | None:
    special = test.get("expected_float64", {}) if dtype == "float64" else {}
    text: str | None = special.get(preset, test["expected"].get(preset))
    return text


@check("FL-MAT-009")
def presets(examiner: Examiner) -> None:
    tests = load_tests("matching")
    for preset in PRESETS:
        for bad in (False, True):
            chosen = [test for test in tests if (test["expected"]["paper"] == "raises") == bad]
            chosen = [test for test in chosen if _expected(test, preset, examiner.dtype) not in (None, "raises")]
            # One batch: nothing comes near the anchors that fill up, and a mask hides the boxes that do.
            options: dict[str, Any] = {"preset": preset, **({"invalid": "keep"} if bad else {})}
            if chosen:
                _batch(examiner, chosen, preset, options)


def _batch(examiner: Examiner, tests: list[Mapping[str, Any]], key: str, options: dict[str, Any]) -> None:
    most, boxes = max(len(test["anchors"]) for test in tests), 2
    anchors = [test["anchors"] + [AWAY] * (most - len(test["anchors"])) for test in tests]
    gt_boxes = [(test["gt_boxes"] + [NOTHING] * boxes)[:boxes] for test in tests]
    valid = [(test.get("gt_valid", [True] * len(test["gt_boxes"])) + [False] * boxes)[:boxes] for test in tests]
    arrays = {
        "anchors": examiner.array(anchors),
        "gt_boxes": examiner.array([[[float(n) for n in box] for box in row] for row in gt_boxes]),
        "gt_valid": np.array(valid),
    }
    got = evaluate(examiner, "match_anchors", arrays, f"table, {key}", **options)
    if got is None:
        return
    for index, test in enumerate(tests):
        expected = str(_expected(test, key, examiner.dtype)).split()
        boxes_ = [[float(n) for n in box] for box in test["gt_boxes"]]
        same_codes(examiner, f"{test['id']}, {key}", _of(got, index, len(expected)), expected, test["anchors"], boxes_)


@check("FL-MAT-010")
def masks(examiner: Examiner) -> None:
    anchors, boxes = picture(40)
    # Promoting the best anchors of every ground truth shows what takes part.
    options = {"low_quality": "all"}
    exact = replace(declared(examiner), **options)  # type: ignore[arg-type]
    for filler in (NOTHING, [np.nan] * 4, [0.0, 0.0, 64.0, 64.0]):
        padded = np.concatenate([boxes[:3], [filler], boxes[3:], [filler]])
        valid = np.array([True, True, True, False, True, True, False])
        arrays = {"anchors": anchors, "gt_boxes": padded}
        answer = match(corners(anchors), corners(padded), exact, gt_valid=valid.tolist())
        masked = {**_cast(examiner, arrays), "gt_valid": valid}
        _masked(examiner, f"padding {filler}", masked, answer, anchors, padded, options)
    takes_part = np.arange(len(anchors)) % 3 != 0
    arrays = {**_cast(examiner, {"anchors": anchors, "gt_boxes": boxes}), "anchor_valid": takes_part}
    answer = match(corners(anchors), corners(boxes), exact, anchor_valid=takes_part.tolist())
    _masked(examiner, "anchors masked", arrays, answer, anchors, boxes, options)
    spoilt = np.concatenate([boxes[:2], [[np.nan, 0, 1, 1]], boxes[2:], [NOTHING]])
    answer = match(corners(anchors), corners(spoilt), replace(declared(examiner), invalid="drop"))
    arrays = _cast(examiner, {"anchors": anchors, "gt_boxes": spoilt})
    _masked(examiner, "bad boxes dropped", arrays, answer, anchors, spoilt, {"invalid": "drop"})


def _masked(
    examiner: Examiner, case: str, arrays: Any, answer: Any, anchors: Any, boxes: Any, options: Mapping[str, Any]
) -> None:
    got = evaluate(examiner, "match_anchors", arrays, case, **options)
    if got is not None:
        same_matches(examiner, case, got, answer, anchors, boxes)
        same(examiner, case, "unmatched", got["unmatched"], answer.unmatched)


@check("FL-MAT-011")
def regions(examiner: Examiner) -> None:
    anchors, boxes = picture(41)
    crowd = np.array([[0, 0, 40, 40], [20, 30, 70, 60], [0, 0, 100, 100]])
    valid = np.array([True, True, False])
    for share in (Fraction(1, 2), Fraction(1, 4)):
        arrays = _cast(examiner, {"anchors": anchors, "gt_boxes": boxes, "ignore_boxes": crowd})
        case = f"regions that cover {share}"
        options: dict[str, Any] = {} if share == Fraction(1, 2) else {"ignore_iof": float(share)}
        got = evaluate(examiner, "match_anchors", {**arrays, "ignore_valid": valid}, case, **options)
        if got is not None:
            exact = replace(declared(examiner), ignore_iof=share)
            listed: dict[str, Any] = {"ignore_boxes": corners(crowd), "ignore_valid": valid.tolist()}
            answer = match(corners(anchors), corners(boxes), exact, **listed)
            same_matches(examiner, case, got, answer, anchors, boxes)
    some, others = filled([[0, 0, 10, 10], [0, 20, 10, 30]], [[500, 500, 510, 510]])
    half = _cast(examiner, {"anchors": some, "gt_boxes": others})
    half["ignore_boxes"] = examiner.array([[0, 0, 10, 5], [0, 20, 10, 24], [0, 0, 10, 10]])
    got = evaluate(examiner, "match_anchors", {**half, "ignore_valid": valid}, "exactly half covered, and less")
    if got is not None:
        first = {name: got[name][:2] for name in ("state", "gt_index")}
        same_codes(examiner, "exactly half covered, and less", first, ["I", "B"])


@check("FL-MAT-012")
def batches(examiner: Examiner) -> None:
    pictures = [picture(seed) for seed in (42, 43, 44)]
    anchors = pictures[0][0]
    padded = np.stack([boxes for _, boxes in pictures])
    valid = np.array([[True] * 5, [True, False, True, True, False], [False] * 5])
    shared = {**_cast(examiner, {"anchors": anchors, "gt_boxes": padded}), "gt_valid": valid}
    own = {**shared, "anchors": examiner.array(np.stack([anchors for anchors, _ in pictures]))}
    for name, arrays in {"shared anchors": shared, "anchors of each picture": own}.items():
        got = evaluate(examiner, "match_anchors", arrays, name)
        if got is None:
            continue
        for index, (mine, boxes) in enumerate(pictures):
            used = anchors if arrays is shared else mine
            kept = boxes[valid[index]]
            answer = truth(used, kept, declared(examiner))
            places = np.flatnonzero(valid[index]).tolist()
            expected = [code if code[0] != "P" else f"P{places[int(code[1:])]}" for code in answer.codes]
            same_codes(examiner, f"{name}, picture {index}", _of(got, index), expected, used, boxes)
        same(examiner, name, "num_positive", got["num_positive"], np.sum(got["state"] == 1, axis=-1))


@check("FL-MAT-013")
def numbers(examiner: Examiner) -> None:
    anchors, boxes = picture(48)
    # One that no anchor comes near the size of, which only promotion matches, and one that nothing overlaps.
    boxes = np.concatenate([boxes[:-2], [[0, 0, 110, 110]], FAR])
    arrays = _cast(examiner, {"anchors": anchors, "gt_boxes": boxes})
    for options in ({}, {"low_quality": "all", "low_quality_owner": "forcing_last"}):
        got = evaluate(examiner, "match_anchors", arrays, f"options {options}", **options)
        if got is None:
            continue
        answer = truth(anchors, boxes, replace(declared(examiner), **options))  # type: ignore[arg-type]
        case = f"options {options}"
        same_numbers(examiner, case, "iou", got["iou"], list(answer.iou))
        same(examiner, case, "num_positive", got["num_positive"], np.array(sum(s == 1 for s in answer.state)))
        same(examiner, case, "unmatched", got["unmatched"], answer.unmatched)
        examiner.true(got["state"].dtype == np.int8, case, "dtype of state", "int8", got["state"].dtype)


@check("FL-MAT-014")
def errors(examiner: Examiner) -> None:
    anchors, boxes = picture(46)
    good = _cast(examiner, {"anchors": anchors, "gt_boxes": boxes})

    def ignored(results: Mapping[str, Array]) -> bool:
        return bool(np.all(results["state"] == -1) and np.all(np.isnan(results["iou"])))

    for name, bad in {"a box of NaN": [np.nan, 0, 9, 9], "a box without area": [5, 5, 5, 5]}.items():
        spoilt = good["gt_boxes"].copy()
        spoilt[2] = bad
        expected = "an error that names the box, or every anchor ignored with an IoU of NaN"
        refused_or(examiner, "match_anchors", {**good, "gt_boxes": spoilt}, name, "gt_boxes", ignored, expected)
    bad_options: dict[str, dict[str, Any]] = {
        "negative": {"negative": 0.6},
        "positive": {"positive": 1.5},
        "low_quality": {"low_quality": "some"},
        "preset": {"preset": "mine"},
    }
    for argument, options in bad_options.items():
        case = f"{argument}={options[argument]}"
        refused_or(examiner, "match_anchors", good, case, argument, None, "an error", **options)
    refused_or(
        examiner,
        "match_anchors",
        {**good, "gt_boxes": good["gt_boxes"][:, :3]},
        "three corners",
        "gt_boxes",
        None,
        "an error",
    )


def _cast(examiner: Examiner, arrays: Mapping[str, Any]) -> dict[str, Array]:
    return {name: examiner.array(array) for name, array in arrays.items()}
