"""JAX, every loss: values and derivatives of both modes are those of the definition, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import focal_ref
from focal_ref import parameter_gradients, second_derivative, value_and_grad

from ..comparison import assert_same_bits
from . import every_loss
from .every_loss import CASES, assert_rounded


@pytest.fixture(autouse=True)
def the_x64_flag_is_left_as_it_was():
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=CASES, name="case")
def _case(request):
    return CASES[request.param]


def arrays(case, dtype=np.float32):
    """Logits, targets and every number and weight that has a derivative."""

    def array(values):
        return jnp.asarray(values.astype(dtype) if values.dtype.kind == "f" else values)

    settings = {name: array(values) for name, values in {**case.numbers, "weights": case.weights}.items()}
    return array(case.logits), array(case.targets), settings


def sum_of(case):
    return lambda x, t, settings: case.call(x, t, reduction="sum", **settings)


def moving(case):
    """Positions of the arguments of `sum_of` that have derivatives."""
    return (0, 1, 2) if case.soft else (0, 2)


def summed(terms, shape):
    """Sums of mpmath numbers over the axes along which an array of this shape is broadcast to them."""
    found = np.zeros(shape, object)
    for index in np.ndindex(terms.shape):
        own = index[terms.ndim - len(shape) :]
        found[tuple(i if length > 1 else 0 for i, length in zip(own, shape, strict=True))] += terms[index]
    return found


# Closed forms and automatic differentiation


def test_values_and_closed_forms_are_correctly_rounded_under_jit(case):
    x, t, _ = arrays(case)

    @jax.jit
    def quantities(x):
        settings = {"function": case.function, **case.settings}
        closed = value_and_grad(x, t, **settings), second_derivative(x, t, **settings)
        return case.call(x, t), *closed, parameter_gradients(x, t, **settings)

    value, both, second, partials = quantities(x)
    assert value.dtype == second.dtype == jnp.float32
    assert_same_bits(both[0], value)
    assert_rounded(value, every_loss.value(case))
    assert_rounded(both[1], every_loss.gradient(case))
    assert_rounded(second, every_loss.second_derivative(case))
    assert set(partials) == {*case.numbers, *(["targets"] if case.soft else [])}
    for name, found in partials.items():
        assert_rounded(found, every_loss.partial(case, name))


def test_the_gradient_of_a_sum_is_correctly_rounded_in_all_that_it_depends_on(case):
    found = jax.jit(jax.grad(sum_of(case), argnums=moving(case)))(*arrays(case))
    assert_rounded(found[0], every_loss.gradient(case))
    if case.soft:
        assert_rounded(found[1], every_loss.partial(case, "targets"))
    for name, gradient in found[-1].items():
        assert gradient.dtype == jnp.float32
        assert_rounded(gradient, summed(every_loss.partial(case, name), gradient.shape))


def test_derivatives_of_both_modes_agree_with_finite_differences(case, x64):
    from jax.test_util import check_grads

    x, t, settings = arrays(case, np.float64)
    # The check itself hands over NumPy arrays.
    check_grads(lambda x: sum_of(case)(jnp.asarray(x), t, settings), (x,), 2)
    check_grads(lambda numbers: sum_of(case)(x, t, jax.tree.map(jnp.asarray, numbers)), (settings,), 1)
    if case.soft:
        # Away from targets where the loss has a branch of its own.
        inner = jnp.clip(t, 0.0625, 0.875)
        check_grads(lambda t: sum_of(case)(x, jnp.asarray(t), settings), (inner,), 1)


def test_jacobians_and_hessians_are_the_closed_forms_in_both_modes(case, x64):
    x, t, settings = arrays(case, np.float64)

    def results(x):
        return case.call(x, t, **settings)

    def total(x):
        return results(x).sum()

    @jax.jit
    def matrices(x):
        first = jax.jacfwd(results)(x), jax.jacrev(results)(x)
        return first, (jax.hessian(total)(x), jax.jacrev(jax.grad(total))(x))

    gradient, second = every_loss.gradient(case).astype(float), every_loss.hessian(case).astype(float)
    wanted = np.zeros((*every_loss.value(case).shape, *x.shape))
    wanted_second = np.zeros((*x.shape, *x.shape))
    for index in np.ndindex(x.shape):
        row = index[:-1] if case.classes else index
        wanted[row][index] = gradient[index]
        wanted_second[index][row] = second[index] if case.classes else second[index][0]
    for found, exact in zip(matrices(x), (wanted, wanted_second), strict=True):
        for matrix in found:
            np.testing.assert_allclose(matrix, exact, rtol=1e-12, atol=1e-15)


# Transformations


@pytest.mark.parametrize("name", ["loss", "softmax_rows", "star"])
def test_vmap_over_every_array_gives_the_bits_of_each_call(name):
    case = CASES[name]
    x, t, settings = arrays(case)
    # Three of each, along different axes.
    many = jnp.stack([x, x + 1, x * 2], axis=1), jnp.stack([t, t, t[::-1]], axis=2)
    factors = jnp.array([1.0, 0.5, 0.25])
    mapped = jax.tree.map(lambda array: jnp.multiply.outer(factors, array), settings)

    @jax.jit
    def quantities(x, t, settings):
        return jax.value_and_grad(sum_of(case), argnums=(0, 2))(x, t, settings)

    found = jax.jit(jax.vmap(quantities, in_axes=(1, 2, 0)))(*many, mapped)
    for i in range(3):
        one = quantities(many[0][:, i], many[1][..., i], jax.tree.map(lambda array, i=i: array[i], mapped))
        jax.tree.map(lambda found, wanted, i=i: assert_same_bits(found[i], wanted), found, one)


def test_vmap_over_labels_and_over_gamma_alone_gives_the_bits_of_each_call():
    x = jnp.asarray(every_loss.LOGITS)
    labels, gammas = jnp.array([[0, 2], [1, focal_ref.IGNORE]], jnp.int8), jnp.array([0.0, 0.5, 2.0])
    for function in (focal_ref.loss_from_labels, focal_ref.softmax_loss):

        @jax.jit
        def gradient(labels, gamma, function=function):
            return jax.grad(lambda x: function(x, labels, gamma=gamma, reduction="mean"))(x)

        found = jax.jit(jax.vmap(jax.vmap(gradient, in_axes=(None, 0)), in_axes=(0, None)))(labels, gammas)
        for i, j in np.ndindex(2, 3):
            assert_same_bits(found[i, j], gradient(labels[i], gammas[j]))


def test_hessians_of_a_softmax_may_be_mapped_and_differentiated_through():
    x = jnp.asarray(np.stack([every_loss.LOGITS, every_loss.LOGITS[::-1] / 2]))
    labels, gammas = jnp.array([[0, 1], [1, 1]]), jnp.array([0.5, 2.0])

    def gradient(x, labels, gamma):
        return jax.grad(lambda x: focal_ref.softmax_loss(x, labels, gamma=gamma, reduction="sum"))(x)

    def norm(x, labels, gamma):
        return jnp.sum(gradient(x, labels, gamma) ** 2) / 2

    @jax.jit
    def one(x, labels, gamma):
        matrix = jax.jacfwd(gradient)(x, labels, gamma)
        return jnp.tensordot(matrix, gradient(x, labels, gamma), 2), jnp.tensordot(matrix, x, 2)

    @jax.jit
    def mapped(x):
        inside = jax.vmap(jax.grad(norm))(x, labels, gammas)
        outside = jax.grad(lambda x: jnp.sum(jax.vmap(norm)(x, labels, gammas)))(x)
        forward = jax.vmap(lambda x, *more: jax.jvp(lambda x: gradient(x, *more), (x,), (x,))[1])(x, labels, gammas)
        return inside, outside, forward

    # Half the squared norm of the gradient g has the gradient H g.
    of_gradient, of_x = (np.stack(products) for products in zip(*map(one, x, labels, gammas), strict=True))
    for found, wanted in zip(mapped(x), (of_gradient, of_gradient, of_x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


# Extremes


def test_no_finite_logit_gives_nan(case):
    _, t, settings = arrays(case)
    largest = float(np.finfo(np.float32).max)
    extremes = np.float32([0.0, 1e-30, -1e-30, 17.0, -89.0, 104.0, 745.0, -746.0, 1e4, -1e30, largest, -largest])
    if case.function is focal_ref.loss_from_probabilities:
        extremes = np.float32([2.0**-149, 1e-38, 1e-20, 0.05, 0.5, 1 - 2.0**-24])
    # Each of them at each target.
    x = np.stack([np.roll(extremes, shift)[:6] for shift in range(extremes.size)])
    x = jnp.asarray(x.reshape(-1, *case.logits.shape))

    @jax.jit
    def quantities(x, settings):
        def one(x):
            fixed = {"function": case.function, **settings, **case.further}
            value, gradient = jax.value_and_grad(sum_of(case))(x, t, settings)
            return value, gradient, second_derivative(x, t, **fixed), parameter_gradients(x, t, **fixed)

        return jax.vmap(one)(x)

    exponents = [name for name in settings if name.startswith(("gamma", "beta"))]
    for exponent in (0.0, 2.0**-149, 0.5, 2.0, 1e6):
        numbers = {name: jnp.full_like(settings[name], exponent) for name in exponents}
        if case.function is focal_ref.star_loss:
            numbers["gamma"] = jnp.maximum(numbers["gamma"], 2.0**-20)
        for array in jax.tree.leaves(quantities(x, {**settings, **numbers})):
            assert not np.any(np.isnan(array))


def test_an_infinite_second_derivative_leaves_the_zeros_beside_it():
    # Of |p - t|^1.5 ce where p is t.
    def total(x):
        return focal_ref.quality_focal_loss(x, jnp.array([0.5, 0.25]), beta=1.5, reduction="sum")

    matrix = jax.hessian(total)(jnp.zeros(2))
    assert matrix[0, 0] == np.inf
    assert matrix[0, 1] == matrix[1, 0] == 0.0
    assert np.isfinite(matrix[1, 1])


def test_a_subnormal_probability_is_not_taken_for_zero():
    p = np.float32([1e-40, 2.0**-149])
    found = focal_ref.loss_from_probabilities(jnp.asarray(p), jnp.ones(2), alpha=None)
    np.testing.assert_allclose(found, -np.log(p.astype(float)), rtol=1e-7)


def test_nothing_and_ignored_rows_have_losses_and_gradients_of_zero():
    ignored = jnp.full((2,), focal_ref.IGNORE)
    for function in (focal_ref.loss_from_labels, focal_ref.softmax_loss):
        for x, labels in (
            (jnp.full((2, 3), jnp.nan), ignored),
            (jnp.zeros((0, 3)), ignored[:0]),
            (jnp.zeros((2, 0)), ignored),
        ):

            def mean(x, gamma, function=function, labels=labels):
                return function(x, labels, gamma=gamma, reduction="mean")

            value, gradients = jax.value_and_grad(mean, argnums=(0, 1))(x, jnp.float32(1.5))
            assert value == gradients[1] == 0.0
            assert (gradients[0].shape, gradients[0].dtype) == (x.shape, x.dtype)
            assert not np.any(gradients[0])


# Labels


def test_the_mean_counts_what_no_label_ignores():
    x = jnp.asarray(every_loss.LOGITS)
    labels = jnp.array([1, focal_ref.IGNORE])
    for function, results in ((focal_ref.loss_from_labels, 3), (focal_ref.softmax_loss, 1)):
        mean = jax.jit(lambda x, labels, function=function: function(x, labels, reduction="mean"))(x, labels)
        total = function(x, labels, reduction="sum", normalizer=results)
        assert mean == total
        assert mean.dtype == jnp.float32


def test_unsigned_labels_have_no_codes():
    x = jnp.zeros((2, 255))
    labels = jnp.array([254, 0], jnp.uint8)
    for function in (focal_ref.loss_from_labels, focal_ref.softmax_loss):
        assert function(x, labels, reduction="mean") == function(x, labels.astype(jnp.int32), reduction="mean")


def test_a_count_beyond_what_float32_can_hold_is_exact():
    from focal_ref.adapters import adapter_named

    ones = jnp.ones(2**24 + 1, bool)
    assert float(adapter_named("jax").counted(ones, 3)) == 3 * (2**24 + 1)
    assert float(adapter_named("jax").counted(~ones, 3)) == 1.0


def test_a_gradient_of_labels_makes_no_array_beside_logits_and_result():
    x, labels = jnp.zeros((1000, 80)), jnp.zeros(1000, jnp.int32)
    gradient = jax.jit(jax.grad(lambda x: focal_ref.loss_from_labels(x, labels, reduction="sum")))
    assert gradient.lower(x).compile().memory_analysis().temp_size_in_bytes < x.size
