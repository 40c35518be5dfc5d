"""Other people's matchers and box coders: torchvision's matcher takes every anchor for a box that overlaps none."""

import json
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance.claims import claimed, not_claimed
from focal_ref.conformance.detection.oracle import Options
from focal_ref.conformance.gate import Item, items_of, run_item
from focal_ref.conformance.profiles import ProfileError, load_profile, parse_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import UsageError
from focal_ref.conformance.targets.builtin_detection import right_detection
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.matcher import BoxTarget, declared_options
from focal_ref.conformance.targets.python import function_target

ROOT = Path(__file__).parents[2]
TEXT = files("focal_ref.conformance.profiles").joinpath("torchvision_matcher.toml").read_text(encoding="utf-8")


def test_torchvision_passes_but_for_boxes_that_overlap_no_anchor_and_large_ones_in_float32(tmp_path):
    command = [sys.executable, "-m", "pytest", "conformance", "-q", "-p", "no:cacheprovider"]
    options = ["--profile=torchvision_matcher", f"--report-dir={tmp_path}"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
    assert "verdict: not conformant: 2 requirements not met (exit code 1)" in done.stdout
    lines = [json.loads(line) for line in (tmp_path / "torchvision_matcher.jsonl").read_text().splitlines()]
    items = [line for line in lines if line["kind"] == "item"]
    failed = {(item["requirement"], item["dtype"]) for item in items if not item["passed"]}
    assert failed == {("FL-MAT-003", "float32"), ("FL-MAT-003", "float64"), ("FL-IOU-001", "float32")}
    passed = {item["requirement"] for item in items if item["passed"]}
    assert {"FL-IOU-001", "FL-MAT-001", "FL-MAT-002", "FL-MAT-004", "FL-MAT-007", "FL-MAT-008"} <= passed
    (text,) = (item["text"] for item in items if (item["requirement"], item["dtype"]) == ("FL-MAT-003", "float32"))
    assert text.startswith("FL-MAT-003 float32: A ground truth that overlaps no anchor makes no anchor positive.")
    assert "  got       24 of 24 anchors positive for boxes with which their IoU is 0" in text
    (text,) = (item["text"] for item in items if (item["requirement"], item["dtype"]) == ("FL-IOU-001", "float32"))
    assert "half-of-a-large-union" in text
    # Options of this project's own functions are no part of a matcher.
    assert "FL-MAT-009" in {line["requirement"] for line in lines if line["kind"] == "not-claimed"}
    assert not [line for line in lines if line.get("requirement", "").startswith("FL-VAL")]


# Matchers with other codes


def own_matcher(codes):
    """The gate's right matcher, in the codes of others."""

    def match(anchors, gt_boxes):
        found = right_detection("match_anchors")({"anchors": anchors, "gt_boxes": gt_boxes})
        state, index = found["state"], found["gt_index"]
        if codes == "detectron2":
            return index, state
        background, ignored, first = {"mmdet": (0, -1, 1)}.get(codes, (-1, -2, 0))
        return np.select([state == 1, state == 0], [index + first, background], ignored)

    return match


def profile_of(**changes):
    conventions = {**load_profile("torchvision_matcher").conventions, "low_quality": "none", **changes}
    return replace(load_profile("torchvision_matcher"), conventions=conventions, capabilities=frozenset({"matching"}))


def target_of(match, **changes):
    profile = replace(profile_of(**changes), library="numpy")
    return BoxTarget("matcher", {"match_anchors": match}, profile, PlainLibrary("numpy", None, ""))


@pytest.mark.parametrize("codes", ["torchvision", "detectron2", "effdet", "mmdet"])
def test_every_convention_of_codes_is_understood(codes):
    target = target_of(own_matcher(codes), codes=codes)
    assert target.describe()["device"] == "cpu"
    names = {item.name for item in items_of(target.profile)} - {"self-check"}
    assert names == {f"FL-MAT-{number:03}" for number in range(1, 9)}
    for name in names:
        dtype = "" if requirements()[name].dtypes == "once" else "float64"
        result = run_item(Item(name, dtype), target, "pytest conformance")
        assert result.passed, result.text
        assert result.comparisons > 0


@pytest.mark.parametrize("codes", ["detectron2", "mmdet"])
def test_codes_of_another_convention_are_found(codes):
    declared = "mmdet" if codes == "detectron2" else "torchvision"
    match = own_matcher(codes)
    target = target_of(lambda *boxes: match(*boxes)[0] if codes == "detectron2" else match(*boxes), codes=declared)
    assert not run_item(Item("FL-MAT-001", "float32"), target, "pytest conformance").passed


@pytest.mark.parametrize(
    "changes",
    [{"positive": 0.7}, {"negative": 0.2}, {"low_quality": "all"}, {"low_quality": "band"}, {"offset": 1}],
    ids=str,
)
def test_a_wrong_declaration_is_found(changes):
    target = target_of(own_matcher("torchvision"), **changes)
    results = [run_item(Item(name, "float32"), target, "pytest conformance") for name in ("FL-MAT-001", "FL-MAT-002")]
    results.append(run_item(Item("FL-MAT-008"), target, "pytest conformance"))
    assert not all(result.passed for result in results)


def test_a_code_that_means_nothing_is_not_taken_for_one():
    target = target_of(lambda anchors, gt_boxes: np.full(len(anchors), -7))
    result = run_item(Item("FL-MAT-007", "float32"), target, "pytest conformance")
    assert "  expected  B\n  got       ?2" in result.text


def test_options_reach_no_matcher():
    target = target_of(own_matcher("torchvision"))
    box = np.array([[0, 0, 10, 10]], np.float32)
    with pytest.raises(NotImplementedError, match="a matcher has no match_anchors with anchors, gt_boxes, preset"):
        target.detection("match_anchors", {"anchors": box, "gt_boxes": box}, {"preset": "paper"})


def test_declared_thresholds_are_decimal_fractions():
    options = declared_options(load_profile("torchvision_matcher"))
    assert (options.positive, options.negative) == (Fraction(1, 2), Fraction(2, 5))
    assert options == Options(low_quality="all")


# Profiles


def test_a_matcher_has_no_requirement_of_a_loss():
    profile = load_profile("torchvision_matcher")
    areas = {requirement.area for requirement in requirements().values() if claimed(requirement, profile)}
    assert areas == {"IOU", "MAT"}
    assert {requirement.area for requirement, _ in not_claimed(profile)} <= {"IOU", "MAT"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "matcher"', 'kind = "detector"', "profile.kind: got 'detector'; allowed are loss, matcher, coder"),
        (
            'codes = "torchvision"',
            'codes = "yolo"',
            "conventions.codes: got 'yolo'; allowed are torchvision, ",
        ),
        ('codes = "torchvision"\n', "", "conventions.codes: not declared; every axis is"),
        ("offset = 0", "offset = false", "conventions.offset: got False; allowed are 0, 1"),
        ("positive = 0.5", "positive = 1.5", "conventions.positive: got 1.5; an IoU in [0, 1]"),
        ("negative = 0.4", "negative = 0.6", "conventions.negative: it is at most as large as positive"),
        ('"boxes", ', "", "signature.iou: it is named exactly if claims.capabilities has 'boxes'"),
        (', "matching"]', "]", "claims.capabilities: a matcher has 'matching'"),
        ('"matching"]', '"gradient"]', "claims.capabilities: got 'gradient'; allowed are boxes, matching"),
        ('float64 = "exact"', 'float16 = "exact"', "claims.dtypes: got 'float16'; allowed are float32, float64"),
        ("iou = ", "overlap = ", "signature.iou: not declared; every axis is"),
    ],
)
def test_an_error_in_a_matcher_s_profile_names_file_key_and_what_is_allowed(old, new, message):
    assert old in TEXT
    with pytest.raises(ProfileError) as error:
        parse_profile(TEXT.replace(old, new, 1), "mine.toml")
    assert str(error.value).startswith(f"mine.toml: {message}")


def test_a_matcher_that_cannot_be_imported_is_a_usage_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(TEXT.replace("torchvision_source:match", "torchvision_source:nothing"))
    with pytest.raises(UsageError, match="has no 'nothing'"):
        function_target(None, str(path), None)


# Box coders


def coder_of(encode, decode, **changes):
    profile = load_profile("torchvision_coder")
    conventions = {**profile.conventions, **changes}
    profile = replace(profile, conventions=conventions, library="numpy")
    functions = {"encode_boxes": encode, "decode_boxes": decode}
    return BoxTarget("coder", functions, profile, PlainLibrary("numpy", None, ""))


def centre_form(boxes, offset):
    size = boxes[..., 2:] - boxes[..., :2] + boxes.dtype.type(offset)
    return boxes[..., :2] + size / 2, size


def coder(weights=(1, 1, 1, 1), offset=0):
    """Encoding and decoding by the printed formulas."""

    def encode(gt_boxes, anchors):
        (place, size), (origin, unit) = (centre_form(boxes, offset) for boxes in (gt_boxes, anchors))
        factors = np.array(weights, anchors.dtype)
        return factors * np.concatenate([(place - origin) / unit, np.log(size / unit)], axis=-1)

    def decode(deltas, anchors):
        origin, unit = centre_form(anchors, offset)
        deltas = deltas / np.array(weights, anchors.dtype)
        with np.errstate(all="ignore"):
            size = np.exp(np.minimum(deltas[..., 2:], anchors.dtype.type(np.log(62.5)))) * unit
        place = deltas[..., :2] * unit + origin
        return np.concatenate([place - size / 2, place + size / 2 - anchors.dtype.type(offset)], axis=-1)

    return encode, decode


def results_of(target):
    items = [item for item in items_of(target.profile) if item.name != "self-check"]
    return {item: run_item(item, target, "pytest conformance") for item in items}


def test_the_box_coder_of_torchvision_is_right():
    results = results_of(function_target(None, "torchvision_coder", None))
    assert {item.name for item in results} == {f"FL-BOX-{number:03}" for number in range(1, 5)}
    for result in results.values():
        assert result.passed, result.text


@pytest.mark.parametrize(("weights", "offset"), [([1, 1, 1, 1], 1), ([10, 10, 5, 5], 0), ([10, 10, 5, 5], 1)])
def test_a_coder_is_judged_by_the_weights_and_the_offset_that_it_declares(weights, offset):
    right = coder_of(*coder(weights, offset), weights=weights, offset=offset)
    for result in results_of(right).values():
        assert result.passed, result.text
        assert result.comparisons > 0
    undeclared = coder_of(*coder(weights, offset))
    failed = {item.name for item, result in results_of(undeclared).items() if not result.passed}
    assert {"FL-BOX-001", "FL-BOX-002"} <= failed


def test_a_coder_that_claims_no_limit_of_a_side_needs_none():
    encode, _ = coder()

    def decode(deltas, anchors):
        origin, unit = centre_form(anchors, 0)
        with np.errstate(all="ignore"):
            place, size = deltas[..., :2] * unit + origin, np.exp(deltas[..., 2:]) * unit
            return np.concatenate([place - size / 2, place + size / 2], axis=-1)

    target = coder_of(encode, decode)
    failed = {item.name for item, result in results_of(target).items() if not result.passed}
    assert failed == {"FL-BOX-002", "FL-BOX-004"}
    unlimited = replace(target.profile, capabilities=frozenset({"box_coding"}))
    target = BoxTarget("coder", target.by_name, unlimited, PlainLibrary("numpy", None, ""))
    for result in results_of(target).values():
        assert result.passed, result.text
        assert result.comparisons > 0


def test_an_error_in_a_coder_s_profile_names_file_key_and_what_is_allowed():
    text = files("focal_ref.conformance.profiles").joinpath("torchvision_coder.toml").read_text(encoding="utf-8")
    for old, new, message in (
        ("[1, 1, 1, 1]", "[1, 1, 1]", "conventions.weights: got [1, 1, 1]; four numbers above 0"),
        ("[1, 1, 1, 1]", "[1, 1, 1, 0]", "conventions.weights: got [1, 1, 1, 0]; four numbers above 0"),
        ("offset = 0", "offset = 2", "conventions.offset: got 2; allowed are 0, 1"),
        ('["box_coding", "clamp"]', '["clamp"]', "claims.capabilities: a coder has 'box_coding'"),
        ('"clamp"', '"matching"', "claims.capabilities: got 'matching'; allowed are box_coding, clamp"),
    ):
        with pytest.raises(ProfileError) as error:
            parse_profile(text.replace(old, new, 1), "mine.toml")
        assert str(error.value).startswith(f"mine.toml: {message}")
