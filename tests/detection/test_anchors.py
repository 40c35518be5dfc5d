"""`anchor_boxes` gives the anchors of the paper, the same bits in every library, and every option does what it says."""

import dataclasses

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import torch

from focal_ref.detection.anchors import ANCHOR_PRESETS, AnchorOptions, anchor_boxes, anchor_preset

from .every_library import CONVERTERS, refusal

every_preset = pytest.mark.parametrize("preset", ANCHOR_PRESETS)
OCTAVE = [mpmath.mpf(1), mpmath.cbrt(2), mpmath.cbrt(4)]
RATIOS = [mpmath.mpf(1) / 2, mpmath.mpf(1), mpmath.mpf(2)]


def levels_of(boxes, image_size, per_location=9):
    """The anchors of each level as (rows, columns, anchors, 4)."""
    height, width = image_size
    parts, start = [], 0
    for level in range(3, 8):
        # One location for every 2^l pixels that have begun.
        rows, columns = len(range(0, height, 2**level)), len(range(0, width, 2**level))
        end = start + rows * columns * per_location
        parts.append(boxes[start:end].reshape(rows, columns, per_location, 4))
        start = end
    assert start == len(boxes)
    return parts


def exact(level, row, column, ratio, scale, bits):
    """An anchor of the paper, rounded once to a number of bits."""
    with mpmath.workprec(200):
        side, root = 2 ** (level + 2) * OCTAVE[scale], mpmath.sqrt(RATIOS[ratio])
        half_width, half_height = side / root / 2, side * root / 2
        x, y = (column + mpmath.mpf(1) / 2) * 2**level, (row + mpmath.mpf(1) / 2) * 2**level
        corners = [x - half_width, y - half_height, x + half_width, y + half_height]
    with mpmath.workprec(bits):
        return [float(+corner) for corner in corners]


# The paper's anchors


@pytest.mark.parametrize(
    ("image_size", "number"), [((800, 800), 120_087), ((800, 1024), 153_576), ((800, 1344), 201_600), ((1, 1), 45)]
)
@every_preset
def test_a_picture_has_nine_anchors_for_every_location_of_five_levels(preset, image_size, number):
    boxes = anchor_boxes(image_size, preset=preset)
    assert boxes.shape == (number, 4)
    assert boxes.dtype == np.float32


def test_the_first_and_the_last_anchors_are_those_computed_by_hand():
    boxes = anchor_boxes((800, 800), dtype="float64")
    # 32 pixels, one half as high as wide: 32 sqrt(2) by 32 / sqrt(2) around (4, 4).
    assert boxes[0] == pytest.approx(
        [4 - 22.627416997969522, 4 - 11.313708498984761, 26.627416997969522, 15.313708498984761]
    )
    # Of the square ones the smallest: 4 - 16 to 4 + 16.
    assert boxes[3].tolist() == [-12.0, -12.0, 20.0, 20.0]
    # Level 7 has 7 x 7 locations, the last at 6.5 x 128; 512 x 2^(2/3) = 812.7493, twice as high as wide.
    side = 812.7493386077181
    assert boxes[-1] == pytest.approx(
        [832 - side / 8**0.5, 832 - side / 2**0.5, 832 + side / 8**0.5, 832 + side / 2**0.5]
    )


@pytest.mark.parametrize("image_size", [(800, 1344), (97, 130)])
def test_float32_anchors_are_the_formula_rounded_once(image_size):
    for level, boxes in enumerate(levels_of(anchor_boxes(image_size), image_size), start=3):
        rows, columns = boxes.shape[:2]
        for row, column in {(0, 0), (rows // 2, columns // 3), (rows - 1, columns - 1)}:
            expected = [exact(level, row, column, ratio, scale, 24) for ratio in range(3) for scale in range(3)]
            assert boxes[row, column].tolist() == expected


def test_float64_anchors_are_within_rounding_of_the_formula():
    image_size = (333, 501)
    for level, boxes in enumerate(levels_of(anchor_boxes(image_size, dtype="float64"), image_size), start=3):
        rows, columns = boxes.shape[:2]
        expected = [exact(level, rows - 1, columns - 1, ratio, scale, 53) for ratio in range(3) for scale in range(3)]
        # Half widths are below 1024, and three operations round them by at most 2^-44 each.
        np.testing.assert_allclose(boxes[-1, -1], expected, rtol=0, atol=3 * 2.0**-44)


def test_anchors_have_the_area_and_the_ratio_that_they_are_named_for():
    for level, boxes in enumerate(levels_of(anchor_boxes((256, 384), dtype="float64"), (256, 384)), start=3):
        width, height = boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1]
        sides = 2.0 ** (level + 2) * np.array([1, 2 ** (1 / 3), 2 ** (2 / 3)] * 3)
        np.testing.assert_allclose(width * height, np.broadcast_to(sides**2, width.shape), rtol=1e-12)
        np.testing.assert_allclose(height / width, np.broadcast_to(np.repeat([0.5, 1, 2], 3), width.shape), rtol=1e-12)


@every_preset
def test_neighbours_are_one_stride_apart(preset):
    # 256 is divided by every stride, so that all presets have strides of 2^l; halves and integers add up exactly.
    boxes = anchor_boxes((256, 256), preset=preset, dtype="float64", layout="location")
    for level, part in enumerate(levels_of(boxes, (256, 256)), start=3):
        right, down = part[:, 1:] - part[:, :-1], part[1:] - part[:-1]
        np.testing.assert_allclose(right, np.broadcast_to([2.0**level, 0] * 2, right.shape), rtol=0, atol=1e-12)
        np.testing.assert_allclose(down, np.broadcast_to([0, 2.0**level] * 2, down.shape), rtol=0, atol=1e-12)


def test_a_larger_picture_has_the_anchors_of_a_smaller_one_at_the_same_places():
    small, large = (130, 97), (300, 310)
    for less, more in zip(levels_of(anchor_boxes(small), small), levels_of(anchor_boxes(large), large), strict=True):
        np.testing.assert_array_equal(more[: less.shape[0], : less.shape[1]], less)


def test_height_and_width_are_not_mixed_up():
    boxes = anchor_boxes((64, 640), scales=(1.0,), ratios=(1.0,))
    assert boxes[:, 0].max() > 600 > boxes[:, 1].max()
    swapped = anchor_boxes((640, 64), scales=(1.0,), ratios=(1.0,))
    assert sorted(map(tuple, swapped.tolist())) == sorted(map(tuple, boxes[:, [1, 0, 3, 2]].tolist()))


# Libraries


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "array_api_strict"])
def test_every_library_has_the_bits_of_numpy(library, dtype):
    like = CONVERTERS[library](np.zeros(1, np.float32))
    boxes = anchor_boxes((100, 120), like=like, dtype=dtype, preset="mmdet")
    assert type(boxes) is type(like)
    expected = anchor_boxes((100, 120), dtype=dtype, preset="mmdet")
    assert str(boxes.dtype).endswith(dtype)
    np.testing.assert_array_equal(np.asarray(boxes), expected, strict=True)


def test_anchors_are_a_constant_of_compiled_code():
    def widths(offsets):
        boxes = anchor_boxes((64, 64), like=offsets)
        return boxes[:, 2] - boxes[:, 0] + offsets[0]

    expected = anchor_boxes((64, 64))
    found = jax.jit(widths)(jnp.ones(1))
    np.testing.assert_array_equal(np.asarray(found), expected[:, 2] - expected[:, 0] + np.float32(1))


def test_torch_anchors_are_on_the_device_of_like():
    assert anchor_boxes((32, 32), like=torch.empty(0, device="meta")).device.type == "meta"


def test_results_do_not_share_memory():
    first = anchor_boxes((32, 32))
    first[:] = 0
    assert anchor_boxes((32, 32)).any()


# Options


def test_sizes_may_be_numpy_integers_and_lists():
    expected = anchor_boxes((33, 70))
    np.testing.assert_array_equal(anchor_boxes([np.int64(33), np.int32(70)]), expected)
    np.testing.assert_array_equal(anchor_boxes(torch.empty(33, 70).shape), expected)


def test_levels_and_sizes_are_chosen_together():
    boxes = anchor_boxes((64, 64), levels=(2,), sizes=(16,), scales=(1,), ratios=(1,))
    assert boxes.shape == (256, 4)
    assert boxes[17].tolist() == [-2.0, -2.0, 14.0, 14.0]


def test_order_says_which_comes_first_in_a_location():
    by_ratio = anchor_boxes((64, 96), order="ratio_scale").reshape(-1, 3, 3, 4)
    by_scale = anchor_boxes((64, 96), order="scale_ratio").reshape(-1, 3, 3, 4)
    np.testing.assert_array_equal(by_scale, by_ratio.transpose(0, 2, 1, 3))
    areas = np.prod(by_ratio[0, 0, :, 2:] - by_ratio[0, 0, :, :2], axis=-1)
    assert areas[0] < areas[1] < areas[2]


def test_layout_anchor_has_the_whole_grid_for_each_anchor():
    together = levels_of(anchor_boxes((64, 96)), (64, 96))
    apart = anchor_boxes((64, 96), layout="anchor")
    expected = np.concatenate([part.transpose(2, 0, 1, 3).reshape(-1, 4) for part in together])
    np.testing.assert_array_equal(apart, expected)


def test_center_is_counted_in_strides():
    middle, corner = anchor_boxes((64, 64), dtype="float64"), anchor_boxes((64, 64), dtype="float64", center=0.0)
    for level, (first, second) in enumerate(
        zip(levels_of(middle, (64, 64)), levels_of(corner, (64, 64)), strict=True), start=3
    ):
        np.testing.assert_allclose(first - second, np.full(first.shape, 2.0 ** (level - 1)), rtol=0, atol=1e-12)


def test_with_an_offset_the_last_pixel_belongs_to_the_box():
    square = {"scales": (1.0,), "ratios": (1.0,)}
    difference = anchor_boxes((64, 64), **square) - anchor_boxes((64, 64), offset=1, **square)
    np.testing.assert_array_equal(difference, np.broadcast_to([0.0, 0.0, 1.0, 1.0], difference.shape))


@pytest.mark.parametrize(
    ("stride", "distances"),
    [("power", [8, 16, 32, 64, 128]), ("floor", [8, 16, 32, 61, 114]), ("quotient", [8, 16, 32, 800 / 13, 800 / 7])],
)
def test_strides_of_a_picture_that_no_level_divides(stride, distances):
    boxes = anchor_boxes((800, 800), stride=stride, center=0.0, dtype="float64")
    for part, distance in zip(levels_of(boxes, (800, 800)), distances, strict=True):
        centers = (part[0, :, 0, 0] + part[0, :, 0, 2]) / 2
        np.testing.assert_allclose(centers, np.arange(len(centers)) * distance, rtol=0, atol=1e-11)


def test_stretch_keeps_an_anchor_as_many_strides_large():
    square = {"scales": (1.0,), "ratios": (1.0,), "stride": "quotient", "dtype": "float64"}
    last = anchor_boxes((800, 1024), stretch=True, **square)[-1]
    # 4 strides of 800 / 7 high, 4 of 128 wide.
    assert last[2] - last[0] == pytest.approx(512.0, rel=1e-14)
    assert last[3] - last[1] == pytest.approx(3200 / 7, rel=1e-14)


def test_truncated_sizes_are_integers():
    boxes = anchor_boxes((8, 8), truncate=True, ratios=(1.0,))
    # 32, 40.3 and 50.8 cut off.
    assert (boxes[:3, 2] - boxes[:3, 0]).tolist() == [32.0, 40.0, 50.0]


def test_corners_are_rounded_halves_to_the_even_one():
    boxes = anchor_boxes(
        (8, 8), rounding="corners", sizes=(5, 7, 1, 9, 11), scales=(1.0,), ratios=(1.0,), center=0.0, levels=(3,) * 5
    )
    # 2.5, 3.5, 0.5, 4.5, 5.5
    assert boxes[:, 2].tolist() == [2.0, 4.0, 0.0, 4.0, 6.0]


def test_clipped_anchors_end_at_the_border():
    free, clipped = anchor_boxes((100, 120)), anchor_boxes((100, 120), clip=True)
    np.testing.assert_array_equal(clipped[:, 0::2], free[:, 0::2].clip(0, 120))
    np.testing.assert_array_equal(clipped[:, 1::2], free[:, 1::2].clip(0, 100))
    assert anchor_boxes((100, 120), clip=True, offset=1).max(axis=0)[2:].tolist() == [119.0, 99.0]


def test_an_option_overrides_the_preset():
    np.testing.assert_array_equal(
        anchor_boxes((64, 64), preset="torchvision", truncate=False, rounding="none", stride="power"),
        anchor_boxes((64, 64), preset="mmdet"),
    )


# What is refused


@pytest.mark.parametrize(
    "image_size", [(0, 800), (800, -1), (800.0, 800), (800,), (1, 2, 3), 800, None, "ab", (np.nan, 1)]
)
def test_a_size_that_is_not_two_positive_integers_is_refused(image_size):
    text = refusal(ValueError, anchor_boxes, image_size)
    assert text.startswith(f"image_size: got {image_size!r}; ")
    assert "height" in text


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"preset": "caffe"},
            "preset: got 'caffe'; allowed are 'paper', 'detectron', 'detectron2', 'torchvision', 'mmdet', 'fizyr', "
            "'tf_official', 'effdet', 'keras_hub'",
        ),
        ({"dtype": "float16"}, "dtype: got 'float16'; allowed are 'float32', 'float64'"),
        ({"order": "rows"}, "order: got 'rows'; allowed are 'ratio_scale', 'scale_ratio'"),
        ({"layout": "rows"}, "layout: got 'rows'; allowed are 'location', 'anchor'"),
        ({"rounding": "up"}, "rounding: got 'up'; allowed are 'none', 'corners', 'cell'"),
        ({"stride": 8}, "stride: got 8; allowed are 'power', 'floor', 'quotient'"),
        ({"arithmetic": "float16"}, "arithmetic: got 'float16'; allowed are 'float64', 'cell', 'float32'"),
        ({"ratios": ()}, "ratios: got (); a sequence of finite numbers > 0"),
        ({"ratios": 0.5}, "ratios: got 0.5; a sequence of finite numbers > 0"),
        ({"ratios": (0.5, 0.0)}, "ratios: got (0.5, 0.0); a sequence of finite numbers > 0"),
        ({"scales": (1.0, -1.0)}, "scales: got (1.0, -1.0); a sequence of finite numbers > 0"),
        ({"scales": (float("inf"),)}, "scales: got (inf,); a sequence of finite numbers > 0"),
        ({"scales": (float("nan"),)}, "scales: got (nan,); a sequence of finite numbers > 0"),
        ({"scales": (True,)}, "scales: got (True,); a sequence of finite numbers > 0"),
        ({"sizes": ("32",) * 5}, "sizes: got ('32', '32', '32', '32', '32'); a sequence of finite numbers > 0"),
        (
            {"sizes": (32, 64)},
            "sizes: got 2 for 5 levels; one for each level, such as (32.0, 64.0, 128.0, 256.0, 512.0)",
        ),
        ({"levels": (2, 3)}, "sizes: got 5 for 2 levels; one for each level, such as (16.0, 32.0)"),
        ({"levels": ()}, "levels: got (); a sequence of integers from 0 to 30"),
        ({"levels": (3.0,) * 5}, "levels: got (3.0, 3.0, 3.0, 3.0, 3.0); a sequence of integers from 0 to 30"),
        ({"levels": (-1, 3)}, "levels: got (-1, 3); a sequence of integers from 0 to 30"),
        ({"levels": (True, 3)}, "levels: got (True, 3); a sequence of integers from 0 to 30"),
        ({"levels": 3}, "levels: got 3; a sequence of integers from 0 to 30"),
        ({"center": 2.0}, "center: got 2.0; a number of strides in [0, 1]"),
        ({"center": float("nan")}, "center: got nan; a number of strides in [0, 1]"),
        ({"offset": 2}, "offset: got 2; it is 0, or 1 for boxes whose last pixel counts"),
        ({"clip": 1}, "clip: got 1; it is True or False"),
        ({"truncate": "no"}, "truncate: got 'no'; it is True or False"),
        ({"stretch": 0}, "stretch: got 0; it is True or False"),
        (
            {"truncate": True, "scales": (0.01,)},
            "truncate: got True with a size of 0.32; sizes that are cut off to integers are at least 1",
        ),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(options, text):
    assert refusal(ValueError, anchor_boxes, (64, 64), **options) == text


def test_like_is_an_array():
    assert "list" in refusal(TypeError, anchor_boxes, (64, 64), like=[1.0])


def test_presets_are_options_to_change():
    options = anchor_preset("torchvision")
    assert dataclasses.replace(options, rounding="none").rounding == "none"
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.rounding = "none"
    assert anchor_preset("paper") == AnchorOptions()
