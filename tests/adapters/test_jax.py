"""JAX: NumPy's bits whatever XLA flushes, derivatives of both modes, and the x64 flag left as it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from focal_ref import loss, value_and_grad
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import (
    DTYPES,
    assert_same_bits,
    assert_within,
    expected,
    expected_sum,
    some_logits,
    some_soft_targets,
    some_targets,
    wide,
)

NARROW = ["float32", "float16", "bfloat16"]

every_narrow_dtype = pytest.mark.parametrize("dtype", NARROW)
sum_and_mean = pytest.mark.parametrize("reduction", ["sum", "mean"])


@pytest.fixture(autouse=True)
def the_x64_flag_is_left_as_it_was():
    before = jax.config.jax_enable_x64
    yield
    assert jax.config.jax_enable_x64 == before


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def gradient_by(transform, logits, targets, **settings):
    """The gradient of the sum by jax.grad, under a transformation of the function."""

    def total(leaf):
        return loss(leaf, targets, reduction="sum", **settings)

    return np.asarray(transform(jax.grad(total))(jnp.asarray(logits)))


def eager(function):
    return function


# The same bits as NumPy


@pytest.mark.parametrize(
    ("dtype", "gamma"),
    [("float32", 0.0), ("float32", 0.5), ("float32", 2.0), ("float16", 2.0), ("bfloat16", 0.5), ("bfloat16", 2.0)],
)
def test_values_and_gradients_have_the_bits_that_numpy_gives(dtype, targets_of, gamma):
    logits, targets = some_logits(dtype, 500), targets_of(500)
    value, gradient = value_and_grad(logits, targets, gamma=gamma)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    for found, wanted in zip(value_and_grad(x, t, gamma=gamma), (value, gradient), strict=True):
        assert_same_bits(found, wanted)
    assert_same_bits(loss(x, t, gamma=gamma), value)
    assert_same_bits(jax.jit(lambda x, t: loss(x, t, gamma=gamma))(x, t), value)
    for transform in (eager, jax.jit):
        assert_same_bits(gradient_by(transform, logits, t, gamma=gamma), gradient)


@every_narrow_dtype
@pytest.mark.parametrize("transform", [eager, jax.jit], ids=["eager", "jit"])
def test_subnormal_results_are_kept_although_xla_flushes_them(dtype, transform):
    format = FORMATS[dtype]
    # With gamma = 0 value and gradient of a right answer are about exp(-margin).
    smallest, below = -format.minimum_exponent * np.log(2), -format.minimum_ulp_exponent * np.log(2)
    logits = np.linspace(smallest, below, 60).astype(DTYPES[dtype])
    targets = np.ones(60, bool)
    value, gradient = value_and_grad(logits, targets, alpha=None, gamma=0.0)
    subnormal = (wide(value) > 0) & (wide(value) < 2.0**format.minimum_exponent)
    assert np.sum(subnormal) > 40
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    assert_same_bits(transform(lambda x: loss(x, t, alpha=None, gamma=0.0))(x), value)
    found = transform(lambda x: value_and_grad(x, t, alpha=None, gamma=0.0))(x)
    assert_same_bits(found[0], value)
    assert_same_bits(found[1], gradient)
    assert_same_bits(gradient_by(transform, logits, t, alpha=None, gamma=0.0), gradient)


def test_float64_is_within_its_bound(targets_of, x64):
    logits, targets = some_logits("float64", 1000), targets_of(1000)
    # Of the float64 results, subnormal ones come out as zero.
    ordinary = np.abs(logits) < 230
    logits, targets = logits[ordinary], targets[ordinary]
    wanted = expected(logits, targets, gamma=1.5)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    value, gradient = value_and_grad(x, t, gamma=1.5)
    assert value.dtype == jnp.float64
    assert_within(np.asarray(value), wanted["value"], 12.0)
    assert_within(np.asarray(gradient), wanted["gradient"], 12.0)
    assert_within(np.asarray(loss(x, t, gamma=1.5)), wanted["value"], 12.0)
    for transform in (eager, jax.jit):
        assert_within(gradient_by(transform, logits, t, gamma=1.5), wanted["gradient"], 12.0)


def test_x64_changes_no_bit_of_narrower_results(targets_of, x64):
    logits, targets = some_logits("float32", 300), targets_of(300)
    value, gradient = value_and_grad(logits, targets)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    assert_same_bits(loss(x, t), value)
    assert_same_bits(gradient_by(jax.jit, logits, t), gradient)


def test_fast_precision_is_within_its_bound(targets_of):
    logits, targets = some_logits("float32", 500), targets_of(500)
    ordinary = np.abs(wide(logits)) < 25
    logits, targets = logits[ordinary], targets[ordinary]
    wanted = expected(logits, targets)
    found = value_and_grad(jnp.asarray(logits), jnp.asarray(targets), precision="fast")
    normal = [np.abs(wide(exact.numbers)) > 2.0**-120 for exact in (wanted["value"], wanted["gradient"])]
    for array, name, chosen in zip(found, ("value", "gradient"), normal, strict=True):
        bound = budget("fast", FORMATS["float32"], 2.0, weighted=True)
        assert_within(np.asarray(array)[chosen], wanted[name][chosen], bound)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_arrays_of_parameters_keep_their_float64_values_with_x64_off(dtype, targets_of, array_settings):
    logits, settings = array_settings(dtype)
    targets = targets_of(120).reshape(20, 6)
    assert not jax.config.jax_enable_x64
    wanted = expected(logits, targets, **settings)
    value, gradient = value_and_grad(jnp.asarray(logits), jnp.asarray(targets), **settings)
    assert_within(np.asarray(value), wanted["value"], 0.501)
    assert_within(np.asarray(gradient), wanted["gradient"], 0.501)
    for transform in (eager, jax.jit):
        found = gradient_by(transform, logits, jnp.asarray(targets), **settings)
        assert_within(found, wanted["gradient"], 0.501)


def test_float64_soft_targets_of_numpy_keep_their_values_with_x64_off():
    logits = np.array([-1e30, 3.0, -40.0], np.float32)
    targets = np.array([1e-30, 0.1, 1 / 3])
    wanted = expected(logits, targets)["value"]
    assert_within(np.asarray(loss(jnp.asarray(logits), targets)), wanted, 0.501)
    assert_within(np.asarray(jax.jit(lambda x: loss(x, targets))(jnp.asarray(logits))), wanted, 0.501)


@pytest.mark.parametrize("kind", ["bool", "int8", "int32", "uint8", "float16", "bfloat16", "float32"])
def test_targets_of_any_dtype_are_taken(kind):
    logits, targets = some_logits("float32", 100), some_targets(100)
    found = loss(jnp.asarray(logits), jnp.asarray(targets).astype(kind))
    assert_same_bits(found, loss(logits, targets))


def test_lists_and_numbers_are_taken_as_targets():
    assert_same_bits(loss(jnp.zeros(3), [1, 0, 1]), loss(np.zeros(3, np.float32), [1, 0, 1]))
    assert loss(jnp.array(0.0), 1).shape == ()


# Reductions


@every_narrow_dtype
@sum_and_mean
def test_sums_and_means_add_the_unrounded_terms_and_are_float32_at_least(dtype, targets_of, reduction):
    logits, targets = some_logits(dtype, 5028)[28:], targets_of(5028)[28:]
    exact = expected_sum(logits, targets) / (1 if reduction == "sum" else 5000)
    for transform in (eager, jax.jit):
        found = transform(lambda x: loss(x, jnp.asarray(targets), reduction=reduction))(jnp.asarray(logits))
        assert found.dtype == jnp.float32
        assert abs(float(found) - exact) <= 0.501 * 2.0 ** (np.frexp(exact)[1] - 24)


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
def test_an_empty_loss_is_zero_with_an_empty_gradient(shape):
    empty = jnp.zeros(shape)
    assert loss(empty, empty).shape == shape
    for reduction in ("sum", "mean"):
        assert loss(empty, empty, reduction=reduction) == 0.0
        assert jax.grad(lambda x, how=reduction: loss(x, empty, reduction=how))(empty).shape == shape
    assert loss(empty, empty, reduction="sum", normalizer=3) == 0.0


def test_the_normalizer_may_be_traced_and_divides_value_and_gradient_before_their_rounding():
    logits, targets = some_logits("float32", 103)[28:], some_targets(103)[28:]
    x, t = jnp.asarray(logits), jnp.asarray(targets)

    @jax.jit
    def both(x, count):
        return jax.value_and_grad(lambda leaf: loss(leaf, t, reduction="sum", normalizer=count))(x)

    exact = expected_sum(logits, targets) / 7
    wanted = expected(logits, targets, weights=np.full(75, 1 / 7))["gradient"]
    for count in (jnp.array(7), jnp.array(7.0), 7):
        value, gradient = both(x, count)
        assert abs(float(value) - exact) <= 0.501 * 2.0 ** (np.frexp(exact)[1] - 24)
        assert_within(np.asarray(gradient), wanted, 0.501)


@pytest.mark.parametrize("count", [0.0, -1.0, np.inf, np.nan])
def test_a_traced_normalizer_out_of_range_gives_nan_and_no_plausible_number(count):
    found = jax.jit(lambda n: loss(jnp.zeros(3), jnp.ones(3), reduction="sum", normalizer=n))(count)
    assert np.isnan(found)


# Transformations


def test_vmap_gives_the_bits_of_the_rows(targets_of):
    logits, targets = some_logits("float32", 148)[28:].reshape(20, 6), targets_of(148)[28:].reshape(20, 6)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    wanted = loss(logits, targets)
    assert_same_bits(jax.vmap(loss)(x, t), wanted)
    assert_same_bits(jax.vmap(loss, in_axes=1, out_axes=1)(x, t), wanted)
    assert_same_bits(jax.vmap(loss, in_axes=(0, 1))(x, t.T), wanted)
    assert_same_bits(jax.vmap(loss, in_axes=(0, None))(x, t[0]), loss(logits, np.tile(targets[:1], (20, 1))))
    rows = np.stack([loss(row, target, reduction="sum") for row, target in zip(logits, targets, strict=True)])
    np.testing.assert_array_max_ulp(jax.vmap(lambda x, t: loss(x, t, reduction="sum"))(x, t), rows, maxulp=1)
    per_sample = jax.vmap(jax.grad(lambda x, t: loss(x, t, reduction="sum")))
    assert_same_bits(per_sample(x, t), value_and_grad(logits, targets)[1])


@pytest.mark.parametrize("name", ["alpha", "gamma", "weights"])
def test_parameters_may_be_traced_arrays_and_be_mapped_over(name):
    logits, targets = some_logits("float32", 58)[28:].reshape(5, 6), some_targets(58)[28:].reshape(5, 6)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    for shape in ((4,), (4, 6)):
        settings = np.random.default_rng(2).random(shape).astype(np.float32)

        def value(one):
            return loss(x, t, **{name: one})

        def gradient(one):
            return jax.grad(lambda leaf: loss(leaf, t, reduction="sum", **{name: one}))(x)

        wanted = [expected(logits, targets, **{name: one}) for one in settings]
        assert_within(np.asarray(jax.jit(value)(settings[0])), wanted[0]["value"], 0.501)
        values, gradients = jax.vmap(value)(settings), jax.vmap(gradient)(settings)
        for index in range(4):
            assert_within(np.asarray(values[index]), wanted[index]["value"], 0.501)
            assert_within(np.asarray(gradients[index]), wanted[index]["gradient"], 0.501)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_first_and_second_derivatives_are_the_closed_forms_in_both_modes(dtype, request):
    targets_of = some_targets
    if dtype == "float64":
        request.getfixturevalue("x64")
        targets_of = some_soft_targets
    logits, targets = some_logits(dtype, 40)[28:], targets_of(40)[28:]
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    wanted = expected(logits, targets)
    gradient, second = wanted["gradient"], wanted["second_derivative"]
    bound = 13.0 if dtype == "float64" else 0.501

    def total(leaf):
        return loss(leaf, t, reduction="sum")

    def elements(leaf):
        return loss(leaf, t)

    assert_within(np.asarray(jax.grad(total)(x)), gradient, bound)
    for jacobian in (jax.jacfwd(elements)(x), jax.jacrev(elements)(x)):
        assert_within(np.diagonal(jacobian), gradient, bound)
        assert np.count_nonzero(jacobian) <= 12
    for matrix in (jax.hessian(total)(x), jax.jacrev(jax.jacrev(total))(x)):
        assert_within(np.diagonal(matrix), second, bound)
        assert np.count_nonzero(matrix) <= 12
    assert_within(np.asarray(jax.grad(lambda leaf: jnp.sum(jax.grad(total)(leaf)))(x)), second, bound)
    value, tangent = jax.jvp(elements, (x,), (jnp.full(12, 2.0, dtype),))
    assert_within(np.asarray(value), wanted["value"], bound)
    assert_within(np.asarray(tangent) / 2, gradient, bound)
    value, tangent = jax.jvp(total, (x,), (jnp.ones(12, dtype),))
    np.testing.assert_allclose(tangent, wide(gradient.numbers).sum(), rtol=1e-13 if dtype == "float64" else 1e-6)


def test_derivatives_agree_with_finite_differences(x64):
    from jax.test_util import check_grads

    targets = jnp.asarray(some_soft_targets(6))
    for reduction in ("none", "mean"):
        # The check itself hands over NumPy arrays.
        check_grads(
            lambda x, how=reduction: loss(jnp.asarray(x), targets, gamma=1.5, reduction=how),
            (jnp.linspace(-3, 3, 6),),
            2,
        )


def test_an_upstream_gradient_multiplies_the_closed_form_with_one_rounding():
    logits, targets = some_logits("float32", 100)[28:], some_targets(100)[28:]
    upstream = np.random.default_rng(7).uniform(0.1, 3.0, 72).astype(np.float32)
    _, pullback = jax.vjp(lambda x: loss(x, jnp.asarray(targets)), jnp.asarray(logits))
    # The closed form has been rounded to float32 already: two roundings in all.
    wanted = expected(logits, targets, weights=upstream)["gradient"]
    assert_within(np.asarray(pullback(jnp.asarray(upstream))[0]), wanted, 1.51)


def test_rematerialisation_and_scan_change_no_bit_of_the_gradient():
    logits, targets = some_logits("float32", 148)[28:].reshape(20, 6), some_targets(148)[28:].reshape(20, 6)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    wanted = value_and_grad(logits, targets)[1]

    @jax.checkpoint
    def rematerialised(leaf):
        return loss(leaf, t, reduction="sum")

    def scanned(leaf):
        def step(total, row):
            return total + loss(row[0], row[1], reduction="sum"), None

        return jax.lax.scan(step, jnp.float32(0), (leaf, t))[0]

    for function in (rematerialised, scanned):
        for transform in (eager, jax.jit):
            assert_same_bits(transform(jax.grad(function))(x), wanted)


def test_nan_and_infinities_stay_in_their_elements():
    logits = np.array([0.0, np.nan, np.inf, -np.inf, 1.0], np.float32)
    targets = np.ones(5, bool)
    for transform in (eager, jax.jit):
        assert_same_bits(gradient_by(transform, logits, targets), value_and_grad(logits, targets)[1])


def test_an_element_of_weight_zero_has_no_gradient_even_where_its_loss_is_infinite():
    logits, targets = np.array([np.inf, -np.inf, -np.inf], np.float32), np.array([0, 1, 1])
    assert gradient_by(jax.jit, logits, targets, weights=np.array([0, 0, 1.0])).tolist() == [0.0, 0.0, -0.25]
    assert gradient_by(jax.jit, logits, targets, alpha=0.0).tolist() == [1.0, 0.0, 0.0]


# What is constant, and what gives NaN


def test_parameters_behind_stop_gradient_are_constants():
    def total(x):
        alpha = jax.lax.stop_gradient(jax.nn.sigmoid(x))
        return loss(x, jnp.ones(3), alpha=alpha, reduction="sum")

    x = jnp.array([-1.0, 0.0, 1.0])
    wanted = expected(np.asarray(x), np.ones(3), alpha=np.asarray(jax.nn.sigmoid(x)))["gradient"]
    assert_within(np.asarray(jax.grad(total)(x)), wanted, 0.501)


def test_value_and_grad_records_no_derivative():
    zero = jax.grad(lambda x: value_and_grad(x, jnp.ones(3))[0].sum())(jnp.zeros(3))
    assert np.all(zero == 0)


@pytest.mark.parametrize("transform", [eager, jax.jit], ids=["eager", "jit"])
@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("targets", [0.0, 1.5, 1.0]),
        ("targets", [0.5, np.nan, 1.0]),
        ("targets", [0, 2, 1]),
        ("targets", [0, -1, 1]),
        ("alpha", [0.5, 1.5, 0.25]),
        ("gamma", [0.5, -1.0, 0.25]),
        ("gamma", [0.5, np.inf, 0.25]),
        ("weights", [0.5, -1.0, 0.25]),
        ("weights", [0.5, np.inf, 0.25]),
    ],
)
def test_invalid_data_give_nan_in_their_element_and_its_gradient_only(transform, name, values):
    settings = {"targets": jnp.ones(3), name: jnp.asarray(values)}
    targets = settings.pop("targets")
    x = jnp.array([0.5, -2.0, 1.0])
    value = transform(lambda x: loss(x, targets, **settings))(x)
    gradient = transform(jax.grad(lambda x: loss(x, targets, reduction="sum", **settings)))(x)
    both = transform(lambda x: value_and_grad(x, targets, **settings))(x)
    for result in (value, gradient, *both):
        assert np.isnan(result).tolist() == [False, True, False]
    assert np.isnan(loss(x, targets, reduction="sum", **settings))


def test_invalid_data_without_dimensions_give_nan_everywhere():
    for settings in ({"alpha": jnp.array(1.5)}, {"gamma": jnp.array(-1.0)}, {"weights": jnp.array(-1.0)}):
        assert np.all(np.isnan(loss(jnp.zeros(3), jnp.ones(3), **settings)))


# Compilation, devices, the flag


def test_new_data_of_the_same_shape_are_not_traced_again():
    traces = []

    @jax.jit
    def step(x, t, alpha):
        traces.append(x.shape)
        return jax.value_and_grad(lambda leaf: loss(leaf, t, alpha=alpha, reduction="mean"))(x)

    for seed in range(4):
        x = jnp.asarray(some_logits("float32", 12, seed=seed))
        step(x, jnp.asarray(some_targets(12, seed=seed)), jnp.float32(0.1 * seed))
    assert traces == [(12,)]


def test_eager_calls_with_new_data_of_the_same_shape_compile_nothing_again():
    from jax._src import test_util

    def call(seed):
        x, t = jnp.asarray(some_logits("float32", 13, seed=seed)), jnp.asarray(some_targets(13, seed=seed))
        loss(x, t).block_until_ready()
        jax.grad(lambda leaf: loss(leaf, t, reduction="sum"))(x).block_until_ready()

    call(0)
    with test_util.count_jit_and_pmap_lowerings() as lowerings:
        call(1)
    assert lowerings() == 0


@pytest.mark.parametrize("flag", [False, True])
def test_the_x64_flag_is_the_same_after_every_kind_of_call_and_after_an_error(flag):
    with jax.enable_x64(flag):
        x, t = jnp.zeros(3, jnp.float32), jnp.ones(3, jnp.float32)
        loss(x, t, alpha=np.full(3, 0.5))
        value_and_grad(x, t)
        jax.jit(jax.grad(lambda x: loss(x, t, reduction="mean")))(x)
        jax.hessian(lambda x: loss(x, t, reduction="sum"))(x)
        for settings in ({"alpha": 2.0}, {"gamma": "x"}, {"weights": np.ones(4)}, {"weights": np.full(3, 1j)}):
            with pytest.raises((TypeError, ValueError)):
                loss(x, t, **settings)
        with pytest.raises(TypeError):
            jax.grad(lambda t: loss(x, t, encoding="signed", reduction="sum"))(t)
        assert jax.config.jax_enable_x64 == flag
        assert jnp.zeros(1).dtype == (jnp.float64 if flag else jnp.float32)


def test_an_error_inside_the_x64_scope_leaves_the_flag(monkeypatch):
    from focal_ref.adapters import _jax_compute as adapter

    def fail(*_):
        assert jax.config.jax_enable_x64
        raise RuntimeError("inside")

    monkeypatch.setattr(adapter, "_compiled", fail)
    with pytest.raises(RuntimeError, match="inside"):
        loss(jnp.zeros(3), jnp.ones(3))
    assert not jax.config.jax_enable_x64


def test_results_are_jax_arrays_on_the_device_of_the_logits():
    x = jax.device_put(jnp.zeros(3), jax.devices()[0])
    for result in (loss(x, np.ones(3)), *value_and_grad(x, np.ones(3)), loss(x, np.ones(3), reduction="sum")):
        assert isinstance(result, jax.Array)
        assert result.devices() == x.devices()


def test_soft_targets_and_gamma_below_one_train_down_under_jit():
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(32, 4)), jnp.float32)
    targets = jnp.asarray(some_soft_targets(32)[:, None])

    @jax.jit
    def step(weights):
        value, gradient = jax.value_and_grad(
            lambda w: loss(features @ w, targets, gamma=0.5, alpha=None, reduction="mean")
        )(weights)
        return value, weights - 0.5 * gradient

    weights, values = jnp.full((4, 1), 2.0), []
    for _ in range(30):
        value, weights = step(weights)
        values.append(float(value))
    assert values[-1] < 0.7 * values[0]
