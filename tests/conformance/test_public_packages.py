"""Released implementations that nobody here wrote: what is right about them passes, and each known fault is found.

Run as the gate does, item by item in this process; what costs more than it shows is left out, and only there.
"""

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest

from focal_ref.conformance.gate import SELF_CHECK, Item, items_of, run_item
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets.python import PythonTarget, function_target


@cache
def target(profile):
    return function_target(None, profile, None)


@cache
def outcome(profile, only=()):
    """From the items of a profile in float32, and those that are run once, to their results."""
    chosen = [item for item in items_of(load_profile(profile)) if item.dtype in ("float32", "")]
    chosen = [item for item in chosen if item.name in only or (not only and item.name != SELF_CHECK)]
    return {item: run_item(item, target(profile), "pytest conformance") for item in chosen}


def failed(results):
    return {item.name for item, result in results.items() if not result.passed}


def passed(results):
    return {item.name for item, result in results.items() if result.passed}


def text_of(results, requirement, dtype="float32"):
    return results[Item(requirement, dtype)].text


VALUES = {"FL-VAL-001", "FL-VAL-003", "FL-VAL-004", "FL-VAL-005", "FL-VAL-007", "FL-VAL-008", "FL-VAL-009"}
INFINITE = {"FL-EXT-001", "FL-EXT-002", "FL-EXT-004"}
SATURATED = {"FL-GRAD-001", "FL-GRAD-003", "FL-GRAD-004", "FL-GRAD-005"}
"""Requirements whose vectors have saturated elements with a gamma below 1."""


ORDINARY = ("FL-VAL-001", "FL-VAL-002", "FL-VAL-004", "FL-VAL-005", "FL-GRAD-001", "FL-GRAD-003", "FL-GRAD-004")


def test_optax_is_accurate_and_its_two_faults_are_found():
    # Without compilation JAX takes its time for every shape of every operation.
    results = outcome("optax", only=(*ORDINARY, "FL-VAL-006", "FL-XFM-002", *sorted(INFINITE), "FL-SHP-002"))
    # Values and gradients of ordinary logits pass; infinities, huge logits and shapes do not.
    assert failed(results) == {*INFINITE, "FL-SHP-002"}
    assert passed(results) == {*ORDINARY, "FL-VAL-006", "FL-XFM-002"}
    assert "nan" in text_of(results, "FL-EXT-001")
    assert "a result of shape (4, 4)" in text_of(results, "FL-SHP-002", "")


def test_kornia_is_accurate_and_its_faults_are_found():
    results = outcome("kornia")
    assert failed(results) == {*INFINITE, "FL-RED-005"}
    assert {*VALUES, *SATURATED, "FL-VAL-002", "FL-VAL-006", "FL-RED-002", "FL-RED-009"} <= passed(results)
    wide = run_item(Item("FL-EXT-002", "float64"), target("kornia"), "pytest conformance")
    assert "nan" in wide.text
    assert run_item(Item("FL-VAL-001", "float64"), target("kornia"), "pytest conformance").passed


def test_kornia_s_softmax_counts_what_is_ignored_in_the_mean():
    results = outcome("kornia_multiclass")
    assert failed(results) == {"FL-SMX-013", "FL-RED-005", "FL-RED-007"}
    right = {f"FL-SMX-{number:03}" for number in (1, 2, 4, 5, 6, 7, 12, 15)}
    assert {*right, "FL-RED-001", "FL-RED-002", "FL-RED-008", "FL-SHP-002"} <= passed(results)
    text = text_of(results, "FL-RED-007")
    # 5 of 8 rows count: the mean is 5/8 of what it should be.
    got, expected = (
        float(line.split()[1]) for name in ("got", "expected") for line in text.splitlines() if f"  {name} " in line
    )
    assert got == pytest.approx(expected * 5 / 8, rel=1e-6)


def test_fvcore_loses_easy_negatives_is_nan_at_saturation_and_takes_any_reduction():
    results = outcome("fvcore")
    in_float64 = {"FL-VAL-007", "FL-VAL-009"}  # verified once, in the widest format, which it does not keep
    assert failed(results) == {"FL-VAL-002", *SATURATED, *INFINITE, "FL-RED-004", "FL-RED-005", *in_float64}
    right = {*VALUES, "FL-VAL-006", "FL-RED-001", "FL-RED-002", "FL-RED-009", "FL-SHP-002"}
    assert right - in_float64 <= passed(results)
    # NaN gradients at saturation for gamma < 1
    saturated = text_of(results, "FL-GRAD-003")
    assert "gamma=0.25" in saturated or "gamma=0.5" in saturated
    assert "  got       nan" in saturated
    # easy negatives lost
    lost = results[Item("FL-VAL-002", "float32")].findings
    assert any("/target=0/logit=c1" in finding["case"] and finding["got"].startswith("0.0 ") for finding in lost)
    # an unknown reduction accepted
    assert "  expected  an error" in text_of(results, "FL-RED-004", "")


def test_fvcore_computes_float64_in_float32():
    result = run_item(Item("FL-SHP-001", "float64"), target("fvcore"), "pytest conformance")
    assert "dtype float32" in result.text


def test_fvcore_s_star_loss_is_the_paper_s_but_for_overflow_and_reductions():
    results = outcome("fvcore_star")
    assert failed(results) == {"FL-STAR-001", "FL-RED-004", "FL-RED-005", "FL-SHP-002"}
    assert {"FL-STAR-002", "FL-RED-001", "FL-RED-002", "FL-EXT-009"} <= passed(results)
    # gamma times a huge logit overflows, and alpha = 0 times infinity is NaN; everything else is right.
    (finding,) = results[Item("FL-STAR-001", "float32")].findings
    assert "alpha=0/" in finding["case"]
    assert "logits=ff7fffff" in finding["case"]
    assert finding["got"].startswith("nan")
    assert run_item(Item("FL-STAR-001", "float64"), target("fvcore_star"), "x").text.count("dtype float32")


def test_torchvision_loses_easy_negatives_and_is_nan_at_saturation_and_for_empty_input():
    results = outcome("torchvision")
    assert failed(results) == {"FL-VAL-002", *SATURATED, *INFINITE, "FL-RED-005"}
    assert {*VALUES, "FL-VAL-006", "FL-GRAD-002", "FL-RED-002", "FL-RED-004", "FL-SHP-002"} <= passed(results)
    assert "  got       nan" in text_of(results, "FL-RED-005")
    assert "  got       nan" in text_of(results, "FL-GRAD-003")
    assert "1.0e+300" not in text_of(results, "FL-GRAD-003")


def test_a_claim_of_relative_accuracy_is_not_met_where_elements_are_easy():
    profile = replace(load_profile("torchvision"), tiers={"float32": "standard"})
    strict = PythonTarget("strict", target("torchvision").function.function, profile, target("torchvision").library)
    assert not run_item(Item("FL-VAL-001", "float32"), strict, "x").passed


def test_monai_s_sum_is_a_mean_and_its_easy_negatives_are_lost():
    results = outcome("monai")
    wrong = {"FL-VAL-002", *INFINITE, "FL-RED-001", "FL-RED-005", "FL-RED-006", "FL-RED-009", "FL-DECL-009"}
    assert failed(results) == wrong
    assert {*VALUES, "FL-GRAD-001", "FL-GRAD-003", "FL-RED-002", "FL-RED-004", "FL-SHP-002"} <= passed(results)


def test_monai_s_softmax_is_nan_where_it_is_sure_and_its_sum_averages_over_space():
    results = outcome("monai_softmax")
    wrong = {"FL-SMX-002", "FL-SMX-010", "FL-SMX-013", "FL-RED-001", "FL-RED-005", "FL-RED-006", "FL-DECL-009"}
    assert failed(results) == wrong
    assert {"FL-SMX-001", "FL-SMX-004", "FL-SMX-012", "FL-SMX-015", "FL-RED-002", "FL-EXT-009"} <= passed(results)
    assert "  got       nan" in text_of(results, "FL-SMX-002")


KERAS_BINARY = {*SATURATED, "FL-EXT-002", "FL-EXT-004", "FL-EXT-009", "FL-RED-005", "FL-SHP-002"}
KERAS_CATEGORICAL = {"FL-EXT-009", "FL-SMX-013", "FL-RED-005", "FL-SHP-002"}


def test_keras_floors_the_loss_and_gives_badly_wrong_elements_no_gradient(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    results = outcome("keras_binary")
    # PyTorch's cross entropy refuses the probability of a NaN.
    assert failed(results) == {*KERAS_BINARY, "FL-EXT-003"}
    assert {*VALUES, "FL-VAL-006", "FL-EXT-001", "FL-RED-001", "FL-RED-002", "FL-RED-004"} <= passed(results)
    assert "got       4.029524" in text_of(results, "FL-EXT-009")
    categorical = outcome("keras_categorical")
    assert failed(categorical) == KERAS_CATEGORICAL
    right = {f"FL-SMX-{number:03}" for number in (1, 2, 4, 5, 6, 9, 10, 12, 15)}
    assert {*right, "FL-RED-001", "FL-RED-002", "FL-RED-004"} <= passed(categorical)


def test_keras_s_alpha_is_ignored_without_its_flag(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    profile = load_profile("keras_binary")
    signature = replace(profile.signature, alpha_on={"apply_class_balancing": False})
    function, library = target("keras_binary").function.function, target("keras_binary").library
    ignoring = PythonTarget("ignoring", function, replace(profile, signature=signature), library)
    assert not run_item(Item("FL-VAL-004", "float32"), ignoring, "x").passed
    accused = run_item(Item("FL-DECL-004", ""), ignoring, "x")
    assert "declared pos/1-pos, behaves as none" in accused.text


SCRIPT = """
import json, sys
from focal_ref.conformance.gate import SELF_CHECK, items_of, run_item
from focal_ref.conformance.targets.python import function_target
found = {}
for name in ("keras_binary_jax", "keras_categorical_jax"):
    target = function_target(None, name, None)
    items = [item for item in items_of(target.profile) if item.name in json.loads(sys.argv[1])]
    found[name] = {item.name: run_item(item, target, "x").passed for item in items}
print(json.dumps(found))
"""


def test_keras_on_jax_has_the_faults_that_it_has_on_torch():
    # Which library Keras runs on is decided once in a process.
    binary = {"FL-VAL-001", "FL-VAL-004", "FL-VAL-006", "FL-GRAD-003", "FL-EXT-009", "FL-SHP-002", "FL-RED-005"}
    categorical = {"FL-SMX-001", "FL-SMX-010", "FL-SMX-013", "FL-SMX-015", "FL-EXT-009", "FL-SHP-002", "FL-RED-005"}
    asked = json.dumps([*binary, *categorical])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, asked], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert not done.stderr
    found = json.loads(done.stdout)
    for name, faults, run in (
        ("keras_binary_jax", KERAS_BINARY, binary),
        ("keras_categorical_jax", KERAS_CATEGORICAL, categorical),
    ):
        assert {requirement for requirement, met in found[name].items() if not met} == faults & {*run}, name
        assert set(found[name]) >= run - {"FL-VAL-006"}
