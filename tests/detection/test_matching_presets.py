"""Each preset beside the code that it is named after, where that code runs here."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from focal_ref.detection.codes import to_effdet, to_mmdet, to_torchvision
from focal_ref.detection.matching import match_anchors
from focal_ref.detection.matching_options import MATCHING_PRESETS, matching_preset

from .every_library import refusal
from .peers import load_effdet_matcher, load_mmdet_assigner, load_torchvision_detection
from .pictures import grid_anchors, integer_anchors, random_boxes

COUNTS = [0, 1, 8, 100, 500]
FAR = [50.0, 50.0, 60.0, 60.0]
ODD = {
    # One box that overlaps no anchor, and one of these beside a good one: no area, padding, not a number.
    "apart": ([[0, 0, 10, 10], [0, 0, 10, 6], FAR], [[100, 100, 110, 110]]),
    "apart and good": ([[0, 0, 10, 10], [0, 0, 10, 6], FAR], [[100, 100, 110, 110], [0, 0, 10, 9]]),
    "no area": ([[0, 0, 10, 10], [20, 20, 30, 30], FAR], [[5, 5, 5, 5]]),
    "padding": ([[0, 0, 10, 10], [20, 20, 30, 30], FAR], [[0, 0, 10, 10], [0, 0, 0, 0]]),
    "four cells": ([[0, 0, 10, 10], [10, 0, 20, 10], [0, 10, 10, 20], [10, 10, 20, 20], FAR], [[5, 5, 15, 15]]),
    "twice": ([[0, 0, 10, 10], [0, 0, 10, 6], FAR], [[0, 0, 10, 10], [0, 0, 10, 10]]),
    "claimed twice": ([[0, 0, 100, 100], [500, 500, 510, 510]], [[0, 0, 100, 20], [0, 20, 100, 80]]),
    "band": ([[0, 0, 100, 100], [500, 500, 510, 510]], [[0, 0, 100, 45]]),
}
NOT_A_NUMBER = ([[0, 0, 10, 10], [20, 20, 30, 30], FAR], [[0, 0, 10, 10], [0, 0, np.nan, 10]])


def torchvision_codes(anchors, boxes):
    library = load_torchvision_detection()
    if len(boxes) == 0:
        # Its RetinaNet does not ask the matcher then.
        return np.full(len(anchors), -1)
    matcher = library.Matcher(0.5, 0.4, allow_low_quality_matches=True)
    return matcher(library.box_iou(torch.from_numpy(boxes), torch.from_numpy(anchors))).numpy()


def mmdet_codes(anchors, boxes):
    return load_mmdet_assigner().assign(torch.from_numpy(anchors), torch.from_numpy(boxes)).gt_inds.numpy()


def effdet_codes(anchors, boxes):
    return load_effdet_matcher().match(torch.from_numpy(anchors), torch.from_numpy(boxes)).numpy()


REAL = {
    "torchvision": (torchvision_codes, to_torchvision),
    "mmdet": (mmdet_codes, to_mmdet),
    "effdet": (effdet_codes, to_effdet),
}
every_real = pytest.mark.parametrize("preset", REAL)


def assert_same(preset, anchors, boxes, **options):
    """Ours in the other's codes are what the other says."""
    theirs, converter = REAL[preset]
    anchors, boxes = np.asarray(anchors, np.float32), np.asarray(boxes, np.float32).reshape(-1, 4)
    np.testing.assert_array_equal(
        converter(match_anchors(anchors, boxes, preset=preset, **options)), theirs(anchors, boxes)
    )


@every_real
@pytest.mark.parametrize("count", COUNTS)
def test_random_pictures(preset, count):
    boxes = random_boxes(np.random.default_rng(count), count, 256)
    assert_same(preset, grid_anchors(256), boxes)


@every_real
@pytest.mark.parametrize("seed", range(20))
def test_pictures_full_of_ties(preset, seed):
    generator = np.random.default_rng([seed, 5])
    assert_same(preset, integer_anchors(generator, 60, 64), integer_anchors(generator, 12, 80))


@every_real
@pytest.mark.parametrize("case", ODD)
def test_odd_pictures(preset, case):
    assert_same(preset, *ODD[case], invalid="keep")


@pytest.mark.parametrize("preset", ["torchvision", "mmdet"])
def test_a_box_that_is_no_number(preset):
    assert_same(preset, *NOT_A_NUMBER, invalid="keep")


def test_torchvision_matches_every_anchor_to_a_box_outside_the_picture():
    library = load_torchvision_detection()
    anchors = library.anchors((512, 512)).numpy()
    box = np.array([[600.0, 600.0, 700.0, 700.0]], np.float32)
    box += 400  # Beyond the largest anchors too.
    assert (torchvision_codes(anchors, box) == 0).all()
    ours = match_anchors(anchors, box, preset="torchvision")
    assert int(ours.num_positive) == len(anchors) == 49104
    assert int(match_anchors(anchors, box).num_positive) == 0


def test_mmdet_ignores_what_a_region_covers():
    generator = np.random.default_rng(11)
    anchors = integer_anchors(generator, 80, 64)
    boxes, regions = integer_anchors(generator, 5, 64), integer_anchors(generator, 4, 64) * np.float32(1.5)
    found = load_mmdet_assigner().assign(
        torch.from_numpy(anchors),
        torch.from_numpy(boxes),
        torch.from_numpy(regions),
        ignore_iof_thr=0.5,
        match_low_quality=False,
    )
    ours = match_anchors(
        anchors,
        boxes,
        preset="mmdet",
        low_quality="none",
        ignore_boxes=regions,
        ignore_iof=float(np.nextafter(np.float32(0.5), np.float32(1))),
    )
    theirs = found.gt_inds.numpy()
    assert (theirs == -1).any()
    # mmdet compares with > where ours is >=, and lets a region beat a positive, which ours does not.
    positive = np.asarray(ours.state) == 1
    np.testing.assert_array_equal(to_mmdet(ours)[~positive], theirs[~positive])
    assert set(theirs[positive]) <= {-1, *to_mmdet(ours)[positive]}


@pytest.fixture(scope="module")
def keras_hub_codes(tmp_path_factory):
    """The codes of keras_hub's matcher for the pictures of the tests below."""
    folder = tmp_path_factory.mktemp("keras_hub")
    pictures = {}
    for count in COUNTS:
        pictures[f"anchors_{count}"] = grid_anchors(192)
        pictures[f"boxes_{count}"] = random_boxes(np.random.default_rng(count), count, 192)
    pictures["anchors_half"] = np.array([[0, 0, 1, 1], [0, 0, 1, 0.5]], np.float32)
    pictures["boxes_half"] = np.array([[0, 0, 1, 0.5]], np.float32)
    np.savez(folder / "pictures.npz", **pictures)
    script = Path(__file__).with_name("keras_hub_matching.py")
    subprocess.run(
        [sys.executable, str(script), str(folder / "pictures.npz"), str(folder / "codes.npz")],
        env={**os.environ, "KERAS_BACKEND": "torch"},
        check=True,
        capture_output=True,
        timeout=300,
    )
    with np.load(folder / "codes.npz") as codes:
        return pictures, dict(codes)


@pytest.mark.parametrize("name", [*map(str, COUNTS), "half"])
def test_keras_hub(keras_hub_codes, name):
    pictures, codes = keras_hub_codes
    ours = match_anchors(pictures[f"anchors_{name}"], pictures[f"boxes_{name}"], preset="keras_hub")
    np.testing.assert_array_equal(to_torchvision(ours), codes[f"code_{name}"])


def test_exactly_one_half_of_a_small_box_is_ignored_by_keras_hub(keras_hub_codes):
    assert keras_hub_codes[1]["code_half"].tolist() == [-2, 0]


def fizyr_states(anchors, boxes):
    """What keras-retinanet 1.0.0's `compute_gt_annotations` says, from its source: closed below, no promotion."""
    corners = np.maximum(anchors[:, None, :2], boxes[:, :2]), np.minimum(anchors[:, None, 2:], boxes[:, 2:])
    sides = np.maximum(corners[1] - corners[0], 0)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (anchors, boxes)]
    overlap = np.prod(sides, axis=2)
    iou = overlap / (areas[0][:, None] + areas[1] - overlap)
    best = iou.max(axis=1)
    return np.where(best >= 0.5, 1, np.where(best > 0.4, -1, 0)), iou.argmax(axis=1)


@pytest.mark.parametrize("seed", range(10))
def test_fizyr_from_its_source(seed):
    # Not run: its overlaps are compiled by Cython.
    generator = np.random.default_rng([seed, 6])
    anchors, boxes = integer_anchors(generator, 60, 64), integer_anchors(generator, 12, 80)
    state, index = fizyr_states(anchors.astype(np.float64), boxes.astype(np.float64))
    ours = match_anchors(anchors.astype(np.float64), boxes.astype(np.float64), preset="fizyr")
    np.testing.assert_array_equal(ours.state, state)
    np.testing.assert_array_equal(ours.gt_index, np.where(state == 1, index, -1))


def detectron_labels(anchors, boxes):
    """What Detectron's `_get_retinanet_blobs` says, from its source: +1, the best of the ignored band promoted."""
    corners = np.maximum(anchors[:, None, :2], boxes[:, :2]), np.minimum(anchors[:, None, 2:], boxes[:, 2:])
    sides = np.maximum(corners[1] - corners[0] + 1, 0)
    areas = [np.prod(b[:, 2:] - b[:, :2] + 1, axis=1) for b in (anchors, boxes)]
    overlap = np.prod(sides, axis=2)
    iou = overlap / (areas[0][:, None] + areas[1] - overlap)
    labels = np.full(len(anchors), -1)
    labels[(iou == iou.max(axis=0)).any(axis=1)] = 1
    labels[iou.max(axis=1) >= 0.5] = 1
    labels[iou.max(axis=1) < 0.4] = 0
    return labels, iou.argmax(axis=1)


@pytest.mark.parametrize("seed", range(10))
def test_detectron_from_its_source(seed):
    # Not run: it needs Caffe2.
    generator = np.random.default_rng([seed, 7])
    anchors, boxes = (integer_anchors(generator, count, 64).astype(np.float64) for count in (60, 12))
    state, index = detectron_labels(anchors, boxes)
    ours = match_anchors(anchors, boxes, preset="detectron")
    np.testing.assert_array_equal(ours.state, state)
    np.testing.assert_array_equal(ours.gt_index, np.where(state == 1, index, -1))


def test_detectron2_differs_from_torchvision_in_boxes_that_are_no_numbers():
    # From its source: an overlap is 0 unless the intersection is above 0, which NaN is not.
    anchors, boxes = (np.array(values, np.float32) for values in NOT_A_NUMBER)
    ours = match_anchors(anchors, boxes, preset="detectron2", invalid="keep")
    assert ours.state.tolist() == [1, 1, 1]
    assert ours.gt_index.tolist() == [0, 0, 0]


def test_every_preset_is_listed_and_an_unknown_one_refused():
    names = ("paper", "detectron", "detectron2", "torchvision", "mmdet", "fizyr", "tf_official", "effdet", "keras_hub")
    assert tuple(MATCHING_PRESETS) == names
    allowed = ", ".join(map(repr, names))
    assert refusal(ValueError, matching_preset, "ssd") == f"preset: got 'ssd'; allowed are {allowed}"
