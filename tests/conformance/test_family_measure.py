"""What results of the other losses are held to, and what is shown of one that fails."""

from dataclasses import replace

import numpy as np
import pytest

from focal_ref.conformance.accuracy import Exact, family_budget
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family_comparison import (
    allowed_errors,
    measure,
)
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import backend_target

FLOAT32 = FORMATS["float32"]


def examiner_of(dtype="float32"):
    return Examiner(backend_target("numpy", None), requirements()["FL-SMX-001"], dtype)


def ones(count, *, scale=0):
    """Exact results of 1 each, whose terms are larger by a power of two."""
    exponent = np.full(count, -23)
    numbers = np.ones(count, np.float32)
    return Exact(numbers, np.full(count, 2.0**23), np.zeros(count), exponent, exponent + scale)


@pytest.mark.parametrize(("lost", "accepted"), [(39, False), (40, True), (41, True)])
@pytest.mark.parametrize("function", ["quality_focal_loss", "asymmetric_loss"])
def test_a_distance_counts_as_lost_from_forty_bits_on(function, lost, accepted):
    examiner = examiner_of()
    parameters = {"beta": 2.0} if function == "quality_focal_loss" else {"gamma_positive": 1.0, "gamma_negative": 4.0}
    call = Call(np.float32([0.5]), np.float32([0.5]), function=function, parameters=parameters)
    measure(examiner, "value", call, np.float32([np.inf]), ones(1, scale=lost), ["case"])
    assert (not examiner.findings) == accepted


def test_of_other_losses_no_distance_is_lost():
    examiner = examiner_of()
    call = Call(np.float32([0.5]), np.float32([0.5]), 0.25, 2.0, function="varifocal_loss")
    measure(examiner, "value", call, np.float32([np.inf]), ones(1, scale=60), ["case"])
    assert examiner.findings


@pytest.mark.parametrize(
    ("function", "shape", "targets", "shown"),
    [
        ("star_loss", (2,), np.float32([0.0, 1.0]), {"logit": "2.0", "target": "1.0"}),
        ("loss_from_probabilities", (2,), np.float32([0.0, 1.0]), {"probability": "2.0", "target": "1.0"}),
        ("loss_from_labels", (1, 2), np.int64([1]), {"logit": "2.0"}),
    ],
)
def test_what_is_shown_of_an_element(function, shape, targets, shown):
    examiner = examiner_of()
    parameters = {"beta": 1.0} if function == "star_loss" else {}
    call = Call(np.float32([1.0, 2.0]).reshape(shape), targets, 0.25, 2.0, function=function, parameters=parameters)
    got = np.float32([1.0, 3.0]).reshape(shape)
    measure(examiner, "value", call, got, ones(2), ["a", "b"])
    (finding,) = examiner.findings
    assert finding.case == "b"
    assert {name: text.split()[0] for name, text in finding.inputs.items() if name != "call"} == shown


@pytest.mark.parametrize("classes", [8, 9])
def test_what_is_shown_of_a_row_are_its_first_eight_logits(classes):
    examiner = examiner_of()
    logits = np.arange(2 * classes, dtype=np.float32).reshape(2, classes)
    call = Call(logits, np.int64([0, 1]), None, 2.0, function="softmax_loss")
    got = np.ones((2, classes), np.float32)
    got[1, 2] = 3.0
    measure(examiner, "gradient", call, got, ones(2 * classes), ["a", "b"])
    (finding,) = examiner.findings
    assert (finding.case, finding.element) == ("b", classes + 2)
    first = ", ".join(f"{classes + index}.0" for index in range(8))
    assert finding.inputs["logits"] == first + (", ..." if classes > 8 else "")
    assert examiner.outcome().cases.passing == ("a",)


@pytest.mark.parametrize(
    ("call", "exponents", "weighted"),
    [
        (Call(np.zeros(3), np.zeros(3), 0.25, 2.0), [2.0] * 3, True),
        (Call(np.zeros(3), np.zeros(3), None, np.array([0.0, 1.0, 2.5])), [0.0, 1.0, 2.5], False),
        (Call(np.zeros(3), np.zeros(3), None, 2.0, weights=np.ones(3)), [2.0] * 3, True),
        (
            Call(np.zeros((2, 2)), np.zeros((2, 2)), None, np.array([1.0, 3.0])),
            [1.0, 3.0, 1.0, 3.0],
            False,
        ),
        (
            Call(
                np.zeros(2),
                np.zeros(2),
                function="asymmetric_loss",
                parameters={"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.05},
            ),
            [5.0, 5.0],
            False,
        ),
        (Call(np.zeros(2), np.zeros(2), function="quality_focal_loss", parameters={"beta": 1.5}), [1.5, 1.5], False),
    ],
)
def test_the_budget_grows_with_the_sum_of_the_exponents_and_with_a_weight(call, exponents, weighted):
    got = allowed_errors(examiner_of("float64"), call, len(exponents))
    # Of float64: 8 + 2 for each unit of the exponents, and 1 for a weight.
    assert got.tolist() == [8.0 + 2.0 * exponent + weighted for exponent in exponents]


def test_the_budget_of_the_standard_tier_grows_with_the_margin():
    examiner = examiner_of()
    examiner.target.profile = replace(examiner.target.profile, tiers={"float32": "standard"})
    call = Call(np.float32([-5.0, 7.0]), np.float32([1.0, 0.0]), None, 2.0)
    got = allowed_errors(examiner, call, 2)
    # 16 + 4 gamma + 2 gamma softplus(|x|), as docs/accuracy.md says.
    expected = 16 + 8 + 4 * np.log1p(np.exp([5.0, 7.0]))
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    rows = Call(np.float32([[-5.0, 7.0]]), np.int64([0]), None, 2.0, function="softmax_loss")
    np.testing.assert_allclose(allowed_errors(examiner, rows, 1), 16 + 8 + 4 * np.log(2.0), rtol=1e-12)
    assert family_budget("softmax_loss", "standard", FLOAT32, 0.0, weighted=True) == 17.0
