"""A wrong declaration is a failure that names what the function does instead; a right one is never accused."""

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
import torch

from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import TargetFault
from focal_ref.conformance.targets.libraries import LIBRARIES, PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

from .by_hand import FOCAL, LABELS, OF_FORMULA, SOFTMAX, loss_with, profile_with, result_of, target_with

DECLARATIONS = [name for name in requirements() if name.startswith("FL-DECL-")]

ALPHAS = ("pos/1-pos", "pos-only", "neg-only", "uniform", "none")
CLASS_ALPHAS = ("uniform", "class-vector", "first/rest", "none")
OFF = ("none", "-1", "0", "1", "flag", "unsupported")
SOFT = ("blended", "mixture", "distance", "unsupported")
MEANS = ("elements", "rows", "valid", "positives", "weights", "unsupported")
CLIPPED = (("none", 0), *((kind, 1e-4) for kind in ("cross-entropy", "logarithm", "added", "probability")))


def with_alpha(base, alpha):
    return {**base, "alpha": alpha, "alpha_off": "none"}


def cases():
    """Requirement, axis, and what is true and what is declared, of every ordered pair of values of every axis."""
    for true, declared in permutations(OF_FORMULA, 2):
        yield "FL-DECL-001", "formula", OF_FORMULA[true], OF_FORMULA[declared]
    for true, declared in permutations(("logits", "probabilities"), 2):
        yield "FL-DECL-002", "prediction", {**FOCAL, "prediction": true}, {**FOCAL, "prediction": declared}
    yield "FL-DECL-003", "multi_class", SOFTMAX | {"alpha": "none"}, FOCAL | {"alpha": "none"}
    yield "FL-DECL-003", "multi_class", FOCAL | {"alpha": "none"}, SOFTMAX | {"alpha": "none"}
    for true, declared in permutations(ALPHAS, 2):
        yield "FL-DECL-004", "alpha", with_alpha(FOCAL, true), with_alpha(FOCAL, declared)
    for true, declared in permutations(CLASS_ALPHAS, 2):
        yield "FL-DECL-004", "alpha", with_alpha(SOFTMAX, true), with_alpha(SOFTMAX, declared)
    for true, declared in permutations(OFF, 2):
        yield "FL-DECL-005", "alpha_off", {**FOCAL, "alpha_off": true}, {**FOCAL, "alpha_off": declared}
    for true, declared in permutations(SOFT, 2):
        yield "FL-DECL-006", "soft_targets", {**FOCAL, "soft_targets": true}, {**FOCAL, "soft_targets": declared}
    for base, (true, declared) in product((FOCAL, SOFTMAX), permutations(CLIPPED, 2)):
        yield (
            "FL-DECL-007",
            "clipping",
            {**base, "clipping": true[0], "epsilon": true[1]},
            {**base, "clipping": declared[0], "epsilon": declared[1]},
        )
    for true, declared in permutations(MEANS, 2):
        yield "FL-DECL-008", "mean", {**LABELS, "mean": true}, {**LABELS, "mean": declared}
    for true, declared in permutations(("elements", "unsupported"), 2):
        yield "FL-DECL-009", "sum", {**FOCAL, "sum": true}, {**FOCAL, "sum": declared}
    for true, declared in permutations(("none", -1, "classes", 255), 2):
        yield "FL-DECL-010", "background", {**LABELS, "background": true}, {**LABELS, "background": declared}
    for true, declared in permutations(("none", -2, -100, 255), 2):
        yield "FL-DECL-010", "ignore", {**LABELS, "ignore": true}, {**LABELS, "ignore": declared}
    for true, declared in permutations(("kept", "flushed"), 2):
        yield "FL-DECL-013", "subnormals", {**FOCAL, "subnormals": true}, {**FOCAL, "subnormals": declared}


UNDECIDABLE = {
    # The quality focal loss is the focal loss with the distance rule: FL-DECL-006 names that rule.
    ("formula", "quality", "focal"),
    # Which keywords switch alpha off stands in the signature alone.
    ("alpha_off", "flag", "unsupported"),
}
NAMED = {("alpha_off", "flag"): "unsupported"}
"""What is named in the place of a value that nobody can see from outside."""


def signature_of(axis, declared):
    if axis in ("mean", "background", "ignore"):
        return {"targets": "labels"}
    if declared["multi_class"] == "softmax":
        return {"targets": "labels" if axis != "multi_class" else "one-hot"}
    return {"targets": "same"}


def name_of(case):
    _, axis, true, declared = case
    return f"{axis}-{true[axis]}-declared-{declared[axis]}-{true['multi_class']}".replace("/", "_")


@pytest.mark.parametrize("case", tuple(cases()), ids=name_of)
def test_a_wrong_declaration_names_what_the_function_does(case):
    requirement, axis, true, declared = case
    result = result_of(requirement, target_with(true, declared, **signature_of(axis, declared)))
    if (axis, true[axis], declared[axis]) in UNDECIDABLE:
        assert result.passed
        return
    assert not result.passed
    behaves = f"declared {declared[axis]}, behaves as {NAMED.get((axis, true[axis]), true[axis])}"
    assert behaves in result.text


def every_right_profile():
    yield from ((f"formula {name}", conventions, {}) for name, conventions in OF_FORMULA.items())
    for alpha in ALPHAS:
        yield f"alpha {alpha}", with_alpha(FOCAL, alpha), {}
    for alpha, targets in product(CLASS_ALPHAS, ("labels", "one-hot")):
        yield f"softmax, alpha {alpha}, {targets}", with_alpha(SOFTMAX, alpha), {"targets": targets}
    for off in OFF:
        yield f"off {off}", {**FOCAL, "alpha_off": off}, {}
    for soft in SOFT:
        yield f"soft {soft}", {**FOCAL, "soft_targets": soft}, {}
    for base, prediction, (clipping, epsilon) in product(
        (FOCAL, SOFTMAX), ("logits", "probabilities"), (*CLIPPED, ("probability", 1e-7), ("cross-entropy", 1e-7))
    ):
        if (base, prediction) != (SOFTMAX, "probabilities"):
            own = {**base, "prediction": prediction, "clipping": clipping, "epsilon": epsilon}
            yield f"{prediction} clipped {clipping} {epsilon} {base['multi_class']}", own, {}
    for mean in MEANS:
        yield f"labels, mean {mean}", {**LABELS, "mean": mean}, {"targets": "labels"}
        if mean != "valid":
            yield f"mean {mean}", {**FOCAL, "mean": mean}, {}
    for background, ignore in ((-1, "none"), ("none", 255), ("classes", -1), (255, -100)):
        yield (
            f"codes {background} {ignore}",
            {**LABELS, "background": background, "ignore": ignore},
            {"targets": "labels"},
        )
    yield "flushed", {**FOCAL, "subnormals": "flushed"}, {}


@pytest.mark.parametrize(
    ("name", "conventions", "signature"), tuple(every_right_profile()), ids=lambda value: str(value)[:40]
)
def test_a_right_declaration_is_not_accused(name, conventions, signature):
    targets = "labels" if conventions["multi_class"] == "softmax" else "same"
    target = target_with(conventions, conventions, **{"targets": targets, **signature})
    texts = [
        result_of(requirement, target, "float64" if requirement == "FL-DECL-011" else "")
        for requirement in DECLARATIONS
    ]
    assert "\n".join(result.text for result in texts if not result.passed) == ""
    assert all(result.comparisons for result in texts)


GRADIENTS = ("autodiff", "function", "none")


def gradient_target(true, declared):
    """A function of PyTorch whose gradient really comes from one place while the profile names another."""
    profile = replace(profile_with({**FOCAL, "gradient": true}), library="torch")

    def value(x, y, *, alpha, gamma, reduction="none"):
        p = torch.sigmoid(x)
        each = -y * alpha * (1 - p) ** gamma * torch.log(p) - (1 - y) * (1 - alpha) * p**gamma * torch.log(1 - p)
        each = each if true == "autodiff" else each.detach()
        return {"none": lambda: each, "mean": each.mean, "sum": each.sum}[reduction]()

    def both(x, y, **options):
        leaf = x.clone().requires_grad_()
        p = torch.sigmoid(leaf)
        positive = -options["alpha"] * (1 - p) ** options["gamma"] * torch.log(p)
        negative = -(1 - options["alpha"]) * p ** options["gamma"] * torch.log(1 - p)
        each = y * positive + (1 - y) * negative
        return each.detach(), torch.autograd.grad(each.sum(), leaf)[0]

    profile = replace(profile, conventions={**profile.conventions, "gradient": declared})
    direct = both if true == "function" else None
    return PythonTarget("by hand", value, profile, LIBRARIES["torch"]("torch", None, ""), direct)


@pytest.mark.parametrize(("true", "declared"), tuple(permutations(GRADIENTS, 2)))
def test_a_gradient_from_elsewhere_is_named(true, declared):
    result = result_of("FL-DECL-012", gradient_target(true, declared))
    assert not result.passed
    assert f"declared {declared}, behaves as {true}" in result.text


@pytest.mark.parametrize("true", GRADIENTS)
def test_a_gradient_from_where_it_is_declared_is_not_accused(true):
    assert result_of("FL-DECL-012", gradient_target(true, true)).text == ""


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda x: x.astype(np.float32), "declared float64, behaves as float32: it gives back float32"),
        (lambda x: x.astype(np.longdouble), "declared float64, behaves as longdouble"),
        (None, "declared float64, but refuses it: TypeError: float64 is too wide"),
    ],
)
def test_a_dtype_that_does_not_come_back_is_named(change, says):
    right = loss_with(FOCAL)

    def value(x, y, **options):
        if change is None and x.dtype == np.float64:
            raise TypeError("float64 is too wide")
        each = right(x, y, **options)
        return each if change is None or x.dtype != np.float64 else change(each)

    target = PythonTarget("by hand", value, profile_with(FOCAL, targets="same"), PlainLibrary("numpy", None, ""))
    says = says.replace("longdouble", np.dtype(np.longdouble).name)
    assert says in result_of("FL-DECL-011", target, "float64").text
    assert result_of("FL-DECL-011", target, "float32").text == ""


def test_a_function_that_no_formula_explains_is_told_with_its_numbers():
    def squared(x, y, *, alpha, gamma, reduction="none"):
        return loss_with(FOCAL)(x, y, alpha=alpha, gamma=gamma) ** 2

    target = PythonTarget("by hand", squared, profile_with(FOCAL, targets="same"), PlainLibrary("numpy", None, ""))
    text = result_of("FL-DECL-001", target).text
    assert "declared focal, behaves as none of the known values" in text
    p = 1 / (1 + np.exp(-0.21))
    assert f"{(0.7 * p**2 * -np.log(1 - p)) ** 2:.6g}" in text
    assert "the implementation has to change" in text


def test_weights_that_are_none_of_the_known_ones_are_told_as_numbers():
    def swapped(x, y, *, alpha, gamma, reduction="none"):
        return loss_with(FOCAL)(x, y, alpha=1 - alpha, gamma=gamma)

    target = PythonTarget("by hand", swapped, profile_with(FOCAL, targets="same"), PlainLibrary("numpy", None, ""))
    text = result_of("FL-DECL-004", target).text
    assert "declared pos/1-pos, behaves as none of the known values" in text
    assert "positives weigh 0.7, negatives weigh 0.3" in text
    assert result_of("FL-DECL-001", target).passed


KINDS = ("cross-entropy", "logarithm", "added", "probability")


@pytest.mark.parametrize("epsilon", [1e-20, 1e-14, 1e-6, 3e-4, 0.02])
@pytest.mark.parametrize("prediction", ["logits", "probabilities"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_epsilon_of_any_size_is_measured(kind, prediction, epsilon):
    true = {**FOCAL, "prediction": prediction, "clipping": kind, "epsilon": epsilon}
    assert result_of("FL-DECL-007", target_with(true, true, targets="same")).text == ""
    declared = {**true, "epsilon": epsilon * 1.2}
    text = result_of("FL-DECL-007", target_with(true, declared, targets="same")).text
    assert f"declared {declared['epsilon']}, behaves as {epsilon}" in text


@pytest.mark.parametrize("epsilon", [1e-6, 1e-3, 0.02])
@pytest.mark.parametrize("declared", [kind for kind in KINDS if kind != "added"])
def test_an_epsilon_that_is_added_is_no_limit(declared, epsilon):
    true = {**FOCAL, "clipping": "added", "epsilon": epsilon}
    target = target_with(true, true | {"clipping": declared}, targets="same")
    text = result_of("FL-DECL-007", target).text
    assert f"declared {declared}, behaves as added" in text
    assert result_of("FL-DECL-001", target).text == ""


@pytest.mark.parametrize(("true", "declared"), tuple(permutations(KINDS, 2)))
def test_what_float32_does_not_show_is_not_accused(true, declared):
    """1 - 1e-8 is 1 in float32: a limit of p there is a limit of the logarithm."""
    whole = {**FOCAL, "clipping": true, "epsilon": 1e-8}
    profile = profile_with(whole | {"clipping": declared}, dtypes=("float32",), targets="same")
    target = PythonTarget("by hand", loss_with(whole), profile, PlainLibrary("numpy", None, ""))
    text = result_of("FL-DECL-007", target).text
    assert ("behaves as added" in text) if true == "added" else bool(text) == (declared == "added")


def test_a_limit_of_another_form_is_none_of_the_known_ones():
    right = loss_with(FOCAL)

    def capped(x, y, **options):
        return np.minimum(right(x, y, **options), right(np.full_like(x, -12.0), np.ones_like(y), **options))

    declared = {**FOCAL, "clipping": "cross-entropy", "epsilon": 6.1e-6}
    target = PythonTarget("by hand", capped, profile_with(declared, targets="same"), PlainLibrary("numpy", None, ""))
    assert "declared cross-entropy, behaves as" in result_of("FL-DECL-007", target).text


@pytest.mark.parametrize("measured", [1e-7, 1e-3])
def test_another_epsilon_is_named(measured):
    true = {**FOCAL, "clipping": "probability", "epsilon": measured}
    declared = {**true, "epsilon": 1e-5}
    text = result_of("FL-DECL-007", target_with(true, declared, targets="same")).text
    assert f"declared 1e-05, behaves as {measured}" in text


@pytest.mark.parametrize("requirement", [name for name in DECLARATIONS if name != "FL-DECL-011"])
def test_a_target_that_crashes_is_no_target_that_refuses(requirement):
    def value(x, y, **options):
        raise TargetFault("crash", "ended by signal 11")

    target = PythonTarget("by hand", value, profile_with(FOCAL, targets="same"), PlainLibrary("numpy", None, ""))
    result = result_of(requirement, target)
    assert not result.passed
    assert "crash: ended by signal 11" in result.text


def test_the_text_shows_the_input_and_what_each_value_would_give():
    text = result_of("FL-DECL-004", target_with(with_alpha(FOCAL, "uniform"), FOCAL, targets="same")).text
    x, gamma = np.array([0.21, 0.34, 0.45]), 2.0
    p = 1 / (1 + np.exp(-x))
    # Targets 0, 1, 0 with alpha = 0.3.
    bare = np.where([False, True, False], (1 - p) ** gamma * -np.log(p), p**gamma * -np.log(1 - p))
    lines = {line.strip().partition(" ")[0]: line for line in text.splitlines()}
    assert "[0.21, 0.34, 0.45] with targets [0.0, 1.0, 0.0], alpha=0.3, gamma=2" in lines["asked"]
    assert ", ".join(f"{number:.6g}" for number in 0.3 * bare) in lines["gave"]
    assert ", ".join(f"{number:.6g}" for number in np.array([0.7, 0.3, 0.7]) * bare) in lines["pos/1-pos"]
    assert 'declare conventions.alpha = "uniform" if that is what is meant' in lines["change"]
