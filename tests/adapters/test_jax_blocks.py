"""JAX in blocks: the same results as without, whatever the shapes, and sums within their bound."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad
from focal_ref.adapters._jax_blocks import blocks_of, in_blocks

from ..comparison import assert_same_bits


@pytest.fixture(autouse=True)
def x64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(
    ("outer", "inner", "shapes", "size"),
    [
        ((103,), (), [(103,)], 16),
        ((103,), (), [(103,), (1,)], 16),
        ((1, 103, 1), (), [(1, 103, 1)], 16),
        ((20, 7), (), [(20, 7), (1, 7)], 16),
        ((20, 7), (), [(20, 7), (20, 1)], 16),
        ((3, 5, 11), (), [(3, 5, 11), (1, 5, 1), (3, 1, 1)], 16),
        ((3, 5, 11), (), [(3, 5, 11), (1, 1, 11)], 4),
        ((50, 2, 3), (), [(50, 2, 3)], 32),
        ((19,), (6,), [(19, 6), (19,)], 25),
        ((4, 19), (6,), [(4, 19, 6), (1, 19), (4, 1, 6)], 25),
        ((5,), (40,), [(5, 40)], 16),
    ],
)
def test_results_and_sums_are_those_of_the_whole_array(outer, inner, shapes, size):
    generator = np.random.default_rng(1)
    operands = [generator.normal(size=shape) for shape in shapes]

    def padded(array, rank):
        return array.reshape(array.shape + (1,) * (rank - array.ndim))

    def function(*arrays):
        rank = max(array.ndim for array in arrays)
        product = math.prod(padded(array, rank) for array in arrays)
        return product, product, product.astype("float32")

    blocks = blocks_of(operands, outer, size)
    assert blocks is not None
    assert math.prod(blocks.lengths[: blocks.axis]) * blocks.chunks > 1
    total, each, narrow = jax.jit(
        lambda: in_blocks(function, [*map(jnp.asarray, operands)], blocks, [True, False, False])
    )()
    wanted, _, wanted_narrow = function(*operands)
    assert each.shape == (*outer, *inner)
    np.testing.assert_array_equal(each, wanted)
    np.testing.assert_array_equal(narrow, wanted_narrow)
    exact = math.fsum(wanted.ravel())
    assert abs(float(total) - exact) <= math.ulp(math.fsum(np.abs(wanted).ravel()))


def test_an_array_of_no_more_than_a_block_is_not_divided():
    assert blocks_of([np.zeros(16)], (16,), 16) is None
    assert blocks_of([np.zeros((0, 3))], (0, 3), 16) is None
    assert blocks_of([np.zeros(()), np.zeros(())], (), 16) is None


def test_a_sum_of_many_blocks_loses_less_than_the_sum_by_halving_may():
    # Each further block is less than half a unit of the first: without what was rounded away, all of them are lost.
    terms = np.full(8 * 4096, 2.0**-54)
    terms[:8] = 1 / 8
    blocks = blocks_of([terms], terms.shape, 8)
    (total,) = jax.jit(lambda x: in_blocks(lambda block: (block,), [x], blocks, [True]))(terms)
    assert float(total) == math.fsum(terms)


@pytest.mark.parametrize(
    ("values", "wanted"), [([np.inf, 1.0], np.inf), ([np.nan, 1.0], np.nan), ([1e308, 1e308], np.inf)]
)
def test_infinite_and_undefined_terms_give_infinite_and_undefined_sums(values, wanted):
    terms = np.tile(values, 64)
    blocks = blocks_of([terms], terms.shape, 8)
    (total,) = jax.jit(lambda x: in_blocks(lambda block: (block,), [x], blocks, [True]))(terms)
    np.testing.assert_equal(float(total), wanted)


def batch(dtype, rows, classes, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(-2.0, 6.0, (rows, classes)).astype(jnp.dtype(dtype))
    return logits, generator.integers(-2, classes, rows).astype(np.int32)


def some_sum(terms):
    """The sum of float64 terms, correctly rounded, and the unit in the last place of float32 there."""
    exact = math.fsum(np.asarray(terms, np.float64).ravel())
    return exact, float(np.spacing(np.float32(exact)))


@pytest.mark.parametrize(
    ("dtype", "settings"),
    [
        ("float32", {"gamma": 1.5, "weights": np.random.default_rng(4).uniform(0.5, 2.0, (503, 1))}),
        ("bfloat16", {}),
        ("float16", {"alpha": np.linspace(0.1, 0.9, 80)}),
    ],
)
def test_labels_in_blocks_have_the_gradient_bits_of_numpy_and_its_sum(dtype, settings):
    logits, labels = batch(dtype, 503, 80)
    y = jnp.asarray(labels)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: loss_from_labels(x, y, reduction="sum", **settings)))(
        jnp.asarray(logits)
    )
    assert_same_bits(gradient, value_and_grad(logits, labels, function=loss_from_labels, **settings)[1])
    exact, unit = some_sum(loss_from_labels(logits.astype(np.float64), labels, **settings))
    assert abs(float(value) - exact) <= 0.501 * unit


@pytest.mark.parametrize("shape", [(40009,), (2, 203, 101), (16385, 3)])
def test_dense_targets_in_blocks_have_the_bits_of_numpy(shape):
    logits = np.random.default_rng(2).normal(-1.0, 5.0, shape).astype(np.float32)
    targets = np.random.default_rng(3).random(shape) < 0.2
    wanted = value_and_grad(logits, targets)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    for found, one in zip(value_and_grad(x, t), wanted, strict=True):
        assert_same_bits(found, one)
    value, gradient = jax.jit(jax.value_and_grad(lambda x: loss(x, t, reduction="sum")))(x)
    assert_same_bits(gradient, wanted[1])
    exact, unit = some_sum(loss(logits.astype(np.float64), targets))
    assert abs(float(value) - exact) <= 0.501 * unit


def test_softmax_in_blocks_has_the_bits_of_numpy():
    logits, labels = batch("float32", 300, 91)
    labels = np.maximum(labels, 0)
    x, y = jnp.asarray(logits), jnp.asarray(labels)
    wanted = value_and_grad(logits, labels, function=softmax_loss)
    assert_same_bits(softmax_loss(x, y), wanted[0])
    value, gradient = jax.jit(jax.value_and_grad(lambda x: softmax_loss(x, y, reduction="sum")))(x)
    assert_same_bits(gradient, wanted[1])
    exact, unit = some_sum(softmax_loss(logits.astype(np.float64), labels))
    assert abs(float(value) - exact) <= 0.501 * unit


def test_blocks_work_under_vmap_and_in_shards():
    logits, labels = batch("float32", 900, 80)
    x, y = jnp.asarray(logits).reshape(2, 450, 80), jnp.asarray(labels).reshape(2, 450)
    wanted = value_and_grad(logits, labels, function=loss_from_labels)[1]

    def total(x, y):
        return loss_from_labels(x, y, reduction="sum")

    per_picture = jax.jit(jax.vmap(jax.value_and_grad(total)))(x, y)
    assert_same_bits(per_picture[1].reshape(900, 80), wanted)
    assert_same_bits(per_picture[0], jnp.stack([total(x[0], y[0]), total(x[1], y[1])]))

    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("data")

    @jax.jit
    @jax.shard_map(mesh=mesh, in_specs=(spec, spec), out_specs=spec)
    def gradient(x, y):
        return jax.grad(total)(x, y)

    assert_same_bits(gradient(jnp.asarray(logits), jnp.asarray(labels)), wanted)


def test_the_derivative_of_a_sum_with_respect_to_a_number_is_added_in_blocks():
    logits, labels = batch("float32", 503, 80)
    targets = labels[:, None] == np.arange(80)
    x, t = jnp.asarray(logits), jnp.asarray(targets)
    found = float(jax.jit(jax.grad(lambda gamma: loss(x, t, gamma=gamma, reduction="sum")))(jnp.float64(0.7)))
    step = 1e-4
    above, below = (math.fsum(loss(logits.astype(float), targets, gamma=0.7 + h).ravel()) for h in (step, -step))
    np.testing.assert_allclose(found, (above - below) / (2 * step), rtol=1e-6)
