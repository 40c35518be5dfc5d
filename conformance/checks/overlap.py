"""IOU: the overlap of boxes."""

from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import evaluate, near, refused_or, same, same_numbers
from focal_ref.conformance.detection.oracle import area, coverage, intersection, iou
from focal_ref.conformance.detection.scenes import picture
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.examiner import Examiner

FRACTIONAL = 8.0
"""Allowed error in ulp: five roundings, of which those of the areas count twice in the union."""


@check("FL-IOU-001")
def whole_corners(examiner: Examiner) -> None:
    for seed in (1, 2):
        anchors, boxes = picture(seed)
        got = evaluate(examiner, "box_iou", _pair(examiner, anchors, boxes), f"picture {seed}")
        if got is not None:
            exact = [[iou(one, other) for other in boxes.tolist()] for one in anchors.tolist()]
            same_numbers(examiner, f"picture {seed}", "IoU", got["result"], exact, _shown(anchors, boxes))
    _vectors(examiner, "iou")


def _vectors(examiner: Examiner, kind: str, **options: Any) -> None:
    tests = [test for test in load_tests("boxes") if test["kind"] == kind]
    first, second = (np.array([test["boxes"][side] for test in tests]) for side in (0, 1))
    arrays = _pair(examiner, first, second)
    if kind == "crowd":
        arrays["crowd"] = np.ones(len(second), bool)
    got = evaluate(examiner, "box_iou", arrays, f"vectors {kind}", **options)
    if got is None:
        return
    whole = [index for index, test in enumerate(tests) if _is_exact(test["boxes"], options.get("offset", 0))]
    diagonal = np.array([got["result"][index, index] for index in whole])
    exact = [Fraction(*tests[index]["exact"]) for index in whole]
    names = [tests[index]["id"] for index in whole]
    same_numbers(examiner, f"vectors {kind}", "IoU", diagonal, exact, lambda at: {"vector": names[at[0]]})


def _is_exact(pair: list[list[float]], offset: int) -> bool:
    """Whether corners are whole and float32 has every integer up to the union."""
    union = area(pair[0], offset) + area(pair[1], offset) - intersection(pair[0], pair[1], offset)
    return all(number == int(number) for box in pair for number in box) and union < 2**24


@check("FL-IOU-002")
def fractional_corners(examiner: Examiner) -> None:
    generator = np.random.default_rng(20170807)
    corner = generator.uniform(-20, 50, (24, 2))
    boxes = examiner.array(np.concatenate([corner, corner + generator.uniform(1, 60, (24, 2))], axis=1))
    got = evaluate(examiner, "box_iou", {"boxes1": boxes, "boxes2": boxes[:5]}, "fractional corners")
    if got is None:
        return
    exact = [iou(one, other) for one in boxes.tolist() for other in boxes[:5].tolist()]
    # A corner of an overlap is a difference of coordinates, whose size is what a small overlap is measured by.
    scales = [0 if value > Fraction(1, 100) else Fraction(1, 100) for value in exact]
    near(examiner, "fractional corners", "IoU", got["result"], exact, FRACTIONAL, scales)


@check("FL-IOU-003")
def bounds(examiner: Examiner) -> None:
    anchors, boxes = picture(3)
    arrays = _pair(examiner, anchors, boxes)
    got = evaluate(examiner, "box_iou", arrays, "one way")
    turned = evaluate(examiner, "box_iou", {"boxes1": arrays["boxes2"], "boxes2": arrays["boxes1"]}, "the other way")
    if got is None or turned is None:
        return
    result = got["result"]
    same(examiner, "exchanged", "IoU", turned["result"], result.T)
    examiner.true(bool(np.all((result >= 0) & (result <= 1))), "range", "IoU", "in [0, 1]", result)
    itself = evaluate(examiner, "box_iou", {"boxes1": arrays["boxes1"], "boxes2": arrays["boxes1"]}, "with itself")
    if itself is not None:
        same(examiner, "with itself", "IoU", np.diagonal(itself["result"]), np.ones(len(anchors)))
    apart = evaluate(examiner, "box_iou", _pair(examiner, anchors, np.add(boxes, [200, 0, 200, 0])), "apart")
    if apart is not None:
        same(examiner, "apart", "IoU", apart["result"], np.zeros(result.shape))


@check("FL-IOU-004")
def crowds(examiner: Examiner) -> None:
    _vectors(examiner, "crowd")
    anchors, boxes = picture(4)
    crowd = np.arange(len(boxes)) % 2 == 0
    got = evaluate(examiner, "box_iou", {**_pair(examiner, anchors, boxes), "crowd": crowd}, "some crowds")
    if got is not None:
        exact = [
            [(coverage if is_crowd else iou)(one, other) for other, is_crowd in zip(boxes.tolist(), crowd, strict=True)]
            for one in anchors.tolist()
        ]
        same_numbers(examiner, "some crowds", "IoU", got["result"], exact, _shown(anchors, boxes))


@check("FL-IOU-005")
def legacy(examiner: Examiner) -> None:
    _vectors(examiner, "legacy", offset=1)


@check("FL-IOU-006")
def bad_boxes(examiner: Examiner) -> None:
    anchors, boxes = picture(5)
    for case, bad in _BAD.items():
        arrays = _pair(examiner, anchors, boxes)
        spoilt = arrays["boxes2"].copy()
        spoilt[1] = bad
        refused_or(
            examiner,
            "box_iou",
            {**arrays, "boxes2": spoilt},
            case,
            "boxes2",
            lambda results: bool(
                np.all(np.isnan(results["result"][:, 1])) and not np.isnan(results["result"][:, 0]).any()
            ),
            "an error that names the box, or NaN in its column alone",
        )


_BAD = {
    "a box of NaN": [np.nan, 0, 10, 10],
    "an infinite box": [0, 0, np.inf, 10],
    "a box without area": [5, 5, 5, 10],
    "corners exchanged": [10, 0, 0, 10],
}
"""Boxes that are none."""


def _pair(examiner: Examiner, first: Any, second: Any) -> dict[str, Any]:
    return {"boxes1": examiner.array(first), "boxes2": examiner.array(second)}


def _shown(first: Any, second: Any) -> Any:
    return lambda at: {"boxes": f"{first[at[0]].tolist()} and {second[at[1]].tolist()}"}
