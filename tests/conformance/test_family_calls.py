"""Which calls of the other losses are made of stored vectors, and what they are compared with."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from focal_ref.conformance import family_comparison
from focal_ref.conformance.accuracy import Exact
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family import oracle
from focal_ref.conformance.family.vectors import load_vectors
from focal_ref.conformance.family_comparison import (
    affordable,
    common_size,
    compare_vectors,
    compare_with_truth,
    in_full,
    one_hot,
    truth,
)
from focal_ref.conformance.formats import FORMATS, to_bits
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import backend_target

FLOAT32 = FORMATS["float32"]


def examiner_of(dtype="float32", *, compiles=False, function=None, claims=None, case=None, **conventions):
    target = backend_target("numpy", None)
    target.compiles = compiles
    profile = target.profile
    capabilities = profile.capabilities if claims is None else frozenset(claims)
    target.profile = replace(
        profile,
        conventions={**profile.conventions, **conventions},
        function=function or profile.function,
        capabilities=capabilities,
    )
    return Examiner(target, requirements()["FL-SMX-001"], dtype, case)


def calls_of(examiner, function, quantity, select=None):
    """The calls that a comparison makes, each with the quantity that is asked; none of them is run."""
    calls = []
    examiner.run = lambda asked, call, case: calls.append((asked, call, case))
    compare_vectors(examiner, function, quantity, select)
    return calls


def ones(count, *, scale=0):
    """Exact results of 1 each, whose terms are larger by a power of two."""
    exponent = np.full(count, -23)
    numbers = np.ones(count, np.float32)
    return Exact(numbers, np.full(count, 2.0**23), np.zeros(count), exponent, exponent + scale)


def groups_of(function, dtype="float32"):
    return [group for group in load_vectors(function).groups if group.dtype == dtype]


def test_every_group_of_the_format_with_the_quantity_is_one_call():
    for function, quantity in (
        ("star_loss", "value"),
        ("softmax_loss", "second_derivative"),
        ("softmax_loss", "targets"),
    ):
        groups = [group for group in groups_of(function) if quantity in group.quantities]
        calls = calls_of(examiner_of(), function, quantity)
        assert len(calls) == len(groups) < len(load_vectors(function).groups)
        assert [case for _, _, case in calls] == [group.tests[0].id for group in groups]
        assert {call.function for _, call, _ in calls} == {function}


def test_a_call_has_the_inputs_of_its_group_repeated_to_a_common_size_and_its_parameters():
    group, (_, call, _) = groups_of("star_loss")[0], calls_of(examiner_of(), "star_loss", "value")[0]
    assert len(call.logits) == common_size("star_loss", "float32") == 16
    assert call.logits.tobytes() == np.resize(group.inputs["logits"], 16).tobytes()
    assert call.targets.tobytes() == np.resize(group.inputs["targets"], 16).tobytes()
    numbers = {"alpha": call.alpha, "gamma": call.gamma, **call.parameters}
    assert numbers == dict(group.parameters)


@pytest.mark.parametrize(
    ("function", "dtype", "size"),
    # The longest groups have 18 and 13, 6 and 3, 24 and 19 vectors.
    [("loss", "float64", 32), ("loss", "float16", 16), ("softmax_loss", "float64", 8), ("softmax_loss", "float16", 8)],
)
def test_the_common_size_is_the_next_power_of_two_from_eight_on(function, dtype, size):
    assert common_size(function, dtype) == size


@pytest.mark.parametrize(("length", "size"), [(1, 8), (8, 8), (9, 16), (16, 16), (17, 32)])
def test_the_common_size_is_that_of_the_longest_group(monkeypatch, length, size):
    groups = [SimpleNamespace(dtype="float32", tests=[0] * n) for n in (length, 1)]
    groups.append(SimpleNamespace(dtype="float64", tests=[0] * 100))
    monkeypatch.setattr(family_comparison, "_vectors", lambda function: SimpleNamespace(groups=groups))
    assert common_size("loss", "float32") == size


def test_of_one_case_or_a_selection_nothing_else_is_run():
    group = groups_of("quality_focal_loss")[1]
    ((_, call, case),) = calls_of(examiner_of(case=group.tests[2].id), "quality_focal_loss", "value")
    assert case == group.tests[2].id
    assert set(call.logits.tolist()) == {group.inputs["logits"][2].item()}
    second = lambda one: np.arange(len(one.tests)) == (1 if one.tests[0].id == group.tests[0].id else -1)  # noqa: E731
    ((_, call, case),) = calls_of(examiner_of(), "quality_focal_loss", "value", second)
    assert case == group.tests[1].id


def test_where_shapes_are_compiled_the_widest_format_shows_every_kind_of_call_and_the_others_one():
    for dtype, widest in (("float64", True), ("float32", False)):
        examiner = examiner_of(dtype, compiles=True)
        assert in_full(examiner) == widest
        assert affordable(examiner) == (("value", "gradient") if widest else ("value",))
        calls = [call for _, call, _ in calls_of(examiner, "loss", "gamma")]
        kinds = {(call.alpha is None, call.gamma) for call in calls}
        groups = groups_of("loss", dtype)
        known = {(group.parameters["alpha"] is None, group.parameters["gamma"]) for group in groups}
        first = (groups[0].parameters["alpha"] is None, groups[0].parameters["gamma"])
        assert kinds == (known if widest else {first})
        assert len(known) > 2
    assert in_full(examiner_of("float32"))


def test_of_one_kind_are_groups_with_the_same_inputs_with_or_without_alpha_whatever_the_exponent():
    examiner = examiner_of("float32", compiles=True)
    groups = groups_of("softmax_loss")
    calls = [call for _, call, _ in calls_of(examiner, "softmax_loss", "value")]
    first = groups[0]
    alike = [
        group
        for group in groups
        if (group.parameters["alpha"] is None, group.input_names)
        == (first.parameters["alpha"] is None, first.input_names)
    ]
    assert [call.gamma for call in calls] == [group.parameters["gamma"] for group in alike]
    assert len({call.gamma for call in calls}) > 1
    assert len(alike) < len(groups)
    soft = [
        call for _, call, _ in calls_of(examiner, "softmax_loss", "value", lambda one: "targets" in one.input_names)
    ]
    assert all(call.targets.ndim == 2 for call in soft)
    assert soft


@pytest.mark.parametrize(
    ("prediction", "function", "own", "changed"),
    [
        ("probabilities", "loss", "loss", True),
        ("probabilities", "loss", "star_loss", False),
        ("logits", "loss", "loss", False),
        ("probabilities", "loss_from_probabilities", "loss_from_probabilities", False),
    ],
)
def test_a_function_of_probabilities_is_given_those_of_the_logits(prediction, function, own, changed):
    examiner = examiner_of(prediction=prediction, function=own)
    call = Call(np.float32([-3.0, 0.5, 100.0]), np.float32([0.0, 1.0, 1.0]), function=function)
    declared = family_comparison._as_declared(examiner, call)
    if changed:
        # Below 1: a probability that was rounded to it would have no logarithm of its complement.
        np.testing.assert_allclose(declared.logits, [0.04742587, 0.62245933, 1.0 - 2.0**-24], rtol=1e-7)
        assert declared.logits[2] < 1.0
    else:
        assert declared is call


@pytest.mark.parametrize("claims", [("soft_targets",), ()])
@pytest.mark.parametrize(("function", "own"), [("loss", "loss"), ("loss", "star_loss"), ("quality_focal_loss", "loss")])
def test_soft_targets_are_for_those_who_claim_them(function, own, claims):
    calls = calls_of(examiner_of(function=own, claims=claims), function, "targets")
    targets = set(np.concatenate([call.targets for _, call, _ in calls]).tolist())
    if function == own and not claims:
        assert targets == {0.0, 1.0}
    else:
        assert targets > {0.0, 1.0}


def test_of_soft_rows_those_who_do_not_claim_them_read_the_hard_ones():
    examiner = examiner_of(function="softmax_loss", claims=())
    rows = [call.targets for _, call, _ in calls_of(examiner, "softmax_loss", "value") if call.targets.ndim == 2]
    expected = [group.inputs["targets"] for group in groups_of("softmax_loss") if "targets" in group.input_names]
    hard = [targets[np.all((targets == 0) | (targets == 1), axis=-1)] for targets in expected]
    kept = [targets for targets in hard if len(targets)]
    assert len(rows) == len(kept)
    for got, targets in zip(rows, kept, strict=True):
        np.testing.assert_array_equal(got, np.resize(targets, got.shape))


@pytest.mark.parametrize(
    ("widest", "compiles", "autodiff", "labels", "alpha", "asked"),
    [
        (True, False, True, True, None, "hessian"),
        (False, False, True, False, 0.5, "hessian"),
        (True, True, True, True, None, "hessian"),
        (False, True, True, True, None, "second_derivative"),
        (True, True, True, False, None, "second_derivative"),
        (True, True, True, True, 0.5, "second_derivative"),
        (True, False, False, True, None, "second_derivative"),
    ],
)
def test_all_second_derivatives_of_rows_are_asked_of_automatic_differentiation_where_that_is_cheap(
    widest, compiles, autodiff, labels, alpha, asked
):
    examiner = examiner_of(
        "float64" if widest else "float32", compiles=compiles, claims=["autodiff"] if autodiff else ()
    )
    names = ("logits", "labels" if labels else "targets")

    def select(group):
        chosen = group.input_names == names and (group.parameters["alpha"] is None) == (alpha is None)
        return np.full(len(group.tests), chosen)

    for quantity, expected in (("second_derivative", asked), ("gradient", "gradient")):
        calls = calls_of(examiner, "softmax_loss", quantity, select)
        assert {one for one, _, _ in calls} == {expected}


def test_a_number_that_stands_for_no_alpha_is_left_out_of_the_function_that_has_it_so():
    star = groups_of("star_loss")
    off = str(next(group.parameters["alpha"] for group in star if group.parameters["alpha"] is not None))
    meanings = {"none": None, "-1": -1.0, "0": 0.0, "1": 1.0, off: float(off)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("focal_ref.conformance.conventions.calls.OFF", meanings)
        own = calls_of(examiner_of(function="star_loss", alpha_off=off), "star_loss", "value")
        other = calls_of(examiner_of(function="loss", alpha_off=off), "star_loss", "value")
    assert len(own) == sum(group.parameters["alpha"] != float(off) for group in star) < len(star)
    assert len(other) == len(star)


def exact_of_bits(function, inputs, call, format=FLOAT32):
    parameters = {"alpha": call.alpha, "gamma": call.gamma, **call.parameters}
    return oracle.rounded(function, "value", inputs, parameters, format)


@pytest.mark.parametrize("quantities", [("value",), ("value", "gradient"), ("value", "gradient", "second_derivative")])
def test_truth_has_the_quantities_that_are_asked_for(quantities):
    call = Call(np.float32([0.5, -2.0]), np.float32([1.0, 0.0]), 0.25, 2.0)
    rows = Call(np.float32([[0.5, -2.0, 1.0]]), np.int64([0]), None, 2.0, function="softmax_loss")
    for one, inputs in ((call, (0.5, 1)), (rows, ((0.5, -2.0, 1.0), 0))):
        exact = truth(examiner_of(), one, quantities)
        assert set(quantities) <= set(exact)
        number = int(to_bits(exact["value"].numbers.reshape(-1)[:1], FLOAT32)[0])
        assert number == exact_of_bits(one.function, inputs, one)


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        ({}, True),
        ({"targets": np.int64([0, 0])}, True),
        ({"targets": np.int64([1, -1])}, False),
        ({"targets": np.int64([-2, 0])}, False),
        ({"targets": np.float32([[0, 1, 0], [1, 0, 0]])}, False),
        ({"alpha": np.ones(3)}, False),
        ({"gamma": np.ones((2, 3))}, False),
        ({"logits": np.float32([[0.5, -np.inf, 1.0], [0.0, 0.0, 0.0]])}, False),
        ({"logits": np.float32([[0.5], [1.0]])}, False),
        ({"logits": np.zeros((2, 2), np.float32)}, True),
        ({"logits": np.zeros((2, 1, 3), np.float32), "targets": np.int64([[0], [2]])}, True),
        ({"logits": np.zeros((2, 3, 1), np.float32), "targets": np.zeros((2, 3), np.int64)}, False),
    ],
)
def test_the_double_double_rows_are_those_of_labels_in_the_logits_without_class_weights(changes, plain):
    logits = np.float32([[0.5, -2.0, 1.0], [0.0, 1.0, 2.0]])
    call = replace(Call(logits, np.int64([1, 2]), None, 2.0, function="softmax_loss"), **changes)
    assert family_comparison._is_plain(call, ("value",)) == plain
    assert family_comparison._is_plain(call, ("value", "gradient")) == plain
    assert not family_comparison._is_plain(call, ("value", "gamma"))


@pytest.mark.parametrize(("classes", "bits"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (20, 5)])
def test_a_sum_of_rounded_terms_is_off_by_a_bit_and_of_subnormal_ones_by_the_ulps_of_all(classes, bits):
    smallest = FLOAT32.minimum_ulp_exponent
    exponents = np.array([smallest, smallest + 1, -23])
    exact = replace(ones(3), ulp_exponent=exponents, scale_ulp_exponent=exponents + 2)
    got = family_comparison._of_rounded_terms(exact, classes, FLOAT32)
    assert (got.scale_ulp_exponent - exact.scale_ulp_exponent).tolist() == [bits, 1, 1]
    assert got.ulp_exponent is exact.ulp_exponent


def test_of_second_derivatives_of_rows_the_stored_classes_or_their_diagonal_are_compared():
    got = np.arange(50.0).reshape(2, 5, 5)
    exact = Exact(*(np.arange(18.0).reshape(2, 3, 3) for _ in range(5)))
    matrix, all_of_it = family_comparison._of_rows("hessian", got, exact, 3)
    assert matrix.tolist() == [[[0, 1, 2], [5, 6, 7], [10, 11, 12]], [[25, 26, 27], [30, 31, 32], [35, 36, 37]]]
    assert all_of_it is exact
    diagonal, of_exact = family_comparison._of_rows("second_derivative", got[:, 0], exact, 3)
    assert diagonal.tolist() == [[0, 1, 2], [25, 26, 27]]
    assert of_exact.numbers.tolist() == [[0, 4, 8], [9, 13, 17]]


def test_masked_classes_are_behind_those_of_the_row_and_have_no_target():
    rows = Call(np.float32([[1.0, 2.0]]), np.int64([1]), np.array([0.25, 0.5]), 2.0, function="softmax_loss")
    padded = family_comparison._with_masked_classes(rows, 4)
    assert padded.logits.tolist() == [[1.0, 2.0, -np.inf, -np.inf]]
    assert padded.targets is rows.targets
    assert padded.alpha[:2].tolist() == [0.25, 0.5]
    assert (len(padded.alpha), padded.gamma, padded.function) == (4, 2.0, "softmax_loss")
    soft = family_comparison._with_masked_classes(replace(rows, targets=np.float32([[0.25, 0.75]]), alpha=None), 3)
    assert soft.targets.tolist() == [[0.25, 0.75, 0.0]]
    assert soft.alpha is None


def test_labels_as_targets():
    assert one_hot(np.int64([[1, -1], [0, 2]]), 3).tolist() == [[[0, 1, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 1]]]


def test_the_truth_of_labels_has_as_many_classes_as_the_logits():
    logits = np.float32([[0.5, -1.0, 2.0], [2.0, 3.0, -0.5]])
    exact = truth(examiner_of(), Call(logits, np.int64([2, -1]), function="loss_from_labels"), ("value",))["value"]
    for row, label, numbers in zip(logits, (2, -1), exact.numbers, strict=True):
        for k, (logit, number) in enumerate(zip(row, numbers, strict=True)):
            expected = oracle.rounded(
                "loss", "value", (float(logit), int(k == label)), {"alpha": 0.25, "gamma": 2.0}, FLOAT32
            )
            assert int(to_bits(number, FLOAT32)) == expected


def test_a_call_is_compared_with_its_truth_unless_it_raises():
    call = Call(np.float32([[0.5, -1.0, 2.0]]), np.int64([2]), None, 2.0, function="softmax_loss")
    examiner = examiner_of()
    compare_with_truth(examiner, "value", call, "case")
    assert (examiner.comparisons, examiner.outcome().cases.passing) == (1, ("case",))

    def value(call):
        raise RuntimeError("out of paper")

    examiner.target.value = value
    compare_with_truth(examiner, "value", call, "raises")
    (finding,) = examiner.findings
    assert (finding.case, finding.got) == ("raises", "RuntimeError: out of paper")
