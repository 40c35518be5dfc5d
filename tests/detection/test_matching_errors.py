"""What `match_anchors` refuses, and what it does with bad boxes where nothing can raise."""

import numpy as np
import pytest
import torch

from focal_ref.detection.matching import match_anchors

from .every_library import call, host_libraries, most_libraries, refusal, traced_libraries

ANCHORS = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], np.float32)
GOOD = [0.0, 0.0, 10.0, 10.0]
BAD = [[5, 5, 5, 5], [5, 5, 3, 9], [0, 0, np.nan, 10], [0, 0, np.inf, 10], [-np.inf, 0, 10, 10]]
A_BOX = "a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1"


def with_bad(bad):
    return np.array([GOOD, bad], np.float32)


@host_libraries
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_ground_truth_raises_with_its_index_and_values(library, bad):
    text = refusal(ValueError, call, library, match_anchors, ANCHORS, with_bad(bad))
    assert text == f"gt_boxes: got {[float(x) for x in bad]} at position (1,); {A_BOX}"


@host_libraries
def test_a_bad_ground_truth_of_a_batch_is_named_with_its_picture(library):
    boxes = np.stack([with_bad(GOOD), with_bad([5, 5, 5, 5])])
    text = refusal(ValueError, call, library, match_anchors, ANCHORS, boxes)
    assert text == f"gt_boxes: got [5.0, 5.0, 5.0, 5.0] at position (1, 1); {A_BOX}"


@host_libraries
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_anchor_raises_with_its_index_and_values(library, bad):
    anchors = np.concatenate([ANCHORS, np.array([bad], np.float32)])
    text = refusal(ValueError, call, library, match_anchors, anchors, np.array([GOOD], np.float32))
    assert text == f"anchors: got {[float(x) for x in bad]} at position (3,); {A_BOX}"


@most_libraries
@pytest.mark.parametrize("bad", BAD)
def test_dropped_and_masked_boxes_are_as_if_they_were_not_there(library, bad):
    alone = match_anchors(ANCHORS, np.array([GOOD], np.float32))
    dropped = call(library, match_anchors, ANCHORS, with_bad(bad), invalid="drop", preset="torchvision")
    masked = call(library, match_anchors, ANCHORS, with_bad(bad), gt_valid=np.array([True, False]))
    for matches in (dropped, masked):
        assert matches.state.tolist() == alone.state.tolist() == [1, 0, 0]
        assert matches.gt_index.tolist() == [0, -1, -1]
        assert matches.iou.tolist() == [1.0, 0.0, 0.0]
        assert matches.unmatched.tolist() == [False, False]


@most_libraries
def test_dropped_and_masked_anchors_are_ignored(library):
    anchors = np.concatenate([ANCHORS, np.array([[0, 0, np.nan, 1]], np.float32)])
    boxes = np.array([GOOD], np.float32)
    dropped = call(library, match_anchors, anchors, boxes, invalid="drop")
    masked = call(library, match_anchors, anchors, boxes, anchor_valid=np.array([True, True, True, False]))
    for matches in (dropped, masked):
        assert matches.state.tolist() == [1, 0, 0, -1]
        assert matches.iou.tolist() == [1.0, 0.0, 0.0, 0.0]


@traced_libraries
@pytest.mark.parametrize("bad", BAD)
def test_where_nothing_can_raise_the_picture_is_ignored_and_its_overlaps_are_nan(library, bad):
    boxes = np.stack([with_bad(GOOD), with_bad(bad)])
    matches = call(library, match_anchors, ANCHORS, boxes)
    assert matches.state.tolist() == [[1, 0, 0], [-1, -1, -1]]
    assert matches.gt_index.tolist() == [[0, -1, -1], [-1, -1, -1]]
    assert matches.num_positive.tolist() == [1, 0]
    assert np.isnan(matches.iou[1]).all()
    assert np.isfinite(matches.iou[0]).all()


@traced_libraries
def test_where_nothing_can_raise_a_bad_anchor_is_ignored_and_its_overlap_is_nan(library):
    anchors = np.concatenate([ANCHORS, np.array([[0, 0, np.nan, 1]], np.float32)])
    matches = call(library, match_anchors, anchors, np.array([GOOD], np.float32), preset="torchvision")
    assert matches.state.tolist() == [1, 0, 0, -1]
    assert np.isnan(matches.iou).tolist() == [False, False, False, True]


def test_a_box_of_one_pixel_has_an_area_with_offset_1():
    one = np.array([[5, 5, 5, 5]], np.float32)
    assert match_anchors(one, one, preset="detectron").state.tolist() == [1]
    assert refusal(ValueError, match_anchors, one, one).startswith("anchors: got [5.0, 5.0, 5.0, 5.0]")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"positive": 1.5}, "positive: got 1.5; an IoU in [0, 1]"),
        ({"positive": True}, "positive: got True; an IoU in [0, 1]"),
        ({"negative": float("nan")}, "negative: got nan; an IoU in [0, 1]"),
        (
            {"positive": 0.4, "negative": 0.5},
            "negative: got 0.5 with positive=0.4; it is at most as large as positive",
        ),
        ({"negative_closed": 1}, "negative_closed: got 1; it is True or False"),
        ({"low_quality": "some"}, "low_quality: got 'some'; allowed are 'none', 'band', 'all'"),
        (
            {"low_quality_owner": "last"},
            "low_quality_owner: got 'last'; allowed are 'argmax', 'forcing_first', 'forcing_last'",
        ),
        ({"low_quality_ties": "last"}, "low_quality_ties: got 'last'; allowed are 'all', 'first'"),
        ({"offset": 0.5}, "offset: got 0.5; it is 0, or 1 for boxes whose last pixel counts"),
        ({"epsilon": -1}, "epsilon: got -1; a number in [0, 1)"),
        ({"undefined": "nan"}, "undefined: got 'nan'; allowed are 'positive', 'ignored', 'background', 'zero'"),
        ({"invalid": "skip"}, "invalid: got 'skip'; allowed are 'raise', 'drop', 'keep'"),
        ({"ignore_iof": 0.0}, "ignore_iof: got 0.0; a share of the anchor's area in (0, 1]"),
        ({"ignore_valid": np.array([True])}, "ignore_valid: got a mask without ignore_boxes"),
        ({"gt_valid": np.array([True, False])}, "gt_boxes mask: got shape (2,); it is (1,), one a box"),
        ({"anchor_valid": np.array([True])}, "anchors mask: got shape (1,); it is (3,), one a box"),
        ({"ignore_boxes": np.ones((2, 1, 4))}, "ignore_boxes: got shape (2, 1, 4); it is (I, 4), as gt_boxes"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_named_with_what_is_allowed(options, text):
    if "ignore_boxes" in options:
        options = {"ignore_boxes": np.tile(np.array(GOOD), (2, 1, 1))}
    assert refusal(ValueError, match_anchors, ANCHORS, np.array([GOOD], np.float32), **options) == text


def test_an_unknown_option_is_named_with_all_that_exist():
    text = refusal(TypeError, match_anchors, ANCHORS, ANCHORS, threshold=0.5)
    assert text.startswith("match_anchors: got an unknown option 'threshold'; allowed are positive, negative, ")


def test_shapes_and_libraries_that_do_not_fit_are_named():
    boxes = np.array([GOOD], np.float32)
    assert refusal(ValueError, match_anchors, ANCHORS[:, :3], boxes) == "anchors: got shape (3, 3); it is (..., B, 4)"
    assert refusal(ValueError, match_anchors, ANCHORS, boxes[0]) == "gt_boxes: got shape (4,); it is (..., B, 4)"
    assert refusal(ValueError, match_anchors, ANCHORS, boxes[None, None]) == (
        "gt_boxes: got shape (1, 1, 1, 4); it is (G, 4) or (N, G, 4)"
    )
    assert refusal(ValueError, match_anchors, np.stack([ANCHORS] * 2), boxes) == (
        "anchors: got shape (2, 3, 4) with gt_boxes of shape (1, 4); "
        "it is (A, 4), or (N, A, 4) for a batch of N pictures"
    )
    assert refusal(TypeError, match_anchors, ANCHORS, torch.from_numpy(boxes)) == (
        "gt_boxes: got torch.Tensor; it is an array of numpy, as the first argument"
    )
    assert refusal(TypeError, match_anchors, ANCHORS, boxes, gt_valid=np.array([1])) == (
        "gt_boxes mask: got dtype int64; allowed is bool"
    )
