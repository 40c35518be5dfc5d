"""array_api_strict: the closed forms under the standard and nothing else, within the same bounds."""

import math

import array_api_strict
import numpy as np
import pytest

import focal_ref
from focal_ref import loss, parameter_gradients, second_derivative, value_and_grad
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import (
    assert_same_bits,
    assert_within,
    expected,
    expected_sum,
    some_logits,
    some_soft_targets,
    some_targets,
    wide,
)
from . import every_loss
from .every_loss import CASES, assert_rounded

both_dtypes = pytest.mark.parametrize("dtype", ["float64", "float32"])
hard_and_soft = pytest.mark.parametrize("targets_of", [some_targets, some_soft_targets], ids=["hard", "soft"])


pytestmark = pytest.mark.usefixtures("numpy_keeps_quiet")


@pytest.fixture
def numpy_keeps_quiet():
    """array_api_strict computes with NumPy, which warns of every infinity; one test looks at these warnings."""
    with np.errstate(all="ignore"):
        yield


def strict(array):
    return array_api_strict.asarray(np.asarray(array))


def bound(dtype, gamma, precision="exact", *, more=0.0):
    return budget(precision, FORMATS[dtype], gamma, weighted=True) + more * (dtype == "float64")


@both_dtypes
@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 0.25, 1.0, 2.0, 3.5])
def test_value_and_gradient_are_within_the_bounds(dtype, targets_of, gamma):
    logits, targets = some_logits(dtype, 2000), targets_of(2000)
    wanted = expected(logits, targets, alpha=0.3, gamma=gamma)
    value, gradient = value_and_grad(strict(logits), strict(targets), alpha=0.3, gamma=gamma)
    assert isinstance(value, type(strict(logits)))
    assert_within(np.asarray(value), wanted["value"], bound(dtype, gamma))
    assert_within(np.asarray(gradient), wanted["gradient"], bound(dtype, gamma))
    assert_same_bits(np.asarray(loss(strict(logits), strict(targets), alpha=0.3, gamma=gamma)), np.asarray(value))


@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_fast_precision_is_within_its_bounds(targets_of, gamma):
    logits, targets = some_logits("float32", 2000), targets_of(2000)
    wanted = expected(logits, targets, alpha=0.3, gamma=gamma)
    results = value_and_grad(strict(logits), strict(targets), alpha=0.3, gamma=gamma, precision="fast")
    for found, name in zip(results, ("value", "gradient"), strict=True):
        assert_within(np.asarray(found), wanted[name], bound("float32", gamma, "fast"))


@both_dtypes
@hard_and_soft
def test_arrays_of_alpha_gamma_and_weights_broadcast(dtype, targets_of):
    logits, targets = some_logits(dtype, 448)[28:].reshape(60, 7), targets_of(448)[28:].reshape(60, 7)
    generator = np.random.default_rng(3)
    settings = {
        "alpha": generator.random(7),
        "gamma": generator.choice([0.0, 0.25, 2.0, 3.7], (60, 1)),
        "weights": generator.uniform(0.0, 5.0, (60, 7)),
    }
    wanted = expected(logits, targets, **settings)
    results = value_and_grad(
        strict(logits), strict(targets), **{name: strict(array) for name, array in settings.items()}
    )
    largest = bound(dtype, np.broadcast_to(settings["gamma"], (60, 7)), more=1.0)
    for found, name in zip(results, ("value", "gradient"), strict=True):
        assert_within(np.asarray(found), wanted[name], largest)


@pytest.mark.parametrize("kind", ["bool", "int8", "int64", "uint8", "float32", "float64"])
@both_dtypes
def test_targets_of_every_dtype_of_the_standard_are_taken(kind, dtype):
    logits, targets = some_logits(dtype, 300), some_targets(300)
    found = loss(strict(logits), strict(targets.astype(kind)))
    assert_within(np.asarray(found), expected(logits, targets)["value"], bound(dtype, 2.0))


@pytest.mark.parametrize("kind", ["int8", "int64", "float32", "float64"])
def test_signed_targets_are_taken(kind):
    logits, signed = some_logits("float32", 300), np.where(some_targets(300), 1, -1)
    found = loss(strict(logits), strict(signed.astype(kind)), encoding="signed")
    assert_within(np.asarray(found), expected(logits, signed, encoding="signed")["value"], 0.501)


@both_dtypes
@hard_and_soft
@pytest.mark.parametrize("size", [1, 2, 3, 1000, 4097])
def test_sums_and_means_add_the_unrounded_terms(dtype, targets_of, size):
    logits, targets = np.random.default_rng(size).normal(0, 4, size).astype(dtype), targets_of(size)
    exact = expected_sum(logits, targets)
    for settings, divisor in (({"reduction": "sum"}, 1), ({"reduction": "mean"}, size)):
        found = np.asarray(loss(strict(logits), strict(targets), **settings))
        assert (found.shape, found.dtype) == ((), np.dtype(dtype))
        ulp = 2.0 ** (math.frexp(exact / divisor)[1] - FORMATS[dtype].precision)
        assert abs(wide(found) - exact / divisor) <= (0.501 if dtype == "float32" else 30.0) * ulp
    found = np.asarray(loss(strict(logits), strict(targets), reduction="sum", normalizer=strict(np.float32(7))))
    assert math.isclose(found, exact / 7, rel_tol=1e-7 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3, 4)])
@both_dtypes
def test_every_shape_is_kept(shape, dtype):
    logits, targets = strict(np.zeros(shape, dtype)), strict(np.ones(shape, bool))
    for result in (loss(logits, targets), *value_and_grad(logits, targets)):
        assert (result.shape, result.dtype) == (shape, logits.dtype)
    for reduction in ("sum", "mean"):
        result = loss(logits, targets, reduction=reduction)
        assert (result.shape, result.dtype) == ((), logits.dtype)
        if 0 in shape:
            assert float(result) == 0.0


def test_out_is_written():
    logits, targets = some_logits("float32", 60), some_targets(60)
    out = strict(np.zeros(60, np.float32)), strict(np.zeros(60, np.float32))
    found = value_and_grad(strict(logits), strict(targets), out=out)
    assert found[0] is out[0]
    assert found[1] is out[1]
    wanted = expected(logits, targets)
    assert_within(np.asarray(out[0]), wanted["value"], 0.501)
    assert_within(np.asarray(out[1]), wanted["gradient"], 0.501)


def test_out_that_overlaps_itself_or_the_logits_is_refused():
    logits, targets, other = strict(np.zeros(3)), strict(np.ones(3)), strict(np.zeros(3))
    for out in ((other, other), (logits, other)):
        with pytest.raises(ValueError, match=r"^out: got arrays that share memory"):
            value_and_grad(logits, targets, out=out)


def test_bad_data_on_the_cpu_are_refused_with_their_position():
    logits = strict(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"^targets: got 1\.5 at position \(1, 0\); it is in \[0, 1\]"):
        loss(logits, strict([[0.0, 1.0], [1.5, 0.0]]))
    with pytest.raises(ValueError, match=r"^gamma: got -1\.0 at position \(0, 1\); it is finite and >= 0"):
        loss(logits, strict([[0.0, 1.0], [1.0, 0.0]]), gamma=strict([[0.0, -1.0]]))


def test_bad_data_on_another_device_give_nan_in_their_elements():
    device = array_api_strict.Device("device1")

    def there(array):
        return array_api_strict.asarray(np.asarray(array), device=device)

    logits, targets = there(np.zeros(4)), there([0.0, 1.5, 1.0, 0.0])
    value, gradient = value_and_grad(logits, targets, gamma=there([2.0, 2.0, -1.0, 2.0]))
    assert value.device == device
    for result in (value, gradient):
        moved = np.asarray(result.to_device(array_api_strict.Device("CPU_DEVICE")))
        assert np.isnan(moved).tolist() == [False, True, True, False]


def test_numpy_arrays_and_lists_are_taken_as_targets_and_parameters():
    logits = strict(np.array([0.5, -2.0, 3.0]))
    wanted = expected(np.asarray(logits), np.array([1, 0, 1]), alpha=np.array([0.1, 0.2, 0.3]))["value"]
    found = loss(logits, [1, 0, 1], alpha=np.array([0.1, 0.2, 0.3]))
    assert_within(np.asarray(found), wanted, 13.0)


def test_logits_that_are_no_floats_are_refused():
    for dtype in (array_api_strict.int32, array_api_strict.bool, array_api_strict.complex64):
        with pytest.raises(
            TypeError, match=r"^logits: got dtype (int32|bool|complex64); allowed are float16, bfloat16"
        ):
            loss(array_api_strict.zeros(3, dtype=dtype), array_api_strict.ones(3))


def test_no_input_is_written_to():
    logits, targets = some_logits("float32", 60), some_soft_targets(60)
    arrays = strict(logits.copy()), strict(targets.copy())
    loss(*arrays, reduction="sum")
    loss(*arrays, precision="fast")
    assert_same_bits(np.asarray(arrays[0]), logits)
    assert_same_bits(np.asarray(arrays[1]), targets)


@hard_and_soft
def test_infinities_and_nan_are_results_and_no_reason_for_warnings(targets_of):
    logits, targets = some_logits("float64", 60), targets_of(60)
    logits[1] = np.nan
    # NumPy's own defaults.
    with np.errstate(divide="warn", over="warn", invalid="warn", under="ignore"):
        value_and_grad(strict(logits), strict(targets))
        loss(strict(logits), strict(targets), reduction="sum")


# Every loss


def strict_settings(settings):
    return {name: value if isinstance(value, float | str) else strict(value) for name, value in settings.items()}


def quantities(case, logits, targets, settings):
    """Value, gradient, second derivative, and the derivative in each parameter by name."""
    given = {"function": case.function, **settings}
    value, gradient = value_and_grad(logits, targets, **given)
    assert_same_bits(case.function(logits, targets, **settings), value)
    named = {"value": value, "gradient": gradient, "second_derivative": second_derivative(logits, targets, **given)}
    return {**named, **parameter_gradients(logits, targets, **given)}


@pytest.mark.parametrize("name", CASES)
def test_every_quantity_of_every_loss_is_correctly_rounded(name):
    case = CASES[name]
    found = quantities(case, strict(case.logits), strict(case.targets), strict_settings(case.settings))
    assert {*found} >= {*case.numbers}
    assert ("targets" in found) == case.soft
    for quantity, array in found.items():
        form = getattr(every_loss, quantity, None)
        assert isinstance(array, type(strict(0.0)))
        assert_rounded(array, form(case) if form else every_loss.partial(case, quantity))


@both_dtypes
@pytest.mark.parametrize("name", CASES)
def test_every_quantity_of_every_loss_is_what_numpy_gives(name, dtype):
    case = CASES[name]
    logits = some_logits(dtype, 120).reshape(-1, 3)
    if name == "probabilities":
        logits = (1 / (1 + np.exp(-wide(logits)))).astype(dtype)
    targets = {
        "labels": np.resize(np.array([focal_ref.IGNORE, focal_ref.BACKGROUND, 0, 1, 2], np.int8), 40),
        "softmax": np.resize(np.array([focal_ref.IGNORE, 2, 0, 1], np.int16), 40),
        "star": some_targets(120).reshape(-1, 3),
    }.get(name, some_soft_targets(120).reshape(-1, 3))
    settings = {**case.settings, "weights": np.float32(1.5)}
    wanted = quantities(case, logits, targets, settings)
    for quantity, array in quantities(case, strict(logits), strict(targets), strict_settings(settings)).items():
        if dtype == "float32" or name != "labels":
            assert_same_bits(array, wanted[quantity])
        else:
            # NumPy's labels go through a kernel, with an exponential of its own.
            np.testing.assert_array_max_ulp(np.asarray(array), wanted[quantity], maxulp=4)
    # Without the limits, which are infinite in some.
    logits, targets = logits[10:], targets[10:]
    for reduction in ("sum", "mean"):
        settings["reduction"] = reduction
        found = case.function(strict(logits), strict(targets), **strict_settings(settings))
        np.testing.assert_array_max_ulp(np.asarray(found), case.function(logits, targets, **settings), maxulp=2)


def test_the_classes_of_a_softmax_lie_on_any_axis():
    logits, labels = some_logits("float32", 52)[28:].reshape(2, 3, 4), np.array([[0, 1, 2, -2], [2, 2, 1, 0]])
    wanted = value_and_grad(np.moveaxis(logits, 1, -1), labels, function=focal_ref.softmax_loss)
    value, gradient = value_and_grad(strict(logits), strict(labels), function=focal_ref.softmax_loss, axis=1)
    assert_same_bits(value, wanted[0])
    assert_same_bits(np.moveaxis(np.asarray(gradient), 1, -1), wanted[1])
    out = strict(np.zeros((2, 4), np.float32)), strict(np.zeros((2, 3, 4), np.float32))
    value_and_grad(strict(logits), strict(labels), function=focal_ref.softmax_loss, axis=1, out=out)
    assert_same_bits(out[0], wanted[0])
    assert_same_bits(out[1], np.asarray(gradient))


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8"])
def test_labels_of_every_dtype_are_taken_and_counted(kind):
    logits, labels = some_logits("float64", 40)[28:].reshape(4, 3), np.array([0, 2, 1, 1]).astype(kind)
    for function in (focal_ref.loss_from_labels, focal_ref.softmax_loss):
        for reduction in ("none", "sum", "mean"):
            found = function(strict(logits), strict(labels), reduction=reduction)
            np.testing.assert_allclose(np.asarray(found), function(logits, labels, reduction=reduction), rtol=1e-14)


def test_ignored_rows_count_nowhere():
    logits, labels = np.array([[0.5, np.nan], [1.0, -1.0]]), np.array([focal_ref.IGNORE, 1])
    for function, results in ((focal_ref.loss_from_labels, 2), (focal_ref.softmax_loss, 1)):
        value, gradient = value_and_grad(strict(logits), strict(labels), function=function)
        assert not np.any(np.asarray(value)[0])
        assert not np.any(np.asarray(gradient)[0])
        mean = function(strict(logits), strict(labels), reduction="mean")
        assert float(mean) == float(np.sum(np.asarray(value)[1])) / results
        assert float(function(strict(logits), strict(np.full(2, focal_ref.IGNORE)), reduction="mean")) == 0.0
