"""What `retinanet_loss` refuses everywhere, with the argument, its value and what is allowed."""

import numpy as np
import pytest

from focal_ref.detection import match_anchors, retinanet_loss

from .every_library import refusal
from .test_retinanet_loss import ANCHORS, BOXES, LABELS, VALID, outputs


@pytest.mark.parametrize(
    ("place", "array", "text"),
    [
        (0, np.zeros((1, 3, 6, 3)), "class_logits: got shape (1, 3, 6, 3); it is (N, A, C) or (A, C)"),
        (0, np.zeros(3), "class_logits: got shape (3,); it is (..., A, C)"),
        (
            1,
            np.zeros((3, 6, 5)),
            "box_deltas: got shape (3, 6, 5), class_logits have shape (3, 6, 3); box_deltas have shape (3, 6, 4)",
        ),
        (
            2,
            ANCHORS[:5],
            "anchors: got shape (5, 4), class_logits have shape (3, 6, 3); anchors have shape (6, 4)",
        ),
        (
            3,
            BOXES[:2],
            "gt_boxes: got shape (2, 2, 4), class_logits have shape (3, 6, 3); gt_boxes have shape (3, 2, 4)",
        ),
        (
            4,
            LABELS[:, :1],
            "gt_labels: got shape (3, 1), gt_boxes have shape (3, 2, 4); labels have shape (3, 2)",
        ),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(place, array, text):
    arrays = [*outputs(), ANCHORS, BOXES, LABELS]
    arrays[place] = array
    assert refusal(ValueError, retinanet_loss, *arrays, gt_valid=VALID) == text


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"box_weight": -1.0}, ValueError, "box_weight: got -1.0; it is >= 0 and at most 1.798e+308"),
        ({"box_weight": None}, TypeError, "box_weight: got None; it is a number"),
        ({"beta": -1.0}, ValueError, "beta: got -1.0; it is >= 0 and at most 3.403e+38"),
        (
            {"normalizer": "mean"},
            ValueError,
            "normalizer: got 'mean'; allowed are 'per_picture', 'batch', 'plus_one', 'plus_one_per_picture', a number "
            "or an array of shape ()",
        ),
        (
            {"sum_over_ranks": abs, "normalizer": 2.0},
            ValueError,
            "sum_over_ranks: got a function with normalizer=2.0, which counts nothing over devices; it belongs to "
            "'per_picture', 'batch', 'plus_one', 'plus_one_per_picture', and one with an attribute averaged_over to "
            "any normalizer",
        ),
        (
            {"alpha": 2.0},
            ValueError,
            "alpha: got 2.0; it is in [0, 1] (positives weigh alpha, negatives 1 - alpha); pass None for no weighting",
        ),
        ({"precision": "half"}, ValueError, "precision: got 'half'; allowed are 'exact', 'fast'"),
    ],
)
def test_options_out_of_range_are_refused(options, error, text):
    assert refusal(error, retinanet_loss, *outputs(), ANCHORS, BOXES, LABELS, gt_valid=VALID, **options) == text


def test_matches_of_other_pictures_and_unknown_presets_are_refused():
    matches = match_anchors(ANCHORS, BOXES[0])
    assert refusal(ValueError, retinanet_loss, *outputs(), ANCHORS, BOXES, LABELS, matches=matches) == (
        "matches: got states of shape (6,), class_logits have shape (3, 6, 3); matches have shape (3, 6)"
    )
    assert refusal(ValueError, retinanet_loss, *outputs(), ANCHORS, BOXES, LABELS, preset="yolo").startswith(
        "preset: got 'yolo'; "
    )
