"""What the vectors of the detection side are made for: few boxes, and the answers that were derived by hand.

Anchors and boxes are corners (x1, y1, x2, y2); every number is exact in float32. Codes: P and the index of the ground
truth for a positive anchor, B for background, I for ignored.
"""

from dataclasses import dataclass

NAN = float("nan")

Boxes = list[list[float]]


@dataclass(frozen=True)
class Scene:
    """A picture.

    Attributes
    ----------
    id, note
        What it is called, and what it shows.
    anchors, gt_boxes
        The boxes.
    by_hand
        From presets to codes that were derived without the oracle; "raises" for an error. It has at least the paper's.
        Where the paper's default raises, those of other presets are what they make of bad boxes that they keep, and
        "drop" is the paper's without bad boxes.
    gt_valid
        The mask of the ground truths, where there is one.
    """

    id: str
    note: str
    anchors: Boxes
    gt_boxes: Boxes
    by_hand: dict[str, str]
    gt_valid: list[bool] | None = None


_FAR: list[float] = [500, 500, 600, 600]
_DISJOINT: Boxes = [[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]]
_GRID: Boxes = [[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20], [50, 50, 60, 60]]

_SAME = ["detectron2", "torchvision", "mmdet"]

SCENES = (
    Scene(
        "row-1",
        "an IoU of exactly 1/2 is positive",
        [[0, 0, 10, 10], [0, 0, 10, 5]],
        [[0, 0, 10, 5]],
        dict.fromkeys(["paper", *_SAME, "fizyr", "tf_official", "keras_hub"], "P0 P0"),
    ),
    Scene(
        "row-2",
        "an IoU of exactly 2/5 is ignored; where the interval is closed, background",
        [[0, 0, 10, 10], [0, 0, 10, 4]],
        [[0, 0, 10, 4]],
        {"paper": "I P0", "fizyr": "B P0", "tf_official": "B P0", "effdet": "B P0"},
    ),
    Scene(
        "row-4",
        "4/9; with widths one larger, 1/2",
        [[0, 0, 9, 9], [0, 0, 9, 4]],
        [[0, 0, 9, 4]],
        {"paper": "I P0", "detectron": "P0 P0"},
    ),
    Scene(
        "row-6",
        "1/2 in a unit box: 1e-7 in the denominator decides",
        [[0, 0, 1, 1], [0, 0, 1, 0.5]],
        [[0, 0, 1, 0.5]],
        {"paper": "P0 P0", "keras_hub": "I P0"},
    ),
    Scene(
        "row-7",
        "the best IoU of the box is 3/10: background, unless it is forced",
        [[0, 0, 10, 10], [100, 100, 110, 110]],
        [[0, 0, 10, 3]],
        {"paper": "B B", **dict.fromkeys([*_SAME, "tf_official", "effdet"], "P0 B")},
    ),
    Scene(
        "row-8",
        "the best IoU of the box is 9/20, between the thresholds",
        [[0, 0, 100, 100], _FAR],
        [[0, 0, 100, 45]],
        {"paper": "I B", **dict.fromkeys([*_SAME, "tf_official", "detectron"], "P0 B")},
    ),
    Scene(
        "row-9",
        "one anchor is the best of two boxes",
        [[0, 0, 100, 100], _FAR],
        [[0, 0, 100, 20], [0, 20, 100, 80]],
        {"paper": "P1 B", "tf_official": "P0 B", "effdet": "P0 B"},
    ),
    Scene(
        "row-11",
        "the same box twice: the first one",
        [[0, 0, 10, 10], [0, 0, 10, 6], [50, 50, 60, 60]],
        [[0, 0, 10, 10], [0, 0, 10, 10]],
        {"paper": "P0 P0 B", "mmdet": "P1 P0 B"},
    ),
    Scene(
        "row-12",
        "four anchors share the best IoU of 1/7",
        _GRID,
        [[5, 5, 15, 15]],
        {"paper": "B B B B B", "torchvision": "P0 P0 P0 P0 B", "tf_official": "P0 B B B B"},
    ),
    Scene(
        "row-13",
        "a box without area",
        _DISJOINT,
        [[5, 5, 5, 5]],
        {"paper": "raises", "drop": "B B B", **dict.fromkeys(_SAME, "P0 P0 P0")},
    ),
    Scene(
        "row-16",
        "a box of NaN beside a good one",
        _DISJOINT,
        [[0, 0, 10, 10], [NAN, NAN, NAN, NAN]],
        {"paper": "raises", "drop": "P0 B B", "torchvision": "P1 P1 P1", "detectron2": "P0 P0 P0", "fizyr": "B B B"},
    ),
    Scene(
        "row-20",
        "padding of zeros beside a good box, with a mask",
        _DISJOINT,
        [[0, 0, 10, 10], [0, 0, 0, 0]],
        {"paper": "P0 B B"},
        [True, False],
    ),
    Scene(
        "row-20/no-mask",
        "padding of zeros beside a good box, without a mask",
        _DISJOINT,
        [[0, 0, 10, 10], [0, 0, 0, 0]],
        {"paper": "raises", "drop": "P0 B B", "torchvision": "P0 P0 P0", "detectron2": "P0 P0 P0"},
    ),
    Scene("row-23", "no box", [[0, 0, 10, 10], [20, 0, 30, 10]], [], {"paper": "B B"}),
    Scene(
        "row-27",
        "two boxes that share an anchor at 1/2: the first one",
        [[0, 0, 10, 10], [0, 0, 10, 5], [0, 5, 10, 10]],
        [[0, 0, 10, 5], [0, 5, 10, 10]],
        dict.fromkeys(["paper", *_SAME, "tf_official"], "P0 P0 P1"),
    ),
    Scene(
        "row-31",
        "an anchor that leaves the picture keeps its area",
        [[-16, -16, 16, 16], [0, 0, 16, 16]],
        [[0, 0, 16, 16]],
        {"paper": "B P0"},
    ),
    Scene(
        "no-overlap",
        "a box that overlaps no anchor; comparing with the maximum alone takes all of them",
        _DISJOINT,
        [[200, 200, 210, 210]],
        {"paper": "B B B", "detectron": "B B B", **dict.fromkeys(_SAME, "P0 P0 P0"), "effdet": "P0 B B"},
    ),
    Scene(
        "edges-touch",
        "a box that shares edges with anchors overlaps none",
        _DISJOINT,
        [[10, 0, 20, 10]],
        {"paper": "B B B", "torchvision": "P0 P0 P0"},
    ),
    Scene(
        "one-row-too-few",
        "49/100 and 39/100, just below the thresholds",
        [[0, 0, 100, 49], [0, 0, 100, 39], [0, 0, 100, 100]],
        [[0, 0, 100, 100]],
        {"paper": "I B P0"},
    ),
    Scene(
        "large-half",
        "1/2 with a union just below 2^24",
        [[0, 0, 4094, 4096], [0, 0, 2047, 4096], [0, 0, 2046, 4096]],
        [[0, 0, 4094, 4096]],
        {"paper": "P0 P0 I"},
    ),
    Scene(
        "large-two-fifths",
        "2/5 with a union of 16,384,000, and one column less",
        [[0, 0, 4000, 4096], [0, 0, 1600, 4096], [0, 0, 1599, 4096]],
        [[0, 0, 4000, 4096]],
        {"paper": "P0 I B"},
    ),
    Scene(
        "first-best-box",
        "3/5 with two boxes: the first in their order, though the second was listed nearer",
        [[0, 0, 10, 6], [0, 0, 10, 10]],
        [[0, 0, 10, 10], [0, 0, 10, 10]],
        {"paper": "P0 P0", "mmdet": "P0 P1", "tf_official": "P0 P0"},
    ),
)
"""The table of documented edge cases, by its row numbers, and further ones."""

OVERLAPS: tuple[tuple[str, list[float], list[float]], ...] = (
    ("same", [3, 4, 13, 24], [3, 4, 13, 24]),
    # The union fits into 24 bits, the sum of the two areas does not.
    ("half-of-a-large-union", [0, 0, 2047, 4095], [0, 0, 4094, 4095]),
    ("half", [0, 0, 10, 10], [0, 0, 10, 5]),
    ("two-fifths", [0, 0, 10, 10], [0, 0, 10, 4]),
    ("inside", [0, 0, 10, 10], [2, 3, 5, 7]),
    ("around", [2, 3, 5, 7], [0, 0, 10, 10]),
    ("across", [0, 4, 10, 6], [4, 0, 6, 10]),
    ("corner", [0, 0, 10, 10], [7, 6, 17, 16]),
    ("touching-edges", [0, 0, 10, 10], [10, 0, 20, 10]),
    ("touching-corners", [0, 0, 10, 10], [10, 10, 20, 20]),
    ("apart", [0, 0, 10, 10], [100, 100, 110, 110]),
    ("apart-in-x-alone", [0, 0, 10, 10], [12, 0, 22, 10]),
    ("a-third", [0, 0, 3, 3], [0, 0, 3, 1]),
    ("a-seventh", [0, 0, 10, 10], [5, 5, 15, 15]),
    ("negative-corners", [-16, -16, 16, 16], [0, 0, 16, 16]),
    ("one-pixel", [0, 0, 1, 1], [0, 0, 640, 480]),
    ("large-half", [0, 0, 4094, 4096], [0, 0, 2047, 4096]),
    ("large", [0, 0, 4095, 4096], [1, 1, 4095, 4096]),
    ("primes", [0, 0, 1009, 1013], [7, 11, 1019, 1021]),
    ("half-pixels", [0.5, 0.5, 10.5, 8.5], [0, 0, 10, 8]),
)
"""Pairs of boxes."""

CODED: tuple[tuple[str, list[float], list[float], list[float], int], ...] = (
    ("same", [0, 0, 10, 10], [0, 0, 10, 10], [1, 1, 1, 1], 0),
    ("wider", [0, 0, 20, 10], [0, 0, 10, 10], [1, 1, 1, 1], 0),
    ("narrower", [2, 0, 7, 10], [0, 0, 10, 10], [1, 1, 1, 1], 0),
    ("shifted", [100, 50, 132, 82], [96, 60, 128, 92], [1, 1, 1, 1], 0),
    ("larger", [10, 20, 310, 220], [100, 100, 132, 132], [1, 1, 1, 1], 0),
    ("nearly-same", [0, 0, 101, 99], [0, 0, 100, 100], [1, 1, 1, 1], 0),
    ("weights", [100, 50, 140, 82], [96, 60, 128, 92], [10, 10, 5, 5], 0),
    ("legacy", [100, 50, 139, 81], [96, 60, 127, 91], [1, 1, 1, 1], 1),
    ("legacy-weights", [100, 50, 139, 81], [96, 60, 127, 91], [10, 10, 5, 5], 1),
)
"""Boxes, anchors, weights and offsets."""

DELTAS: tuple[tuple[str, list[float], list[float], list[float], int], ...] = (
    ("zero", [0, 0, 0, 0], [96, 60, 128, 92], [1, 1, 1, 1], 0),
    ("moved", [0.5, -0.25, 0, 0], [96, 60, 128, 92], [1, 1, 1, 1], 0),
    ("sides", [0, 0, 1, -1], [96, 60, 128, 92], [1, 1, 1, 1], 0),
    ("both", [0.125, 0.75, 0.5, -0.5], [10, 20, 74, 52], [1, 1, 1, 1], 0),
    ("clamped", [0, 0, 5, 100], [0, 0, 16, 32], [1, 1, 1, 1], 0),
    ("vanishing", [0, 0, -20, -100], [0, 0, 16, 32], [1, 1, 1, 1], 0),
    ("weights", [5, -2.5, 2.5, -2.5], [96, 60, 128, 92], [10, 10, 5, 5], 0),
    ("legacy", [0.5, -0.25, 0.5, -0.5], [96, 60, 127, 91], [1, 1, 1, 1], 1),
)
"""Deltas, anchors, weights and offsets."""

SMOOTH: tuple[tuple[float, float, float], ...] = tuple(
    (prediction, target, beta)
    for beta in (0.11, 0.125, 1.0, 0.0)
    for prediction, target in (
        (0.0, 0.0),
        (0.0625, 0.0),
        (0.0, 0.125),
        (0.0, -0.125),
        (1.0, 0.0),
        (-3.0, 4.0),
        (0.0, 1.0),
    )
)
"""Predictions, targets and betas; a beta is the float64 number that is written."""
