"""How a profile's signature maps the canonical call: each key on a function that tells what it was given."""

import os
import sys
import types

import numpy as np
import pytest

import focal_ref
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import load_profile, profile_from
from focal_ref.conformance.targets import Call, UsageError
from focal_ref.conformance.targets.python import profile_target

CONVENTIONS = dict(load_profile("optax").conventions) | {"gradient": "none", "subnormals": "kept"}
ROWS = {"multi_class": "softmax", "alpha": "class-vector", "soft_targets": "unsupported"}
MODULE = "functions_of_the_tests"


@pytest.fixture
def target(monkeypatch):
    """From a function, a signature and conventions to the target; the function is imported as a user's is."""

    def make(function, signature, conventions=(), environment=(), **names):
        module = types.ModuleType(MODULE)
        vars(module).update({"function": function, **names})
        monkeypatch.setitem(sys.modules, MODULE, module)
        document = {
            "profile": {"name": "mine", "description": "", "package": "mine", "library": "numpy"},
            "signature": signature,
            "conventions": CONVENTIONS | dict(conventions),
            "claims": {"dtypes": {"float64": "standard", "float32": "standard"}, "capabilities": []},
        }
        document["profile"]["environment"] = dict(environment)
        return profile_target(profile_from(document, "mine.toml"))

    return make


NAMED = {"function": f"{MODULE}:function", "alpha": "alpha", "gamma": "gamma"}
X, T = np.array([0.5, -2.0, 3.0]), np.array([1.0, 0.0, 1.0])


def kept(calls):
    """A loss that keeps what it was given."""

    def function(*arguments, **keywords):
        calls.append((arguments, keywords))
        return np.zeros_like(arguments[0])

    return function


def test_names_order_and_constants(target):
    calls = []
    signature = NAMED | {"alpha": "a", "gamma": "focus", "order": ["targets", "logits"], "constants": {"logits": True}}
    target(kept(calls), signature).value(Call(X, T, alpha=0.75, gamma=3.0))
    (first, second), keywords = calls[-1]
    assert first.tolist() == T.tolist()
    assert second.tolist() == X.tolist()
    assert keywords == {"a": 0.75, "focus": 3.0, "logits": True}


def test_logits_and_targets_by_keyword(target):
    calls = []

    def function(*, scores, truth, alpha, gamma):
        calls.append((scores, truth))
        return scores

    target(function, NAMED | {"arguments": {"logits": "scores", "targets": "truth"}}).value(Call(X, T))
    assert calls[-1][0].tolist() == X.tolist()
    assert calls[-1][1].tolist() == T.tolist()


@pytest.mark.parametrize(("off", "number"), [("none", None), ("-1", -1.0), ("0", 0.0), ("1", 1.0)])
def test_no_alpha_is_said_as_declared(target, off, number):
    calls = []
    target(kept(calls), NAMED, {"alpha_off": off}).value(Call(X, T, alpha=None))
    assert calls[-1][1] == {"alpha": number, "gamma": 2.0}


def test_no_alpha_by_keywords_of_its_own(target):
    calls = []
    flags = {"alpha_off": {"balance": False}, "alpha_on": {"balance": True}}
    mine = target(kept(calls), NAMED | flags, {"alpha_off": "flag"})
    mine.value(Call(X, T, alpha=None))
    assert calls[-1][1] == {"gamma": 2.0, "balance": False}
    mine.value(Call(X, T, alpha=0.5))
    assert calls[-1][1] == {"gamma": 2.0, "balance": True, "alpha": 0.5}


def test_names_of_reductions(target):
    calls = []
    signature = NAMED | {"reduction": "how", "reductions": {"mean": "batch", "none": 0}}
    mine = target(kept(calls), signature, {"mean": "elements", "sum": "elements"})
    for reduction, name in (("none", 0), ("mean", "batch"), ("sum", "sum"), ("avg", "avg")):
        mine.value(Call(X, T, reduction=reduction))
        assert calls[-1][1]["how"] == name


def test_a_class_is_constructed_with_the_hyper_parameters(target):
    class Loss:
        def __init__(self, alpha, gamma):
            self.numbers = alpha, gamma

        def __call__(self, logits, targets):
            return np.full_like(logits, self.numbers[1])

    got = target(Loss, NAMED | {"construct": True}).value(Call(X, T, gamma=3.0))
    assert got.tolist() == [3.0, 3.0, 3.0]


def test_logits_get_the_dimensions_that_the_function_wants_and_results_lose_them(target):
    shapes = []

    def function(logits, targets, **keywords):
        shapes.append((logits.shape, targets.shape))
        return logits

    mine = target(function, NAMED | {"minimum_rank": 3})
    for shape in ((), (5,), (2, 3), (2, 3, 4), (0,)):
        array = np.ones(shape)
        assert mine.value(Call(array, array)).shape == shape
        leading = (1,) * (3 - len(shape)) + shape
        assert shapes[-1] == (leading, leading)


def test_a_trailing_axis_is_what_the_function_averages_over(target):
    def function(logits, targets, **keywords):
        assert logits.shape[-1] == 1
        return logits.mean(-1)

    mine = target(function, NAMED | {"trailing_axis": True})
    for shape in ((), (5,), (2, 3)):
        array = np.ones(shape)
        assert mine.value(Call(array, array)).shape == shape


def test_a_function_that_gives_the_sum_is_asked_for_one_element_after_the_other(target):
    def function(logits, targets, alpha, gamma):
        return focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma).mean(1).sum()

    mine = target(function, NAMED | {"returns": "sum", "trailing_axis": True}, {"sum": "elements"})
    got = mine.value(Call(X, T))
    assert got.tolist() == focal_ref.loss(X, T, alpha=0.25, gamma=2.0).tolist()
    for requirement in ("FL-VAL-001", "FL-VAL-004", "FL-RED-001", "FL-SHP-001"):
        result = run_item(Item(requirement, "float64"), mine, "pytest conformance")
        assert result.passed, result.text


def test_results_in_one_dimension_get_their_shape_back(target):
    def function(logits, targets, alpha, gamma):
        return focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma).ravel()

    logits, targets = np.outer([1.0, 2.0], X), np.outer([1.0, 1.0], T)
    got = target(function, NAMED | {"returns": "flat"}).value(Call(logits, targets))
    assert got.tolist() == focal_ref.loss(logits, targets, alpha=0.25, gamma=2.0).tolist()


Z = np.arange(24.0).reshape(2, 3, 4) / 7


@pytest.mark.parametrize("returns", ["rows", "classes"])
@pytest.mark.parametrize("kind", ["labels", "one-hot"])
def test_classes_lie_where_the_function_has_them(target, returns, kind):
    labels = np.array([[0, 3, 1], [2, 2, 0]])

    def function(logits, targets, alpha, gamma):
        assert logits.shape == (2, 4, 3)
        if kind == "one-hot":
            assert targets.dtype == logits.dtype
            targets = np.argmax(targets, axis=1)
        rows = focal_ref.softmax_loss(logits, targets, gamma=gamma, axis=1)
        hot = np.moveaxis(np.eye(4)[targets], -1, 1)
        return rows if returns == "rows" else hot * rows[:, np.newaxis]

    signature = NAMED | {"class_axis": 1, "minimum_rank": 2, "returns": returns, "targets": kind}
    got = target(function, signature, ROWS).value(Call(Z, labels, None, function="softmax_loss"))
    assert got.tolist() == focal_ref.softmax_loss(Z, labels).tolist()


def test_codes_of_labels_are_the_declared_ones(target):
    calls = []
    codes = {"background": "classes", "ignore": 255, "soft_targets": "unsupported"}
    mine = target(kept(calls), NAMED | {"targets": "labels"}, codes)
    mine.value(Call(Z, np.array([[0, -1, -2], [2, 3, -1]]), function="loss_from_labels"))
    assert calls[-1][0][1].tolist() == [[0, 4, 255], [2, 3, 4]]


def test_a_gradient_of_its_own_goes_through_the_same_mapping(target):
    def function(targets, logits, alpha, gamma):
        return focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma)

    def slope(targets, logits, alpha, gamma):
        return focal_ref.value_and_grad(logits, targets, alpha=alpha, gamma=gamma)[1]

    signature = NAMED | {"order": ["targets", "logits"], "gradient": f"{MODULE}:slope"}
    mine = target(function, signature, {"gradient": "function"}, slope=slope)
    expected = focal_ref.value_and_grad(X, T, alpha=0.25, gamma=2.0)
    got = mine.value_and_gradient(Call(X, T))
    assert [array.tolist() for array in got] == [array.tolist() for array in expected]


def test_a_gradient_that_is_declared_but_not_there_is_refused(target):
    with pytest.raises(UsageError, match=r"conventions\.gradient is 'function', but there is no signature\.gradient"):
        target(kept([]), NAMED, {"gradient": "function"})


def test_a_pair_gives_the_loss_and_its_derivative(target):
    def function(logits, targets, alpha, gamma):
        return focal_ref.value_and_grad(logits, targets, alpha=alpha, gamma=gamma)

    mine = target(function, NAMED | {"pair": True}, {"gradient": "function"})
    expected = focal_ref.value_and_grad(X, T, alpha=0.25, gamma=2.0)
    assert mine.value(Call(X, T)).tolist() == expected[0].tolist()
    assert [array.tolist() for array in mine.value_and_gradient(Call(X, T))] == [one.tolist() for one in expected]
    for requirement in ("FL-VAL-001", "FL-GRAD-001"):
        result = run_item(Item(requirement, "float64"), mine, "pytest conformance")
        assert result.passed, result.text


def test_what_is_declared_a_pair_and_is_none_is_said(target):
    mine = target(kept([]), NAMED | {"pair": True})
    with pytest.raises(UsageError, match=r"signature\.pair is true, but the function returns no pair"):
        mine.describe()


def test_targets_are_given_as_integers(target):
    calls = []
    mine = target(kept(calls), NAMED | {"targets": "integer"}, {"soft_targets": "unsupported"})
    mine.value(Call(X, T))
    given = calls[-1][0][1]
    assert given.dtype == np.int64
    assert given.tolist() == [1, 0, 1]
    mine.value(Call(X, np.array([0.5, 0.0, 1.0])))
    assert calls[-1][0][1].tolist() == [0.5, 0.0, 1.0]


def test_targets_are_given_as_minus_and_plus_one(target):
    calls = []
    mine = target(kept(calls), NAMED | {"targets": "signed"})
    mine.value(Call(X.astype(np.float32), T.astype(np.float32)))
    given = calls[-1][0][1]
    assert given.dtype == np.float32
    assert given.tolist() == [1, -1, 1]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", ["elements", "rows"])
def test_a_function_that_gives_one_number_has_the_reduction_that_it_declares(target, kind, reduction):
    def function(logits, targets, alpha, gamma):
        if kind == "elements":
            each = focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma)
        else:
            each = focal_ref.softmax_loss(logits, targets, alpha=alpha, gamma=gamma)
        return getattr(each, reduction)()

    conventions = {reduction: "elements" if kind == "elements" or reduction == "sum" else "rows"}
    conventions |= {} if kind == "elements" else ROWS
    form = {"returns": "sum", "targets": "floating" if kind == "elements" else "labels"}
    mine = target(function, NAMED | form, conventions)
    names = ("FL-VAL-001", "FL-VAL-004") if kind == "elements" else ("FL-SMX-001",)
    for requirement in (*names, "FL-SHP-001", "FL-RED-002" if reduction == "mean" else "FL-RED-001"):
        result = run_item(Item(requirement, "float64"), mine, "pytest conformance")
        assert result.passed, result.text
        assert result.comparisons


def test_a_binding_takes_the_canonical_call(target):
    class Binding:
        def loss(self, logits, targets, *, alpha, gamma, reduction="none"):
            return focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)

        def value_and_gradient(self, logits, targets, *, alpha, gamma):
            return focal_ref.value_and_grad(logits, targets, alpha=alpha, gamma=gamma)

    conventions = {"gradient": "function", "mean": "elements", "sum": "elements"}
    mine = target(Binding, {"binding": f"{MODULE}:function"}, conventions)
    for requirement in ("FL-VAL-001", "FL-VAL-004", "FL-GRAD-001", "FL-RED-001", "FL-RED-002"):
        result = run_item(Item(requirement, "float64"), mine, "pytest conformance")
        assert result.passed, result.text


def test_the_environment_is_set_before_the_package_is_imported(target, monkeypatch):
    monkeypatch.setenv("MODE_OF_THE_TESTS", "other")
    monkeypatch.delenv("MODE_OF_THE_TESTS")
    with pytest.raises(
        UsageError, match=rf"MODE_OF_THE_TESTS has to be 'one' before {MODULE} is imported, and it is No"
    ):
        target(kept([]), NAMED, environment={"MODE_OF_THE_TESTS": "one"})
    monkeypatch.setenv("MODE_OF_THE_TESTS", "one")
    target(kept([]), NAMED, environment={"MODE_OF_THE_TESTS": "one"})
    assert os.environ["MODE_OF_THE_TESTS"] == "one"


def test_a_first_call_that_fails_is_told_with_the_place_to_look_at(target):
    def function(logits, targets):
        return logits

    mine = target(function, NAMED)
    with pytest.raises(
        UsageError, match=r"mine: a first call fails with TypeError: .*see \[signature\] of its profile"
    ):
        mine.describe()


def test_a_profile_of_a_program_is_no_python_function():
    document = {
        "profile": {"name": "mine", "description": "", "package": "mine", "library": "process"},
        "conventions": CONVENTIONS,
        "claims": {"dtypes": {"float64": "standard"}, "capabilities": []},
    }
    with pytest.raises(UsageError, match="profile 'mine' is of a program; give it as --target-cmd"):
        profile_target(profile_from(document, "mine.toml"))
