"""What is said about failures of the detection side."""

from dataclasses import replace

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.mutants import mutant
from focal_ref.conformance.mutants._targets import target_of
from focal_ref.conformance.profiles import load_profile


def text_with(box_iou):
    profile = replace(load_profile("numpy"), tiers={"float32": "exact"})
    target = target_of("overlap", profile, {"box_iou": box_iou})
    return run_item(Item("FL-IOU-001", "float32"), target, "pytest conformance").text


def test_the_text_of_a_wrong_match_shows_the_anchor_and_its_overlaps():
    target = mutant("match_lower_threshold").target()
    result = run_item(Item("FL-MAT-001", "float32"), target, "pytest conformance --backend=numpy")
    lines = [line.strip() for line in result.text.splitlines()]
    assert any(line.startswith("anchor    number ") for line in lines)
    assert any(line.startswith("IoU       ") and " with " in line for line in lines)
    assert "expected  B" in lines
    assert "got       I" in lines
    assert lines[-1] == "repeat    pytest conformance --backend=numpy -k FL-MAT-001-float32"


def test_an_exception_is_a_finding_that_names_the_call():
    def broken(boxes1, boxes2, **options):
        raise RuntimeError("out of order")

    text = text_with(broken)
    assert "RuntimeError: out of order" in text
    assert "box_iou(boxes1[float32[24, 4]], boxes2[float32[5, 4]])" in text


def test_a_result_of_another_library_is_a_finding():
    assert "the result is a builtins.list, not a numpy array" in text_with(lambda *arrays: [[0.0]])
