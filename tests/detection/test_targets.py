"""Targets of matched anchors: classes, one-hot rows, and the offsets of the boxes."""

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from focal_ref import BACKGROUND, IGNORE, loss, loss_from_labels
from focal_ref.detection.matching import Matches, match_anchors
from focal_ref.detection.targets import box_targets, classification_targets, one_hot_targets

from .every_library import call, every_library, host_libraries, most_libraries, refusal, traced_libraries

ANCHORS = np.array([[0, 0, 8, 8], [4, 4, 20, 12], [0, 0, 2, 2], [10, 10, 20, 30]], dtype=np.float32)


def matched(state, index, iou=None):
    """Matches written by hand."""
    state, index = np.array(state, dtype=np.int8), np.array(index, dtype=np.int32)
    iou = np.where(state == 1, 0.75, 0.25).astype(np.float32) if iou is None else np.array(iou, dtype=np.float32)
    return Matches(
        state, index, iou, np.sum(state == 1, axis=-1, dtype=np.int32), np.zeros((*state.shape[:-1], 0), bool)
    )


ONE = matched([1, 0, -1, 1], [1, -1, -1, 0])
BATCH = matched([[1, 0, -1, 1], [0, 1, 1, -1]], [[1, -1, -1, 0], [-1, 2, 2, -1]])


# Labels


@most_libraries
def test_positive_anchors_get_the_class_of_their_ground_truth_and_the_others_their_code(library):
    found = call(library, classification_targets, ONE, np.array([7, 3]))
    assert found.tolist() == [3, BACKGROUND, IGNORE, 7]


@most_libraries
def test_each_picture_of_a_batch_has_labels_of_its_own(library):
    found = call(library, classification_targets, BATCH, np.array([[7, 3, 5], [10, 11, 12]]))
    assert found.tolist() == [[3, -1, -2, 7], [-1, 12, 12, -2]]


@most_libraries
@pytest.mark.parametrize("unused", [-999, -1, -2, 127])
def test_labels_of_padding_are_not_looked_at(library, unused):
    found = call(
        library, classification_targets, BATCH, np.array([[7, 3, unused], [unused, unused, 12]], dtype=np.int16)
    )
    assert found.tolist() == [[3, -1, -2, 7], [-1, 12, 12, -2]]


@most_libraries
def test_without_ground_truths_all_is_background_or_ignored(library):
    found = call(library, classification_targets, matched([0, -1, 0], [-1, -1, -1]), np.zeros(0, dtype=np.int32))
    assert found.tolist() == [-1, -2, -1]


@most_libraries
@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int8", "int8"), ("int16", "int16"), ("int32", "int32"), ("uint8", None), ("uint16", None), ("uint32", None)],
)
def test_signed_labels_keep_their_dtype_and_unsigned_ones_become_what_can_hold_the_codes(library, dtype, expected):
    found = call(library, classification_targets, ONE, np.array([100, 3], dtype=dtype))
    assert found.dtype == (expected or ("int32" if library.startswith("jax") else "int64"))
    assert found.tolist() == [3, -1, -2, 100]


@host_libraries
def test_a_label_that_is_no_class_is_refused_where_an_anchor_would_get_it(library):
    text = refusal(ValueError, call, library, classification_targets, BATCH, np.array([[7, 3, 0], [1, 1, -1]]))
    assert text == "gt_labels: got -1 at position (1, 2); a ground truth's label is a class >= 0"


@traced_libraries
def test_where_nothing_can_be_refused_the_loss_of_a_bad_label_is_nan(library):
    labels = call(library, classification_targets, ONE, np.array([7, -1], dtype=np.int32))
    assert labels.tolist() == [-3, -1, -2, 7]
    losses = np.asarray(loss_from_labels(jnp.zeros((4, 8)), jnp.asarray(labels)))
    assert np.isnan(losses).all(axis=-1).tolist() == [True, False, False, False]


@host_libraries
@pytest.mark.parametrize("targets", ["labels", "boxes"])
def test_matches_of_a_bad_box_are_refused(library, targets):
    bad = matched([[0, 0], [0, 1]], [[-1, -1], [-1, 0]], [[0.1, 0.2], [np.nan, 0.7]])
    if targets == "labels":
        text = refusal(ValueError, call, library, classification_targets, bad, np.array([[1], [1]]))
    else:
        text = refusal(ValueError, call, library, box_targets, bad, ANCHORS[:2], np.ones((2, 1, 4), dtype=np.float32))
    assert text == "matches.iou: got nan at position (1, 0); a box of its picture is not finite or has no area"


@host_libraries
@pytest.mark.parametrize("index", [2, -1])
def test_an_index_beyond_the_ground_truths_is_refused(library, index):
    wrong = matched([0, 1], [-1, index])
    text = refusal(ValueError, call, library, classification_targets, wrong, np.array([0, 1]))
    assert text == (
        f"matches.gt_index: got {index} for the positive anchor at position (1,); gt_labels has 2 ground truths, pass "
        "those that were matched"
    )


@traced_libraries
@pytest.mark.parametrize("number", [0, 2])
def test_where_nothing_can_be_refused_matches_that_make_no_sense_give_no_plausible_target(library, number):
    wrong = matched([1, 0, 0, 1], [0, -1, -1, 5], [0.9, 0.1, np.nan, 0.9])
    labels = call(library, classification_targets, wrong, np.arange(number, dtype=np.int32))
    assert labels.tolist() == [0 if number else -3, -1, -3, -3]
    boxes = np.tile(np.array([0, 0, 8, 8], dtype=np.float32), (number, 1))
    deltas = call(library, box_targets, wrong, ANCHORS, boxes)
    assert np.isnan(deltas).all(axis=-1).tolist() == [number == 0, False, True, True]


def test_labels_and_matches_that_do_not_belong_together_are_refused():
    assert refusal(ValueError, classification_targets, BATCH, np.array([1, 2, 3])) == (
        "gt_labels: got shape (3,) with matches of shape (2, 4); their batch axes are equal"
    )
    assert refusal(TypeError, classification_targets, ONE, np.array([1.0, 2.0])) == (
        "gt_labels: got dtype float64; allowed is integral"
    )
    assert refusal(TypeError, classification_targets, {"state": 1}, np.array([1])) == (
        "matches: got builtins.dict; it is what match_anchors returns"
    )
    assert "it is an array of numpy" in refusal(TypeError, classification_targets, ONE, jnp.asarray([1, 2]))


# One-hot rows


@every_library
@pytest.mark.parametrize("dtype", ["int8", "int32"])
def test_rows_have_their_class_alone_background_none_and_ignored_no_weight(library, dtype):
    labels = np.array([[2, BACKGROUND], [IGNORE, 0]], dtype=dtype)
    targets, weights = call(library, lambda labels: one_hot_targets(labels, 3), labels)
    assert targets.dtype == bool
    assert targets.tolist() == [[[False, False, True], [False] * 3], [[False] * 3, [True, False, False]]]
    assert weights.dtype == np.float32
    assert weights.tolist() == [[[1], [1]], [[0], [1]]]


@most_libraries
def test_the_loss_of_the_rows_is_the_loss_of_the_labels(library):
    labels = np.array([1, BACKGROUND, IGNORE, 0], dtype=np.int32)
    logits = np.array([[0.5, -2], [3, 1], [9, -9], [-1, 1]], dtype=np.float32)

    def of_rows(logits, labels):
        targets, weights = one_hot_targets(labels, 2)
        return loss(logits, targets, weights=weights)

    assert np.array_equal(call(library, of_rows, logits, labels), loss_from_labels(logits, labels))


@host_libraries
@pytest.mark.parametrize("label", [3, -3])
def test_a_label_that_is_neither_class_nor_code_is_refused(library, label):
    text = refusal(ValueError, call, library, lambda labels: one_hot_targets(labels, 3), np.array([0, label]))
    assert text == f"labels: got {label} at position (1,); it is a class 0..2, or BACKGROUND = -1, IGNORE = -2"


@traced_libraries
@pytest.mark.parametrize(("dtype", "label"), [("int32", 3), ("int32", -3), ("uint32", 2**32 - 2), ("uint8", 254)])
def test_where_nothing_can_be_refused_the_weight_of_a_bad_label_is_nan(library, dtype, label):
    _, weights = call(library, lambda labels: one_hot_targets(labels, 3), np.array([0, label], dtype=dtype))
    assert weights[0] == 1
    assert np.isnan(weights[1])


def test_bad_numbers_of_classes_and_labels_are_refused():
    labels = np.array([0])
    assert refusal(ValueError, one_hot_targets, labels, 0) == "num_classes: got 0; it is an integer >= 1"
    assert refusal(TypeError, one_hot_targets, labels, 2.0) == "num_classes: got 2.0; it is an integer >= 1"
    assert refusal(TypeError, one_hot_targets, labels, True) == "num_classes: got True; it is an integer >= 1"
    assert refusal(TypeError, one_hot_targets, np.array([0.0]), 2) == (
        "labels: got dtype float64; allowed are int8, int16, int32, int64, uint8, uint16, uint32"
    )


# Boxes


def offsets(anchor, box, weights=(1, 1, 1, 1), offset=0):
    """(dx, dy, dw, dh) from the formula of the papers, in 50 digits."""
    with mpmath.workdps(50):
        (ax, ay, aw, ah), (x, y, w, h) = (
            (x1 + (x2 - x1 + offset) / 2, y1 + (y2 - y1 + offset) / 2, x2 - x1 + offset, y2 - y1 + offset)
            for x1, y1, x2, y2 in ([mpmath.mpf(float(number)) for number in row] for row in (anchor, box))
        )
        raw = (x - ax) / aw, (y - ay) / ah, mpmath.log(w / aw), mpmath.log(h / ah)
        return [float(weight * value) for weight, value in zip(weights, raw, strict=True)]


@most_libraries
@pytest.mark.parametrize(
    "options", [{}, {"weights": [10.0, 10.0, 5.0, 5.0]}, {"offset": 1}], ids=["plain", "weights", "offset"]
)
def test_positive_anchors_get_the_offsets_of_their_box_and_the_others_exactly_zero(library, options):
    boxes = np.array([[9, 11, 25, 30], [1, 0, 8, 10], [np.nan, 0, -1, np.inf]], dtype=np.float32)
    found = call(library, box_targets, ONE, ANCHORS, boxes, **options)
    assert found.dtype == np.float32
    assert np.all(found[1:3] == 0)
    expected = [offsets(ANCHORS[0], boxes[1], **options), offsets(ANCHORS[3], boxes[0], **options)]
    np.testing.assert_allclose(found[[0, 3]], expected, rtol=2e-6, atol=1e-7)


@most_libraries
@pytest.mark.parametrize("shared", [True, False])
def test_anchors_are_shared_by_a_batch_or_its_own(library, shared):
    anchors = ANCHORS if shared else np.stack([ANCHORS, ANCHORS + np.float32(3)])
    boxes = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = call(library, box_targets, BATCH, anchors, boxes)
    for picture, (state, index) in enumerate(zip(BATCH.state, BATCH.gt_index, strict=True)):
        for place in range(4):
            anchor = ANCHORS[place] + (0 if shared else 3 * picture)
            wanted = offsets(anchor, boxes[picture, index[place]]) if state[place] == 1 else [0] * 4
            np.testing.assert_allclose(found[picture, place], wanted, rtol=2e-6, atol=1e-7)


@most_libraries
def test_without_ground_truths_all_offsets_are_zero(library):
    found = call(library, box_targets, matched([0, -1, 0, 0], [-1] * 4), ANCHORS, np.zeros((0, 4), dtype=np.float32))
    assert found.shape == (4, 4)
    assert np.all(found == 0)


@most_libraries
def test_anchors_that_take_no_part_may_be_anything(library):
    anchors = np.array([[0, 0, 8, 8], [np.nan, 0, 0, 0], [5, 5, 5, 5]], dtype=np.float32)
    boxes = np.array([[0, 0, 8, 8]], dtype=np.float32)
    found = call(library, box_targets, matched([1, -1, 0], [0, -1, -1]), anchors, boxes)
    assert np.all(found == 0)


@pytest.mark.parametrize("wide", ["anchors", "boxes"])
@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_the_wider_dtype_of_anchors_and_boxes_is_that_of_the_offsets(library, wide):
    boxes = np.array([[9, 11, 25, 30.3], [1, 0, 8.1, 10]])
    anchors, boxes = (ANCHORS.astype(float), np.float32(boxes)) if wide == "anchors" else (ANCHORS, boxes)
    found = call(library, box_targets, ONE, anchors, boxes)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[0], offsets(anchors[0], boxes[1]), rtol=1e-14, atol=1e-16)


def test_boxes_that_do_not_belong_to_the_matches_are_refused():
    boxes = np.ones((2, 1, 4), dtype=np.float32)
    assert refusal(ValueError, box_targets, BATCH, ANCHORS[:3], boxes) == (
        "anchors: got shape (3, 4); matches of shape (2, 4) take (2, 4, 4)"
    )
    assert refusal(ValueError, box_targets, BATCH, ANCHORS, boxes[0]) == (
        "gt_boxes: got shape (1, 4) with matches of shape (2, 4); their batch axes are equal"
    )
    assert refusal(ValueError, box_targets, ONE, ANCHORS, boxes[0, :, :3]) == (
        "gt_boxes: got shape (1, 3); it is (..., B, 4)"
    )


@every_library
def test_what_match_anchors_returns_gives_the_targets_of_the_printed_rule(library):
    # Overlaps 1, 32/128 and 0 with the first box; 4/64 of the second one is background.
    boxes = np.array([[[0, 0, 8, 8], [0, 0, 0, 0]], [[10, 10, 20, 30], [4, 4, 20, 12]]], dtype=np.float32)
    valid = np.array([[True, False], [True, True]])

    def targets(anchors, boxes, valid, labels):
        matches = match_anchors(anchors, boxes, gt_valid=valid)
        return classification_targets(matches, labels), box_targets(matches, anchors, boxes)

    labels, deltas = call(library, targets, ANCHORS, boxes, valid, np.array([[5, -7], [6, 9]], dtype=np.int32))
    assert labels.tolist() == [[5, -1, -1, -1], [-1, 9, -1, 6]]
    assert np.all(deltas == 0)
