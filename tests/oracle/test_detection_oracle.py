"""The oracle of the detection side against numbers that were computed by hand, and its vectors."""

import hashlib
import json
import math
import shutil
from dataclasses import replace
from fractions import Fraction

import jsonschema
import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance.detection import generate, numeric, selection, vectors
from focal_ref.conformance.detection.comparison import as_fraction, error_of
from focal_ref.conformance.detection.inputs import SCENES
from focal_ref.conformance.detection.oracle import PRESETS, BadBox, Options, area, coverage, intersection, iou, match
from focal_ref.conformance.detection.scenes import ANCHORS, BOXES, at_threshold, filled, picture

HALF, TWO_FIFTHS = Fraction(1, 2), Fraction(2, 5)


# Overlap


def test_areas_and_overlaps_are_those_of_the_drawing():
    one, other = [0, 0, 10, 10], [7, 6, 17, 16]
    assert (area(one), intersection(one, other), iou(one, other)) == (100, 12, Fraction(12, 188))
    assert coverage([0, 0, 10, 10], [0, 0, 10, 4]) == TWO_FIFTHS
    assert coverage([0, 0, 10, 4], [0, 0, 10, 10]) == 1


def test_boxes_that_touch_or_lie_apart_do_not_overlap():
    # Apart in both directions, where the product of two negative lengths would be positive.
    for other in ([10, 0, 20, 10], [10, 10, 20, 20], [30, 30, 40, 40]):
        assert iou([0, 0, 10, 10], other) == 0


def test_the_legacy_offset_makes_boxes_one_pixel_larger():
    # 10 x 10 and 10 x 5 pixels, counted with their last ones.
    assert iou([0, 0, 9, 9], [0, 0, 9, 4], offset=1) == HALF
    assert iou([0, 0, 9, 9], [0, 0, 9, 4]) == Fraction(4, 9)
    # Side by side they share a column.
    assert intersection([0, 0, 9, 9], [9, 0, 18, 9], offset=1) == 10


def test_an_epsilon_is_rounded_with_the_union():
    # 1 + 1e-7 is 1 + 2^-23 in float32, 100 + 1e-7 is 100.
    assert iou([0, 0, 1, 1], [0, 0, 1, 0.5], epsilon=Fraction(1, 10**7)) == HALF / (1 + Fraction(1, 2**23))
    assert iou([0, 0, 10, 10], [0, 0, 10, 5], epsilon=Fraction(1, 10**7)) == HALF
    assert iou([0, 0, 10, 10], [0, 0, 10, 5], epsilon=Fraction(1, 10**7), format="float64") < HALF


def test_floats_are_the_rational_numbers_that_they_are():
    assert area([0.0, 0.0, 0.1, 1.0]) == Fraction(0.1) != Fraction(1, 10)


# Matching


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.id)
def test_answers_that_were_derived_by_hand_are_the_oracles(scene):
    for preset, expected in scene.by_hand.items():
        options = Options(invalid="drop") if preset == "drop" else PRESETS[preset]
        if scene.by_hand["paper"] == "raises" and preset not in ("paper", "drop"):
            options = replace(options, invalid="keep")
        if expected == "raises":
            with pytest.raises(BadBox):
                match(scene.anchors, scene.gt_boxes, options, gt_valid=scene.gt_valid)
        else:
            answer = match(scene.anchors, scene.gt_boxes, options, gt_valid=scene.gt_valid)
            assert " ".join(answer.codes) == expected, preset


def test_the_table_has_all_its_rows():
    rows = {int(scene.id.split("/")[0].removeprefix("row-")) for scene in SCENES if scene.id.startswith("row-")}
    assert rows == {1, 2, 4, 6, 7, 8, 9, 11, 12, 13, 16, 20, 23, 27, 31}


def test_what_does_not_take_part_is_ignored_and_promotes_nothing():
    anchors, boxes = [[0, 0, 10, 10], [0, 0, 10, 8]], [[0, 0, 10, 3]]
    every = Options(low_quality="all")
    assert match(anchors, boxes, every).codes == ("B", "P0")
    assert match(anchors, boxes, every, anchor_valid=[True, False]).codes == ("P0", "I")


def test_a_region_ignores_what_is_not_positive():
    anchors = [[0, 0, 10, 10], [0, 20, 10, 30], [0, 40, 10, 50]]
    regions = [[0, 0, 10, 10], [0, 20, 10, 25], [0, 40, 10, 44]]
    answer = match(anchors, [[0, 0, 10, 10]], ignore_boxes=regions)
    assert answer.codes == ("P0", "I", "B")
    assert match(anchors, [], ignore_boxes=regions, ignore_valid=[False, False, True]).codes == ("B", "B", "B")


def test_the_best_overlap_and_the_unmatched_ground_truths_are_told():
    answer = match([[0, 0, 10, 10], [0, 0, 10, 4]], [[0, 0, 10, 4], [50, 0, 60, 10]], gt_valid=[True, True])
    assert answer.iou == (TWO_FIFTHS, 1)
    assert answer.unmatched == (False, True)
    assert match([[0, 0, 10, 10]], [[0, 0, 9, 9]], gt_valid=[False]).unmatched == (False,)


def test_the_first_or_the_last_forcing_ground_truth_owns_an_anchor():
    # Overlaps of 1/5, 1/2 and 3/10 with one anchor, of which the second is its best.
    anchors, boxes = [[0, 0, 10, 10]], [[0, 0, 10, 2], [0, 2, 10, 7], [0, 7, 10, 10]]
    owners = {
        owner: match(anchors, boxes, Options(low_quality="all", low_quality_owner=owner)).codes
        for owner in ("argmax", "forcing_first", "forcing_last")
    }
    assert owners == {"argmax": ("P1",), "forcing_first": ("P0",), "forcing_last": ("P2",)}


def test_the_band_promotes_from_the_ignored_ones_alone():
    anchors, boxes = [[0, 0, 10, 10]], [[0, 0, 10, 4]]
    assert match(anchors, boxes, Options(low_quality="band")).codes == ("P0",)
    assert match(anchors, [[0, 0, 10, 3]], Options(low_quality="band")).codes == ("B",)


# Coding and losses


def test_deltas_are_those_of_a_calculation_by_hand():
    # Centre (10, 5) against (5, 5): half of the anchor's width; twice as wide, as high.
    deltas = numeric.encoded([0, 0, 20, 10], [0, 0, 10, 10])
    assert [float(number) for number in deltas] == [0.5, 0.0, math.log(2), 0.0]
    # The extra pixel makes both 10 wide.
    legacy = numeric.encoded([5, 0, 14, 9], [0, 0, 9, 9], (10, 10, 5, 5), offset=1)
    assert [float(number) for number in legacy] == [5.0, 0.0, 0.0, 0.0]


def test_decoding_is_clamped_and_takes_the_offset_off():
    assert [float(number) for number in numeric.decoded([0, 0, 100, 0], [0, 0, 16, 16])] == [-492.0, 0.0, 508.0, 16.0]
    assert [float(number) for number in numeric.decoded([0, 0, 0, 0], [3, 4, 12, 23], offset=1)] == [3, 4, 12, 23]


def test_smooth_l1_meets_at_beta_and_is_l1_without_it():
    assert numeric.smooth_l1(0.0625, 0.0, 0.125) == Fraction(1, 64)
    assert numeric.smooth_l1(0.125, 0.0, 0.125) == Fraction(1, 16)
    assert numeric.smooth_l1(-3.0, 4.0, 1.0) == Fraction(13, 2)
    assert (numeric.smooth_l1(-3.0, 4.0, 0), numeric.smooth_l1(1.0, 1.0, 0)) == (7, 0)
    slopes = [numeric.smooth_l1_slope(d, 0.0, 0.5) for d in (-2.0, -0.25, 0.0, 0.25, 2.0)]
    assert slopes == [-1, -HALF, 0, HALF, 1]
    assert numeric.smooth_l1_slope(0.0, 0.0, 0) == 0


def test_anchors_are_counted_as_printed():
    assert [numeric.anchor_count(800, width) for width in (800, 1024, 1344)] == [120_087, 153_576, 201_600]
    width, height = numeric.anchor_sides(3, 1, Fraction(2))
    assert float(width * height) == pytest.approx(32**2 * 2 ** (2 / 3))
    assert float(height / width) == pytest.approx(2)


def test_the_first_step_is_the_printed_number():
    assert f"{float(numeric.background_sum(120_087 * 80)):.4f}" == "7.2415"
    term = numeric.focal_loss(math.log(0.01 / 0.99), False)
    assert float(120_087 * 80 * term) == pytest.approx(7.2415, abs=5e-5)


def test_normalizers_are_the_printed_numbers():
    values = [
        numeric.normalized([Fraction(40), Fraction(40)], [10, 0], rule)
        for rule in ("per_picture", "batch", "plus_one", "plus_one_per_picture")
    ]
    assert values == [22, 8, Fraction(80, 11), Fraction(80, 12)]


# Selection


def test_hard_negatives_are_three_a_positive_and_the_first_of_equal_ones():
    losses, state = [1.0, 2.0, 2.0, 2.0, 2.0, 0.5], [1, 0, 0, 0, 0, 0]
    assert selection.hard_negatives(losses, state) == [True, True, True, True, False, False]
    assert selection.hard_negatives([3.0, 1.0], [0, 0], minimum=1) == [True, False]
    assert selection.hard_negatives([9.0, 1.0, 5.0], [-1, 0, 1]) == [False, True, True]


def test_suppression_keeps_the_threshold_and_what_a_dropped_box_overlaps():
    assert selection.greedy_nms([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6]], [0.9, 0.8, 0.7]) == [0, 1]
    # The middle one goes first and drops both neighbours; last, it is dropped by the first and the third stays.
    chain = [[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]]
    assert selection.greedy_nms(chain, [0.5, 0.9, 0.75]) == [1]
    assert selection.greedy_nms(chain, [0.9, 0.75, 0.5]) == [0, 2]
    assert selection.greedy_nms(chain, [0.9, 0.75, 0.5], classes=[0, 1, 2]) == [0, 1, 2]


def test_detections_are_above_the_threshold_best_first_and_suppressed_by_class():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9]]
    # -2.95 and -2.94 are the logits next to that of 0.05, which is -2.9444.
    assert selection.detections([[2.0, -2.95], [1.0, -2.94]], boxes) == [(0, 0), (1, 1)]
    assert selection.detections([[2.0, 1.5], [1.0, 3.0]], boxes, max_detections=1) == [(1, 1)]
    assert selection.detections([[2.0, 1.5], [1.0, 3.0]], boxes, top_k=1) == [(1, 1)]


# What the comparison is made of


def test_errors_are_fractions_of_an_ulp():
    with mp.workdps(40):
        third = -mp.mpf(1) / 3
    assert as_fraction(mp.mpf(-0.375)) == Fraction(-3, 8)
    nearest = float(np.float32(-1 / 3))
    assert error_of(nearest, third, 0, "float32") == pytest.approx(1 / 3)
    assert error_of(nearest, third, 1, "float32") == pytest.approx(1 / 12)
    assert error_of(math.nan, third, 0, "float32") == math.inf


def test_pictures_have_all_kinds_of_anchors_and_one_shape():
    states = [match(*map(np.ndarray.tolist, picture(seed))).state for seed in range(10, 16)]
    for state in (1, 0, -1):
        assert sum(row.count(state) for row in states) > 10
    for threshold in (HALF, TWO_FIFTHS):
        anchors, boxes = at_threshold(threshold)
        assert (anchors.shape, boxes.shape) == ((ANCHORS, 4), (BOXES, 4))
        overlaps = [max(iou(anchor, box) for box in boxes.tolist()) for anchor in anchors.tolist()]
        assert overlaps.count(threshold) == BOXES


def test_filling_up_changes_no_anchor():
    anchors, boxes = [[0, 0, 10, 10], [0, 0, 10, 4]], [[0, 0, 10, 4]]
    more_anchors, more_boxes = filled(anchors, boxes)
    for options in PRESETS.values():
        answer = match(more_anchors.tolist(), more_boxes.tolist(), options)
        assert answer.codes[:2] == match(anchors, boxes, options).codes


# The stored vectors


def test_generating_again_gives_the_committed_files():
    assert generate.check() == []


def test_generate_says_which_file_differs(tmp_path):
    shutil.copytree(generate.DIRECTORY, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "boxes.json"
    path.write_text(path.read_text().replace("3f000000", "3f000001", 1))
    assert generate.check(tmp_path) == ["boxes.json: differs from what is generated"]


@pytest.mark.parametrize("name", generate.SUBJECTS)
def test_ids_are_unique_and_the_manifest_has_the_hash(name):
    tests = vectors.load_tests(name)
    assert len({test["id"] for test in tests}) == len(tests)
    manifest = json.loads((generate.DIRECTORY / "manifest.json").read_text())
    content = (generate.DIRECTORY / f"{name}.json").read_bytes()
    assert manifest["sets"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    assert vectors.set_names() == tuple(generate.SUBJECTS)


@pytest.mark.parametrize("name", generate.SUBJECTS)
def test_a_file_satisfies_the_schema(name):
    schema = json.loads((generate.DIRECTORY / generate.SCHEMA).read_text())
    validator = jsonschema.Draft202012Validator(schema)
    document = json.loads((generate.DIRECTORY / f"{name}.json").read_text())
    assert not [error.message for error in validator.iter_errors(document)]
    # It is not satisfied by anything.
    for key in set(document["tests"][0]) - {"expected_float64"}:
        altered = {name: value for name, value in document["tests"][0].items() if name != key}
        assert not validator.is_valid({**document, "tests": [altered]}), key


def test_an_altered_file_is_refused(tmp_path):
    shutil.copytree(generate.DIRECTORY, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "matching.json"
    path.write_text(path.read_text().replace("P0", "P1", 1))
    with pytest.raises(vectors.VectorError, match=r"matching.json: sha256 differs from that in manifest.json"):
        vectors.load_tests("matching", tmp_path)
    with pytest.raises(vectors.VectorError, match="no set 'nothing'; known are boxes, matching"):
        vectors.load_tests("nothing", tmp_path)


def test_every_row_says_what_each_preset_does_with_good_boxes():
    for test in vectors.load_tests("matching"):
        expected = set(test["expected"])
        if test["expected"]["paper"] == "raises":
            assert "drop" in expected
        else:
            assert expected == set(PRESETS)


def test_stored_bits_are_the_rounded_fractions():
    for test in vectors.load_tests("boxes"):
        numerator, denominator = test["exact"]
        for dtype in ("float32", "float64"):
            bits = np.array(int(test[dtype], 16), dtype=f"u{np.dtype(dtype).itemsize}").view(dtype)
            # IEEE division of integers that the format has is correctly rounded.
            if max(numerator, denominator) < 2**24:
                assert bits == np.dtype(dtype).type(numerator) / np.dtype(dtype).type(denominator)
