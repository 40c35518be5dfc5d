"""Smooth L1: its values, its slope and what must not become NaN."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from focal_ref.detection.losses import smooth_l1

from .every_library import call, every_library, most_libraries, refusal

DISTANCES = [0.0, -0.0, 0.01, -0.05, 0.11, -0.11, 0.1100001, 0.5, -1.0, 1.5, -7.25, 1e-20, 3e30]
BETAS = [0.0, 0.1, 0.11, 1 / 9, 1.0, 2.5]


def value(distance, beta):
    """The definition, in fractions."""
    size, beta = abs(Fraction(float(distance))), Fraction(beta)
    return float(size * size / (2 * beta) if size < beta else size - beta / 2)


def slope(distance, beta):
    distance, beta = Fraction(float(distance)), Fraction(beta)
    if abs(distance) < beta:
        return float(distance / beta)
    return float((distance > 0) - (distance < 0))


def gradients(library, prediction, target, beta):
    """First and second derivative with respect to the prediction, elementwise, by the library's autodiff."""
    if library == "torch":
        leaf = torch.tensor(prediction, requires_grad=True)
        (first,) = torch.autograd.grad(smooth_l1(leaf, torch.tensor(target), beta=beta).sum(), leaf, create_graph=True)
        second = torch.autograd.grad(first.sum(), leaf)[0] if first.requires_grad else torch.zeros_like(first)
        return first.detach().numpy(), second.numpy()
    first = jax.grad(lambda p: jnp.sum(smooth_l1(p, jnp.asarray(target), beta=beta)))
    second = jax.grad(lambda p: jnp.sum(first(p)))
    if library == "jax:jit":
        first, second = jax.jit(first), jax.jit(second)
    return np.asarray(first(jnp.asarray(prediction))), np.asarray(second(jnp.asarray(prediction)))


differentiating = pytest.mark.parametrize("library", ["torch", "jax", "jax:jit"])


@every_library
@pytest.mark.parametrize("beta", [*BETAS, 1e-50])
def test_values_are_those_of_the_definition(library, beta):
    distances = np.array(DISTANCES, dtype=np.float32)
    found = call(library, smooth_l1, distances, np.zeros_like(distances), beta=beta)
    assert found.dtype == np.float32
    expected = [value(distance, beta) for distance in distances]
    # Where a subtraction leaves little, the rounding of its terms is the error.
    np.testing.assert_allclose(found, expected, rtol=4e-7, atol=1e-7 * beta)


@pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
def test_float64_is_computed_in_float64_also_against_a_narrower_target(library):
    prediction, target = np.array([0.3, 1.7]), np.array([0.25, -1.0], dtype=np.float32)
    found = call(library, smooth_l1, prediction, target, beta=0.5)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [value(0.3 - 0.25, 0.5), value(2.7, 0.5)], rtol=1e-15)


@pytest.mark.parametrize("library", ["numpy", "torch", "jax", "jax:jit"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_floats_give_float32(library, dtype):
    prediction = np.array([0.5, -3.0, 0.0078125], dtype=ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if library == "torch":
        found = smooth_l1(torch.tensor(prediction.astype(np.float32)).to(getattr(torch, dtype)), torch.zeros(3)).numpy()
    else:
        found = call(library, smooth_l1, prediction, np.zeros(3, dtype=np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [value(d, 0.11) for d in (0.5, -3, 0.0078125)], rtol=4e-7)


@most_libraries
@pytest.mark.parametrize("beta", [0.11, 1.0])
def test_value_is_continuous_where_the_parabola_ends(library, beta):
    end = np.float32(beta)
    around = np.array([np.nextafter(end, np.float32(0)), end, np.nextafter(end, np.float32(9))])
    found = call(library, smooth_l1, around, np.zeros_like(around), beta=beta)
    np.testing.assert_allclose(found, beta / 2, rtol=6e-7)


@differentiating
@pytest.mark.parametrize("beta", BETAS)
def test_slopes_are_those_of_the_definition_and_the_curvature_is_one_over_beta_inside(library, beta):
    distances = np.array(DISTANCES, dtype=np.float32)
    # At the end of the parabola itself both sides have the same slope but not the same curvature.
    first, second = gradients(library, distances, np.zeros_like(distances), beta)
    np.testing.assert_allclose(first, [slope(distance, beta) for distance in distances], rtol=4e-7)
    inside = np.abs(distances) < np.float32(beta)
    np.testing.assert_allclose(second, np.where(inside, 1 / np.float32(beta or 1), 0), rtol=4e-7)


@differentiating
@pytest.mark.parametrize("beta", [0.0, 1e-50, 1e-45, 1e-40, 1e-30, 0.11, 3e38])
def test_no_finite_or_infinite_distance_gives_nan(library, beta):
    largest = np.finfo(np.float32).max
    predictions = np.array([0, 1e-45, 1e-38, -1e-38, 1e-20, 1, -largest, np.inf, -np.inf], dtype=np.float32)
    found = call(library, smooth_l1, predictions, np.zeros_like(predictions), beta=beta)
    assert not np.isnan(found).any()
    for derivative in gradients(library, predictions, np.zeros_like(predictions), beta):
        assert not np.isnan(derivative).any()
    first, _ = gradients(library, predictions, np.zeros_like(predictions), beta)
    assert first[-2:].tolist() == [1, -1]
    assert np.all(np.abs(first) <= 1)


@most_libraries
@pytest.mark.parametrize("beta", [0.0, 0.11])
def test_nan_gives_nan_in_its_place_alone(library, beta):
    predictions = np.array([np.nan, 1, 1], dtype=np.float32)
    targets = np.array([0, np.nan, 0], dtype=np.float32)
    found = call(library, smooth_l1, predictions, targets, beta=beta)
    assert np.isnan(found).tolist() == [True, True, False]
    if library in ("torch", "jax", "jax:jit"):
        first, _ = gradients(library, predictions, targets, beta)
        assert np.isnan(first).tolist() == [True, True, False]


@most_libraries
@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 4), (2, 3)])
def test_any_shape_is_kept(library, shape):
    zeros = np.zeros(shape, dtype=np.float32)
    assert call(library, smooth_l1, zeros, zeros).shape == shape


@pytest.mark.parametrize(
    ("beta", "error", "got"),
    [
        (-0.1, ValueError, "-0.1; it is >= 0 and at most 3.403e+38"),
        (float("nan"), ValueError, "nan; it is >= 0 and at most 3.403e+38"),
        (float("inf"), ValueError, "inf; it is >= 0 and at most 3.403e+38"),
        (10**40, ValueError, f"{10**40}; it is >= 0 and at most 3.403e+38"),
        (1e39, ValueError, "1e+39; it is >= 0 and at most 3.403e+38"),
        (True, TypeError, "True; it is a number"),
        ("0.11", TypeError, "'0.11'; it is a number"),
        (None, TypeError, "None; it is a number"),
    ],
)
def test_a_beta_out_of_range_is_refused(beta, error, got):
    zeros = np.zeros(2, dtype=np.float32)
    assert refusal(error, smooth_l1, zeros, zeros, beta=beta) == f"beta: got {got}"


def test_a_beta_beyond_every_float_is_refused_too():
    zeros = np.zeros(2)
    assert "it is >= 0 and at most 1.798e+308" in refusal(ValueError, smooth_l1, zeros, zeros, beta=10**400)


def test_arrays_that_do_not_fit_are_refused():
    zeros = np.zeros((2, 4))
    assert refusal(ValueError, smooth_l1, zeros, zeros[:1]) == (
        "target: got shape (1, 4), prediction has shape (2, 4); they must be equal, nothing is broadcast"
    )
    assert refusal(TypeError, smooth_l1, zeros, np.zeros((2, 4), dtype=int)) == (
        "target: got dtype int64; allowed is real floating"
    )
    assert refusal(TypeError, smooth_l1, zeros, torch.zeros((2, 4))) == (
        "target: got torch.Tensor; it is an array of numpy, as the first argument"
    )
