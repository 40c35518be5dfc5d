"""Other people's boosting objectives: derivatives without a loss."""

import json
import sys
import tomllib
from importlib.resources import files
from types import ModuleType

import jsonschema
import numpy as np
import pytest

import focal_ref
from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.gate import items_of, run_item
from focal_ref.conformance.profiles import DERIVATIVES, ProfileError, parse_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.smoke import smoke_rows
from focal_ref.conformance.targets import Call, UsageError
from focal_ref.conformance.targets.objective import ObjectiveTarget
from focal_ref.conformance.targets.python import profile_target

BINARY = """
[profile]
name = "mine"
description = "a boosting objective"
package = "focal-ref"
library = "numpy"
kind = "objective"

[signature]
binding = "mine_objective:Objective"

[conventions]
formula = "focal"
prediction = "logits"
multi_class = "sigmoid"
alpha = "pos/1-pos"
alpha_off = "none"
soft_targets = "unsupported"
clipping = "none"
epsilon = 0
mean = "unsupported"
sum = "unsupported"
background = "none"
ignore = "none"
gradient = "function"
subnormals = "kept"

[claims]
capabilities = ["second_derivative"]

[claims.dtypes]
float32 = "standard"
"""
SOFTMAX = (
    BINARY.replace('binding = "', 'targets = "labels"\nbinding = "')
    .replace('multi_class = "sigmoid"', 'multi_class = "softmax"')
    .replace('alpha = "pos/1-pos"', 'alpha = "class-vector"')
)


class Right:
    """The derivatives of this project's own functions."""

    name = "loss"

    def derivatives(self, logits, targets, *, alpha, gamma):
        options = {"alpha": alpha, "gamma": gamma, "function": getattr(focal_ref, self.name)}
        first = focal_ref.value_and_grad(logits, targets, **options)[1]
        return first, focal_ref.second_derivative(logits, targets, **options)


class RightSoftmax(Right):
    name = "softmax_loss"


class OfCrossEntropy(Right):
    """p (1 - p) for the Hessian, as of the cross entropy."""

    def derivatives(self, logits, targets, *, alpha, gamma):
        p = 1 / (1 + np.exp(-logits))
        return super().derivatives(logits, targets, alpha=alpha, gamma=gamma)[0], p * (1 - p)


class WithoutLogarithm(Right):
    """The modulating factor taken as a constant."""

    def derivatives(self, logits, targets, *, alpha, gamma):
        p = 1 / (1 + np.exp(-logits))
        weight = 1 if alpha is None else alpha * targets + (1 - alpha) * (1 - targets)
        factor = weight * np.abs(targets - p) ** gamma
        second = super().derivatives(logits, targets, alpha=alpha, gamma=gamma)[1]
        return (factor * (p - targets)).astype(logits.dtype), second


class OneSigmoidForEachClass(RightSoftmax):
    """Rows of binary derivatives, which do not add up to 0."""

    def derivatives(self, logits, targets, *, alpha, gamma):
        hot = np.equal.outer(targets, np.arange(logits.shape[-1])).astype(logits.dtype)
        first = focal_ref.value_and_grad(logits, hot, alpha=None, gamma=gamma)[1]
        return first, super().derivatives(logits, targets, alpha=alpha, gamma=gamma)[1]


class NoPair(Right):
    def derivatives(self, logits, targets, *, alpha, gamma):
        return logits


@pytest.fixture
def target(monkeypatch):
    """A profile's target whose binding is a class of this file."""

    def make(text, kind):
        module = ModuleType("mine_objective")
        module.Objective = kind
        monkeypatch.setitem(sys.modules, "mine_objective", module)
        return profile_target(parse_profile(text, "mine.toml"))

    return make


def failing(target):
    items = [item for item in items_of(target.profile) if item.name.startswith("FL-")]
    return {item.name for item in items if not run_item(item, target, "").passed}


@pytest.mark.parametrize(("text", "kind"), [(BINARY, Right), (SOFTMAX, RightSoftmax)])
def test_right_derivatives_meet_everything_that_an_objective_has(target, text, kind):
    assert failing(target(text, kind)) == set()


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (BINARY, OfCrossEntropy, {"FL-GRAD-006"}),
        (BINARY, WithoutLogarithm, {"FL-GRAD-001", "FL-GRAD-002", "FL-GRAD-003", "FL-GRAD-004"}),
        (SOFTMAX, OneSigmoidForEachClass, {"FL-SMX-002", "FL-SMX-004"}),
    ],
)
def test_wrong_derivatives_fail_what_asks_for_them(target, text, kind, expected):
    assert failing(target(text, kind)) == expected


def test_an_objective_has_the_requirements_on_derivatives_alone(target):
    profile = target(BINARY, Right).profile
    run = {item.name for item in items_of(profile)} & set(requirements())
    assert run == {"FL-GRAD-001", "FL-GRAD-002", "FL-GRAD-003", "FL-GRAD-004", "FL-GRAD-006"}
    lacking = {entry.id: capability for entry, capability in not_claimed(profile)}
    assert lacking == {
        "FL-GRAD-005": "soft_targets",
        **dict.fromkeys(("FL-SMX-002", "FL-SMX-003", "FL-SMX-004"), "softmax"),
    }
    assert run | set(lacking) == set(DERIVATIVES)


def test_it_runs_once_and_gives_no_loss(target):
    made = target(BINARY, Right)
    assert isinstance(made, ObjectiveTarget)
    assert made.describe()["device"] == "cpu"
    call = Call(np.zeros(2, np.float32), np.ones(2, np.float32))
    with pytest.raises(NotImplementedError, match="derivatives alone"):
        made.value(call)
    value, gradient = made.value_and_gradient(call)
    assert np.isnan(value).all()
    assert not np.isnan(gradient).any()
    assert all(row.passed for row in smoke_rows(made, "float32"))


def test_what_a_binding_lacks_is_told(target):
    with pytest.raises(UsageError, match="kind is 'objective', but mine_objective:Objective has no method derivatives"):
        target(BINARY, object)
    with pytest.raises(UsageError, match="derivatives returned ndarray; it returns a pair, first and"):
        target(BINARY, NoPair).describe()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('gradient = "function"', 'gradient = "autodiff"', "conventions.gradient: got 'autodiff'; allowed is function"),
        ('mean = "unsupported"', 'mean = "elements"', "conventions.mean: got 'elements'; allowed is unsupported, fo"),
        ('binding = "m', 'function = "m', "signature.binding: not declared; an objective is a class with the method"),
        ('"second_derivative"]', '"vmap"]', "claims.capabilities: got 'vmap'; allowed are second_derivative, array_p"),
    ],
)
def test_loader_and_schema_refuse_what_an_objective_cannot_have(old, new, message):
    schema = json.loads(files("focal_ref.conformance.profiles").joinpath("profile.schema.json").read_text("utf-8"))
    jsonschema.validate(tomllib.loads(BINARY), schema)
    jsonschema.validate(tomllib.loads(SOFTMAX), schema)
    text = BINARY.replace(old, new)
    assert text != BINARY
    with pytest.raises(ProfileError) as error:
        parse_profile(text, "mine.toml")
    assert str(error.value).startswith(f"mine.toml: {message}")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), schema)


@pytest.mark.parametrize(
    ("changes", "declared"),
    [
        ({'clipping = "none"': 'clipping = "added"', "epsilon = 0": "epsilon = 1e-7"}, "clipping = 'added'"),
        ({'soft_targets = "unsupported"': 'soft_targets = "distance"'}, "soft_targets = 'distance'"),
        ({'multi_class = "sigmoid"': 'multi_class = "softmax"', '"pos/1-pos"': '"uniform"'}, "alpha = 'uniform'"),
    ],
)
def test_a_second_derivative_without_a_formula_cannot_be_claimed(changes, declared):
    text = BINARY.replace('binding = "', 'targets = "labels"\nbinding = "') if "softmax" in str(changes) else BINARY
    for old, new in changes.items():
        text = text.replace(old, new)
    parse_profile(text.replace('"second_derivative"', ""), "mine.toml")
    with pytest.raises(ProfileError) as error:
        parse_profile(text, "mine.toml")
    assert str(error.value).startswith("mine.toml: claims.capabilities: 'second_derivative' has no formula with ")
    assert declared in str(error.value)
    assert str(error.value).endswith("; leave it out")
