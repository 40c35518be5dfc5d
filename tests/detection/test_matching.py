"""Matching beside the oracle in rational arithmetic, on every library and on both ways to the overlaps."""

import itertools
import tracemalloc
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from focal_ref.adapters import adapter_of
from focal_ref.conformance.detection.oracle import Options, match
from focal_ref.detection import _overlaps
from focal_ref.detection.matching import match_anchors
from focal_ref.detection.matching_options import MATCHING_PRESETS, MatchingOptions

from .every_library import call, every_library, most_libraries
from .pictures import grid_anchors, integer_anchors, random_boxes

LOW_QUALITY = [
    dict(zip(("low_quality", "low_quality_owner", "low_quality_ties", "low_quality_overlap"), values, strict=True))
    for values in itertools.product(
        ("none", "band", "all"), ("argmax", "forcing_first", "forcing_last"), ("all", "first"), (True, False)
    )
]


def boxes_of(seed, anchors=40, boxes=8, size=48):
    """Anchors and ground truths with integer corners, many of them equal or apart."""
    generator = np.random.default_rng([seed, 3])
    return integer_anchors(generator, anchors, size), integer_anchors(generator, boxes, size + 16)


def assert_is(matches, answer):
    """The oracle's answer, exactly."""
    assert matches.state.tolist() == list(answer.state)
    assert matches.gt_index.tolist() == list(answer.gt_index)
    assert matches.unmatched.tolist() == list(answer.unmatched)
    assert int(matches.num_positive) == answer.state.count(1)
    exact = [np.float32(iou.numerator) / np.float32(iou.denominator) for iou in answer.iou]
    assert matches.iou.tolist() == [float(iou) for iou in exact]


def assert_same(first, second):
    """Equal in every field, bit for bit."""
    for name, one, other in zip(first._fields, first, second, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other), err_msg=name)


@pytest.mark.parametrize("options", LOW_QUALITY, ids=lambda options: "-".join(map(str, options.values())))
def test_every_combination_of_options_is_the_oracles(options):
    for seed in range(4):
        anchors, boxes = boxes_of(seed)
        assert_is(
            match_anchors(anchors, boxes, **options),
            match(anchors.tolist(), boxes.tolist(), replace(Options(), **options)),
        )


@every_library
@pytest.mark.parametrize("preset", ["paper", "detectron", "torchvision", "mmdet", "tf_official"])
def test_every_library_gives_the_same_matches(library, preset):
    anchors, boxes = boxes_of(17)
    valid = np.arange(8) % 3 != 1
    own = np.arange(40) % 7 != 2
    options = {"preset": preset, "gt_valid": valid, "anchor_valid": own}
    expected = match_anchors(anchors, boxes, **options)
    assert (np.asarray(expected.state) == 1).any()
    assert_same(call(library, match_anchors, anchors, boxes, **options), expected)


@pytest.mark.parametrize("preset", MATCHING_PRESETS)
def test_array_operations_give_what_the_fused_loops_give(preset, monkeypatch):
    monkeypatch.setattr(_overlaps, "PAIRS", 500)
    generator = np.random.default_rng(8)
    anchors, boxes = grid_anchors(96), np.stack([random_boxes(generator, 11, 96, largest=70) for _ in range(3)])
    boxes[1, 4:] += 500  # Some overlap nothing.
    anchor_valid, box_valid = generator.random(len(anchors)) < 0.9, generator.random((3, 11)) < 0.8
    arrays = anchors, anchor_valid, boxes, box_valid
    loops = _overlaps.kernel_overlaps(*arrays, MATCHING_PRESETS[preset])
    blocks = _overlaps.array_overlaps(adapter_of(anchors), *arrays, MATCHING_PRESETS[preset])
    assert len(_overlaps._Blocks(adapter_of(anchors), *arrays, MATCHING_PRESETS[preset]).items[0]) > 20
    np.testing.assert_array_equal(loops.best, blocks.best)
    np.testing.assert_array_equal(loops.best_box, blocks.best_box)
    assert (loops.owner is None) == (blocks.owner is None) == (MATCHING_PRESETS[preset].low_quality == "none")
    if loops.owner is not None:
        np.testing.assert_array_equal(loops.owner, blocks.owner)
        assert (loops.owner >= 0).any()


@pytest.mark.parametrize("preset", ["paper", "mmdet", "torchvision"])
def test_a_large_picture_has_the_same_matches_under_jit(preset):
    anchors, boxes = grid_anchors(512, levels=(3, 4, 5, 6, 7)), random_boxes(np.random.default_rng(2), 100, 512)
    expected = match_anchors(anchors, boxes, preset=preset)
    compiled = jax.jit(lambda a, b: match_anchors(a, b, preset=preset))(anchors, boxes)
    assert_same(compiled, expected)
    assert_same(match_anchors(torch.from_numpy(anchors), torch.from_numpy(boxes), preset=preset), expected)


def test_one_pair_a_picture_has_the_same_overlap_under_jit():
    # Of single pairs XLA contracts products into sums, unless it is kept from it: without the choice in
    # `boxes._product` some of these overlaps differ.
    generator = np.random.default_rng(0)
    anchors = random_boxes(generator, 300, 512, least=40)
    boxes = (anchors + generator.uniform(-9, 9, anchors.shape)).astype(np.float32)
    pairs = anchors[:, None], boxes[:, None]
    expected = match_anchors(*pairs, preset="torchvision")
    assert_same(jax.jit(lambda a, b: match_anchors(a, b, preset="torchvision"))(*pairs), expected)


def test_torch_compile_gives_the_same_matches():
    anchors, boxes = boxes_of(5)
    compiled = torch.compile(lambda a, b: match_anchors(a, b, preset="mmdet"), fullgraph=True, backend="aot_eager")
    assert_same(
        compiled(torch.from_numpy(anchors), torch.from_numpy(boxes)), match_anchors(anchors, boxes, preset="mmdet")
    )


@every_library
def test_a_padded_batch_equals_its_pictures(library):
    pictures = [boxes_of(seed, boxes=5 + seed)[1] for seed in range(3)]
    anchors = boxes_of(0)[0]
    padded = np.full((3, 9, 4), np.nan, np.float32)
    valid = np.zeros((3, 9), bool)
    for row, boxes in enumerate(pictures):
        padded[row, : len(boxes)], valid[row, : len(boxes)] = boxes, True
    batch = call(library, match_anchors, anchors, padded, gt_valid=valid, preset="mmdet")
    for row, boxes in enumerate(pictures):
        single = match_anchors(anchors, boxes, preset="mmdet")
        assert_same(type(batch)(*(field[row] for field in batch))._replace(unmatched=single.unmatched), single)
        np.testing.assert_array_equal(batch.unmatched[row, : len(boxes)], single.unmatched)
        assert not batch.unmatched[row, len(boxes) :].any()


@most_libraries
def test_each_picture_may_have_anchors_of_its_own(library):
    pictures = [boxes_of(seed) for seed in range(2)]
    batch = call(library, match_anchors, *(np.stack(arrays) for arrays in zip(*pictures, strict=True)))
    for row, (anchors, boxes) in enumerate(pictures):
        assert_same(type(batch)(*(field[row] for field in batch)), match_anchors(anchors, boxes))


def test_mapped_over_pictures_in_jax():
    anchors, boxes = boxes_of(0)[0], np.stack([boxes_of(seed)[1] for seed in range(3)])
    mapped = jax.vmap(lambda b: match_anchors(jnp.asarray(anchors), b, preset="mmdet"))(jnp.asarray(boxes))
    assert_same(mapped, match_anchors(anchors, boxes, preset="mmdet"))


@most_libraries
@pytest.mark.parametrize("shape", [(0, 4), (2, 0, 4)])
def test_without_ground_truths_all_is_background(library, shape):
    matches = call(library, match_anchors, boxes_of(0)[0], np.zeros(shape, np.float32))
    assert matches.state.shape == (*shape[:-2], 40)
    assert (matches.state == 0).all()
    assert (matches.gt_index == -1).all()
    assert (matches.iou == 0).all()
    assert matches.num_positive.tolist() == ([0, 0] if len(shape) == 3 else 0)
    assert matches.unmatched.shape == shape[:-1]


@most_libraries
@pytest.mark.parametrize("preset", ["paper", "torchvision", "tf_official"])
def test_ground_truths_that_are_all_masked_are_none(library, preset):
    anchors, boxes = boxes_of(3)
    matches = call(library, match_anchors, anchors, boxes * np.nan, gt_valid=np.zeros(8, bool), preset=preset)
    assert (matches.state == 0).all()
    assert not matches.unmatched.any()


@most_libraries
@pytest.mark.parametrize("preset", ["paper", "torchvision"])
def test_without_anchors_every_ground_truth_is_unmatched(library, preset):
    matches = call(library, match_anchors, np.zeros((0, 4), np.float32), boxes_of(0)[1], preset=preset)
    assert matches.state.shape == (0,)
    assert matches.num_positive == 0
    assert matches.unmatched.all()


@most_libraries
def test_anchors_that_take_no_part_are_ignored_and_promote_nobody(library):
    anchors, boxes = boxes_of(9)
    own = np.arange(40) % 2 == 0
    got = call(library, match_anchors, anchors, boxes, anchor_valid=own, preset="torchvision")
    alone = match_anchors(anchors[own], boxes, preset="torchvision")
    assert (got.state[~own] == -1).all()
    assert (got.iou[~own] == 0).all()
    np.testing.assert_array_equal(got.state[own], alone.state)
    np.testing.assert_array_equal(got.gt_index[own], alone.gt_index)


@most_libraries
def test_regions_to_ignore_spare_positives(library):
    anchors = np.array([[0, 0, 10, 10], [0, 0, 10, 20], [0, 0, 10, 21], [80, 80, 90, 90]], np.float32)
    boxes = np.array([[0, 0, 10, 10]], np.float32)
    regions = np.array([[0, 0, 10, 10], [80, 80, 90, 90]], np.float32)
    found = call(
        library, match_anchors, anchors, boxes, positive=0.9, ignore_boxes=regions, ignore_valid=np.array([True, False])
    )
    # Covered wholly but positive; exactly half; less than half, and in the band; by a masked region.
    assert found.state.tolist() == [1, -1, -1, 0]
    found = call(library, match_anchors, anchors, boxes, positive=0.9, negative=0.6, ignore_boxes=regions)
    assert found.state.tolist() == [1, -1, 0, -1]


@pytest.mark.parametrize("preset", MATCHING_PRESETS)
def test_permuting_ground_truths_permutes_the_index(preset):
    anchors = grid_anchors(128)
    boxes = random_boxes(np.random.default_rng(1), 12, 160)
    order = np.random.default_rng(2).permutation(12)
    one, other = match_anchors(anchors, boxes, preset=preset), match_anchors(anchors, boxes[order], preset=preset)
    np.testing.assert_array_equal(one.state, other.state)
    np.testing.assert_array_equal(one.unmatched[order], other.unmatched)
    positive = one.state == 1
    if MATCHING_PRESETS[preset].low_quality_owner == "argmax" and not one.unmatched.any():
        np.testing.assert_array_equal(one.gt_index[positive], order[other.gt_index[positive]])


@pytest.mark.parametrize("preset", ["paper", "torchvision", "mmdet"])
def test_translation_by_strides_and_scaling_by_powers_of_two_change_nothing(preset):
    anchors, boxes = boxes_of(12)
    expected = match_anchors(anchors, boxes, preset=preset)
    assert_same(match_anchors(anchors + 128, boxes + 128, preset=preset), expected)
    assert_same(match_anchors(anchors * 8, boxes * 8, preset=preset), expected)
    assert_same(match_anchors(anchors / 4, boxes / 4, preset=preset), expected)


@most_libraries
def test_mixed_dtypes_compare_in_the_wider_one(library):
    anchors, boxes = boxes_of(4)
    matches = call(library, match_anchors, anchors, boxes.astype(np.int32))
    np.testing.assert_array_equal(matches.state, match_anchors(anchors, boxes).state)
    if not library.startswith("jax"):
        assert matches.iou.dtype == np.float64


def test_strided_and_read_only_arrays_are_taken():
    anchors, boxes = boxes_of(4)
    strided = np.zeros((80, 8), np.float32)
    strided[::2, ::2] = anchors
    view = strided[::2, ::2]
    view.flags.writeable = False
    assert_same(match_anchors(view, np.asfortranarray(boxes)), match_anchors(anchors, boxes))


def test_matches_have_no_derivative():
    anchors, boxes = boxes_of(4)
    tensors = [torch.from_numpy(array).requires_grad_() for array in (anchors, boxes)]
    assert not match_anchors(*tensors).iou.requires_grad
    compiled = torch.compile(lambda a, b: match_anchors(a, b).iou, fullgraph=True, backend="aot_eager")
    assert not compiled(*tensors).requires_grad
    assert (jax.grad(lambda b: match_anchors(jnp.asarray(anchors), b).iou.sum())(jnp.asarray(boxes)) == 0).all()


@pytest.mark.parametrize("preset", ["paper", "detectron", "torchvision", "mmdet", "tf_official"])
def test_memory_stays_below_two_mebibytes_beside_the_result(preset):
    anchors, boxes = grid_anchors(800, levels=(3, 4, 5, 6, 7)), random_boxes(np.random.default_rng(0), 500, 800)
    assert len(anchors) == 120087
    match_anchors(anchors, boxes, preset=preset)
    tracemalloc.start()
    try:
        matches = match_anchors(anchors, boxes, preset=preset)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - sum(field.nbytes for field in matches) <= 2 * 2**20


def test_array_operations_stay_within_their_blocks():
    anchors, boxes = grid_anchors(400, levels=(3, 4, 5)), random_boxes(np.random.default_rng(0), 200, 400)[None]
    arrays = anchors, np.ones(len(anchors), bool), boxes, np.ones((1, 200), bool)
    tracemalloc.start()
    try:
        overlaps = _overlaps.array_overlaps(adapter_of(anchors), *arrays, MATCHING_PRESETS["mmdet"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The blocks as documented, the results twice (in blocks and joined), and a copy of the anchors with their mask.
    blocks = 8 * 4 * _overlaps.PAIRS
    results = sum(array.nbytes for array in overlaps)
    assert peak <= blocks + 2 * results + 2 * anchors.nbytes
    # All pairs at once would not fit.
    assert len(anchors) * 200 > 20 * _overlaps.PAIRS


def test_the_options_are_the_presets_with_replacements():
    anchors, boxes = boxes_of(2)
    options = {"low_quality": "all", "low_quality_overlap": False, "exact_union": False}
    assert MatchingOptions(**options, undefined="positive") == MATCHING_PRESETS["torchvision"]
    assert_same(
        match_anchors(anchors, boxes, **options),
        match_anchors(anchors, boxes, preset="torchvision"),
    )
