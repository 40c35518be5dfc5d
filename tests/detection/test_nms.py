"""Non-maximum suppression keeps what greedy suppression in exact arithmetic keeps, in every library."""

from fractions import Fraction
from functools import partial

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from focal_ref.adapters import adapter_of
from focal_ref.detection.suppression import kept_on_arrays, nms

LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.tensor,
    "jax": jnp.asarray,
    "array_api_strict": array_api_strict.asarray,
}


def exact_iou(first, second, offset=0):
    """IoU of two boxes of integers."""

    def area(box):
        return (box[2] - box[0] + offset) * (box[3] - box[1] + offset)

    width = min(first[2], second[2]) - max(first[0], second[0]) + offset
    height = min(first[3], second[3]) - max(first[1], second[1]) + offset
    overlap = max(width, 0) * max(height, 0)
    return Fraction(overlap, area(first) + area(second) - overlap)


def greedy(boxes, scores, threshold, labels=None, valid=None, offset=0):
    """Greedy suppression as the textbooks write it, in rational arithmetic."""
    remaining = [index for index in range(len(boxes)) if valid is None or valid[index]]
    kept = []
    while remaining:
        best = max(remaining, key=lambda index: (scores[index], -index))
        kept.append(best)
        remaining = [
            index
            for index in remaining
            if index != best
            and (
                (labels is not None and labels[index] != labels[best])
                or exact_iou(boxes[best], boxes[index], offset) <= threshold
            )
        ]
    return kept


def without_padding(indices):
    """The indices before the first -1, after which there is nothing else."""
    indices = [int(index) for index in np.asarray(indices)]
    count = indices.index(-1) if -1 in indices else len(indices)
    assert indices[count:] == [-1] * (len(indices) - count)
    return indices[:count]


def by_public_function(make):
    def kept(boxes, scores, labels, valid, **options):
        labels, valid = (None if array is None else make(array) for array in (labels, valid))
        return without_padding(nms(make(boxes), make(scores), labels=labels, valid=valid, **options))

    return kept


def by_array_operations(make):
    def kept(boxes, scores, labels, valid, *, iou_threshold, offset=0):
        arrays = make(boxes), make(scores), None if labels is None else make(labels), make(valid)
        adapter, count = adapter_of(arrays[0]), len(boxes)
        return without_padding(kept_on_arrays(adapter, *arrays, threshold=iou_threshold, offset=offset, count=count))

    return kept


@partial(jax.jit, static_argnames=("iou_threshold", "offset"))
def compiled(boxes, scores, labels, valid, **options):
    return nms(boxes, scores, labels=labels, valid=valid, max_output=len(boxes), **options)


def by_jit(*arrays, **options):
    return without_padding(compiled(*arrays, **options))


WAYS = {
    **{name: by_public_function(make) for name, make in LIBRARIES.items()},
    **{f"{name}, array operations": by_array_operations(make) for name, make in LIBRARIES.items() if name != "jax"},
    "jax under jit": by_jit,
}
# JAX outside jit traces and compiles the loop anew in each call: one test is enough.
every_way = pytest.mark.parametrize("way", [pytest.param(WAYS[name], id=name) for name in WAYS if name != "jax"])
every_library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


def some_boxes(seed, count=24, size=8):
    """Boxes of small integers, so that overlaps tie with the threshold, and scores of which many are equal."""
    generator = np.random.default_rng(seed)
    corners = generator.integers(0, size, (count, 2))
    boxes = np.concatenate([corners, corners + generator.integers(1, size, (count, 2))], axis=1)
    return boxes, generator.integers(-3, 4, count) / 2, generator.integers(0, 3, count)


@every_way
@pytest.mark.parametrize(
    ("seed", "threshold"), list(enumerate([Fraction(1, 2), Fraction(1, 3), Fraction(7, 10), Fraction(0), Fraction(1)]))
)
def test_what_is_kept_is_what_exact_arithmetic_keeps(way, seed, threshold):
    boxes, scores, labels = some_boxes(seed)
    valid = np.arange(len(boxes)) % 5 != seed
    for groups in (None, labels):
        expected = greedy(boxes.tolist(), scores.tolist(), threshold, groups, valid)
        arrays = boxes.astype(np.float32), scores.astype(np.float32), groups, valid
        assert way(*arrays, iou_threshold=float(threshold)) == expected


def test_jax_keeps_the_same_outside_of_jit():
    boxes, scores, labels = some_boxes(0)
    expected = greedy(boxes.tolist(), scores.tolist(), Fraction(1, 2), labels)
    arrays = boxes.astype(np.float32), scores.astype(np.float32), labels, np.ones(len(boxes), bool)
    assert WAYS["jax"](*arrays, iou_threshold=0.5) == expected


def test_the_random_boxes_have_overlaps_that_tie_with_the_threshold_and_equal_scores():
    for seed, threshold in enumerate([Fraction(1, 2), Fraction(1, 3)]):
        boxes, scores, _ = some_boxes(seed)
        overlaps = [exact_iou(first, second) for first in boxes.tolist() for second in boxes.tolist()]
        assert overlaps.count(threshold) > 2
        assert len(set(scores.tolist())) < len(scores)


@every_way
def test_with_an_offset_the_last_pixel_counts(way):
    boxes, scores, _ = some_boxes(5)
    boxes[:, 2:] -= 1
    valid = np.ones(len(boxes), bool)
    expected = greedy(boxes.tolist(), scores.tolist(), Fraction(1, 2), offset=1)
    arrays = boxes.astype(np.float32), scores.astype(np.float32), None, valid
    assert way(*arrays, iou_threshold=0.5, offset=1) == expected


@every_way
@pytest.mark.parametrize(("second", "kept"), [((0, 0, 10, 5), [0, 1]), ((0, 0, 10, 6), [0]), ((0, 0, 10, 4), [0, 1])])
def test_a_box_with_an_iou_of_exactly_the_threshold_stays(way, second, kept):
    boxes = np.array([(0, 0, 10, 10), second], np.float32)
    assert way(boxes, np.array([0.9, 0.8], np.float32), None, np.ones(2, bool), iou_threshold=0.5) == kept


@every_way
def test_of_equal_scores_the_first_box_is_kept_also_of_zeros_of_both_signs_and_subnormals(way):
    boxes = np.array([[0, 0, 4, 4]] * 5, np.float32)
    valid = np.ones(5, bool)
    for scores in ([1, 1, 1, 1, 1], [-0.0, 0.0, -0.0, 0.0, -1.0], [1e-40, 0.0, 2e-40, -0.0, -1e-40]):
        assert way(boxes, np.array(scores, np.float32), None, valid, iou_threshold=0.5) == [0]


@every_way
def test_infinite_scores_are_the_first_and_the_last(way):
    boxes = np.array([[0, 0, 4, 4], [8, 0, 12, 4], [0, 8, 4, 12]], np.float32)
    scores = np.array([-np.inf, 0.5, np.inf], np.float32)
    assert way(boxes, scores, None, np.ones(3, bool), iou_threshold=0.5) == [2, 1, 0]


@every_way
def test_a_suppressed_box_suppresses_nothing(way):
    # Of three boxes in a row, the first suppresses the second, which alone would suppress the third.
    boxes = np.array([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], np.float32)
    scores = np.array([3.0, 2.0, 1.0], np.float32)
    assert way(boxes, scores, None, np.ones(3, bool), iou_threshold=0.5) == [0, 2]


def boundary_pairs(count=300):
    """Pairs of float32 boxes at which the IoU, each operation rounded, steps over 1/2; and what it is."""
    generator = np.random.default_rng(7)
    first = np.concatenate([generator.uniform(0, 50, (count, 2)), generator.uniform(100, 900, (count, 2))], axis=1)
    first = first.astype(np.float32)
    second = first + generator.uniform(-9, 9, (count, 4)).astype(np.float32)

    def iou(edge):
        other = np.concatenate([second[:, :3], edge[:, None]], axis=1)
        width = np.minimum(first[:, 2], other[:, 2]) - np.maximum(first[:, 0], other[:, 0])
        height = np.minimum(first[:, 3], other[:, 3]) - np.maximum(first[:, 1], other[:, 1])
        overlap = width * height
        areas = [(box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]) for box in (first, other)]
        total = areas[0] + areas[1]
        # What the sum loses is a float32, which float64 has without an error.
        lost = (areas[0].astype(np.float64) + areas[1] - total).astype(np.float32)
        return overlap / ((total - overlap) + lost)

    below, above = second[:, 1] + np.float32(20), first[:, 3].copy()
    assert np.all(iou(below) <= 0.5)
    assert np.all(iou(above) > 0.5)
    while np.any(np.nextafter(below, above) < above):
        middle = np.maximum((below + above) / 2, np.nextafter(below, above))
        suppressed = iou(middle) > 0.5
        active = np.nextafter(below, above) < above
        above = np.where(active & suppressed, middle, above)
        below = np.where(active & ~suppressed, middle, below)
    pairs = []
    for edge in (below, above):
        other = np.concatenate([second[:, :3], edge[:, None]], axis=1)
        pairs.append(np.stack([first, other], axis=1).reshape(-1, 4))
    return pairs


@every_way
def test_decisions_at_the_threshold_do_not_depend_on_how_a_compiler_arranges_the_arithmetic(way):
    # Each pair has a label of its own, so that one call decides all of them.
    kept, suppressed = boundary_pairs()
    count = len(kept)
    scores = np.tile(np.array([1.0, 0.0], np.float32), count // 2)
    arrays = scores, np.arange(count) // 2, np.ones(count, bool)
    assert way(kept, *arrays, iou_threshold=0.5) == [*range(0, count, 2), *range(1, count, 2)]
    assert way(suppressed, *arrays, iou_threshold=0.5) == [*range(0, count, 2)]


@every_library
def test_max_output_keeps_the_best_and_fills_up(make):
    boxes = make(np.array([[0, 0, 4, 4], [0, 0, 4, 4], [8, 0, 12, 4], [16, 0, 20, 4]], np.float32))
    scores = make(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    for length, expected in ((1, [3]), (3, [3, 2, 1]), (4, [3, 2, 1, -1]), (6, [3, 2, 1, -1, -1, -1])):
        assert np.asarray(nms(boxes, scores, max_output=length)).tolist() == expected


@every_library
def test_the_result_is_an_integer_array_of_the_same_library(make):
    boxes = make(np.array([[0, 0, 4, 4]], np.float32))
    result = nms(boxes, make(np.array([0.5], np.float32)))
    assert type(result) is type(boxes)
    assert np.asarray(result).dtype.kind == "i"


@every_library
def test_nothing_is_kept_of_no_boxes(make):
    boxes, scores = make(np.zeros((0, 4), np.float32)), make(np.zeros(0, np.float32))
    assert tuple(nms(boxes, scores).shape) == (0,)
    assert np.asarray(nms(boxes, scores, max_output=2)).tolist() == [-1, -1]


@pytest.mark.parametrize("make", [np.asarray, array_api_strict.asarray, torch.tensor], ids=["numpy", "strict", "torch"])
def test_array_operations_keep_nothing_of_no_boxes(make):
    arrays = make(np.zeros((0, 4), np.float32)), make(np.zeros(0, np.float32)), None, make(np.zeros(0, bool))
    kept = kept_on_arrays(adapter_of(arrays[0]), *arrays, threshold=0.5, offset=0, count=2)
    assert np.asarray(kept).tolist() == [-1, -1]


@pytest.mark.parametrize("name", ["torch", "numpy", "array_api_strict"])
def test_array_operations_take_several_pictures_at_once(name):
    make, pictures = LIBRARIES[name], [some_boxes(seed) for seed in (10, 11)]
    boxes, scores, labels = (np.stack(arrays) for arrays in zip(*pictures, strict=True))
    arrays = [make(array) for array in (boxes.astype(np.float32), scores, labels, np.ones(scores.shape, bool))]
    kept = kept_on_arrays(adapter_of(arrays[0]), *arrays, threshold=0.5, offset=0, count=30)
    for picture in range(2):
        expected = greedy(boxes[picture].tolist(), scores[picture].tolist(), Fraction(1, 2), labels[picture])
        assert without_padding(np.asarray(kept)[picture]) == expected


def test_vmap_gives_what_each_picture_gives():
    pictures = [some_boxes(seed) for seed in (10, 11)]
    boxes, scores, _ = (np.stack(arrays) for arrays in zip(*pictures, strict=True))
    kept = jax.vmap(lambda boxes, scores: nms(boxes, scores, max_output=24))(
        boxes.astype(np.float32), scores.astype(np.float32)
    )
    for picture in range(2):
        expected = greedy(boxes[picture].tolist(), scores[picture].tolist(), Fraction(1, 2))
        assert without_padding(kept[picture]) == expected


@pytest.mark.parametrize("dtype", ["float16", "float64", "int16", "int64", ml_dtypes.bfloat16])
def test_boxes_of_other_dtypes_are_taken_as_they_are(dtype):
    boxes, scores, _ = some_boxes(3)
    expected = greedy(boxes.tolist(), scores.tolist(), Fraction(1, 2))
    for score_dtype in ("float16", "float64", ml_dtypes.bfloat16):
        assert nms(boxes.astype(dtype), scores.astype(score_dtype)).tolist() == expected


def test_the_largest_boxes_whose_areas_can_be_added_are_compared():
    # The area of the first is 2^126 of float32, and the product for the second one is rounded to 2^126 minus 1 ulp.
    boxes = np.array([[0, 0, 2**63, 2**63], [0, 0, 2**63 - 2**39, 2**63]], np.float32)
    scores = np.array([1.0, 0.5], np.float32)
    assert nms(boxes, scores).tolist() == [0]
    assert without_padding(nms(jnp.asarray(boxes), jnp.asarray(scores))) == [0]


def test_a_tensor_that_requires_grad_is_read():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.0]], requires_grad=True)
    assert nms(boxes, torch.tensor([0.5, 0.6], requires_grad=True)).tolist() == [1]


# What is refused


BOXES = np.array([[0, 0, 4, 4], [8, 0, 12, 4], [0, 8, 4, 12]], np.float32)
SCORES = np.array([0.5, 0.6, 0.7], np.float32)


def refusal(error, *arrays, **options):
    with pytest.raises(error) as raised:
        nms(*arrays, **options)
    return str(raised.value)


def broken(index, box):
    boxes = BOXES.copy()
    boxes[index] = box
    return boxes


NO_BOXES = [(8, 0, 8, 4), (8, 4, 12, 0), (8, 0, np.nan, 4), (8, 0, np.inf, 4), (0, 0, 1e30, 1e30)]


@pytest.mark.parametrize("make", [np.asarray, array_api_strict.asarray, torch.tensor], ids=["numpy", "strict", "torch"])
@pytest.mark.parametrize("box", NO_BOXES)
def test_a_bad_box_is_refused_with_its_position(make, box):
    text = refusal(ValueError, make(broken(1, box)), make(SCORES))
    assert text.startswith("boxes: got [")
    assert text.endswith("at position (1,); a box (x1, y1, x2, y2) is finite with x2 > x1 and y2 > y1")


@every_library
@pytest.mark.parametrize("box", NO_BOXES)
def test_a_bad_box_is_not_kept_where_it_may_be_dropped(make, box):
    assert without_padding(nms(make(broken(1, box)), make(SCORES), invalid="drop")) == [2, 0]


@pytest.mark.parametrize("box", NO_BOXES)
def test_a_bad_box_is_not_kept_where_it_cannot_be_looked_at(box):
    assert without_padding(nms(jnp.asarray(broken(1, box)), jnp.asarray(SCORES))) == [2, 0]


def test_a_score_that_is_nan_is_refused_with_its_position_or_dropped():
    scores = np.array([0.5, np.nan, 0.7], np.float32)
    assert refusal(ValueError, BOXES, scores) == (
        "scores: got nan at position (1,); scores are numbers, or invalid='drop' drops them"
    )
    assert nms(BOXES, scores, invalid="drop").tolist() == [2, 0]
    assert without_padding(nms(jnp.asarray(BOXES), jnp.asarray(scores))) == [2, 0]


@every_library
def test_what_the_mask_leaves_out_may_be_anything(make):
    scores, valid = np.array([0.5, np.nan, 0.7], np.float32), np.array([True, False, True])
    for box in NO_BOXES:
        assert without_padding(nms(make(broken(1, box)), make(scores), valid=make(valid))) == [2, 0]


@pytest.mark.parametrize(
    ("transform", "arrays"), [(jax.jit, (BOXES, SCORES)), (jax.vmap, (BOXES[None], SCORES[None]))], ids=["jit", "vmap"]
)
def test_a_trace_needs_the_length(transform, arrays):
    with pytest.raises(ValueError, match=r"^max_output: got None; where the values cannot be read \(jit, vmap"):
        transform(nms)(*arrays)


@pytest.mark.parametrize(
    ("error", "options", "text"),
    [
        (ValueError, {"iou_threshold": -0.1}, "iou_threshold: got -0.1; it is a number in [0, 1]"),
        (ValueError, {"iou_threshold": float("nan")}, "iou_threshold: got nan; it is a number in [0, 1]"),
        (TypeError, {"iou_threshold": "0.5"}, "iou_threshold: got str; it is a number in [0, 1]"),
        (ValueError, {"max_output": 0}, "max_output: got 0; it is an integer >= 1"),
        (TypeError, {"max_output": 2.0}, "max_output: got float; it is an integer >= 1"),
        (TypeError, {"max_output": True}, "max_output: got bool; it is an integer >= 1"),
        (ValueError, {"offset": 2}, "offset: got 2; it is 0, or 1 for boxes whose last pixel counts"),
        (ValueError, {"invalid": "ignore"}, "invalid: got 'ignore'; allowed are 'raise', 'drop'"),
        (ValueError, {"labels": np.zeros(2, int)}, "labels: got shape (2,); it is (3,), one a box"),
        (TypeError, {"labels": np.zeros(3)}, "labels: got dtype float64; allowed is integral"),
        (ValueError, {"valid": np.ones(2, bool)}, "boxes mask: got shape (2,); it is (3,), one a box"),
        (TypeError, {"valid": np.ones(3)}, "boxes mask: got dtype float64; allowed is bool"),
    ],
)
def test_options_out_of_range_are_refused(error, options, text):
    assert refusal(error, BOXES, SCORES, **options) == text


def test_arrays_of_another_shape_dtype_or_library_are_refused():
    assert refusal(ValueError, BOXES[None], SCORES) == "boxes: got shape (1, 3, 4); it is (B, 4)"
    assert refusal(ValueError, BOXES, SCORES[:2]) == "scores: got shape (2,); it is (3,), one a box"
    assert refusal(TypeError, BOXES, SCORES > 0) == "scores: got dtype bool; allowed is real floating"
    assert refusal(TypeError, BOXES, torch.tensor(SCORES)) == (
        "scores: got torch.Tensor; it is an array of numpy, as the first argument"
    )
