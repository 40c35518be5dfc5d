"""`encode_boxes` and `decode_boxes`: values, inverses, derivatives, and the coders of torchvision, mmdet and effdet."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import ml_dtypes
import mpmath
import numpy as np
import pytest
import torch

from focal_ref.detection.coding import CLAMP, decode_boxes, encode_boxes

from .every_library import CONVERTERS, call, every_library, host_libraries, most_libraries, refusal, traced_libraries
from .peers import load_effdet_matcher, load_mmdet_coders, load_torchvision_detection

FASTER_RCNN = (10.0, 10.0, 5.0, 5.0)
ANCHOR = np.array([[0.0, 0.0, 10.0, 20.0]])


def random_boxes(seed, count=200, dtype=np.float32):
    """Boxes of 1 to 512 pixels within a picture of 1344 x 800."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, [1344, 800], (count, 2))
    return np.concatenate([corner, corner + 2 ** random.uniform(0, 9, (count, 2))], axis=1).astype(dtype)


def exact_encoding(box, anchor, weights, offset):
    """The formula of the paper in rational arithmetic, but for the logarithms."""
    deltas = []
    sizes = []
    for low, high in ((0, 2), (1, 3)):
        (b1, b2), (a1, a2) = ((Fraction(float(each[low])), Fraction(float(each[high]))) for each in (box, anchor))
        size, anchor_size = b2 - b1 + offset, a2 - a1 + offset
        # An offset moves both centers alike.
        deltas.append(Fraction(weights[low]) * ((b1 + b2) / 2 - (a1 + a2) / 2) / anchor_size)
        sizes.append(size / anchor_size)
    with mpmath.workdps(40):
        for ratio, weight in zip(sizes, weights[2:], strict=True):
            deltas.append(weight * mpmath.log(mpmath.mpf(ratio.numerator) / ratio.denominator))
    return [float(delta) for delta in deltas]


# Values


@most_libraries
def test_a_box_that_is_the_anchor_has_no_offsets(library):
    boxes = random_boxes(1)
    np.testing.assert_array_equal(call(library, encode_boxes, boxes, boxes), np.zeros_like(boxes), strict=True)


@every_library
def test_offsets_are_those_computed_by_hand(library):
    boxes = np.array([[5, 0, 25, 20], [-10, 10, 0, 30], [0, 0, 5, 40]], np.float32)
    anchors = np.repeat(ANCHOR.astype(np.float32), 3, axis=0)
    half = math.log(2)
    # Centers (15, 10), (-5, 20), (2.5, 20) against (5, 10); widths 20, 10, 5 against 10; heights 20, 20, 40 against 20.
    expected = [[1.0, 0.0, half, 0.0], [-1.0, 0.5, 0.0, 0.0], [-0.25, 0.5, -half, half]]
    found = call(library, encode_boxes, boxes, anchors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=0)
    np.testing.assert_allclose(
        call(library, encode_boxes, boxes, anchors, weights=FASTER_RCNN),
        np.array(expected) * FASTER_RCNN,
        rtol=3e-7,
        atol=0,
    )


@every_library
def test_boxes_are_those_computed_by_hand(library):
    deltas = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, -0.5, math.log(2), math.log(0.5)]], np.float32)
    anchors = np.repeat(ANCHOR.astype(np.float32), 2, axis=0)
    # Center (5 + 10, 10 - 10), 20 wide, 10 high.
    found = call(library, decode_boxes, deltas, anchors)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 0, 10, 20], [5, -5, 25, 5]], rtol=5e-7, atol=0)


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), FASTER_RCNN])
@pytest.mark.parametrize("offset", [0, 1])
def test_float64_offsets_are_the_exact_ones(weights, offset):
    boxes, anchors = random_boxes(2, dtype=np.float64), random_boxes(3, dtype=np.float64)
    expected = [exact_encoding(box, anchor, weights, offset) for box, anchor in zip(boxes, anchors, strict=True)]
    # Coordinates below 2048 round by 2^-43 a step, over anchors of at least a pixel; weights are at most 10.
    found = encode_boxes(boxes, anchors, weights=weights, offset=offset)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=40 * 2.0**-43)


def test_variances_are_reciprocals_of_weights():
    boxes, anchors = random_boxes(4, dtype=np.float64), random_boxes(5, dtype=np.float64)
    plain = encode_boxes(boxes, anchors)
    np.testing.assert_allclose(
        encode_boxes(boxes, anchors, weights=FASTER_RCNN), plain / [0.1, 0.1, 0.2, 0.2], rtol=1e-14
    )


@most_libraries
def test_the_legacy_offset_makes_boxes_one_pixel_larger(library):
    anchor, box = np.array([[0, 0, 9, 19]], np.float32), np.array([[5, 0, 24, 19]], np.float32)
    # 10 and 20 pixels wide, 20 high; centers 5 and 15 with the last pixel counted.
    found = call(library, encode_boxes, box, anchor, offset=1)
    np.testing.assert_allclose(found, [[1.0, 0.0, math.log(2), 0.0]], rtol=2e-7, atol=0)
    np.testing.assert_allclose(call(library, decode_boxes, found, anchor, offset=1), box, rtol=5e-7, atol=2e-6)


@most_libraries
def test_corners_are_offsets_of_the_corners_over_the_anchors_size(library):
    # keras-retinanet: (difference of corners / size - 0) / 0.2
    box, weights = np.array([[1, -2, 14, 30]], np.float32), (5.0, 5.0, 5.0, 5.0)
    anchor = ANCHOR.astype(np.float32)
    found = call(library, encode_boxes, box, anchor, weights=weights, form="corners")
    np.testing.assert_allclose(found, [[0.1 / 0.2, -0.1 / 0.2, 0.4 / 0.2, 0.5 / 0.2]], rtol=3e-7)
    back = call(library, decode_boxes, found, anchor, weights=weights, form="corners")
    np.testing.assert_allclose(back, box, rtol=1e-6)


# The limit of width and height


def test_the_default_limit_is_62_and_a_half_anchors():
    assert math.exp(CLAMP) == pytest.approx(1000 / 16)
    far = decode_boxes(np.array([[0.0, 0.0, 100.0, CLAMP]]), ANCHOR)
    np.testing.assert_allclose(far[0, 2:] - far[0, :2], [625.0, 1250.0], rtol=1e-14)


@most_libraries
def test_the_limit_applies_after_the_weights_and_only_from_above(library):
    deltas = np.array([[0.0, 0.0, 6.0, -6.0]], np.float32)
    found = call(library, decode_boxes, deltas, ANCHOR.astype(np.float32), weights=(1.0, 1.0, 2.0, 2.0), clamp=1.0)
    sizes = found[0, 2:] - found[0, :2]
    np.testing.assert_allclose(sizes, [10 * math.e, 20 * math.exp(-3.0)], rtol=1e-5)


@most_libraries
def test_without_a_limit_boxes_grow_to_infinity(library):
    deltas = np.array([[0.0, 0.0, 5.0, 200.0]], np.float32)
    found = call(library, decode_boxes, deltas, ANCHOR.astype(np.float32), clamp=None)
    assert found[0, 2] - found[0, 0] == pytest.approx(10 * math.exp(5.0), rel=1e-6)
    assert found[0, 1] == -math.inf
    assert found[0, 3] == math.inf


@most_libraries
def test_nan_offsets_stay_nan_in_their_own_coordinates(library):
    deltas = np.zeros((4, 4), np.float32)
    np.fill_diagonal(deltas, np.nan)
    found = call(library, decode_boxes, deltas, np.repeat(ANCHOR.astype(np.float32), 4, axis=0))
    across, down = [True, False, True, False], [False, True, False, True]
    assert np.isnan(found).tolist() == [across, down, across, down]


# Inverses


@pytest.mark.parametrize("form", ["centers", "corners"])
@pytest.mark.parametrize("offset", [0, 1])
@most_libraries
def test_decoding_undoes_encoding(library, offset, form):
    boxes, anchors = random_boxes(6), random_boxes(7)
    options = {"weights": FASTER_RCNN, "offset": offset, "form": form}
    deltas = call(library, encode_boxes, boxes, anchors, **options)
    # The largest of these is 512 times its anchor; some 2^-13 is a rounding of coordinates up to 2048.
    found = call(library, decode_boxes, deltas, anchors, clamp=None, **options)
    np.testing.assert_allclose(found, boxes, rtol=0, atol=20 * 2.0**-13)


def test_moving_box_and_anchor_alike_changes_nothing():
    # Quarters, which move exactly.
    boxes, anchors = (np.round(random_boxes(seed) * 4) / 4 + np.array([0, 0, 1, 1]) for seed in (8, 9))
    move = np.array([64.0, -128.0, 64.0, -128.0])
    np.testing.assert_array_equal(encode_boxes(boxes + move, anchors + move), encode_boxes(boxes, anchors))


def test_scaling_box_and_anchor_alike_changes_nothing():
    boxes, anchors = random_boxes(10), random_boxes(11)
    np.testing.assert_array_equal(encode_boxes(boxes * 4, anchors * 4), encode_boxes(boxes, anchors))


# The real code


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), FASTER_RCNN])
def test_torchvision_has_the_same_bits(weights):
    coder = load_torchvision_detection().BoxCoder(weights)
    boxes, anchors = torch.tensor(random_boxes(12)), torch.tensor(random_boxes(13))
    assert torch.equal(encode_boxes(boxes, anchors, weights=weights), coder.encode_single(boxes, anchors))
    deltas = torch.tensor(np.random.default_rng(14).normal(0, 3, (200, 4)).astype(np.float32))
    # Some are beyond the limit.
    assert (deltas[:, 2:] / weights[2] > CLAMP).any() == (weights[2] == 1.0)
    assert torch.equal(decode_boxes(deltas, anchors, weights=weights), coder.decode_single(deltas, anchors))


@pytest.mark.parametrize("offset", [0, 1])
def test_mmdet_has_the_same_offsets_and_a_limit_from_below_too(offset):
    coders = load_mmdet_coders()
    coder = (coders.LegacyDeltaXYWHBBoxCoder if offset else coders.DeltaXYWHBBoxCoder)(
        target_means=[0.0] * 4, target_stds=[0.1, 0.1, 0.2, 0.2]
    )
    boxes, anchors = torch.tensor(random_boxes(15)), torch.tensor(random_boxes(16))
    found = encode_boxes(boxes, anchors, weights=FASTER_RCNN, offset=offset)
    torch.testing.assert_close(found, coder.encode(anchors, boxes), rtol=1e-5, atol=1e-3)
    decoded = decode_boxes(found, anchors, weights=FASTER_RCNN, offset=offset)
    expected = coder.decode(anchors, found)
    if offset:
        # The legacy coder of mmdet 3.3.0 does not take off again the pixel that its encoding adds.
        expected += torch.tensor([0.5, 0.5, -0.5, -0.5])
    within = (found[:, 2:] / 5 > -CLAMP).all(dim=1)
    assert 150 < within.sum() < 200
    torch.testing.assert_close(decoded[within], expected[within], rtol=1e-5, atol=1e-3)


def test_effdet_has_the_same_offsets_in_another_order():
    matcher = load_effdet_matcher()
    boxes, anchors = torch.tensor(random_boxes(17)), torch.tensor(random_boxes(18))
    order = [1, 0, 3, 2]
    lists = matcher.BoxList(boxes[:, order]), matcher.BoxList(anchors[:, order])
    expected = matcher.FasterRcnnBoxCoder().encode(*lists)[:, order]
    # effdet adds 1e-8 to widths and heights.
    torch.testing.assert_close(encode_boxes(boxes, anchors), expected, rtol=1e-5, atol=1e-4)


# Shapes and dtypes


@most_libraries
def test_anchors_are_shared_by_a_batch(library):
    boxes, anchors = random_boxes(19, 12).reshape(3, 4, 4), random_boxes(20, 4)
    found = call(library, encode_boxes, boxes, anchors)
    assert found.shape == (3, 4, 4)
    for picture in range(3):
        expected = call(library, encode_boxes, boxes[picture], anchors)
        np.testing.assert_allclose(found[picture], expected, rtol=1e-6, atol=1e-6)
    assert call(library, decode_boxes, found, anchors).shape == (3, 4, 4)


@most_libraries
def test_no_boxes_are_no_offsets(library):
    none = np.zeros((0, 4), np.float32)
    assert call(library, encode_boxes, none, none).shape == (0, 4)
    assert call(library, decode_boxes, none, none).shape == (0, 4)


@host_libraries
def test_results_have_the_wider_dtype(library):
    convert = CONVERTERS[library]
    narrow, wide = convert(ANCHOR.astype(np.float32)), convert(ANCHOR)
    for function in (encode_boxes, decode_boxes):
        boxes = narrow if function is encode_boxes else narrow * 0.0
        assert function(boxes, narrow).dtype == narrow.dtype
        assert function(boxes, wide).dtype == wide.dtype


def test_integer_boxes_are_exact_and_16_bit_offsets_become_float32():
    boxes = encode_boxes(np.array([[5, 0, 25, 20]]), np.array([[0, 0, 10, 20]]))
    assert boxes.dtype == np.float64
    assert boxes.tolist() == [[1.0, 0.0, math.log(2), 0.0]]
    for dtype in (np.float16, ml_dtypes.bfloat16):
        found = decode_boxes(np.array([[1, 0, 0, 0]], dtype), ANCHOR.astype(np.float32))
        assert found.dtype == np.float32
        assert found.tolist() == [[10.0, 0.0, 20.0, 20.0]]


# Derivatives


@pytest.mark.parametrize("form", ["centers", "corners"])
@pytest.mark.parametrize("offset", [0, 1])
def test_torch_differentiates_both_ways(offset, form):
    boxes, anchors = (torch.tensor(random_boxes(seed, 4, np.float64)).requires_grad_() for seed in (21, 22))
    options = {"weights": FASTER_RCNN, "offset": offset, "form": form}
    assert torch.autograd.gradcheck(lambda *arrays: encode_boxes(*arrays, **options), (boxes, anchors))
    deltas = torch.tensor(np.random.default_rng(23).normal(size=(4, 4))).requires_grad_()
    assert torch.autograd.gradcheck(lambda *arrays: decode_boxes(*arrays, **options), (deltas, anchors))


def test_jax_differentiates_as_torch_does():
    boxes, anchors = random_boxes(24, 4), random_boxes(25, 4)
    for function, first in ((encode_boxes, boxes), (decode_boxes, np.float32([[0.3, -2, 1, 5]] * 4))):
        found = jax.jit(jax.grad(lambda a, b, f=function: (f(a, b) ** 2).sum(), (0, 1)))(first, anchors)
        leaves = [torch.tensor(array, requires_grad=True) for array in (first, anchors)]
        (function(*leaves) ** 2).sum().backward()
        for mine, leaf in zip(found, leaves, strict=True):
            expected = leaf.grad.numpy()
            np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_beyond_the_limit_the_derivative_is_0_and_at_it_that_of_the_exponential():
    deltas = torch.tensor([[0.0, 0.0, 1.0, 1.5]], dtype=torch.float64, requires_grad=True)
    decode_boxes(deltas, torch.tensor(ANCHOR), clamp=1.0)[0, 2:].sum().backward()
    assert deltas.grad[0].tolist() == pytest.approx([10.0, 20.0, 5 * math.e, 0.0], rel=1e-14)


@traced_libraries
def test_a_bad_box_gives_nan_and_leaves_the_derivatives_of_others(library):
    boxes = np.float32([[5, 0, 25, 20], [3, 3, 3, 3], [0, 0, np.nan, 1]])
    anchors = np.repeat(ANCHOR.astype(np.float32), 3, axis=0)

    def loss(boxes, anchors):
        return jnp.where(jnp.asarray([[True], [False], [False]]), encode_boxes(boxes, anchors), 0.0).sum()

    gradient = jax.grad(loss, (0, 1))
    for found in (jax.jit(gradient) if library == "jax:jit" else gradient)(jnp.asarray(boxes), jnp.asarray(anchors)):
        assert np.isfinite(found).all()
        assert (np.asarray(found)[1:] == 0).all()
        assert (np.asarray(found)[0] != 0).any()


# Bad data


@host_libraries
@pytest.mark.parametrize(
    "bad", [[3.0, 3.0, 3.0, 9.0], [3.0, 9.0, 9.0, 3.0], [0.0, 0.0, math.inf, 1.0], [0.0, math.nan, 1.0, 1.0]]
)
def test_a_bad_box_is_named_on_the_host(library, bad):
    good = CONVERTERS[library](np.stack([ANCHOR[0]] * 3))
    array = CONVERTERS[library](np.stack([ANCHOR[0], ANCHOR[0], bad]))
    text = f"got {bad} at position (2,); a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1"
    assert refusal(ValueError, encode_boxes, array, good) == f"gt_boxes: {text}"
    assert refusal(ValueError, encode_boxes, good, array) == f"anchors: {text}"
    assert refusal(ValueError, decode_boxes, good, array) == f"anchors: {text}"


@traced_libraries
@pytest.mark.parametrize("bad", [[3, 3, 3, 9], [3, 9, 9, 3], [0, 0, math.inf, 1], [0, math.nan, 1, 1]])
def test_a_bad_box_is_nan_elsewhere(library, bad):
    good, array = np.float32([ANCHOR[0], ANCHOR[0]]), np.float32([ANCHOR[0], bad])
    for function, first, second in (
        (encode_boxes, array, good),
        (encode_boxes, good, array),
        (decode_boxes, good, array),
    ):
        found = call(library, function, first, second)
        assert np.isnan(found).all(axis=-1).tolist() == [False, True]
        assert np.isfinite(found[0]).all()


def test_a_box_without_area_has_one_with_the_legacy_offset():
    assert encode_boxes(np.array([[3.0, 3.0, 3.0, 3.0]]), np.array([[3.0, 3.0, 3.0, 3.0]]), offset=1).tolist() == [
        [0.0] * 4
    ]


# What is refused


@pytest.mark.parametrize("function", [encode_boxes, decode_boxes])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"weights": (1.0, 1.0, 1.0)},
            "weights: got (1.0, 1.0, 1.0); four finite numbers > 0, such as (10.0, 10.0, 5.0, 5.0)",
        ),
        ({"weights": 10.0}, "weights: got 10.0; four finite numbers > 0, such as (10.0, 10.0, 5.0, 5.0)"),
        (
            {"weights": (1, 1, 1, 0)},
            "weights: got (1, 1, 1, 0); four finite numbers > 0, such as (10.0, 10.0, 5.0, 5.0)",
        ),
        (
            {"weights": (1, 1, 1, math.inf)},
            "weights: got (1, 1, 1, inf); four finite numbers > 0, such as (10.0, 10.0, 5.0, 5.0)",
        ),
        ({"offset": 2}, "offset: got 2; it is 0, or 1 for boxes whose last pixel counts"),
        ({"form": "center"}, "form: got 'center'; allowed are 'centers', 'corners'"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(function, options, text):
    assert refusal(ValueError, function, ANCHOR, ANCHOR, **options) == text


@pytest.mark.parametrize("clamp", ["4", math.nan, True])
def test_a_limit_is_a_number(clamp):
    text = refusal(ValueError, decode_boxes, ANCHOR, ANCHOR, clamp=clamp)
    assert text == f"clamp: got {clamp!r}; a number, or None for no limit"


def test_shapes_that_do_not_fit_are_refused():
    boxes = random_boxes(26, 3)
    text = refusal(ValueError, encode_boxes, boxes, boxes[:1])
    assert text == "anchors: got shape (1, 4) with gt_boxes of shape (3, 4); one anchor for each of the gt_boxes"
    text = refusal(ValueError, decode_boxes, boxes.reshape(3, 1, 4), random_boxes(27, 2).reshape(2, 1, 4))
    assert text == "anchors: got shape (2, 1, 4) with deltas of shape (3, 1, 4); one anchor for each of the deltas"
    assert refusal(ValueError, decode_boxes, boxes[:, :3], boxes) == "deltas: got shape (3, 3); it is (..., A, 4)"


def test_offsets_are_floating():
    assert "real floating" in refusal(TypeError, decode_boxes, np.zeros((1, 4), np.int64), ANCHOR)


def test_arrays_belong_to_one_library():
    assert refusal(TypeError, encode_boxes, ANCHOR, torch.tensor(ANCHOR)).startswith("anchors: got torch.Tensor; ")
