"""Choosing anchors: hard negatives, online hard examples, and random samples; the same on every array library."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from focal_ref.detection.sampling import hard_negative_mining, ohem, sample_anchors

from .every_library import call, every_library, host_libraries, most_libraries, refusal, traced_libraries


def places(mask):
    return np.flatnonzero(mask).tolist()


# Hard negatives


def mined(losses, state, ratio, min_negatives):
    """The rule in plain Python: sorted by falling loss, then by index."""
    negatives = [place for place, code in enumerate(state) if code == 0]
    positives = [place for place, code in enumerate(state) if code == 1]
    wanted = max(math.floor(ratio * len(positives)), min_negatives)
    hardest = sorted(negatives, key=lambda place: (-losses[place], place))[:wanted]
    return sorted(positives + hardest)


@most_libraries
@pytest.mark.parametrize(
    ("ratio", "min_negatives"), [(3.0, 0), (3, 5), (1.5, 0), (0, 0), (0.29, 2), (1e300, 0), (0.5, 10**30)]
)
def test_the_hardest_negatives_of_each_picture_stay(library, ratio, min_negatives):
    generator = np.random.default_rng(5)
    # Few different numbers, so that many are equal.
    losses = generator.integers(0, 6, (5, 40)).astype(np.float32) / 4
    state = generator.choice([-1, 0, 0, 0, 0, 0, 1], (5, 40)).astype(np.int8)
    state[0, state[0] == 1] = 0
    state[1, state[1] == 0] = -1
    found = call(library, hard_negative_mining, losses, state, ratio=ratio, min_negatives=min_negatives)
    assert found.dtype == bool
    for keep, *picture in zip(found, losses.tolist(), state.tolist(), strict=True):
        assert places(keep) == mined(*picture, ratio, min_negatives)


@every_library
def test_three_negatives_a_positive_by_default_and_by_index_where_they_are_equal(library):
    losses = np.array([2, 1, 7, 7, 0, 7, 7, 9], dtype=np.float32)
    state = np.array([0, 0, 0, 0, 1, 0, 0, -1], dtype=np.int8)
    assert places(call(library, hard_negative_mining, losses, state)) == [2, 3, 4, 5]


@most_libraries
@pytest.mark.parametrize(("min_negatives", "kept"), [(0, []), (2, [1, 3]), (9, [0, 1, 2, 3])])
def test_a_picture_without_positives_keeps_the_negatives_it_is_asked_to(library, min_negatives, kept):
    losses, state = np.array([0.1, 0.4, 0.2, 0.3], dtype=np.float32), np.zeros(4, dtype=np.int8)
    found = call(library, hard_negative_mining, losses, state, min_negatives=min_negatives)
    assert places(found) == kept


@most_libraries
def test_the_number_of_negatives_is_the_floor_of_the_product_in_float64(library):
    # 0.29 * 100 is 28.999... in float64 and 29 in float32; 0.7 * 10 is 7 in both.
    state = np.repeat(np.array([1, 0], dtype=np.int8), 100)
    losses = np.zeros(200, dtype=np.float32)
    for ratio, number in ((0.29, 28), (0.07, 7), (1 / 3, 33)):
        assert math.floor(ratio * 100) == number
        assert np.sum(call(library, hard_negative_mining, losses, state, ratio=ratio)) == 100 + number


@most_libraries
def test_a_nan_loss_is_kept_and_zeros_of_both_signs_and_subnormal_losses_are_equal(library):
    losses = np.array([-0.0, 0.0, 1e-45, 1e-39, np.nan, np.inf, np.nan], dtype=np.float32)
    state = np.array([0, 0, 0, 0, 0, 0, -1], dtype=np.int8)
    for number in range(7):
        found = call(library, hard_negative_mining, losses, state, min_negatives=number)
        assert places(found) == sorted([4, 5, 0, 1, 2, 3][:number])


@most_libraries
def test_negatives_of_loss_minus_infinity_are_negatives_still(library):
    losses = np.array([-np.inf, 1, -np.inf, -np.inf], dtype=np.float32)
    state = np.array([-1, 1, 0, 0], dtype=np.int8)
    assert places(call(library, hard_negative_mining, losses, state, ratio=1)) == [1, 2]


@most_libraries
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_no_anchors_and_no_pictures_give_empty_masks(library, shape):
    losses, state = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.int8)
    assert call(library, hard_negative_mining, losses, state, min_negatives=3).shape == shape
    assert call(library, sample_anchors, state, seed=0).shape == shape


# It is array_api_compat that caches: its cumulative_sum asks for the namespace of its argument.
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
def test_mining_and_sampling_compile_into_one_graph_each():
    generator = np.random.default_rng(4)
    state = torch.tensor(generator.choice([-1, 0, 0, 0, 1], (2, 50)))
    numbers = torch.tensor(generator.random((2, 50)))
    for function in (
        lambda state, numbers: hard_negative_mining(numbers, state, ratio=1.5),
        lambda state, numbers: sample_anchors(state, count=12, priorities=numbers),
    ):
        compiled = torch.compile(function, backend="eager", fullgraph=True)
        assert torch.equal(compiled(state, numbers), function(state, numbers))


def test_a_loss_with_a_graph_is_taken():
    leaf = torch.tensor([3.0, 1.0, 2.0], requires_grad=True)
    keep = hard_negative_mining(leaf * 2, torch.tensor([0, 1, 0]), ratio=1)
    assert keep.tolist() == [True, True, False]
    (leaf * keep).sum().backward()
    assert leaf.grad.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"ratio": -1}, ValueError, "ratio: got -1; it is finite and >= 0"),
        ({"ratio": math.nan}, ValueError, "ratio: got nan; it is finite and >= 0"),
        ({"ratio": math.inf}, ValueError, "ratio: got inf; it is finite and >= 0"),
        ({"ratio": "3"}, TypeError, "ratio: got '3'; it is a number >= 0"),
        ({"min_negatives": -1}, ValueError, "min_negatives: got -1; it is an integer >= 0"),
        ({"min_negatives": 1.0}, TypeError, "min_negatives: got 1.0; it is an integer >= 0"),
        ({"min_negatives": True}, TypeError, "min_negatives: got True; it is an integer >= 0"),
    ],
)
def test_options_of_mining_out_of_range_are_refused(options, error, text):
    assert refusal(error, hard_negative_mining, np.zeros(2), np.zeros(2, dtype=int), **options) == text


def test_arrays_of_mining_that_do_not_fit_are_refused():
    assert refusal(ValueError, hard_negative_mining, np.zeros((2, 3)), np.zeros(3, dtype=int)) == (
        "state: got shape (3,), losses have shape (2, 3); they must be equal"
    )
    assert refusal(TypeError, hard_negative_mining, np.zeros(3), np.zeros(3)) == (
        "state: got dtype float64; allowed is integral"
    )
    assert refusal(TypeError, hard_negative_mining, np.zeros(3, dtype=int), np.zeros(3, dtype=int)) == (
        "losses: got dtype int64; allowed is real floating"
    )


@host_libraries
@pytest.mark.parametrize("function", ["mining", "sample"])
def test_a_state_that_is_none_is_refused(library, function):
    state = np.array([[0, 1], [0, -2]])
    if function == "mining":
        text = refusal(ValueError, call, library, hard_negative_mining, np.zeros((2, 2)), state)
    else:
        text = refusal(ValueError, call, library, sample_anchors, state, seed=1)
    assert text == "state: got -2 at position (1, 1); it is 1 positive, 0 negative or -1 ignored"


@traced_libraries
def test_where_nothing_can_be_refused_a_state_that_is_none_counts_as_ignored(library):
    state, losses = np.array([1, 0, -2, 2, 0]), np.zeros(5, dtype=np.float32)
    assert places(call(library, hard_negative_mining, losses, state)) == [0, 1, 4]
    assert places(call(library, sample_anchors, state, count=9, seed=1)) == [0, 1, 4]


# Online hard examples


def overlap(first, second):
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def hard_examples(losses, boxes, valid, count, threshold):
    """The rule in plain Python, with boxes of integers."""
    kept = []
    for place in sorted(range(len(losses)), key=lambda place: (-losses[place], place)):
        if valid[place] and all(overlap(boxes[place], boxes[other]) <= threshold for other in kept):
            kept.append(place)
    return sorted(kept[:count])


def some_boxes(generator, shape):
    corners, sizes = generator.integers(0, 12, (*shape, 2)), generator.integers(4, 12, (*shape, 2))
    return np.concatenate([corners, corners + sizes], axis=-1).astype(np.float32)


@most_libraries
@pytest.mark.parametrize(
    ("shared", "count", "threshold"),
    [(True, 4, 0.7), (False, 30, 0.3), (True, 1, 0.5), (False, 30, 1.0), (True, 0, 0.7)],
)
def test_the_largest_losses_stay_of_boxes_that_overlap_little(library, shared, count, threshold):
    generator = np.random.default_rng(8)
    boxes = some_boxes(generator, (30,) if shared else (3, 30))
    losses = generator.integers(0, 9, (3, 30)).astype(np.float32)
    valid = generator.random((3, 30)) < 0.8
    found = call(library, ohem, losses, boxes, count=count, iou_threshold=threshold, valid=valid)
    assert found.dtype == bool
    for picture, keep in enumerate(found):
        own = (boxes if shared else boxes[picture]).tolist()
        assert places(keep) == hard_examples(losses[picture], own, valid[picture], count, threshold)


@most_libraries
def test_of_one_picture_at_most_128_boxes_stay_by_default(library):
    boxes = np.arange(200, dtype=np.float32)[:, None] * 10 + np.array([0, 0, 5, 5], dtype=np.float32)
    losses = np.arange(200, dtype=np.float32)
    assert places(call(library, ohem, losses, boxes)) == list(range(72, 200))


@every_library
def test_a_nan_loss_is_a_hard_example(library):
    boxes = np.array([[0, 0, 5, 5], [9, 9, 12, 12], [20, 20, 30, 30]], dtype=np.float32)
    losses = np.array([3, np.nan, 9], dtype=np.float32)
    assert places(call(library, ohem, losses, boxes, count=1)) == [1]


@most_libraries
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_no_boxes_and_no_pictures_give_empty_masks(library, shape):
    found = call(library, ohem, np.zeros(shape, dtype=np.float32), np.zeros((*shape, 4), dtype=np.float32))
    assert found.shape == shape
    assert found.dtype == bool


def test_arguments_of_online_mining_that_do_not_fit_are_refused():
    boxes = np.array([[0, 0, 5, 5], [9, 9, 12, 12]], dtype=np.float32)
    assert refusal(ValueError, ohem, np.zeros(3), boxes) == "boxes: got shape (2, 4); losses of shape (3,) take (3, 4)"
    assert refusal(ValueError, ohem, np.zeros((1, 1, 2)), boxes) == "losses: got shape (1, 1, 2); it is (A,) or (N, A)"
    assert refusal(ValueError, ohem, np.zeros(2), boxes, valid=np.ones(3, dtype=bool)) == (
        "valid: got shape (3,); it is (2,), as losses"
    )
    assert refusal(ValueError, ohem, np.zeros(2), boxes, count=-1) == "count: got -1; it is an integer >= 0"
    assert refusal(TypeError, ohem, np.zeros(2), boxes, count=2.0) == "count: got 2.0; it is an integer >= 0"
    assert refusal(ValueError, ohem, np.zeros(2), boxes, iou_threshold=1.5).startswith("iou_threshold: got 1.5; ")


# Random samples


def numbers(keep, state):
    return [int(np.sum(keep & (state == code))) for code in (1, 0, -1)]


@most_libraries
@pytest.mark.parametrize(
    ("positives", "negatives", "options", "expected"),
    [
        (300, 600, {}, [128, 128]),
        (20, 600, {}, [20, 236]),
        (300, 50, {}, [128, 50]),
        (0, 600, {}, [0, 256]),
        (300, 0, {}, [128, 0]),
        (30, 60, {"count": 10, "positive_fraction": 0.25}, [2, 8]),
        (30, 60, {"count": 10, "positive_fraction": 1}, [10, 0]),
        (3, 60, {"count": 10, "positive_fraction": 1.0}, [3, 7]),
        (30, 60, {"count": 10, "positive_fraction": 0}, [0, 10]),
        (30, 60, {"count": 0}, [0, 0]),
        (30, 60, {"count": 10**30}, [30, 60]),
    ],
)
def test_a_sample_has_its_share_of_positives_and_negatives_fill_up(library, positives, negatives, options, expected):
    state = np.repeat(np.array([1, 0, -1], dtype=np.int8), [positives, negatives, 40])
    state = np.random.default_rng(2).permutation(state)
    assert numbers(call(library, sample_anchors, state, seed=3, **options), state) == [*expected, 0]


@pytest.mark.parametrize("seed", [0, 1, 2**70])
def test_a_seed_gives_the_same_choice_on_every_library(seed):
    state = np.random.default_rng(2).choice(np.array([-1, 0, 1], dtype=np.int8), (2, 300))
    # The same bits as numpy.random.Philox has documented, in plain Python.
    bits = np.random.Philox(seed).random_raw(600).reshape(2, 300).tolist()
    expected = []
    for row, codes in zip(bits, state.tolist(), strict=True):
        by_rank = sorted(range(300), key=row.__getitem__, reverse=True)
        chosen = [[place for place in by_rank if codes[place] == code][:20] for code in (1, 0)]
        expected.append(sorted(itertools.chain(*chosen)))
    for library in ("numpy", "torch", "jax", "jax:jit", "array_api_strict"):
        found = call(library, sample_anchors, state, count=40, seed=seed)
        assert [places(row) for row in found] == expected


def test_other_seeds_choose_otherwise_and_every_anchor_as_often():
    state = np.array([0] * 30 + [-1] * 3 + [1] * 6)
    chosen = np.array([sample_anchors(state, count=6, seed=seed) for seed in range(2000)])
    counts = chosen.sum(axis=0)
    # Half of the positives, a tenth of the negatives; five standard deviations of a binomial distribution.
    assert np.all(np.abs(counts[33:] - 1000) < 5 * np.sqrt(2000 * 0.5 * 0.5))
    assert np.all(np.abs(counts[:30] - 200) < 5 * np.sqrt(2000 * 0.1 * 0.9))
    assert np.all(counts[30:33] == 0)


@most_libraries
def test_priorities_take_the_place_of_a_seed(library):
    state = np.array([1, 1, 1, 0, 0, 0, 0, -1], dtype=np.int8)
    priorities = np.array([0.2, 0.9, np.nan, 0.5, 0.1, 0.5, 0.5, 1.0], dtype=np.float32)
    found = call(library, sample_anchors, state, count=4, priorities=priorities)
    assert places(found) == [0, 1, 3, 5]
    # A priority of NaN comes last, even after minus infinity.
    priorities[0] = -np.inf
    found = call(library, sample_anchors, state, count=4, priorities=priorities)
    assert places(found) == [0, 1, 3, 5]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({}, ValueError, "seed: got None; it is an integer >= 0, or pass priorities"),
        ({"seed": 1.5}, TypeError, "seed: got 1.5; it is an integer >= 0"),
        ({"seed": True}, TypeError, "seed: got True; it is an integer >= 0"),
        ({"seed": -1}, ValueError, "seed: got -1; it is an integer >= 0"),
        ({"seed": 1, "priorities": np.zeros(4)}, ValueError, "seed: got both a seed and priorities; pass one"),
        (
            {"priorities": np.zeros(3)},
            ValueError,
            "priorities: got shape (3,), state has shape (4,); they must be equal",
        ),
        ({"priorities": np.zeros(4, int)}, TypeError, "priorities: got dtype int64; allowed is real floating"),
        ({"seed": 1, "positive_fraction": 1.1}, ValueError, "positive_fraction: got 1.1; it is in [0, 1]"),
        ({"seed": 1, "positive_fraction": -0.1}, ValueError, "positive_fraction: got -0.1; it is in [0, 1]"),
        ({"seed": 1, "positive_fraction": math.nan}, ValueError, "positive_fraction: got nan; it is in [0, 1]"),
        ({"seed": 1, "positive_fraction": None}, TypeError, "positive_fraction: got None; it is a number in [0, 1]"),
        ({"seed": 1, "count": -2}, ValueError, "count: got -2; it is an integer >= 0"),
        ({"seed": 1, "count": 2.5}, TypeError, "count: got 2.5; it is an integer >= 0"),
    ],
)
def test_options_of_a_sample_out_of_range_are_refused(options, error, text):
    assert refusal(error, sample_anchors, np.array([0, 1, 1, -1]), **options) == text


def test_priorities_of_another_library_are_refused():
    text = refusal(TypeError, sample_anchors, np.array([0, 1]), priorities=jnp.zeros(2))
    assert text.endswith("it is an array of numpy, as the first argument")
