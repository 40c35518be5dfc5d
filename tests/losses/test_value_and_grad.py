"""`value_and_grad` on NumPy arrays: both results, and the arrays that they are written into."""

import math

import numpy as np
import pytest

from focal_ref import loss, value_and_grad
from focal_ref.conformance import oracle
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS, from_bits

from ..comparison import (
    DTYPES,
    assert_same_bits,
    assert_within,
    expected,
    some_logits,
    some_soft_targets,
    some_targets,
)

LOG_2 = 0.6931471805599453

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
hard_and_soft = pytest.mark.parametrize("targets_of", [some_targets, some_soft_targets], ids=["hard", "soft"])


def bound(dtype, gamma, precision="exact"):
    return budget(precision, FORMATS[dtype], gamma, weighted=True)


# Values and gradients


@every_dtype
@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 0.25, 2.0])
def test_value_and_gradient_are_each_within_the_bound_also_at_zero_and_saturation(dtype, targets_of, gamma):
    logits, targets = some_logits(dtype, 3000), targets_of(3000)
    wanted = expected(logits, targets, alpha=0.3, gamma=gamma)
    value, gradient = value_and_grad(logits, targets, alpha=0.3, gamma=gamma)
    assert_within(value, wanted["value"], bound(dtype, gamma))
    assert_within(gradient, wanted["gradient"], bound(dtype, gamma))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@hard_and_soft
def test_fast_precision_is_within_its_bound(dtype, targets_of):
    logits, targets = some_logits(dtype, 3000), targets_of(3000)
    wanted = expected(logits, targets, alpha=0.3, gamma=0.25)
    value, gradient = value_and_grad(logits, targets, alpha=0.3, gamma=0.25, precision="fast")
    assert_within(value, wanted["value"], bound(dtype, 0.25, "fast"))
    assert_within(gradient, wanted["gradient"], bound(dtype, 0.25, "fast"))


@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_gradient_is_the_numerical_derivative_of_the_printed_formula(targets_of, gamma):
    logits, targets = some_logits("float32", 50, seed=5)[28:], targets_of(50)[28:].astype(np.float32)
    bits = [
        oracle.rounded("gradient", float(x), float(t), 0.25, gamma, FORMATS["float32"])
        for x, t in zip(logits, targets, strict=True)
    ]
    gradient = value_and_grad(logits, targets, gamma=gamma)[1]
    assert_same_bits(gradient, from_bits(np.array(bits), FORMATS["float32"]))


@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 1.0, 2.0])
def test_the_gradient_at_zero_is_the_one_of_the_closed_form(gamma):
    # q = p = 1/2 and c = log 2 in -q^gamma (gamma p c + q).
    exact = 2.0**-gamma * (gamma * LOG_2 + 1.0) / 2.0
    for zero in (0.0, -0.0):
        _, (positive, negative) = value_and_grad(np.full(2, zero), np.array([1, 0]), alpha=None, gamma=gamma)
        assert math.isclose(positive, -exact, rel_tol=1e-15)
        assert math.isclose(negative, exact, rel_tol=1e-15)


@every_dtype
@pytest.mark.parametrize("gamma", [0.0, 0.25, 0.5, 2.0])
def test_at_saturation_the_gradient_is_zero_or_the_weight_and_never_nan(dtype, gamma):
    largest = np.finfo(np.float16 if dtype == "float16" else np.float32).max / 2
    logits = np.array([largest, -largest, np.inf, -np.inf]).astype(DTYPES[dtype])
    value, gradient = value_and_grad(logits, np.ones(4, bool), alpha=None, gamma=gamma)
    assert_same_bits(value, np.array([0, -logits[1], 0, np.inf]).astype(DTYPES[dtype]))
    assert_same_bits(gradient, np.array([-0.0, -1, -0.0, -1]).astype(DTYPES[dtype]))
    value, gradient = value_and_grad(-logits, np.zeros(4, bool), alpha=None, gamma=gamma)
    assert_same_bits(gradient, np.array([0.0, 1, 0.0, 1]).astype(DTYPES[dtype]))


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@hard_and_soft
def test_the_value_is_the_one_of_loss(dtype, targets_of):
    logits, targets = some_logits(dtype, 700), targets_of(700)
    for settings in ({}, {"alpha": None, "gamma": 0.25}, {"weights": np.random.default_rng(1).random(700)}):
        assert_same_bits(value_and_grad(logits, targets, **settings)[0], loss(logits, targets, **settings))


@every_dtype
@hard_and_soft
def test_arrays_of_alpha_gamma_and_weights_enter_both_results(dtype, targets_of):
    logits, targets = some_logits(dtype, 448)[28:].reshape(60, 7), targets_of(448)[28:].reshape(60, 7)
    generator = np.random.default_rng(3)
    settings = {
        "alpha": generator.random(7),
        "gamma": generator.choice([0.0, 0.25, 2.0, 3.7], (60, 1)),
        "weights": generator.uniform(0.0, 5.0, (60, 7)),
    }
    wanted = expected(logits, targets, **settings)
    largest = bound(dtype, np.broadcast_to(settings["gamma"], (60, 7))) + 1.0 * (dtype == "float64")
    for found, name in zip(value_and_grad(logits, targets, **settings), ("value", "gradient"), strict=True):
        assert_within(found, wanted[name], largest)


def test_a_weight_of_zero_gives_a_zero_gradient_where_the_loss_is_infinite():
    logits, targets = np.array([np.inf, -np.inf, -1e308]), np.array([0, 1, 1])
    for settings in ({"weights": np.zeros(3)}, {"weights": 0.0}, {"alpha": np.array([1.0, 0.0, 0.0])}):
        value, gradient = value_and_grad(logits, targets, **settings)
        assert value.tolist() == [0.0, 0.0, 0.0]
        assert gradient.tolist() == [0.0, 0.0, 0.0]


def test_nan_gives_nan_in_its_element_only():
    value, gradient = value_and_grad(np.array([0.0, np.nan, 0.0]), np.array([1, 1, 0]))
    assert np.isnan(value).tolist() == [False, True, False]
    assert np.isnan(gradient).tolist() == [False, True, False]


@every_dtype
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (2, 3)])
def test_both_results_have_the_shape_and_dtype_of_the_logits(dtype, shape):
    for array in value_and_grad(np.zeros(shape, DTYPES[dtype]), np.ones(shape)):
        assert isinstance(array, np.ndarray)
        assert (array.shape, array.dtype) == (shape, DTYPES[dtype])


def test_a_numpy_scalar_gives_two_arrays_of_no_dimensions():
    value, gradient = value_and_grad(np.float32(0.0), 1, alpha=None)
    assert_same_bits(value, np.float32(0.1732867951399863))
    assert_same_bits(gradient, np.float32(-0.2982867951399863))


# out=


@every_dtype
@hard_and_soft
def test_out_is_written_and_returned(dtype, targets_of):
    logits, targets = some_logits(dtype, 600).reshape(20, 30), targets_of(600).reshape(20, 30)
    wanted = value_and_grad(logits, targets)
    out = tuple(np.full((20, 30), 7.0).astype(DTYPES[dtype]) for _ in range(2))
    found = value_and_grad(logits, targets, out=out)
    assert found[0] is out[0]
    assert found[1] is out[1]
    for array, right in zip(out, wanted, strict=True):
        assert_same_bits(array, right)


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_out_may_have_any_layout(dtype):
    logits, targets = some_logits(dtype, 600).reshape(20, 30), some_targets(600).reshape(20, 30)
    wanted = value_and_grad(logits, targets)
    empty = np.zeros((3, 40, 60), DTYPES[dtype])
    layouts = [
        (empty[0, ::2, ::2], empty[1, ::2, ::2]),
        (empty[0, 19::-1, 29::-1], np.zeros((30, 20), DTYPES[dtype]).T),
        (empty[0, :20, :30], empty[0, 20:, 30:]),
        (empty[0, ::2, ::2], empty[0, 1::2, ::2]),
    ]
    for out in layouts:
        value_and_grad(logits, targets, out=out)
        for array, right in zip(out, wanted, strict=True):
            assert_same_bits(array, right)


def test_out_of_no_elements_and_of_no_dimensions_is_possible():
    for shape in ((), (0,), (3, 0)):
        out = np.empty(shape), np.empty(shape)
        assert value_and_grad(np.zeros(shape), np.ones(shape), out=out) == out


def refusal(error, logits, targets, **settings):
    with pytest.raises(error) as raised:
        value_and_grad(logits, targets, **settings)
    return str(raised.value)


def test_out_that_is_no_pair_of_arrays_is_refused():
    logits, targets, array = np.zeros(3), np.ones(3), np.empty(3)
    text = "out: got {}; it is a tuple of two arrays, value and gradient"
    assert refusal(TypeError, logits, targets, out=array) == text.format("ndarray")
    assert refusal(TypeError, logits, targets, out=[array, np.empty(3)]) == text.format("list")
    assert refusal(TypeError, logits, targets, out=(array,)) == text.format("tuple")
    assert refusal(TypeError, logits, targets, out=(array, np.empty(3), np.empty(3))) == text.format("tuple")
    assert refusal(TypeError, logits, targets, out=(array, None)) == "out: got NoneType; logits are ndarray"
    assert refusal(TypeError, logits, targets, out=(array, [0.0] * 3)) == "out: got list; logits are ndarray"


def test_out_of_another_shape_or_dtype_is_refused_rather_than_cast():
    logits, targets, array = np.zeros((2, 3), np.float32), np.ones((2, 3)), np.empty((2, 3), np.float32)
    for other in (np.empty((3, 2), np.float32), np.empty((2, 3)), np.empty((1, 2, 3), np.float32)):
        text = f"out: got shape {other.shape} and dtype {other.dtype}; logits have shape (2, 3) and dtype float32"
        assert refusal(ValueError, logits, targets, out=(array, other)) == text
        assert refusal(ValueError, logits, targets, out=(other, array)) == text


def test_out_that_is_read_only_is_refused():
    fixed = np.empty(3)
    fixed.flags.writeable = False
    text = "out: got a read-only array; both arrays are written to"
    assert refusal(ValueError, np.zeros(3), np.ones(3), out=(fixed, np.empty(3))) == text
    assert refusal(ValueError, np.zeros(3), np.ones(3), out=(np.empty(3), fixed)) == text


def test_out_that_overlaps_itself_or_the_logits_is_refused():
    buffer = np.zeros(8)
    logits, targets = buffer[:4], np.ones(4)
    text = "out: got arrays that share memory with each other or with the logits"
    other = np.empty(6)
    for out in ((other[:4], other[:4]), (other[:4], other[2:]), (logits, other[:4]), (other[:4], buffer[3:7])):
        assert refusal(ValueError, logits, targets, out=out) == text
    assert not np.any(buffer)


@pytest.mark.parametrize("name", ["targets", "weights", "alpha", "gamma"])
def test_out_that_overlaps_another_input_is_refused_since_inputs_are_never_written_to(name):
    arrays = {"targets": np.ones(4), "weights": np.ones(4), "alpha": np.full(4, 0.5), "gamma": np.ones(4)}
    targets = arrays.pop("targets")
    array = targets if name == "targets" else arrays[name]
    before = array.copy()
    assert "share memory" in refusal(ValueError, np.zeros(4), targets, **arrays, out=(array, np.empty(4)))
    assert_same_bits(array, before)


BAD_ARGUMENTS = {
    "targets": {"targets": np.array([1.0, 0.0, 1.5])},
    "shape of targets": {"targets": np.ones(2)},
    "alpha": {"alpha": 1.5},
    "alpha in an array": {"alpha": np.array([0.5, 0.5, -1.0])},
    "gamma in an array": {"gamma": np.array([1.0, 1.0, np.inf])},
    "weights": {"weights": np.array([1.0, 1.0, np.nan])},
    "shape of weights": {"weights": np.ones(4)},
    "encoding": {"encoding": "onehot"},
    "precision": {"precision": "double"},
}


@pytest.mark.parametrize("bad", BAD_ARGUMENTS)
def test_nothing_is_written_when_an_argument_is_bad(bad):
    settings = {"targets": np.array([1.0, 0.0, 1.0]), **BAD_ARGUMENTS[bad]}
    targets = settings.pop("targets")
    out = np.full(3, 7.0), np.full(3, 7.0)
    refusal(ValueError, np.zeros(3), targets, **settings, out=out)
    assert np.all(np.stack(out) == 7.0)


def test_nothing_is_written_into_one_array_when_the_other_one_is_bad():
    good, fixed = np.full(3, 7.0), np.zeros(3)
    fixed.flags.writeable = False
    refusal(ValueError, np.zeros(3), np.ones(3), out=(good, fixed))
    refusal(ValueError, np.zeros(3), np.ones(3), out=(good, np.empty(4)))
    assert np.all(good == 7.0)


def test_jax_arrays_cannot_be_written_to():
    import jax.numpy as jnp

    logits = jnp.zeros(3)
    text = "out: jax arrays are immutable; leave out= away and use what is returned"
    assert refusal(TypeError, logits, jnp.ones(3), out=(logits, logits)) == text


# PyTorch


def test_torch_writes_out_and_returns_it():
    import torch

    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        logits, targets = torch.linspace(-9, 9, 35, dtype=dtype).reshape(5, 7), torch.arange(35).reshape(5, 7) % 2
        value, gradient = value_and_grad(logits, targets)
        for out in (
            (torch.empty_like(logits), torch.empty_like(logits)),
            (torch.empty(7, 5, dtype=dtype).T, torch.empty(10, 14, dtype=dtype)[::2, ::2]),
        ):
            found = value_and_grad(logits, targets, out=out)
            assert found[0] is out[0]
            assert found[1] is out[1]
            assert torch.equal(out[0], value)
            assert torch.equal(out[1], gradient)


def test_torch_writes_into_two_parts_of_one_buffer():
    import torch

    logits, targets = torch.linspace(-9, 9, 7), torch.arange(7) % 2
    buffer = torch.empty(2, 7)
    value_and_grad(logits, targets, out=(buffer[0], buffer[1]))
    assert torch.equal(buffer, torch.stack(value_and_grad(logits, targets)))


def test_torch_refuses_out_that_requires_grad_overlaps_or_is_no_tensor():
    import torch

    logits, targets, array = torch.zeros(3), torch.ones(3), torch.empty(3)
    leaf = torch.empty(3, requires_grad=True)
    assert refusal(ValueError, logits, targets, out=(array, leaf)) == (
        "out: got a tensor that requires grad; it is written to, pass a plain tensor"
    )
    for out in ((array, array), (logits, array)):
        assert refusal(ValueError, logits, targets, out=out) == (
            "out: got arrays that share memory with each other or with the logits"
        )
    assert refusal(TypeError, logits, targets, out=(array, np.empty(3, np.float32))) == (
        "out: got ndarray; logits are Tensor"
    )
    meta = torch.empty(3, device="meta")
    assert refusal(ValueError, logits, targets, out=(array, meta)) == (
        "out: got devices ['cpu', 'meta']; logits lie on cpu"
    )
    assert refusal(ValueError, logits, targets, out=(array, array.double())) == (
        "out: got shape (3,) and dtype float64; logits have shape (3,) and dtype float32"
    )


def test_torch_refuses_out_whose_elements_share_one_place():
    import torch

    expanded = torch.empty(1).expand(3)
    assert refusal(ValueError, torch.zeros(3), torch.ones(3), out=(torch.empty(3), expanded)).startswith("out: ")
