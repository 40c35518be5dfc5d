"""What an examiner accepts, and what it remembers of what it does not."""

from dataclasses import replace

import numpy as np
import pytest

from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family_comparison import truth
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call, NotNative, TargetFault
from focal_ref.conformance.targets.python import backend_target


def examiner_of(dtype="float32", *, tier="exact", **conventions):
    target = backend_target("numpy", None)
    profile = target.profile
    target.profile = replace(
        profile, conventions={**profile.conventions, **conventions}, tiers={**profile.tiers, dtype: tier}
    )
    return Examiner(target, requirements()["FL-VAL-001"], dtype)


# The loss of a positive is nearly e^(-(gamma + 1) s): at 88, 87 and 86.6 it is 0.5, 1.4 and 2.1 times 2^-126.
@pytest.mark.parametrize(
    ("tier", "gamma", "logit", "accepted"),
    [
        ("standard", 0.0, 88.0, True),
        ("standard", 0.0, 87.0, False),
        ("standard", 1.0, 43.5, True),
        ("standard", 1.0, 43.3, False),
        ("exact", 1.0, 44.0, True),
        ("exact", 1.0, 43.5, False),
    ],
)
def test_a_flushed_result_may_vanish_with_the_terms_of_which_it_is_made(tier, gamma, logit, accepted):
    examiner = examiner_of(tier=tier, subnormals="flushed")
    call = Call(np.float32([logit]), np.float32([1.0]), None, gamma)
    examiner.agree("value", call, np.float32([0.0]), "tiny")
    assert (not examiner.findings) == accepted


LOGITS, TARGETS = np.float32([0.5, -1.5, 3.0]), np.float32([1.0, 0.0, 0.0])
CALL = Call(LOGITS, TARGETS)


def answering(examiner, answer, **quantities):
    """The examiner with a target that gives an answer, or raises it, in the place of each loss."""

    def value(call):
        if isinstance(answer, Exception):
            raise answer
        return answer(call) if callable(answer) else answer

    examiner.target.value = value
    examiner.target.value_and_gradient = lambda call: (value(call), quantities["gradient"])
    return examiner


def ways(examiner):
    """The cases that failed, by the way in which they did."""
    return dict(examiner.outcome().cases.failing)


def test_of_nothing_that_was_compared_the_error_is_zero():
    outcome = examiner_of().outcome()
    assert (outcome.comparisons, outcome.error, outcome.budget, outcome.findings) == (0, 0.0, 0.0, ())
    assert outcome.cases.failing == {}
    assert outcome.cases.passing == ()


def test_a_finding_that_was_noted_without_its_case_fails_it_in_its_way():
    examiner = examiner_of()
    examiner.findings += [Finding("new", "value", "1", "nan", signature="nan")]
    examiner.findings += [Finding("known", "value", "1", "nan", signature="nan")]
    examiner.cases.failed("known", "zero")
    assert ways(examiner) == {"nan": ("new",), "zero": ("known",)}


def test_a_comparison_counts_its_elements_and_keeps_the_largest_error():
    examiner = answering(examiner_of(), examiner_of().target.value)
    examiner.compare("value", CALL, "right")
    outcome = examiner.outcome()
    assert outcome.comparisons == 3
    assert 0.0 < outcome.error <= 0.5, "of the rounding"
    assert outcome.budget == 0.501
    assert outcome.cases.passing == ("right",)
    assert outcome.findings == ()


def test_of_a_target_that_raises_nothing_is_compared_and_the_error_is_a_finding():
    examiner = answering(examiner_of(), RuntimeError("out of paper\nsecond line"))
    examiner.compare("value", CALL, "raises")
    (finding,) = examiner.findings
    assert (finding.expected, finding.got) == ("a result", "RuntimeError: out of paper")
    assert examiner.comparisons == 1
    assert ways(examiner) == {"raise": ("raises",)}


@pytest.mark.parametrize(
    ("error", "expected", "got", "way"),
    [
        (NotNative("a list\nmore"), "a native array", "a list", "dtype"),
        (TargetFault("hang", "no answer in 3 s"), "a result", "no answer in 3 s", "fault"),
        (ValueError(""), "a result", "ValueError: ", "raise"),
        (ValueError("x" * 400), "a result", "ValueError: " + "x" * 300, "raise"),
    ],
)
def test_an_error_is_shown_by_its_first_line_and_fails_in_its_own_way(error, expected, got, way):
    examiner = answering(examiner_of(), error)
    assert examiner.run("value", CALL, "case") is None
    (finding,) = examiner.findings
    assert (finding.expected, finding.got, finding.signature) == (expected, got, way)
    assert finding.made_by.logits is LOGITS
    assert finding.inputs["call"].startswith("loss(logits[float32[3]], targets[float32], ")


@pytest.mark.parametrize(
    ("answer", "expected", "got", "way"),
    [
        (np.zeros((3, 1), np.float32), "shape (3,)", "shape (3, 1)", "shape"),
        (np.zeros(3), "dtype float32", "dtype float64", "dtype"),
    ],
)
def test_a_result_of_another_shape_or_dtype_is_a_finding_unless_it_is_reduced(answer, expected, got, way):
    examiner = answering(examiner_of(), answer)
    assert examiner.run("value", CALL, "case") is None
    (finding,) = examiner.findings
    assert (finding.expected, finding.got) == (expected, got)
    assert ways(examiner) == {way: ("case",)}
    assert examiner.run("value", replace(CALL, reduction="sum"), "reduced") is answer
    assert len(examiner.findings) == 1


def test_value_and_gradient_are_told_apart():
    gradient = np.float32([1.0, 2.0, 3.0])
    examiner = answering(examiner_of(), TARGETS, gradient=gradient)
    assert examiner.run("value", CALL, "case") is TARGETS
    assert examiner.run("gradient", CALL, "case") is gradient


def test_a_wrong_number_is_shown_with_its_inputs_and_up_to_three_others():
    logits = np.float32([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    call = Call(logits, np.ones(6, np.float32), None, 0.0)
    right = examiner_of().target.value(call)
    wrong = right * np.float32([1, 2, 1.5, 0, 1.5, 1.5])
    wrong[3] = np.nan
    examiner = answering(examiner_of(), wrong)
    ids = [f"case {index}" for index in range(6)]
    examiner.accuracy("value", call, examiner.run("value", call, "all"), examiner.exact(call)["value"], ids)
    (finding,) = examiner.findings
    assert finding.case == "case 3"
    assert finding.inputs["logit"] == "3.0                       40400000"
    assert finding.inputs["target"] == "1.0                       3f800000"
    assert finding.got.startswith("nan ")
    assert (finding.error, finding.budget) == (np.inf, 0.501)
    assert (finding.failed, finding.compared, finding.element, finding.wrong) == (5, 6, 3, [1, 2, 3, 4, 5])
    assert finding.others == ["case 1", "case 2", "case 4"]
    assert finding.signature == "nan"
    assert ways(examiner) == {"nan": ("case 3",), "off-by-ulp": ("case 1", "case 2", "case 4", "case 5")}
    assert examiner.outcome().cases.passing == ("case 0",)
    assert examiner.outcome().error == np.inf


@pytest.mark.parametrize(("tier", "precision", "accepted"), [("exact", "exact", False), ("exact", "fast", True)])
def test_the_fast_precision_has_a_budget_of_its_own(tier, precision, accepted):
    # In float32 11 ulp without a weight for gamma = 0.5, of which 8 are taken; one rounding, 0.501, in the tier.
    call = Call(LOGITS, TARGETS, None, 0.5, precision=precision)
    right = examiner_of().target.value(replace(call, precision="exact"))
    examiner = examiner_of(tier=tier)
    examiner.agree("value", call, (right.view(np.int32) + 8).view(np.float32), "near")
    assert (not examiner.findings) == accepted
    examiner.agree("value", call, (right.view(np.int32) + 16).view(np.float32), "far")
    assert examiner.findings[-1].case == "far"


def test_a_result_of_rows_is_held_to_the_bounds_of_rows():
    logits, labels = np.float32([[0.5, -1.5, 3.0], [1.0, 0.25, -2.0]]), np.int64([2, 0])
    call = Call(logits, labels, None, 2.0, function="softmax_loss")
    right = examiner_of().target.value(call)
    examiner = examiner_of()
    exact = truth(examiner, call, ("value",))["value"]
    examiner.agree("value", call, right, "right", exact)
    assert examiner.comparisons == 2
    assert not examiner.findings
    examiner.agree("value", call, right * np.float32([1.0, 1.5]), "wrong", exact)
    (finding,) = examiner.findings
    assert (finding.failed, finding.compared, finding.element) == (1, 2, 1)


@pytest.mark.parametrize(("error", "accepted"), [(0.25, True), (0.5, True), (0.75, False), (np.nan, False)])
def test_a_measured_error_is_accepted_up_to_its_budget(error, accepted):
    examiner = examiner_of()
    examiner.measured("case", "sum", 2.0, 3.0, error, 0.5, "float32", {"size": "4"})
    outcome = examiner.outcome()
    assert outcome.comparisons == 1
    np.testing.assert_equal((outcome.error, outcome.budget), (error, 0.5))
    assert outcome.cases.passing == (("case",) if accepted else ())
    assert ways(examiner) == ({} if accepted else {"off-by-ulp": ("case",)})
    assert [finding.inputs for finding in outcome.findings] == ([] if accepted else [{"size": "4"}])
    assert all(finding.expected == "2.0                       40000000" for finding in outcome.findings)
    assert all(finding.got == "3.0                       40400000" for finding in outcome.findings)


@pytest.mark.parametrize("order", [(0.25, 3.0), (3.0, 0.25), (np.inf, 0.25)])
def test_the_largest_measured_error_in_proportion_to_its_budget_is_kept(order):
    examiner = examiner_of()
    for error in order:
        examiner.measured("case", "sum", 2.0, 2.0, error, 4.0, "float32")
    examiner.measured("case", "sum", 2.0, 2.0, 0.5, 1e3, "float32")
    assert (examiner.outcome().error, examiner.outcome().budget) == (max(order), 4.0)


@pytest.mark.parametrize("order", [(4, 2), (2, 4)])
def test_of_several_comparisons_the_largest_error_is_kept(order):
    examiner = examiner_of()
    right = examiner.target.value(CALL)
    for ulps in order:
        examiner.agree("value", CALL, (right.view(np.int32) + ulps).view(np.float32), "wrong")
    assert 3.5 <= examiner.outcome().error <= 4.5
    assert examiner.outcome().budget == 0.501


def test_of_equal_bits_nothing_is_found_and_any_nan_is_equal_to_any_other():
    examiner = examiner_of()
    quiet, other = np.uint32([0x7FC00000, 0x7FC00001]).view(np.float32)
    examiner.same_bits("nan", "value", np.float32([quiet, 1.0]), np.float32([other, 1.0]))
    examiner.same_bits("empty", "value", np.float32([]), np.float32([]))
    examiner.same_bits("scalar", "value", np.float32(1.0), np.float32(1.0))
    assert examiner.outcome().cases.passing == ("nan", "empty", "scalar")
    assert examiner.comparisons == 2 + 1 + 1, "two elements, and one each for none and for a scalar"
    assert not examiner.findings


def test_of_other_bits_the_first_element_is_shown_with_its_inputs():
    examiner = examiner_of()
    got, expected = np.float32([[1.0, 0.0], [2.0, np.nan]]), np.float32([[1.0, -0.0], [2.5, 1.0]])
    examiner.same_bits(
        "case", "value", got, expected, {"x": np.float32([[5.0, 6.0], [7.0, 8.0]]), "gamma": np.array(2.0)}
    )
    (finding,) = examiner.findings
    assert (finding.failed, finding.compared) == (3, 4)
    assert finding.got == "0.0                       00000000"
    assert finding.expected == "-0.0                      80000000"
    assert finding.inputs["element"] == "1"
    assert finding.inputs["x"].split() == ["6.0", "40c00000"]
    assert finding.inputs["gamma"].split() == ["2.0", "4000000000000000"]


@pytest.mark.parametrize(
    ("got", "way", "said"),
    [
        (np.zeros((1, 2), np.float32), "shape", "float32 (1, 2)"),
        (np.zeros(2), "dtype", "float64 (2,)"),
        (np.zeros(3), "shape", "float64 (3,)"),
    ],
)
def test_bits_of_another_shape_or_dtype_are_not_compared(got, way, said):
    examiner = examiner_of()
    examiner.same_bits("case", "value", got, np.zeros(2, np.float32))
    (finding,) = examiner.findings
    assert (finding.expected, finding.got) == ("float32 (2,)", said)
    assert ways(examiner) == {way: ("case",)}


SMALLEST = {"float64": 2.0**-1022, "float32": 2.0**-126}


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("dtype", "subnormals", "expected", "got", "accepted"),
    [
        ("float64", "flushed", 0.5, 0.0, True),
        ("float64", "flushed", 0.5, -0.0, True),
        ("float64", "flushed", 0.5, 0.25, False),
        ("float64", "flushed", 1.0, 0.0, False),
        ("float64", "kept", 0.5, 0.0, False),
        ("float32", "flushed", 0.5, 0.0, False),
    ],
)
def test_in_float64_bits_of_a_subnormal_number_may_be_zero_where_they_are_flushed(
    dtype, subnormals, expected, got, accepted, sign
):
    examiner = examiner_of(subnormals=subnormals)
    numbers = (sign * np.array([number * SMALLEST[dtype]], dtype) for number in (got, expected))
    examiner.same_bits("case", "value", *numbers)
    assert (not examiner.findings) == accepted


@pytest.mark.parametrize(
    ("expected", "got", "given", "way"),
    [
        ("nan", np.float32(np.nan), None, "other"),
        ("0", np.float32(np.nan), None, "nan"),
        ("nan or 0", np.float32(1.0), None, "other"),
        ("0", np.float32(1.0), None, "off-by-ulp"),
        ("0", np.float32(1.0), "raise", "raise"),
        ("0", "a text", None, "other"),
    ],
)
def test_a_condition_that_does_not_hold_fails_in_the_way_of_its_number_unless_it_is_given(expected, got, given, way):
    examiner = examiner_of()
    examiner.true(True, "holds", "value", expected, got, given)
    examiner.true(False, "case", "value", expected, got, given)
    assert examiner.comparisons == 2
    assert examiner.outcome().cases.passing == ("holds",)
    assert ways(examiner) == {way: ("case",)}
    (finding,) = examiner.findings
    assert (finding.expected, finding.got) == (expected, str(got))


@pytest.mark.parametrize(
    ("answer", "names", "quantity", "way"),
    [
        (ValueError("gamma: got -1"), "gamma", None, None),
        (ValueError("gamma: got -1"), None, None, None),
        (KeyError("anything"), None, None, None),
        (ValueError("wrong"), "gamma", "error text", "raise"),
        (TargetFault("crash", "gamma: exit code 3"), "gamma", "value", "fault"),
        (np.zeros(3, np.float32), "gamma", "value", "accepted"),
    ],
)
def test_a_refusal_is_an_error_that_names_the_argument_and_no_crash(answer, names, quantity, way):
    examiner = answering(examiner_of(), answer)
    examiner.refuses("case", CALL, names)
    assert examiner.comparisons == 1
    assert [finding.quantity for finding in examiner.findings] == ([quantity] if quantity else [])
    assert ways(examiner) == ({way: ("case",)} if way else {})
    assert all(finding.made_by is CALL for finding in examiner.findings)


def test_what_another_examiner_came_to_is_added():
    first, second = examiner_of(), examiner_of("float64")
    first.true(True, "a", "value", "", "")
    second.true(False, "b", "value", "0", np.float64(1.0))
    second.agree("value", Call(LOGITS.astype(np.float64), TARGETS.astype(np.float64)), np.zeros(3), "c")
    first.absorb(second)
    outcome = first.outcome()
    assert outcome.comparisons == 1 + 1 + 3
    assert [finding.case for finding in outcome.findings] == ["b", "c"]
    assert outcome.cases.passing == ("a",)
    assert ways(first) == {"zero": ("c",), "off-by-ulp": ("b",)}
    assert outcome.regimes.record() == second.outcome().regimes.record() != []


def test_the_widest_format_is_the_first_that_the_profile_claims():
    assert examiner_of("float64").is_widest
    assert not examiner_of("float32").is_widest
    narrow = examiner_of("float32")
    narrow.target.profile = replace(narrow.target.profile, tiers={"float16": "exact", "float32": "exact"})
    assert narrow.is_widest


@pytest.mark.parametrize(
    ("claimed", "relative", "tier"),
    [
        ("clipped", False, "clipped"),
        ("clipped", True, "standard"),
        ("cancellation-limited", True, "standard"),
        ("standard", True, "standard"),
        ("exact", True, "exact"),
        ("tight", True, "tight"),
    ],
)
def test_without_the_absolute_budget_a_tier_that_has_one_is_the_standard_tier(claimed, relative, tier):
    examiner = examiner_of(tier=claimed)
    assert examiner.relative is False
    examiner.relative = relative
    assert examiner.tier == tier


def test_the_gradient_is_examined_where_it_is_claimed():
    examiner = examiner_of()
    assert examiner.quantities == ("value", "gradient")
    examiner.target.profile = replace(examiner.target.profile, capabilities=frozenset())
    assert examiner.quantities == ("value",)


def test_random_inputs_are_the_same_in_every_run_and_differ_by_their_seed():
    logits, targets = examiner_of().random((2000,), 1)
    again, _ = examiner_of().random((2000,), 1)
    other, _ = examiner_of().random((2000,), 2)
    wide, _ = examiner_of("float64").random(2000, 1, 12.0)
    assert logits.tobytes() == again.tobytes() != other.tobytes()
    assert (logits.dtype, targets.dtype, logits.shape) == (np.float32, np.float32, (2000,))
    # Six standard errors of 2,000 draws.
    assert 5.4 < np.std(logits) < 6.6
    assert 0.24 < np.mean(targets) < 0.36
    np.testing.assert_allclose(wide, 2.0 * logits, rtol=1e-6)


def test_a_measured_error_that_is_nan_stays_the_largest():
    examiner = examiner_of()
    for error in (np.nan, 0.25):
        examiner.measured("case", "sum", 2.0, 2.0, error, 4.0, "float32")
    assert np.isnan(examiner.outcome().error)
