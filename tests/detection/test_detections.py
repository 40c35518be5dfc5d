"""Detections are those of the paper's inference in exact arithmetic, with the same indices in every library."""

import math
from fractions import Fraction
from functools import partial

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch

from focal_ref.adapters import adapter_of
from focal_ref.detection.inference import detections, threshold_as_logit

LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "jax": jnp.asarray,
    "array_api_strict": array_api_strict.asarray,
}
OPTIONS = (
    "image_size",
    "score_threshold",
    "top_k",
    "iou_threshold",
    "max_detections",
    "class_agnostic",
    "box_coder_weights",
    "clamp",
    "offset",
)


def found(result):
    """The fields as NumPy arrays, after a check that they belong together."""
    boxes, scores, labels, valid, num = (np.asarray(field) for field in result)
    assert boxes.shape == (*scores.shape, 4)
    assert scores.shape == labels.shape == valid.shape
    assert np.array_equal(valid.sum(axis=-1), num)
    assert np.all(valid[..., :-1] >= valid[..., 1:])
    assert np.all(labels[~valid] == -1)
    assert np.all(boxes[~valid] == 0)
    assert np.all(scores[~valid] == 0)
    assert np.all(np.diff(scores, axis=-1) <= 0)
    return boxes, scores, labels, valid, num


def by_library(make, logits, deltas, anchors, **options):
    def made(part):
        return [make(array) for array in part] if isinstance(part, list) else make(part)

    return found(detections(made(logits), made(deltas), made(anchors), **options))


def by_array_operations(make, logits, *arrays, **options):
    """As on a device: no value is read, and no Numba loop runs."""
    adapter = adapter_of(make(logits[0] if isinstance(logits, list) else logits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(adapter), "is_host", lambda self, array: False)
        return by_library(make, logits, *arrays, **options)


@partial(jax.jit, static_argnames=OPTIONS)
def compiled(*arrays, **options):
    return detections(*arrays, **options)


def by_jit(*arrays, **options):
    return found(compiled(*arrays, **options))


WAYS = {
    **{name: partial(by_library, make) for name, make in LIBRARIES.items()},
    **{
        f"{name}, array operations": partial(by_array_operations, make)
        for name, make in LIBRARIES.items()
        if name != "jax"
    },
    "jax under jit": by_jit,
}
# JAX outside jit compiles each operation alone, and the loop anew in each call: one test is enough.
QUICK = {name: way for name, way in WAYS.items() if name != "jax"}
every_way = pytest.mark.parametrize("way", QUICK.values(), ids=QUICK)


# The paper's text in plain Python


def expected_detections(
    logits,
    deltas,
    anchors,
    *,
    image_size=None,
    score_threshold=0.05,
    top_k=1000,
    iou_threshold=0.5,
    max_detections=100,
    class_agnostic=False,
    offset=0,
):
    """(box, logit, label) of each detection of one picture, for deltas that only move boxes; in rational arithmetic."""
    pairs = []
    for level, (level_logits, level_deltas, level_anchors) in enumerate(zip(logits, deltas, anchors, strict=True)):
        of_level = []
        for anchor, row in enumerate(level_logits.tolist()):
            for label, logit in enumerate(row):
                if 1 / (1 + math.exp(-logit)) > score_threshold:
                    box = moved(level_anchors[anchor].tolist(), level_deltas[anchor].tolist(), offset)
                    of_level.append((-logit, level, anchor * len(row) + label, box, label))
        pairs += sorted(of_level)[:top_k]
    candidates = []
    for negative, _, _, box, label in sorted(pairs):
        if image_size is not None:
            height, width = image_size
            limits = (width - offset, height - offset) * 2
            box = tuple(min(max(corner, 0), limit) for corner, limit in zip(box, limits, strict=True))
        if box[2] - box[0] + offset > 0 and box[3] - box[1] + offset > 0:
            candidates.append((box, -negative, label))
    kept = []
    for box, logit, label in candidates:
        rivals = [other for other, _, other_label in kept if class_agnostic or other_label == label]
        if all(overlap(box, other, offset) <= Fraction(iou_threshold) for other in rivals):
            kept.append((box, logit, label))
    return kept[:max_detections]


def moved(anchor, deltas, offset):
    assert deltas[2:] == [0, 0]
    x1, y1, x2, y2 = map(Fraction, anchor)
    across, down = Fraction(deltas[0]) * (x2 - x1 + offset), Fraction(deltas[1]) * (y2 - y1 + offset)
    return x1 + across, y1 + down, x2 + across, y2 + down


def overlap(first, second, offset):
    def area(box):
        return (box[2] - box[0] + offset) * (box[3] - box[1] + offset)

    width = min(first[2], second[2]) - max(first[0], second[0]) + offset
    height = min(first[3], second[3]) - max(first[1], second[1]) + offset
    both = max(width, Fraction(0)) * max(height, Fraction(0))
    return both / (area(first) + area(second) - both)


def some_pictures(seed, pictures=2, numbers=(12, 5), classes=3):
    """Levels with many equal logits, and boxes of quarters of pixels whose overlaps tie with the threshold."""
    generator = np.random.default_rng(seed)
    logits, deltas, anchors = [], [], []
    for number in numbers:
        logits.append((generator.integers(-14, 5, (pictures, number, classes)) / 2).astype(np.float32))
        moves = np.concatenate(
            [generator.integers(-2, 3, (pictures, number, 2)) / 4, np.zeros((pictures, number, 2))], axis=2
        )
        deltas.append(moves.astype(np.float32))
        corners = generator.integers(-2, 10, (number, 2)) * 2
        anchors.append(np.concatenate([corners, corners + generator.choice([4, 8], (number, 2))], 1).astype(np.float32))
    return logits, deltas, anchors


def assert_expected(results, logits, deltas, anchors, **options):
    boxes, scores, labels, _, num = results
    for picture in range(len(num)):
        parts = ([array[picture] for array in arrays] for arrays in (logits, deltas))
        expected = expected_detections(*parts, anchors, **options)
        count = len(expected)
        assert num[picture] == count
        assert labels[picture][:count].tolist() == [label for _, _, label in expected]
        assert boxes[picture][:count].tolist() == [[float(corner) for corner in box] for box, _, _ in expected]
        sigmoids = [1 / (1 + math.exp(-logit)) for _, logit, _ in expected]
        # The exponential of each library is within 2 ulp, 1 + and 1 / are rounded: 4 units of 2^-23.
        np.testing.assert_allclose(scores[picture][:count], sigmoids, rtol=4 * 2.0**-23, atol=0)
        assert boxes[picture].shape == (options.get("max_detections", 100), 4)


@every_way
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image_size": (13, 17), "max_detections": 9, "iou_threshold": 0.25},
        {"top_k": 7, "max_detections": 4, "class_agnostic": True},
        {"offset": 1, "image_size": (16, 12), "score_threshold": 0.3, "iou_threshold": 0.0},
    ],
    ids=["default", "clipped", "few", "offset"],
)
def test_detections_are_those_of_the_papers_text_in_exact_arithmetic(way, options):
    pictures = some_pictures(len(options))
    if "offset" in options:
        for anchors in pictures[2]:
            anchors[:, 2:] -= 1
    assert_expected(way(*pictures, **options), *pictures, **options)


def test_jax_finds_the_same_outside_of_jit():
    pictures = some_pictures(0, pictures=1, numbers=(9,))
    assert_expected(WAYS["jax"](*pictures, max_detections=9), *pictures, max_detections=9)


def test_the_random_pictures_have_what_they_are_there_for():
    logits, deltas, anchors = some_pictures(0)
    assert len(np.unique(logits[0])) < logits[0].size / 2
    boxes = [moved(*pair, 0) for pair in zip(anchors[0].tolist(), deltas[0][0].tolist(), strict=True)]
    overlaps = [overlap(first, second, 0) for first in boxes for second in boxes]
    assert any(0 < value < 0.5 for value in overlaps)
    assert any(0.5 < value < 1 for value in overlaps)
    everything, few = (
        expected_detections(logits_of, deltas_of, anchors, top_k=top_k)
        for logits_of, deltas_of in [([array[0] for array in logits], [array[0] for array in deltas])]
        for top_k in (1000, 7)
    )
    assert len(few) < len(everything)


# Pictures made by hand

ANCHORS = np.array([[0, 0, 10, 10], [0, 0, 10, 6], [0, 0, 10, 5], [20, 20, 30, 30]], np.float32)
NO_MOVE = np.zeros((4, 4), np.float32)


@every_way
def test_a_picture_made_by_hand(way):
    # In class 0 the best box overlaps the second by 0.6, the third by exactly 0.5; in class 1 the second box is alone.
    logits = np.array([[2, -9], [1, 3], [0, -9], [-9, -9]], np.float32)
    boxes, scores, labels, valid, num = way(logits, NO_MOVE, ANCHORS, max_detections=5)
    assert labels.tolist() == [1, 0, 0, -1, -1]
    assert boxes[:3].tolist() == [ANCHORS[1].tolist(), ANCHORS[0].tolist(), ANCHORS[2].tolist()]
    np.testing.assert_allclose(scores[:3], [0.9525741268224334, 0.8807970779778823, 0.5], rtol=4 * 2.0**-23)
    assert valid.tolist() == [True, True, True, False, False]
    assert num == 3


@every_way
def test_boxes_of_all_classes_suppress_each_other_where_classes_do_not_count(way):
    logits = np.array([[2, -9], [1, 3], [0, -9], [-9, -9]], np.float32)
    boxes, _, labels, _, num = way(logits, NO_MOVE, ANCHORS, max_detections=5, class_agnostic=True)
    # The second box has an IoU of 0.6 with the first and 5/6 with the third.
    assert num == 1
    assert labels[0] == 1
    assert boxes[0].tolist() == ANCHORS[1].tolist()


@every_way
def test_saturated_scores_are_ordered_by_their_logits(way):
    logits = np.array([[20.0], [-9.0], [-9.0], [30.0]], np.float32)
    boxes, scores, *_ = way(logits, NO_MOVE, ANCHORS, max_detections=2)
    assert boxes.tolist() == [ANCHORS[3].tolist(), ANCHORS[0].tolist()]
    assert scores.tolist() == [1.0, 1.0]


@every_way
def test_of_equal_logits_the_lower_level_is_first_then_the_lower_anchor_then_the_lower_class(way):
    anchors = [np.array([[9, 9, 12, 12], [0, 0, 3, 3]], np.float32), np.array([[20, 20, 23, 23]], np.float32)]
    logits = [np.array([[0.0, -0.0], [-0.0, 0.0]], np.float32), np.array([[0.0, 0.0]], np.float32)]
    deltas = [np.zeros((2, 4), np.float32), np.zeros((1, 4), np.float32)]
    boxes, _, labels, *_ = way(logits, deltas, anchors, max_detections=6)
    assert boxes[:, 0].tolist() == [9, 9, 0, 0, 20, 20]
    assert labels.tolist() == [0, 1, 0, 1, 0, 1]
    boxes, _, labels, _, num = way(logits, deltas, anchors, max_detections=6, top_k=3)
    assert boxes[: int(num), 0].tolist() == [9, 9, 0, 20, 20]
    assert labels.tolist() == [0, 1, 0, 0, 1, -1]


@every_way
def test_logits_that_are_nan_are_never_detections(way):
    logits = np.array([[np.nan, 1.0], [np.nan, np.nan], [-9, -9], [0.0, np.nan]], np.float32)
    for threshold in (0.0, 0.05, 0.5 - 2.0**-30):
        boxes, _, labels, _, num = way(logits, NO_MOVE, ANCHORS, max_detections=3, score_threshold=threshold, top_k=2)
        assert num == 2
        assert labels.tolist() == [1, 0, -1]
        assert boxes[:2].tolist() == [ANCHORS[0].tolist(), ANCHORS[3].tolist()]


@every_way
def test_threshold_0_keeps_all_but_minus_infinity_and_threshold_1_nothing(way):
    logits = np.array([[-np.inf], [-1e30], [np.inf], [-100.0]], np.float32)
    boxes, scores, labels, _, num = way(logits, NO_MOVE, ANCHORS, max_detections=4, score_threshold=0, iou_threshold=1)
    assert num == 3
    assert boxes[:3].tolist() == ANCHORS[[2, 3, 1]].tolist()
    assert labels.tolist() == [0, 0, 0, -1]
    assert scores[0] == 1.0
    assert way(logits, NO_MOVE, ANCHORS, max_detections=4, score_threshold=1)[-1] == 0


@every_way
def test_nothing_is_found_where_all_scores_are_at_most_the_threshold(way):
    logits = np.zeros((2, 4, 3), np.float32)
    boxes, _, _, valid, num = way(
        logits, np.zeros((2, 4, 4), np.float32), ANCHORS, max_detections=4, score_threshold=0.5
    )
    assert boxes.shape == (2, 4, 4)
    assert not valid.any()
    assert num.tolist() == [0, 0]


@every_way
def test_boxes_that_are_not_finite_or_leave_the_picture_are_dropped(way):
    logits = np.array([[4], [3], [2], [1]], np.float32)
    deltas = NO_MOVE.copy()
    deltas[0, 0], deltas[1, 2], deltas[2, 1] = np.nan, np.inf, np.inf
    # The infinite width is clamped.
    boxes, *_, num = way(logits, deltas, ANCHORS, max_detections=4, image_size=(25, 40))
    assert num == 2
    assert boxes[:2].tolist() == [[0, 0, 40, 6], [20, 20, 30, 25]]
    boxes, *_, num = way(logits, deltas, ANCHORS, max_detections=4, image_size=(20, 8))
    assert num == 1
    assert boxes[0].tolist() == [0, 0, 8, 6]


@every_way
def test_empty_levels_pictures_and_classes_give_empty_results(way):
    empty = np.zeros((2, 0, 3), np.float32), np.zeros((2, 0, 4), np.float32), np.zeros((0, 4), np.float32)
    assert way(*empty, max_detections=3)[-1].tolist() == [0, 0]
    full = np.ones((2, 4, 3), np.float32), np.stack([NO_MOVE, NO_MOVE]), ANCHORS
    both = [list(pair) for pair in zip(empty, full, strict=True)]
    for alone, together in zip(way(*full, max_detections=3), way(*both, max_detections=3), strict=True):
        assert alone.tolist() == together.tolist()
    no_pictures = way(full[0][:0], full[1][:0], ANCHORS, max_detections=3)
    assert [field.shape for field in no_pictures] == [(0, 3, 4), (0, 3), (0, 3), (0, 3), (0,)]
    assert way(full[0][..., :0], full[1], ANCHORS, max_detections=3)[-1].tolist() == [0, 0]


@every_way
def test_a_single_picture_is_one_of_several_without_its_axis(way):
    logits, deltas, anchors = some_pictures(4)
    together = way(logits, deltas, anchors, max_detections=12)
    for picture in range(2):
        alone = way(*([array[picture] for array in arrays] for arrays in (logits, deltas)), anchors, max_detections=12)
        for field, fields in zip(alone, together, strict=True):
            assert field.tolist() == fields[picture].tolist()


@every_way
def test_a_list_of_one_level_is_the_array_alone(way):
    logits, deltas, anchors = some_pictures(5, numbers=(9,))
    in_lists = way(logits, deltas, anchors)
    alone = way(logits[0], deltas[0], anchors[0])
    for field, other in zip(in_lists, alone, strict=True):
        assert field.tolist() == other.tolist()


# The threshold


def sigmoid(logit):
    return 1 / (1 + mpmath.exp(-mpmath.mpf(float(logit))))


THRESHOLDS = [0.05, 0.01, 0.3, 0.5, math.nextafter(0.5, 1), math.nextafter(0.5, 0), 0.95, 1 - 2.0**-53, 1e-300, 5e-324]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_threshold_on_logits_is_the_last_number_whose_sigmoid_is_not_above_it(dtype, threshold):
    limit = threshold_as_logit(threshold, np.dtype(dtype).name)
    assert dtype(limit) == limit
    with mpmath.workdps(800):
        assert sigmoid(limit) <= mpmath.mpf(threshold)
        assert sigmoid(np.nextafter(dtype(limit), dtype(np.inf))) > mpmath.mpf(threshold)


@every_way
@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.95])
def test_a_score_is_compared_exactly_with_the_threshold(way, threshold):
    with mpmath.workdps(60):
        limit = np.float32(mpmath.log(threshold) - mpmath.log(1 - mpmath.mpf(threshold)))
        numbers = [np.nextafter(limit, np.float32(-9)), limit, np.nextafter(limit, np.float32(9))]
        above = [bool(sigmoid(number) > mpmath.mpf(threshold)) for number in numbers]
    assert set(above) == {True, False}
    anchors = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]], np.float32)
    boxes, *_, num = way(
        np.array(numbers, np.float32)[:, None], NO_MOVE[:3], anchors, score_threshold=threshold, max_detections=3
    )
    assert num == sum(above)
    assert sorted(boxes[: int(num), 0].tolist()) == [2 * index for index in range(3) if above[index]]


# Dtypes, and what libraries may differ in


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
@pytest.mark.parametrize("name", ["numpy", "torch", "jax under jit"])
def test_logits_and_deltas_of_other_dtypes_are_taken_as_they_are(name, dtype):
    if name == "torch" and dtype is ml_dtypes.bfloat16:
        arrays = [[torch.tensor(array, dtype=torch.bfloat16) for array in part] for part in some_pictures(6)[:2]]
        results = found(detections(*arrays, [torch.tensor(array) for array in some_pictures(6)[2]]))
    else:
        logits, deltas, anchors = some_pictures(6)
        narrow = [[array.astype(dtype) for array in part] for part in (logits, deltas)]
        results = WAYS[name](*narrow, anchors)
    assert_expected(results, *some_pictures(6))
    wide = dtype is np.float64 and not name.startswith("jax")
    assert results[0].dtype == results[1].dtype == (np.float64 if wide else np.float32)


def test_random_boxes_differ_among_libraries_only_in_their_last_bits():
    generator = np.random.default_rng(8)
    logits = [generator.normal(-2, 2, (2, number, 4)).astype(np.float32) for number in (60, 20)]
    deltas = [generator.normal(0, 0.5, (2, number, 4)).astype(np.float32) for number in (60, 20)]
    anchors = []
    for number in (60, 20):
        corners = generator.uniform(0, 300, (number, 2))
        anchors.append(
            np.concatenate([corners, corners + generator.uniform(10, 200, (number, 2))], 1).astype(np.float32)
        )
    expected = WAYS["numpy"](logits, deltas, anchors)
    assert expected[-1].min() > 50
    for name, way in QUICK.items():
        boxes, scores, labels, valid, num = way(logits, deltas, anchors)
        assert labels.tolist() == expected[2].tolist(), name
        assert valid.tolist() == expected[3].tolist()
        assert num.tolist() == expected[4].tolist()
        # Corners are sums of a centre and half a width, both below 1024. An exponential is off by at most 2 ulp, the
        # sums and products by half of one each, or less where a compiler fuses them: 4 ulp of 1024 in all.
        np.testing.assert_allclose(boxes, expected[0], rtol=0, atol=4 * 2.0**-14)
        np.testing.assert_allclose(scores, expected[1], rtol=4 * 2.0**-23, atol=0)


def test_the_wider_dtype_of_deltas_and_anchors_is_that_of_the_boxes():
    logits = np.ones((4, 1), np.float32)
    for make in (np.asarray, torch.tensor, array_api_strict.asarray):
        for dtype, expected in (("int16", np.float32), ("int32", np.float64), ("float64", np.float64)):
            arrays = make(logits), make(NO_MOVE), make(ANCHORS.astype(dtype))
            assert np.asarray(detections(*arrays).boxes).dtype == expected


def test_weights_and_clamp_are_those_of_the_coder():
    logits, deltas = np.ones((1, 1)), np.array([[1.0, 0.0, 9.0, 5 * math.log(2)]])
    anchors = np.array([[0.0, 0.0, 10.0, 10.0]])
    result = detections(
        logits, deltas, anchors, box_coder_weights=(10, 10, 5, 5), clamp=math.log(1.5), max_detections=1
    )
    # The centre moves from 5 to 6; both sides would be larger than 15.
    np.testing.assert_allclose(result.boxes, [[-1.5, -2.5, 13.5, 12.5]], rtol=1e-14)


def test_a_tensor_that_requires_grad_is_read():
    logits, deltas = torch.ones((4, 1), requires_grad=True), torch.tensor(NO_MOVE, requires_grad=True)
    assert int(detections(logits, deltas, torch.tensor(ANCHORS)).num) == 3
