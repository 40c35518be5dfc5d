"""What `detections` refuses, with the argument, its value and what is allowed."""

import math

import numpy as np
import pytest
import torch

from focal_ref.detection import detections

from .every_library import refusal
from .test_detections import ANCHORS, NO_MOVE

LOGITS = np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    ("error", "options", "text"),
    [
        (ValueError, {"score_threshold": 1.5}, "score_threshold: got 1.5; it is a number in [0, 1]"),
        (ValueError, {"score_threshold": math.nan}, "score_threshold: got nan; it is a number in [0, 1]"),
        (TypeError, {"score_threshold": None}, "score_threshold: got NoneType; it is a number in [0, 1]"),
        (ValueError, {"iou_threshold": -1}, "iou_threshold: got -1; it is a number in [0, 1]"),
        (ValueError, {"top_k": 0}, "top_k: got 0; it is an integer >= 1"),
        (ValueError, {"max_detections": 0}, "max_detections: got 0; it is an integer >= 1"),
        (TypeError, {"max_detections": 1.0}, "max_detections: got float; it is an integer >= 1"),
        (ValueError, {"offset": 3}, "offset: got 3; it is 0, or 1 for boxes whose last pixel counts"),
        (
            ValueError,
            {"image_size": (0, 5)},
            "image_size: got (0, 5); it is (height, width) in pixels, integers of at least 1",
        ),
    ],
)
def test_options_out_of_range_are_refused(error, options, text):
    assert refusal(error, detections, LOGITS, NO_MOVE, ANCHORS, **options) == text


def test_lists_of_other_lengths_are_refused():
    assert refusal(ValueError, detections, [], [], []) == "class_logits: got an empty list; it has one array a level"
    text = "box_deltas: got 1 arrays; class_logits has 2, one a level"
    assert refusal(ValueError, detections, [LOGITS, LOGITS], [NO_MOVE], [ANCHORS, ANCHORS]) == text
    text = "anchors: got 1 arrays; class_logits has 2, one a level"
    assert refusal(ValueError, detections, [LOGITS, LOGITS], [NO_MOVE, NO_MOVE], ANCHORS) == text


def test_arrays_that_do_not_fit_are_refused_with_their_level():
    lists = [LOGITS, LOGITS], [NO_MOVE, NO_MOVE], [ANCHORS, ANCHORS]

    def second(part, array):
        changed = [list(arrays) for arrays in lists]
        changed[part][1] = array
        return changed

    assert refusal(ValueError, detections, *second(0, LOGITS[:, :1])) == (
        "class_logits[1]: got shape (4, 1); the first level has (4, 2), only the number of anchors may differ"
    )
    assert refusal(ValueError, detections, *second(0, LOGITS[None])) == (
        "class_logits[1]: got shape (1, 4, 2); the first level has (4, 2), only the number of anchors may differ"
    )
    assert refusal(TypeError, detections, *second(0, LOGITS.astype(np.float64))) == (
        "class_logits[1]: got dtype float64; the first level has float32"
    )
    assert refusal(TypeError, detections, *second(0, LOGITS.astype(int))) == (
        "class_logits[1]: got dtype int64; allowed is real floating"
    )
    assert refusal(ValueError, detections, *second(1, NO_MOVE[:3])) == (
        "box_deltas[1]: got shape (3, 4); it is (4, 4), as class_logits[1] has shape (4, 2)"
    )
    assert refusal(ValueError, detections, *second(2, ANCHORS[:3])) == (
        "anchors[1]: got shape (3, 4); it is (4, 4), as class_logits[1] has shape (4, 2)"
    )
    assert refusal(TypeError, detections, *second(2, torch.tensor(ANCHORS))) == (
        "anchors[1]: got torch.Tensor; it is an array of numpy, as the first argument"
    )
    assert refusal(ValueError, detections, *second(2, ANCHORS * np.float32(0))) == (
        "anchors[1]: got [0.0, 0.0, 0.0, 0.0] at position (0,); "
        "a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1"
    )
    assert refusal(ValueError, detections, LOGITS[0], NO_MOVE[0], ANCHORS) == (
        "class_logits: got shape (2,); it is (N, A, C) or (A, C)"
    )
