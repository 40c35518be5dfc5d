"""Matches in the codes of other libraries, on every library of arrays."""

import numpy as np
import pytest

from focal_ref.detection import match_anchors, to_detectron2, to_effdet, to_mmdet, to_torchvision

from .every_library import call, most_libraries, refusal

ANCHORS = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60], [20, 20, 30, 30]], np.float32)
# The best IoU of the anchors: 0.45, 0.9, 0, 1.
BOXES = np.array([[0, 0, 10, 4.5], [20, 20, 30, 30]], np.float32)


@most_libraries
@pytest.mark.parametrize(
    ("converter", "codes"),
    [(to_torchvision, [-2, 0, -1, 1]), (to_effdet, [-2, 0, -1, 1]), (to_mmdet, [-1, 1, 0, 2])],
)
def test_positives_background_and_ignored_have_the_codes_of_the_library(library, converter, codes):
    assert call(library, converter, match_anchors(ANCHORS, BOXES)).tolist() == codes
    batch = match_anchors(ANCHORS, np.stack([BOXES, BOXES[::-1]]))
    assert call(library, converter, batch).shape == (2, 4)


@most_libraries
def test_detectron2_has_classes_and_one_beyond_them_for_background(library):
    def labelled(matches, labels):
        return to_detectron2(matches, labels, 80)

    assert call(library, labelled, match_anchors(ANCHORS, BOXES), np.array([7, 0])).tolist() == [-1, 7, 80, 0]


def test_labels_of_other_ground_truths_are_refused():
    matches = match_anchors(ANCHORS, BOXES)
    assert refusal(ValueError, to_detectron2, matches, np.array([7]), 80) == (
        "matches.gt_index: got 1 for the positive anchor at position (3,); gt_labels has 1 ground truths, "
        "pass those that were matched"
    )
