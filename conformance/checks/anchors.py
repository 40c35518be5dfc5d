"""ANC: the anchors of a picture."""

from fractions import Fraction

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import evaluate, near, same
from focal_ref.conformance.detection.numeric import ANCHOR_LEVELS, anchor_count, anchor_sides
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array

RATIOS = (Fraction(1, 2), Fraction(1), Fraction(2))
SMALL = (200, 333)
"""A picture whose sides are no multiples of the strides."""


def _anchors(examiner: Examiner, size: tuple[int, int], **options: object) -> Array | None:
    like = {"like": examiner.array([0.0])}
    dtype = {"dtype": examiner.dtype}
    got = evaluate(examiner, "anchor_boxes", like, f"{size[0]} x {size[1]}", image_size=size, **dtype, **options)
    return None if got is None else got["result"]


@check("FL-ANC-001")
def counts(examiner: Examiner) -> None:
    printed = {(800, 800): 120_087, (800, 1024): 153_576, (800, 1344): 201_600}
    for size in (*printed, SMALL):
        boxes = _anchors(examiner, size)
        if boxes is not None:
            expected = printed.get(size, anchor_count(*size))
            examiner.true(
                boxes.shape == (expected, 4), f"{size[0]} x {size[1]}", "shape", f"({expected}, 4)", boxes.shape
            )


def _counted(examiner: Examiner) -> Array | None:
    """The anchors of the small picture, if they are as many as there should be."""
    boxes = _anchors(examiner, SMALL)
    if boxes is None or len(boxes) == anchor_count(*SMALL):
        return boxes
    examiner.fail("number of anchors", "shape", f"({anchor_count(*SMALL)}, 4)", str(boxes.shape))
    return None


@check("FL-ANC-002")
def sides(examiner: Examiner) -> None:
    boxes = _counted(examiner)
    if boxes is None:
        return
    start = 0
    for level in ANCHOR_LEVELS:
        cell = boxes[start : start + 9].astype(np.float64)
        got = np.stack([cell[:, 2] - cell[:, 0], cell[:, 3] - cell[:, 1]], axis=-1)
        exact = [side for ratio in RATIOS for octave in range(3) for side in anchor_sides(level, octave, ratio)]
        # Differences of rounded corners, each within half an ulp.
        sizes = [2 ** (level + 4)] * len(exact)
        near(examiner, f"level {level}", "width, height", got.astype(boxes.dtype), exact, 2.0, sizes)
        start += anchor_count(*SMALL, 9, levels=(level,))


@check("FL-ANC-003")
def places(examiner: Examiner) -> None:
    boxes = _counted(examiner)
    if boxes is None:
        return
    start = 0
    for level in ANCHOR_LEVELS:
        stride = 2**level
        rows, columns = -(-SMALL[0] // stride), -(-SMALL[1] // stride)
        part = boxes[start : start + 9 * rows * columns].astype(np.float64).reshape(rows, columns, 9, 4)
        centre = (part[..., :2] + part[..., 2:]) / 2
        x, y = (np.arange(columns) + 0.5) * stride, (np.arange(rows) + 0.5) * stride
        expected = np.broadcast_to(np.stack(np.broadcast_arrays(x[None, :, None], y[:, None, None]), -1), centre.shape)
        # Corners that mirror each other round alike, up to half an ulp of the larger one each.
        allowed = np.spacing(np.abs(part).max().astype(boxes.dtype)).astype(np.float64)
        wrong = np.abs(centre - expected) > allowed
        first = tuple(np.argwhere(wrong)[0][:3]) if wrong.any() else None
        expected_text = "" if first is None else str(expected[first].tolist())
        got_text = "" if first is None else f"{centre[first].tolist()} at row, column, anchor {list(map(int, first))}"
        examiner.true(first is None, f"level {level}", "centre", expected_text, got_text)
        start += rows * columns * 9


@check("FL-ANC-004")
def torchvision(examiner: Examiner) -> None:
    """Its documented departures: whole sizes and corners, centres at corners, strides from the picture's length."""
    boxes = _anchors(examiner, (800, 800), preset="torchvision")
    if boxes is None:
        return
    starts = np.cumsum([0, *(anchor_count(800, 800, 9, levels=(level,)) for level in ANCHOR_LEVELS)])
    same(examiner, "first anchor of ratio 1", "corners", boxes[3], [-16.0, -16.0, 16.0, 16.0])
    # 32 * 2^(1/3) = 40.3 and 32 * 2^(2/3) = 50.8 are cut off.
    same(examiner, "second scale", "corners", boxes[4], [-20.0, -20.0, 20.0, 20.0])
    same(examiner, "third scale", "corners", boxes[5], [-25.0, -25.0, 25.0, 25.0])
    steps = [boxes[start + 9, 0] - boxes[start, 0] for start in starts[:-1]]
    same(examiner, "distance of locations", "strides", np.array(steps), [8.0, 16.0, 32.0, 61.0, 114.0])
