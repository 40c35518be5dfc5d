"""JAX: derivatives in gamma and its like, second derivatives through control flow, and what is refused."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import focal_ref
from focal_ref import loss, parameter_gradients, second_derivative, softmax_loss, star_loss

from ..comparison import assert_same_bits, expected, some_logits, some_targets


@pytest.fixture(autouse=True)
def the_x64_flag_is_left_as_it_was():
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before


def total(x, t, **settings):
    return loss(x, t, reduction="sum", **settings)


def gamma_slope(logits, targets, gamma):
    """d/d gamma of the sum, from the definition: -alpha_t q^gamma (log 1/p) (log 1/q)."""
    with mpmath.workdps(40):
        terms = []
        for x, t in zip(logits, targets, strict=True):
            q = 1 / (1 + mpmath.exp(mpmath.mpf(float(x if t else -x))))
            terms.append((1 if t else 3) * q ** mpmath.mpf(float(gamma)) * mpmath.log(1 - q) * -mpmath.log(q) / 4)
        return mpmath.fsum(terms)


def off_by(found, exact):
    """How many units in the last place of float32."""
    return abs(float((mpmath.mpf(float(found)) - exact) / mpmath.ldexp(1, mpmath.frexp(exact)[1] - 24)))


# First derivatives


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_derivative_of_a_sum_in_gamma_adds_unrounded_terms(dtype):
    logits, targets = some_logits(dtype, 600)[28:], some_targets(600)[28:]
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    found = jax.grad(lambda gamma: total(x, t, gamma=gamma))(1.5)
    assert found.dtype == jnp.float32
    assert off_by(found, gamma_slope(logits, targets, 1.5)) <= 0.501
    value, tangent = jax.jvp(lambda gamma: total(x, t, gamma=gamma), (1.5,), (2.0,))
    assert_same_bits(value, total(x, t, gamma=jnp.float32(1.5)))
    assert_same_bits(tangent, 2 * found)


def test_gamma_trains_and_begins_with_the_derivative_of_the_definition():
    logits, targets = some_logits("float32", 60)[28:], some_targets(60)[28:]
    x, t = jnp.asarray(logits), jnp.asarray(targets)

    @jax.jit
    def step(gamma):
        return jax.value_and_grad(lambda gamma: loss(x, t, gamma=gamma, reduction="mean") + 0.01 * gamma**2)(gamma)

    gamma, values = jnp.float32(0.5), []
    for index in range(8):
        value, gradient = step(gamma)
        if index == 0:
            assert off_by(gradient - 0.01, gamma_slope(logits, targets, 0.5) / 32) <= 2
        values.append(float(value))
        gamma = gamma - 2.0 * gradient
    assert values == sorted(values, reverse=True)
    assert gamma > 1.0


def test_a_subnormal_derivative_in_gamma_is_kept_although_xla_flushes_it():
    x, ones = np.float32([30.0]), np.ones(1, bool)
    wanted = parameter_gradients(x, ones, gamma=2.0)["gamma"]
    assert 0 < abs(float(wanted[0])) < np.finfo(np.float32).tiny
    assert_same_bits(parameter_gradients(jnp.asarray(x), ones, gamma=2.0)["gamma"], wanted)
    assert_same_bits(jax.grad(lambda gamma: total(jnp.asarray(x), ones, gamma=gamma))(2.0), wanted[0])


def test_a_normalizer_has_the_derivative_of_a_quotient():
    logits, targets = some_logits("float32", 40)[28:], some_targets(40)[28:]
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    found = jax.grad(lambda count: total(x, t, normalizer=count))(7.0)
    np.testing.assert_allclose(found, -np.float64(loss(logits.astype(float), targets, reduction="sum")) / 49, rtol=1e-7)
    # It divides the derivatives too.
    found = jax.grad(lambda gamma: total(x, t, gamma=gamma, normalizer=jnp.float32(7)))(1.5)
    assert off_by(found, gamma_slope(logits, targets, 1.5) / 7) <= 0.501


def test_a_directional_derivative_of_a_sum_is_added_up_before_it_is_rounded():
    logits, targets = some_logits("float32", 540)[28:], some_targets(540)[28:]
    direction = np.random.default_rng(4).normal(size=512).astype(np.float32)
    _, tangent = jax.jvp(lambda x: total(x, jnp.asarray(targets)), (jnp.asarray(logits),), (jnp.asarray(direction),))
    terms = [float(g) * float(v) for g, v in zip(expected(logits, targets)["gradient"].numbers, direction, strict=True)]
    assert off_by(tangent, mpmath.fsum(terms)) <= 0.501


def test_directions_of_all_arguments_add_up_and_both_modes_agree():
    arrays = jnp.array([0.5, -2.0, 1.0]), jnp.array([0.25, 0.5, 1.0]), jnp.full(3, 0.75), jnp.float32(1.5), jnp.ones(3)
    ones = jax.tree.map(jnp.ones_like, arrays)

    def elements(x, t, alpha, gamma, weights):
        return loss(x, t, alpha=alpha, gamma=gamma, weights=weights)

    jacobians = jax.jit(jax.jacrev(elements, argnums=range(5)))(*arrays)
    wanted = sum(np.sum(np.reshape(jacobian, (3, -1)), axis=1) for jacobian in jacobians)
    for function, exact in ((elements, wanted), (lambda *arrays: elements(*arrays).sum(), wanted.sum())):
        np.testing.assert_allclose(jax.jit(lambda *a, f=function: jax.jvp(f, a, ones)[1])(*arrays), exact, rtol=2e-6)


def test_labels_and_booleans_have_tangents_of_nothing():
    x, labels = jnp.array([[0.5, -2.0, 1.0]]), jnp.array([1])
    nothing = np.zeros((1,), jax.dtypes.float0)
    for function in (focal_ref.loss_from_labels, softmax_loss):
        _, tangent = jax.jvp(function, (x, labels), (jnp.ones_like(x), nothing))
        _, alone = jax.jvp(lambda x, function=function: function(x, labels), (x,), (jnp.ones_like(x),))
        assert_same_bits(tangent, alone)
    assert jax.grad(lambda t: total(x, t), allow_int=True)(x > 0).dtype == jax.dtypes.float0


def test_closed_forms_record_no_derivative():
    x, t = jnp.array([0.5, -2.0, 1.0]), jnp.ones(3)
    for closed in (second_derivative, lambda *arrays: parameter_gradients(*arrays)["gamma"]):
        assert not np.any(jax.grad(lambda x, closed=closed: jnp.sum(closed(x, t)))(x))


# Second derivatives


@pytest.mark.parametrize("function", [loss, softmax_loss])
def test_a_hessian_through_scan_checkpoint_and_cond_is_the_same(function):
    x = jnp.asarray(some_logits("float32", 34)[28:].reshape(2, 3))
    t = jnp.array([[1, 0, 1], [0, 1, 0]]) if function is loss else jnp.array([2, 0])

    def added(x):
        return function(x, t, reduction="sum")

    def scanned(x):
        def step(carry, row):
            return carry + function(row[0][None], row[1][None], reduction="sum"), None

        return jax.lax.scan(step, jnp.float32(0), (x, t))[0]

    def chosen(x):
        return jax.lax.cond(x[0, 0] < 100, added, lambda x: x.sum(), x)

    @jax.jit
    def hessians(x):
        return [jax.hessian(form)(x) for form in (added, scanned, chosen, jax.checkpoint(added))]

    wanted, *others = hessians(x)
    assert np.count_nonzero(wanted) == (6 if function is loss else 18)
    for found in others:
        assert_same_bits(found, wanted)


@pytest.mark.parametrize("function", [loss, softmax_loss])
def test_derivatives_inside_and_outside_of_a_shard_map_are_the_same(function):
    from jax.sharding import AxisType, PartitionSpec

    x = jnp.asarray(some_logits("float32", 34)[28:].reshape(2, 3))
    t = jnp.array([[1, 0, 1], [0, 1, 0]]) if function is loss else jnp.array([2, 0])
    rows, everywhere = PartitionSpec("device"), PartitionSpec()

    def added(x, t, gamma):
        return function(x, t, gamma=gamma, reduction="sum")

    def derivatives(x, t, gamma):
        gradients = jax.grad(added, argnums=(0, 2))(x, t, gamma)
        return gradients, jax.jvp(lambda x: jax.grad(added)(x, t, gamma), (x,), (x,))[1]

    # One device has the types of many.
    mesh = jax.make_mesh((1,), ("device",), axis_types=(AxisType.Auto,))
    specs = (rows, rows, everywhere)
    inside = jax.shard_map(derivatives, mesh=mesh, in_specs=specs, out_specs=((rows, everywhere), rows))
    outside = jax.shard_map(
        lambda *arrays: jax.lax.psum(added(*arrays), "device"), mesh=mesh, in_specs=specs, out_specs=everywhere
    )
    wanted = jax.jit(derivatives)(x, t, jnp.float32(1.5))
    jax.tree.map(assert_same_bits, jax.jit(inside)(x, t, jnp.float32(1.5)), wanted)
    found = jax.jit(jax.grad(outside, argnums=(0, 2)))(x, t, jnp.float32(1.5))
    jax.tree.map(assert_same_bits, found, wanted[0])


# What is refused

X, T = np.float32([0.5, -2.0, 1.0]), np.float32([1.0, 0.0, 1.0])

REFUSED = {
    "targets of FL*": (
        lambda: jax.grad(lambda t: star_loss(jnp.asarray(X), t, reduction="sum"))(T),
        "targets: got a derivative with respect to targets; this loss is defined for classes alone, "
        "pass jax.lax.stop_gradient(targets)",
    ),
    "signed targets": (
        lambda: jax.grad(lambda t: total(jnp.asarray(X), t, encoding="signed"))(2 * T - 1),
        "targets: got a derivative with respect to targets; signed targets are classes; encode soft ones as numbers "
        "from 0 to 1, pass jax.lax.stop_gradient(targets)",
    ),
    "logits then gamma": (
        lambda: jax.jacfwd(lambda gamma: jax.grad(lambda x: total(x, T, gamma=gamma))(X))(1.5),
        "gamma: got a second derivative with respect to gamma; second derivatives exist in the logits alone, "
        "pass jax.lax.stop_gradient(gamma)",
    ),
    "gamma then logits": (
        lambda: jax.grad(lambda x: jax.grad(lambda gamma: total(x, T, gamma=gamma))(1.5))(jnp.asarray(X)),
        "gamma: got a second derivative with respect to gamma; second derivatives exist in the logits alone, "
        "pass jax.lax.stop_gradient(gamma)",
    ),
    "alpha twice": (
        lambda: jax.hessian(lambda alpha: total(jnp.asarray(X), T, alpha=alpha))(0.5),
        "alpha: got a second derivative with respect to alpha; second derivatives exist in the logits alone, "
        "pass jax.lax.stop_gradient(alpha)",
    ),
    "shares then logits of a softmax": (
        lambda: jax.jacfwd(lambda t: jax.grad(lambda x: softmax_loss(x, t, reduction="sum"))(X))(jnp.asarray(T)),
        "labels: got a second derivative with respect to labels; second derivatives exist in the logits alone, "
        "pass jax.lax.stop_gradient(labels)",
    ),
    "third": (
        lambda: jax.grad(lambda x: jnp.sum(jax.hessian(lambda x: total(x, T))(x)))(jnp.asarray(X)),
        "logits: got a third derivative; the loss is differentiable twice",
    ),
    "third of a softmax": (
        lambda: jax.grad(lambda x: jnp.sum(jax.hessian(lambda x: softmax_loss(x, 1))(x)))(jnp.asarray(X)),
        "logits: got a third derivative; the loss is differentiable twice",
    ),
}


@pytest.mark.parametrize("transform", [lambda function: function, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize("name", REFUSED)
def test_derivatives_that_do_not_exist_are_refused(name, transform):
    derivative, text = REFUSED[name]
    with pytest.raises(TypeError) as raised:
        transform(derivative)()
    assert str(raised.value) == text


# Compilation


def test_new_numbers_compile_nothing_again():
    from jax._src import test_util

    x, t = jnp.asarray(some_logits("float32", 14)), jnp.asarray(some_targets(14))

    def call(gamma, beta):
        jax.grad(lambda x: star_loss(x, t, alpha=gamma / 10, gamma=gamma, beta=beta, reduction="sum"))(x)
        parameter_gradients(x, t, function=star_loss, gamma=gamma, beta=beta)

    call(1.5, 0.5)
    with test_util.count_jit_and_pmap_lowerings() as lowerings:
        call(2.0, -1.0)
        call(3.7, 0.0)
    assert lowerings() == 0
