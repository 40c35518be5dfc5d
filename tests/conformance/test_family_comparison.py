"""Comparisons of the other losses: their truth, their budgets, and what is done for compiling and flushing targets."""

from dataclasses import replace

import numpy as np
import pytest

from focal_ref.conformance import family_comparison
from focal_ref.conformance.accuracy import family_budget
from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family import oracle
from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.family.vectors import load_vectors
from focal_ref.conformance.family_comparison import compare_vectors, measure, truth
from focal_ref.conformance.formats import FORMATS, to_bits
from focal_ref.conformance.gate import Item, items_of, run_item
from focal_ref.conformance.mutants import mutant
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.softmax_truth import softmax_results
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.functions import CAPABILITY_OF
from focal_ref.conformance.targets.python import backend_target


def examiner_of(dtype="float32", profile=None, case=None):
    target = backend_target("numpy", None)
    target.profile = profile or target.profile
    return Examiner(target, requirements()["FL-SMX-001"], dtype, case)


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize(("classes", "spread"), [(2, 4.0), (3, 40.0), (9, 6.0)])
def test_the_double_double_rows_have_the_bits_of_the_oracle(format, classes, spread):
    generator = np.random.default_rng(classes)
    logits = generator.normal(0.0, spread, (3, classes)).astype(format.dtype)
    labels = np.arange(3) % classes
    got = softmax_results(logits, labels, gamma=1.5, format=format)
    for row, label, value, gradient in zip(logits, labels, got["value"].numbers, got["gradient"].numbers, strict=True):
        inputs = (tuple(row.astype(np.float64).tolist()), int(label))
        parameters = {"alpha": None, "gamma": 1.5}
        assert int(to_bits(value, format)) == oracle.rounded("softmax_loss", "value", inputs, parameters, format)
        assert to_bits(gradient, format).tolist() == oracle.rounded(
            "softmax_loss", "gradient", inputs, parameters, format
        )


def test_the_truth_of_labels_is_that_of_their_one_hot_targets_and_background_is_negative():
    logits = np.float32([[0.5, -1.0], [2.0, 3.0]])
    call = Call(logits, np.array([1, -1]), function="loss_from_labels")
    exact = truth(examiner_of(), call, ("value",))["value"].numbers
    targets = [[0, 1], [0, 0]]
    for got, row, target in zip(exact, logits, targets, strict=True):
        for number, logit, t in zip(got, row, target, strict=True):
            parameters = {"alpha": 0.25, "gamma": 2.0}
            expected = oracle.rounded("loss", "value", (float(logit), t), parameters, FORMATS["float32"])
            assert int(to_bits(number, FORMATS["float32"])) == expected


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
def test_narrow_formats_are_rounded_once_and_rows_stay_within_one_ulp(name):
    for function in FUNCTIONS:
        allowed = family_budget(function, "exact", FORMATS[name], 2.0, weighted=True)
        assert allowed == (1.0 if function == "softmax_loss" else 0.501)


def test_float64_budgets_are_the_documented_ones():
    def allowed(function, weighted=False):
        return float(family_budget(function, "exact", FORMATS["float64"], 2.5, weighted=weighted))

    assert allowed("quality_focal_loss") == 13.0
    assert allowed("loss_from_labels", weighted=True) == 14.0
    assert allowed("softmax_loss") == 16.0
    assert allowed("star_loss") == 4.0
    assert family_budget("star_loss", "standard", FORMATS["float32"], 0.0, weighted=False) == 16.0
    assert family_budget("quality_focal_loss", "tight", FORMATS["float32"], 2.0, weighted=False) == 14.0
    assert family_budget("softmax_loss", "tight", FORMATS["float32"], 2.0, weighted=True) == 15.0
    assert family_budget("heatmap_focal_loss", "tight", FORMATS["bfloat16"], 2.0, weighted=False) == 0.51


def test_results_have_the_shape_of_rows_or_of_elements():
    logits = np.zeros((2, 3, 4))
    rows = Call(logits, np.zeros((2, 4), int), None, function="softmax_loss", parameters={"axis": 1})
    assert rows.shape_of("value") == (2, 4)
    assert rows.shape_of("gradient") == (2, 3, 4)
    assert rows.shape_of("hessian") == (2, 4, 3, 3)
    assert Call(logits, logits).shape_of("value") == (2, 3, 4)


def test_one_stored_vector_of_the_family_is_repeated_alone():
    identifier = load_vectors("star_loss").groups[0].tests[3].id
    result = run_item(Item("FL-STAR-001", "float64"), backend_target("numpy", None), "pytest conformance", identifier)
    assert result.comparisons == 1
    assert result.passed


def test_a_failure_names_the_vector_the_row_and_how_to_repeat_it():
    target = mutant("softmax_one_versus_rest").target()
    text = run_item(Item("FL-SMX-001", "float32"), target, "pytest conformance").text
    assert "  case      softmax_loss/float32/alpha=none/gamma=" in text
    assert "  call      softmax_loss(logits[float32[8, " in text
    assert "  logits    " in text
    assert "  repeat    pytest conformance --case=FL-SMX-001/float32/softmax_loss/float32/" in text


def test_where_shapes_are_compiled_rows_get_masked_classes_and_keep_their_results():
    target = backend_target("numpy", None)
    target.compiles = True
    for quantity in ("value", "gradient", "second_derivative", "gamma", "targets"):
        examiner = Examiner(target, requirements()["FL-SMX-001"], "float64")
        shapes = set()
        run = examiner.run

        def recorded(quantity, call, case, shapes=shapes, run=run):
            shapes.add(call.logits.shape)
            return run(quantity, call, case)

        examiner.run = recorded
        compare_vectors(examiner, "softmax_loss", quantity, lambda group: ~np.isnan(group.inputs["logits"]).any(-1))
        assert shapes == {(8, 4 if quantity == "second_derivative" else 20)}
        assert examiner.comparisons > 30
        assert not examiner.findings


def test_a_subnormal_target_is_left_out_only_where_subnormal_numbers_are_flushed():
    counts = {}
    for subnormals in ("kept", "flushed"):
        profile = load_profile("numpy")
        profile = replace(profile, conventions={**profile.conventions, "subnormals": subnormals})
        examiner = examiner_of(profile=profile)
        compare_vectors(examiner, "varifocal_loss", "value")
        counts[subnormals] = examiner.comparisons
        assert not examiner.findings
    groups = [group for group in load_vectors("varifocal_loss").groups if group.dtype == "float32"]
    smallest = sum(int((to_bits(group.inputs["targets"], group.format) == 1).sum()) for group in groups)
    assert counts["kept"] - counts["flushed"] == smallest > 0


def test_where_float64_does_not_know_a_distance_infinity_is_accepted_and_nan_is_not():
    # The quality loss of p next to t = 0.3: the second derivative for beta = 0.5 is finite, at a distance of 1e-17.
    (group,) = (
        group
        for group in load_vectors("quality_focal_loss").groups
        if group.dtype == "float64" and group.parameters["beta"] == 0.5
    )
    (index,) = (
        i
        for i, test in enumerate(group.tests)
        if test.note == "p near t" and test.expected["second_derivative"].exact.startswith("-5.85")
    )
    exact = group.expected["second_derivative"][[index]]
    call = Call(
        group.inputs["logits"][[index]],
        group.inputs["targets"][[index]],
        function="quality_focal_loss",
        parameters={"beta": 0.5},
    )
    for number, accepted in ((-np.inf, True), (-1e20, True), (np.nan, False)):
        examiner = examiner_of("float64")
        measure(examiner, "second_derivative", call, np.array([number]), exact, ["p near t"])
        assert (not examiner.findings) == accepted


def test_what_optax_does_not_claim_is_shown_as_not_claimed():
    profile = load_profile("optax")
    missing = {requirement.id: capability for requirement, capability in not_claimed(profile)}
    run = {item.name for item in items_of(profile)}
    for name, requirement in requirements().items():
        family = {*CAPABILITY_OF.values(), "parameter_derivatives", "derivative_functions"} & set(requirement.needs)
        if family:
            assert name not in run
            assert missing[name] in requirement.needs
    assert missing["FL-LAB-001"] == "labels"
    assert missing["FL-SMX-001"] == "softmax"


@pytest.mark.parametrize("name", ["numpy", "torch", "jax", "cupy", "array_api_strict"])
def test_this_project_claims_every_function(name):
    assert {*CAPABILITY_OF.values(), "parameter_derivatives"} <= load_profile(name).capabilities


def test_a_claimed_function_that_is_not_there_is_a_finding():
    target = backend_target("numpy", None)
    target.functions = replace(target.functions, named={})
    result = run_item(Item("FL-STAR-001", "float32"), target, "pytest conformance")
    assert not result.passed
    assert "  got       NotImplementedError: the target has no star_loss" in result.text


def test_the_sizes_of_compiled_calls_hold_every_group():
    for function in FUNCTIONS:
        for dtype in FORMATS:
            size = family_comparison.common_size(function, dtype)
            lengths = [len(group.tests) for group in load_vectors(function).groups if group.dtype == dtype]
            assert max(lengths) <= size < 4 * max(8, max(lengths))


def test_labels_of_rows_may_have_several_axes():
    generator = np.random.default_rng(5)
    logits = generator.normal(0.0, 3.0, (2, 3, 9)).astype(np.float32)
    labels = generator.integers(0, 9, (2, 3))
    exact = truth(examiner_of(), Call(logits, labels, None, 2.0, function="softmax_loss"), ("value",))["value"]
    parameters = {"alpha": None, "gamma": 2.0}
    for row, label, number in zip(logits.reshape(-1, 9), labels.ravel(), exact.numbers.ravel(), strict=True):
        inputs = (tuple(row.astype(np.float64).tolist()), int(label))
        expected = oracle.rounded("softmax_loss", "value", inputs, parameters, FORMATS["float32"])
        assert int(to_bits(number, FORMATS["float32"])) == expected
