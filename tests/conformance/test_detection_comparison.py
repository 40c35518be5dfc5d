"""Comparisons of the detection side: what is accepted, what counts, and what is said of the first that differs."""

from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from mpmath import mp

from focal_ref.conformance.detection.comparison import (
    call_text,
    codes,
    evaluate,
    near,
    overlap_text,
    refused_or,
    same,
    same_codes,
    same_numbers,
)
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.python import backend_target


def examiner_of(answer=None, dtype="float32"):
    """An examiner of a target that answers every detection call in one way."""

    def detection(function, arrays, options):
        if isinstance(answer, Exception):
            raise answer
        return answer

    target = SimpleNamespace(profile=backend_target("numpy", None).profile, detection=detection)
    return Examiner(target, requirements()["FL-MAT-001"], dtype)


def matches(states, owners):
    return {"state": np.array(states, np.int32), "gt_index": np.array(owners, np.int32)}


def test_codes_name_the_state_and_of_positives_the_ground_truth():
    assert codes(matches([1, 0, -1, 7], [3, -1, -1, -1])) == ["P3", "B", "I", "?7"]


def test_equal_codes_pass_and_count_one_comparison_each():
    examiner = examiner_of()
    same_codes(examiner, "case", matches([1, 0, -1], [0, -1, -1]), ["P0", "B", "I"])
    same_codes(examiner, "empty", matches([], []), [])
    assert examiner.comparisons == 3 + 1
    assert not examiner.findings
    assert examiner.cases.passing == ("case", "empty")


def test_the_first_anchor_that_differs_is_shown_and_two_more_are_named():
    examiner = examiner_of()
    got = matches([0, 0, -1, 1, 1], [-1, -1, -1, 2, 0])
    anchors, boxes = np.arange(20.0).reshape(5, 4), [[4.0, 5.0, 6.0, 7.0]]
    same_codes(examiner, "case", got, ["B", "P0", "B", "P1", "I"], anchors, boxes)
    (finding,) = examiner.findings
    assert (finding.expected, finding.got, finding.failed, finding.compared) == ("P0", "B", 4, 5)
    assert finding.inputs == {"anchor": "number 1: [4, 5, 6, 7]", "IoU": "1 with 0 [4, 5, 6, 7]"}
    assert finding.others == ["anchor 2: expected B, got I", "anchor 3: expected P1, got P2"]


def test_without_boxes_the_anchor_is_named_by_its_number():
    examiner = examiner_of()
    same_codes(examiner, "case", matches([0, 1], [-1, 0]), ["B", "B"])
    assert examiner.findings[0].inputs == {"anchor": "number 1"}


def test_another_number_of_anchors_is_a_finding():
    examiner = examiner_of()
    same_codes(examiner, "case", matches([0], [-1]), ["B", "B"])
    assert (examiner.findings[0].expected, examiner.findings[0].got) == ("2 anchors", "1 anchors")


@pytest.mark.parametrize(("states", "owners", "consistent"), [([0, 1], [-1, 0], True), ([0, 1], [4, 0], False)])
def test_anchors_that_are_not_positive_have_no_ground_truth(states, owners, consistent):
    examiner = examiner_of()
    same_codes(examiner, "case", matches(states, owners), ["B", "P0"])
    if consistent:
        assert not examiner.findings
    else:
        assert examiner.findings[0].quantity == "gt_index"
        assert examiner.findings[0].got == "4 in an anchor that is not"


def test_overlaps_are_shown_as_fractions_without_those_that_are_zero_and_four_at_most():
    anchor = [0.0, 0.0, 4.0, 4.0]
    boxes = [[0.0, 0.0, 4.0, 2.0], [9.0, 9.0, 10.0, 10.0], [2.0, 2.0, 2.0, 3.0], [0.0, 0.0, 4.0, 4.0]]
    assert overlap_text(anchor, boxes, 7) == {
        "anchor": "number 7: [0, 0, 4, 4]",
        "IoU": "1/2 with 0 [0, 0, 4, 2]; none with 2 [2, 2, 2, 3]; 1 with 3 [0, 0, 4, 4]",
    }
    flat, infinite = [2.0, 2.0, 3.0, 2.0], [0.0, 0.0, np.inf, 2.0]
    assert overlap_text(anchor, [flat, infinite], 0)["IoU"] == "none with 0 [2, 2, 3, 2]; none with 1 [0, 0, inf, 2]"
    assert overlap_text(anchor, [boxes[1]], 0)["IoU"] == "0 with every ground truth"
    assert overlap_text(anchor, [boxes[0]] * 6, 0)["IoU"].count("with") == 4


def test_integers_are_compared_one_by_one_and_the_first_that_differs_is_shown():
    examiner = examiner_of()
    same(examiner, "good", "index", np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]])
    same(examiner, "empty", "index", np.zeros(0, int), np.zeros(0, int))
    assert (examiner.comparisons, examiner.findings) == (5, [])
    same(examiner, "bad", "index", np.array([[1, 2], [5, 6]]), [[1, 2], [3, 4]], lambda where: {"row": str(where[0])})
    (finding,) = examiner.findings
    assert (finding.case, finding.expected, finding.got) == ("bad", "3", "5")
    assert (finding.failed, finding.compared) == (2, 4)
    assert finding.inputs == {"element": "[1, 0]", "row": "1"}


def test_another_shape_is_a_finding():
    examiner = examiner_of()
    same(examiner, "case", "index", np.zeros((2, 1), int), [0, 0])
    assert (examiner.findings[0].expected, examiner.findings[0].got) == ("shape (2,)", "shape (2, 1)")


def test_numbers_have_to_be_the_correctly_rounded_fractions_in_their_format():
    third, examiner = np.float32(1) / np.float32(3), examiner_of()
    same_numbers(examiner, "good", "iou", np.array([third, -0.0], np.float32), [Fraction(1, 3), Fraction(0)])
    assert not examiner.findings
    same_numbers(examiner, "next", "iou", np.array([np.nextafter(third, np.float32(1))]), [Fraction(1, 3)])
    same_numbers(examiner, "wide", "iou", np.array([float(third)]), [Fraction(1, 3)])
    same_numbers(examiner, "shape", "iou", np.array([[third]]), [Fraction(1, 3)])
    assert [finding.case for finding in examiner.findings] == ["next", "wide", "shape"]
    assert examiner.findings[1].expected == "float32 (1,)"
    assert examiner.findings[1].got == "float64 (1,)"


UNIT = 2.0**-23


def test_errors_count_in_ulp_and_the_largest_is_shown():
    examiner = examiner_of()
    got = np.array([[1.0, 1.0 + UNIT], [1.0 + 3 * UNIT, 1.0]], np.float32)
    near(examiner, "case", "deltas", got, [1, 1, 1, mp.mpf(1)], 2.0)
    (finding,) = examiner.findings
    assert (finding.error, finding.budget) == (3.0, 2.0)
    assert finding.inputs == {"element": "[1, 0]"}
    assert examiner.comparisons == 4
    assert examiner.outcome().error == 3.0


def test_an_error_that_is_allowed_passes_and_is_remembered():
    examiner = examiner_of()
    near(examiner, "case", "deltas", np.float32([1.0 + 2 * UNIT]), [1], 2.0)
    assert not examiner.findings
    assert examiner.outcome().error == 2.0


def test_errors_count_in_ulp_of_the_scale_where_it_is_larger_than_the_number():
    examiner = examiner_of()
    near(examiner, "case", "deltas", np.float32([1.0 + 16 * UNIT, 1.0 + UNIT]), [1, 1], 4.0, [8, 0])
    assert not examiner.findings
    assert examiner.outcome().error == 2.0


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_nan_and_infinity_are_no_numbers(number):
    examiner = examiner_of()
    near(examiner, "case", "deltas", np.float32([5.0, number, 1.0]), [1, 1, 1], 1e30)
    (finding,) = examiner.findings
    assert finding.inputs == {"element": "[1]"}
    assert finding.error == np.inf


def test_another_dtype_or_number_of_results_is_a_finding_and_none_is_none():
    examiner = examiner_of()
    near(examiner, "dtype", "deltas", np.array([1.0]), [1], 2.0)
    near(examiner, "count", "deltas", np.float32([1.0, 1.0]), [1], 2.0)
    near(examiner, "empty", "deltas", np.float32([]), [], 2.0)
    assert [(finding.case, finding.expected) for finding in examiner.findings] == [
        ("dtype", "1 numbers of float32"),
        ("count", "1 numbers of float32"),
    ]
    assert [finding.got for finding in examiner.findings] == ["float64 (1,)", "float32 (2,)"]


def test_an_exception_is_one_comparison_and_a_finding_with_its_first_line():
    examiner = examiner_of(ValueError("x" * 400 + "\nmore"))
    boxes = np.zeros((2, 4), np.float32)
    assert evaluate(examiner, "box_iou", {"boxes1": boxes, "boxes2": None}, "case", offset=1) is None
    (finding,) = examiner.findings
    assert finding.got == "ValueError: " + "x" * 300
    assert (finding.signature, examiner.comparisons) == ("raise", 1)
    assert finding.inputs == {"call": "box_iou(boxes1[float32[2, 4]], offset=1)"}
    assert call_text("f", {}, {}) == "f()"
    assert evaluate(examiner_of(ValueError()), "box_iou", {}, "case") is None


@pytest.mark.parametrize(
    ("answer", "neutral", "accepted"),
    [
        (ValueError("gt_boxes: no"), None, True),
        (ValueError("boxes: no"), None, False),
        ({"iou": np.zeros(1)}, None, False),
        ({"iou": np.zeros(1)}, lambda results: bool(np.all(results["iou"] == 0)), True),
        ({"iou": np.ones(1)}, lambda results: bool(np.all(results["iou"] == 0)), False),
    ],
)
def test_bad_input_is_refused_by_name_or_leads_to_a_neutral_result(answer, neutral, accepted):
    examiner = examiner_of(answer)
    refused_or(examiner, "match", {}, "case", "gt_boxes", neutral, "an error or zeros")
    assert (not examiner.findings) == accepted
    assert examiner.comparisons == 1


@pytest.mark.parametrize("answer", [ValueError("y" * 400), {"iou": np.array(["y" * 400])}])
def test_what_came_in_the_place_of_a_refusal_is_cut_after_300_characters(answer):
    examiner = examiner_of(answer)
    refused_or(examiner, "match", {}, "case", "gt_boxes", None, "an error")
    assert len(examiner.findings[0].got) == 300
