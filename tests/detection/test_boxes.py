from fractions import Fraction

import array_api_strict
import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from focal_ref.detection.boxes import box_area, box_iou, clip_boxes

from .every_library import (
    call,
    every_library,
    host_libraries,
    most_libraries,
    refusal,
    traced_libraries,
)
from .peers import load_mmdet_assigner, load_torchvision_detection
from .pictures import grid_anchors, random_boxes


def exact_iou(first, second, offset=0, crowd=False):
    """IoU of two boxes as a fraction."""
    a, b = [Fraction(float(x)) for x in first], [Fraction(float(x)) for x in second]
    width = max(min(a[2], b[2]) - max(a[0], b[0]) + offset, Fraction(0))
    height = max(min(a[3], b[3]) - max(a[1], b[1]) + offset, Fraction(0))
    own, theirs = ((c[2] - c[0] + offset) * (c[3] - c[1] + offset) for c in (a, b))
    return width * height / (own if crowd else own + theirs - width * height)


@every_library
@pytest.mark.parametrize("offset", [0, 1])
def test_integer_boxes_have_the_correctly_rounded_quotient(library, offset):
    generator = np.random.default_rng(4)
    first = np.concatenate([generator.integers(0, 30, (40, 2)), generator.integers(31, 60, (40, 2))], axis=1)
    second = np.concatenate([generator.integers(0, 40, (30, 2)), generator.integers(41, 70, (30, 2))], axis=1)
    got = call(library, box_iou, first.astype(np.float32), second.astype(np.float32), offset=offset)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            exact = exact_iou(a, b, offset)
            # The quotient of two integers below 2^24 is rounded once.
            assert got[i, j] == np.float32(exact.numerator) / np.float32(exact.denominator)


@most_libraries
def test_one_half_and_two_fifths_are_exact(library):
    anchor = np.array([[0, 0, 10, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 5], [0, 0, 10, 4], [20, 20, 30, 30]], np.float32)
    assert call(library, box_iou, anchor, boxes).tolist() == [[0.5, float(np.float32(0.4)), 0.0]]


@every_library
@pytest.mark.parametrize(
    ("boxes", "share"),
    [
        # The union needs 24 bits, the sum of the two areas 25.
        (([0, 0, 2047, 4095], [0, 0, 4094, 4095]), Fraction(1, 2)),
        (([0, 0, 2730, 4095], [0, 0, 4095, 4095]), Fraction(2, 3)),
        (([0, 0, 1636, 4095], [0, 0, 4090, 4095]), Fraction(2, 5)),
        (([0, 0, 4095, 4095], [1, 0, 4096, 4095]), Fraction(4094, 4096)),
    ],
)
def test_a_union_below_2_to_the_24_is_exact_although_the_areas_add_up_to_more(library, boxes, share):
    one, other = (np.array([box], np.float32) for box in boxes)
    assert exact_iou(*boxes) == share
    expected = np.float32(share.numerator) / np.float32(share.denominator)
    assert call(library, box_iou, one, other).tolist() == call(library, box_iou, other, one).tolist() == [[expected]]


@most_libraries
def test_a_batch_equals_its_pictures(library):
    generator = np.random.default_rng(1)
    first, second = random_boxes(generator, 5, 200), np.stack([random_boxes(generator, 3, 200) for _ in range(2)])
    batch = call(library, box_iou, first, second)
    assert batch.shape == (2, 5, 3)
    for picture in range(2):
        assert (batch[picture] == call(library, box_iou, first, second[picture])).all()


@most_libraries
def test_a_crowd_divides_by_the_first_box_alone(library):
    anchor = np.array([[0, 0, 10, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 40], [0, 0, 10, 40]], np.float32)
    assert call(library, box_iou, anchor, boxes, crowd=np.array([False, True])).tolist() == [[0.25, 1.0]]


@pytest.mark.parametrize("count", [0, 1, 8, 100, 500])
def test_overlaps_are_those_of_torchvision_and_mmdet(count):
    anchors = grid_anchors(160)
    boxes = random_boxes(np.random.default_rng(count), count, 160, largest=80)
    tensors = torch.from_numpy(anchors), torch.from_numpy(boxes)
    ours = box_iou(anchors, boxes)
    for function in (load_torchvision_detection().box_iou, load_mmdet_assigner().bbox_overlaps):
        theirs = function(*tensors).numpy()
        # They lose what rounding takes from the sum of the areas: half an ulp of a sum that is at most twice the union.
        np.testing.assert_allclose(ours, theirs, rtol=2 * np.finfo(np.float32).eps, atol=0)
        whole = box_iou(np.round(anchors), np.round(boxes))
        assert (whole == function(*(tensor.round() for tensor in tensors)).numpy()).all()


def test_overlaps_and_crowds_equal_those_of_pycocotools():
    generator = np.random.default_rng(3)
    detections = random_boxes(generator, 60, 300).astype(np.float64)
    boxes = random_boxes(generator, 20, 300).astype(np.float64)
    crowd = generator.random(20) < 0.5
    assert crowd.any()
    assert not crowd.all()

    def by_size(corners):
        return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)

    theirs = coco.iou(by_size(detections), by_size(boxes), crowd.astype(np.uint8))
    # It adds widths to corners again: a rounding each that is not ours.
    np.testing.assert_allclose(box_iou(detections, boxes, crowd=crowd), theirs, rtol=1e-12, atol=1e-15)


@most_libraries
def test_areas_count_the_last_pixel_with_offset_1(library):
    boxes = np.array([[0, 0, 9, 4], [2, 3, 2, 3]], np.float32)
    assert call(library, box_area, boxes, offset=1).tolist() == [50.0, 1.0]


@most_libraries
def test_corners_are_moved_to_the_inside(library):
    boxes = np.array([[-16, -16, 16, 16], [90, 30, 130, 70]], np.float32)

    def clipped(boxes, offset):
        return clip_boxes(boxes, (50, 100), offset=offset)

    assert call(library, clipped, boxes, offset=0).tolist() == [[0, 0, 16, 16], [90, 30, 100, 50]]
    assert call(library, clipped, boxes, offset=1).tolist() == [[0, 0, 16, 16], [90, 30, 99, 49]]


@most_libraries
def test_narrow_boxes_are_compared_in_float32(library):
    if library == "array_api_strict":
        boxes = np.array([[0, 0, 10, 10]], np.int16)
    else:
        boxes = np.array([[0, 0, 10, 10]], np.float16)
    result = call(library, box_iou, boxes, boxes)
    assert result.dtype == np.float32
    assert result.tolist() == [[1.0]]


@host_libraries
@pytest.mark.parametrize(
    "bad", [[5, 5, 5, 9], [5, 5, 3, 9], [0, 0, np.nan, 1], [0, 0, np.inf, 1], [0, 0, 1e30, 1e30], [0, 0, 1e-30, 1e-30]]
)
def test_a_bad_box_raises_with_its_index_and_values(library, bad):
    good = np.array([[0, 0, 10, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 10], bad], np.float32)
    text = refusal(ValueError, call, library, box_iou, good, boxes)
    values = [float(np.float32(x)) for x in bad]
    assert text == f"boxes2: got {values} at position (1,); a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1"


@traced_libraries
def test_a_nan_box_gives_nan_where_nothing_can_raise(library):
    good = np.array([[0, 0, 10, 10]], np.float32)
    boxes = np.array([[0, 0, 10, 10], [0, 0, np.nan, 1]], np.float32)
    result = call(library, box_iou, good, boxes)
    assert result[0, 0] == 1.0
    assert np.isnan(result[0, 1])


def test_wrong_arguments_are_named():
    boxes = np.array([[0.0, 0.0, 10.0, 10.0]])
    assert refusal(ValueError, box_iou, boxes, boxes[:, :3]) == "boxes2: got shape (1, 3); it is (..., B, 4)"
    assert refusal(ValueError, box_iou, boxes, boxes, offset=2) == (
        "offset: got 2; it is 0, or 1 for boxes whose last pixel counts"
    )
    assert refusal(TypeError, box_iou, boxes, boxes, crowd=np.array([1])) == ("crowd: got dtype int64; allowed is bool")
    assert refusal(ValueError, box_iou, boxes, boxes, crowd=np.array([True, False])) == (
        "crowd: got shape (2,); it is (1,), one a box"
    )
    assert refusal(ValueError, box_iou, np.stack([boxes] * 2), np.stack([boxes] * 3)) == (
        "boxes2: got shape (3, 1, 4); boxes1 have shape (2, 1, 4), "
        "leading axes are equal or only one of the two has them"
    )
    assert refusal(TypeError, box_iou, boxes, torch.zeros(1, 4)) == (
        "boxes2: got torch.Tensor; it is an array of numpy, as the first argument"
    )
    assert (
        refusal(TypeError, box_iou, boxes > 0, boxes) == "boxes1: got dtype bool; allowed is real floating or integral"
    )
    for size in [(0, 5), (5,), 7, (5.5, 3)]:
        assert refusal(ValueError, clip_boxes, boxes, size) == (
            f"image_size: got {size!r}; it is (height, width) in pixels, integers of at least 1"
        )


@host_libraries
def test_corners_within_a_pixel_of_the_border_are_clipped_to_the_last_pixel_with_an_offset(library):
    boxes = np.float32([[9.5, 4.5, 10.0, 5.0], [9.0, 4.0, 10.25, 5.25], [8.5, 3.5, 9.0, 4.0]])
    got = call(library, lambda boxes: clip_boxes(boxes, (5, 10), offset=1), boxes)
    np.testing.assert_array_equal(got, [[9, 4, 9, 4], [9, 4, 9, 4], [8.5, 3.5, 9, 4]])


@host_libraries
def test_boxes_of_several_pictures_are_clipped_as_those_of_each(library):
    boxes = np.random.default_rng(3).uniform(-20.0, 120.0, (2, 3, 4)).astype(np.float32)
    got = call(library, lambda boxes: clip_boxes(boxes, (50, 100)), boxes)
    np.testing.assert_array_equal(got, np.clip(boxes, 0.0, np.float32([100, 50, 100, 50])))


@host_libraries
def test_boxes_of_several_pictures_are_compared_with_those_of_all(library):
    generator = np.random.default_rng(2)
    first, second = np.stack([random_boxes(generator, 3, 200) for _ in range(2)]), random_boxes(generator, 5, 200)
    batch = call(library, box_iou, first, second)
    assert batch.shape == (2, 3, 5)
    for picture in range(2):
        assert (batch[picture] == call(library, box_iou, first[picture], second)).all()


def test_crowds_of_several_pictures_have_the_shape_of_their_boxes():
    boxes = np.tile([0.0, 0.0, 10.0, 10.0], (2, 3, 1))
    assert refusal(ValueError, box_iou, boxes, boxes, crowd=np.array([True, False, True])) == (
        "crowd: got shape (3,); it is (2, 3), one a box"
    )


@host_libraries
def test_less_than_a_pixel_outside_is_outside(library):
    boxes = np.float32([[-0.5, -0.25, 100.25, 50.5], [-1.0, -1.0, 0.0, 0.5]])
    got = call(library, lambda boxes: clip_boxes(boxes, (50, 100)), boxes)
    np.testing.assert_array_equal(got, [[0, 0, 100, 50], [0, 0, 0, 0.5]])


def test_a_picture_has_a_pixel_at_least():
    boxes = np.array([[-1.0, 0.5, 3.0, 2.0]])
    assert clip_boxes(boxes, (1, 1)).tolist() == [[0.0, 0.5, 1.0, 1.0]]
    for size in ((5, 0), (0, 5), (-1, 5), (5, -1)):
        assert refusal(ValueError, clip_boxes, boxes, size) == (
            f"image_size: got {size!r}; it is (height, width) in pixels, integers of at least 1"
        )


@pytest.mark.parametrize("bad", [[5, 5, 3, 9], [5, 5, 9, 5], [0, 0, np.inf, 1], [0, 0, np.nan, 1]])
def test_on_another_device_the_overlaps_of_a_bad_box_are_nan_in_either_set(bad):
    device = array_api_strict.Device("device1")
    boxes = array_api_strict.asarray(np.float32([[0, 0, 10, 10], bad]), device=device)
    good = array_api_strict.asarray(np.float32([[0, 0, 10, 20]]), device=device)
    with np.errstate(invalid="ignore"):
        found = [box_iou(good, boxes), box_iou(boxes, good)]
    for numbers in found:
        at_home = np.asarray(numbers.to_device(array_api_strict.Device("CPU_DEVICE"))).reshape(-1)
        np.testing.assert_array_equal(at_home, np.float32([0.5, np.nan]))
