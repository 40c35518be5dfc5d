"""Anchors of the presets are those of the detectors that they are named for.

torchvision, mmdet and effdet are run. The others are derived here once more, box by box, from what their source says:
Detectron (roi_data/data_utils.py, modeling/generate_anchors.py), detectron2 (modeling/anchor_generator.py),
keras-retinanet 1.0.0 (utils/anchors.py), tf-models-official 2.20.0 (vision/ops/anchor.py) and keras_hub 0.32.0
(layers/modeling/anchor_generator.py).
"""

import math

import numpy as np
import pytest

from focal_ref.detection.anchors import anchor_boxes

from .peers import load_effdet_anchors, load_mmdet_anchor_generator, load_torchvision_detection

IMAGE_SIZES = [(800, 1344), (512, 640), (333, 501), (97, 1200), (1, 1)]
every_size = pytest.mark.parametrize("image_size", IMAGE_SIZES)
f32 = np.float32


def locations(image_size, level):
    """Row and column of each location, rows from the top."""
    rows, columns = (math.ceil(side / 2**level) for side in image_size)
    return [(row, column) for row in range(rows) for column in range(columns)]


def distances(image_size, level):
    """A picture's sides over the numbers of locations along them."""
    return [side / math.ceil(side / 2**level) for side in image_size]


def around(x, y, half_width, half_height):
    return [x - half_width, y - half_height, x + half_width, y + half_height]


# The real code


@every_size
def test_torchvision_has_the_bits_of_torchvision(image_size):
    expected = load_torchvision_detection().anchors(image_size).numpy()
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="torchvision"), expected, strict=True)


@every_size
def test_mmdet_has_the_bits_of_mmdet(image_size):
    expected = load_mmdet_anchor_generator().anchors(image_size).numpy()
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="mmdet"), expected, strict=True)


@every_size
def test_effdet_has_the_bits_of_effdet(image_size):
    expected = load_effdet_anchors().anchors(image_size).numpy()
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="effdet"), expected, strict=True)


def test_the_ratios_of_efficientdet_are_given_as_factors_of_width_and_height():
    sides = [(1.0, 1.0), (1.4, 0.7), (0.7, 1.4)]
    expected = load_effdet_anchors().anchors((256, 384), aspect_ratios=sides).numpy()
    # Such an anchor has 0.98 of the area.
    found = anchor_boxes((256, 384), preset="effdet", ratios=(1.0, 0.5, 2.0), dtype="float64").reshape(-1, 3, 4)
    centers, halves = (found[..., 2:] + found[..., :2]) / 2, (found[..., 2:] - found[..., :2]) / 2
    halves[:, 1:] *= 0.98**0.5
    corners = np.concatenate([centers - halves, centers + halves], axis=-1).reshape(-1, 4)
    np.testing.assert_allclose(expected, corners, rtol=0, atol=1e-4)


# Printed in Detectron's source for a stride of 16: the output of MATLAB, which counts pixels from 1, as Python does not
PRINTED = [
    [-83, -39, 100, 56],
    [-175, -87, 192, 104],
    [-359, -183, 376, 200],
    [-55, -55, 72, 72],
    [-119, -119, 136, 136],
    [-247, -247, 264, 264],
    [-35, -79, 52, 96],
    [-79, -167, 96, 184],
    [-167, -343, 184, 360],
]


def test_detectron_has_the_anchors_that_its_source_prints():
    options = {"levels": (4,), "sizes": (16,), "scales": (8, 16, 32), "ratios": (0.5, 1, 2), "order": "ratio_scale"}
    assert anchor_boxes((16, 16), preset="detectron", **options).tolist() == (np.array(PRINTED) - 1).tolist()


@pytest.mark.parametrize("image_size", [(128, 256), (640, 384)])
def test_detectron_has_one_grid_for_each_scale_and_ratio(image_size):
    expected = []
    for level in range(3, 8):
        stride = 2.0**level
        for octave in range(3):
            factor = stride * 2 ** (octave / 3.0) * 4 / stride
            for ratio in (1.0, 2.0, 0.5):
                width = round(math.sqrt(stride * stride / ratio))
                height = round(width * ratio)
                half_width, half_height = 0.5 * (width * factor - 1), 0.5 * (height * factor - 1)
                for row, column in locations(image_size, level):
                    center = 0.5 * (stride - 1)
                    expected.append(around(column * stride + center, row * stride + center, half_width, half_height))
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="detectron"), np.array(expected).astype(f32))


@pytest.mark.parametrize("image_size", [(256, 416), (333, 501)])
def test_detectron2_adds_float32_locations_to_float32_cells(image_size):
    expected = []
    for level in range(3, 8):
        cells = []
        for octave in range(3):
            area = (2 ** (level + 2) * 2 ** (octave / 3.0)) ** 2.0
            for ratio in (0.5, 1.0, 2.0):
                width = math.sqrt(area / ratio)
                cells.append(around(0.0, 0.0, width / 2.0, ratio * width / 2.0))
        for row, column in locations(image_size, level):
            x, y = column * 2**level, row * 2**level
            expected.extend(np.array(cells).astype(f32) + np.array([x, y, x, y], f32))
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="detectron2"), np.array(expected), strict=True)


@pytest.mark.parametrize("image_size", [(256, 416), (333, 501)])
def test_fizyr_has_float32_scales(image_size):
    expected = []
    for level in range(3, 8):
        stride = 2**level
        for row, column in locations(image_size, level):
            for ratio in (0.5, 1.0, 2.0):
                for octave in range(3):
                    side = 4 * stride * float(f32(2 ** (octave / 3.0)))
                    width = math.sqrt(side * side / ratio)
                    x, y = (column + 0.5) * stride, (row + 0.5) * stride
                    expected.append(around(x, y, width / 2, width * ratio / 2))
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="fizyr"), np.array(expected).astype(f32))
    np.testing.assert_allclose(anchor_boxes(image_size, preset="fizyr", dtype="float64"), expected, rtol=0, atol=1e-12)
    # The scale 2^(1/3) in float32 is 1e-8 off, which anchors of 1,149 pixels show.
    assert not np.array_equal(anchor_boxes(image_size, preset="fizyr"), anchor_boxes(image_size))


def tf_official(image_size):
    expected = []
    for level in range(3, 8):
        down, right = (f32(distance) for distance in distances(image_size, level))
        for row, column in locations(image_size, level):
            x, y = right / f32(2) + f32(column) * right, down / f32(2) + f32(row) * down
            for octave in range(3):
                side = 4.0 * 2**level * 2 ** (octave / 3)
                for ratio in (0.5, 1.0, 2.0):
                    # Of width to height.
                    half_width, half_height = f32(side * ratio**0.5 / 2.0), f32(side * ratio**-0.5 / 2.0)
                    expected.append(around(x, y, half_width, half_height))
    return np.array(expected)


@pytest.mark.parametrize("image_size", [(256, 384), (256, 320)])
def test_tf_official_has_float32_sums_where_strides_are_integers(image_size):
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="tf_official"), tf_official(image_size), strict=True)


def test_tf_official_is_within_rounding_where_they_are_not():
    # 63 additions in float32 of numbers up to 512 are 63 * 2^-16 off at most.
    found, expected = anchor_boxes((333, 501), preset="tf_official"), tf_official((333, 501))
    np.testing.assert_allclose(found, expected, rtol=0, atol=63 * 2.0**-16)


@pytest.mark.parametrize("image_size", [(256, 384), (333, 501)])
def test_keras_hub_takes_its_ratios_as_heights_to_widths(image_size):
    expected = []
    for level in range(3, 8):
        down, right = (int(distance) for distance in distances(image_size, level))
        for row, column in locations(image_size, level):
            for ratio in (0.5, 1.0, 2.0):
                root = np.sqrt(f32(ratio))
                for octave in range(3):
                    side = f32(int(2**level * 4 * 2 ** (octave / 3)))
                    half_width, half_height = np.round(f32(1) / root * side / 2), np.round(root * side / 2)
                    expected.append(around(column * right, row * down, half_width, half_height))
    np.testing.assert_array_equal(anchor_boxes(image_size, preset="keras_hub"), np.array(expected, f32))


# What the presets are known to differ in


def test_torchvision_has_uneven_strides_at_the_last_levels_of_800_pixels():
    boxes = anchor_boxes((800, 800), preset="torchvision")
    # 13 x 13 locations at level 6 and 7 x 7 at level 7 come last.
    level6, level7 = boxes[-9 * (169 + 49) : -9 * 49], boxes[-9 * 49 :]
    assert (level6[9] - level6[0]).tolist() == [61.0, 0.0, 61.0, 0.0]
    assert (level7[9] - level7[0]).tolist() == [114.0, 0.0, 114.0, 0.0]


def test_paper_mmdet_and_fizyr_order_the_anchors_of_a_location_alike():
    paper = anchor_boxes((256, 256), center=0.0)
    np.testing.assert_allclose(anchor_boxes((256, 256), preset="mmdet"), paper, rtol=0, atol=2e-4)
    np.testing.assert_allclose(anchor_boxes((256, 256), preset="fizyr", center=0.0), paper, rtol=0, atol=2e-4)
