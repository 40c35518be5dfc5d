"""Every check of the detection side finds the fault that it is there for, and passes without it."""

from functools import cache

import pytest

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.requirements import DETECTION, requirements

from . import detection_faults as faults
from .detection_faults import anchors_with, loss_with, matching, other_threshold, target_with, without_options

FAULTS = {
    "FL-IOU-001": {"box_iou": faults.with_epsilon},
    "FL-IOU-002": {"box_iou": faults.half_precision},
    "FL-IOU-003": {"box_iou": faults.negative_sides_multiplied},
    "FL-IOU-004": {"box_iou": faults.no_crowd},
    "FL-IOU-005": {"box_iou": faults.no_offset},
    "FL-IOU-006": {"box_iou": faults.bad_boxes_as_zero},
    "FL-ANC-001": {"anchor_boxes": faults.without_the_last_cell},
    "FL-ANC-002": anchors_with(ratios=(2.0, 1.0, 0.5)),
    "FL-ANC-003": anchors_with(center=0.0),
    "FL-ANC-004": anchors_with(preset="paper"),
    "FL-MAT-001": matching(negative=0.3),
    "FL-MAT-002": matching(positive=0.5000001),
    "FL-MAT-003": matching(preset="torchvision"),
    "FL-MAT-004": {"match_anchors": faults.last_of_ties},
    "FL-MAT-005": {"match_anchors": faults.sorted_and_not_put_back},
    "FL-MAT-006": {"match_anchors": faults.clipped_to_the_picture},
    "FL-MAT-007": {"match_anchors": faults.ignored_without_boxes},
    "FL-MAT-008": without_options("low_quality_owner"),
    "FL-MAT-009": without_options("preset"),
    "FL-MAT-010": {"match_anchors": faults.padding_takes_part},
    "FL-MAT-011": without_options("ignore_boxes", "ignore_valid", "ignore_iof"),
    "FL-MAT-012": {"match_anchors": faults.first_picture_for_all},
    "FL-MAT-013": {"match_anchors": faults.counted_before_promotion},
    "FL-MAT-014": {"match_anchors": faults.anything_goes},
    "FL-MAT-015": {"match_anchors": faults.one_block_alone},
    "FL-BOX-001": {"encode_boxes": faults.weights_divided},
    "FL-BOX-002": {"decode_boxes": faults.offset_not_taken_off},
    "FL-BOX-003": {"decode_boxes": faults.corner_form},
    "FL-BOX-004": {"decode_boxes": faults.not_clamped},
    "FL-BOX-005": {"smooth_l1": faults.times_beta},
    "FL-BOX-007": {"encode_boxes": faults.encodes_anything},
    "FL-TGT-001": {"classification_targets": faults.ignored_as_background},
    "FL-TGT-002": {"box_targets": faults.targets_everywhere},
    "FL-TGT-003": {"normalize_loss": faults.whole_batch},
    "FL-TGT-004": loss_with(alpha=0.75),
    "FL-TGT-005": {"retinanet_loss": faults.mean_of_four},
    "FL-TGT-006": {"retinanet_loss": faults.masked_by_multiplication},
    "FL-MIN-001": {"hard_negative_mining": faults.ignored_as_negatives},
    "FL-MIN-002": {"hard_negative_mining": faults.no_minimum},
    "FL-MIN-003": {"ohem": faults.without_suppression},
    "FL-MIN-004": {"sample_anchors": faults.one_too_many},
    "FL-INF-001": other_threshold(0.1),
    "FL-INF-002": other_threshold(-1e-6),
    "FL-INF-003": {"detections": faults.all_classes_together},
}

DIFFERENTIATED = {
    "FL-BOX-006": {"smooth_l1": faults.doubled_slope},
    "FL-TGT-007": {"retinanet_loss": faults.leaking_gradient},
}
"""Faults of gradients, which need a library that differentiates."""


def item_of(identifier):
    return Item(identifier, "" if requirements()[identifier].dtypes == "once" else "float32")


@cache
def passes_without_fault(identifier, backend):
    result = run_item(item_of(identifier), target_with(None, backend), "pytest conformance")
    assert result.passed, result.text
    return True


def test_every_requirement_of_the_detection_side_has_a_fault():
    of_detection = {name for name, requirement in requirements().items() if requirement.area in DETECTION}
    assert of_detection == {*FAULTS, *DIFFERENTIATED}


@pytest.mark.parametrize("identifier", [*FAULTS, *DIFFERENTIATED])
def test_a_fault_is_found_by_the_requirement_that_names_it(identifier):
    backend = "torch" if identifier in DIFFERENTIATED else "numpy"
    assert passes_without_fault(identifier, backend)
    fault = {**FAULTS, **DIFFERENTIATED}[identifier]
    result = run_item(item_of(identifier), target_with(fault, backend), "pytest conformance")
    assert result.comparisons > 0
    assert not result.passed
    # Found by comparing, not because the faulty code broke down.
    assert all("Error: " not in finding["got"] for finding in result.findings), result.text


def test_the_text_of_a_wrong_match_shows_the_anchor_and_its_overlaps():
    result = run_item(item_of("FL-MAT-001"), target_with(FAULTS["FL-MAT-001"]), "pytest conformance --backend=numpy")
    lines = [line.strip() for line in result.text.splitlines()]
    assert any(line.startswith("anchor    number ") for line in lines)
    assert any(line.startswith("IoU       ") and " with " in line for line in lines)
    assert "expected  B" in lines
    assert "got       I" in lines
    assert lines[-1] == "repeat    pytest conformance --backend=numpy -k FL-MAT-001-float32"


def test_an_exception_is_a_finding_that_names_the_call():
    def broken(boxes1, boxes2, **options):
        raise RuntimeError("out of order")

    result = run_item(item_of("FL-IOU-001"), target_with({"box_iou": broken}), "pytest conformance")
    assert "RuntimeError: out of order" in result.text
    assert "box_iou(boxes1[float32[24, 4]], boxes2[float32[5, 4]])" in result.text


def test_a_result_of_another_library_is_a_finding():
    result = run_item(item_of("FL-IOU-001"), target_with({"box_iou": lambda *arrays: [[0.0]]}), "pytest conformance")
    assert "the result is a builtins.list, not a numpy array" in result.text
