"""Inside of jax.shard_map each device sees its part; the caller adds sums and counts over the devices."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad

from ...comparison import assert_same_bits
from .meshes import EVERYWHERE, PLACEMENTS, classes_of_rows, hard, labels, logits, mesh_of


def mapped(function, placement, *outputs, axes=("devices",)):
    """The function of the parts of logits and targets, compiled."""
    spec = PLACEMENTS[placement]
    specs = (spec, PartitionSpec(*spec[:2]))
    return jax.jit(jax.shard_map(function, mesh=mesh_of(*axes), in_specs=specs, out_specs=outputs))


@pytest.mark.parametrize("placement", ["batch", "anchors"])
def test_each_loss_and_its_gradient_have_the_bits_of_one_device(placement):
    spec = PLACEMENTS[placement]
    x, y = logits(), labels()
    function = lambda x, y: (loss_from_labels(x, y), value_and_grad(x, x > 1)[1])  # noqa: E731
    found = mapped(function, placement, spec, spec)(x, y)
    wanted = jax.jit(function)(x, y)
    jax.tree.map(assert_same_bits, found, wanted)


def test_with_classes_divided_dense_targets_are_divided_alike():
    spec = PLACEMENTS["classes"]
    divided = partial(jax.shard_map, mesh=mesh_of("devices"), in_specs=(spec, spec))

    def total(x, t):
        return jax.lax.psum(loss(x, t, reduction="sum"), "devices")

    wanted = jax.jit(lambda x, t: loss(x, t, reduction="sum"))(logits(), hard())
    assert float(jax.jit(divided(total, out_specs=EVERYWHERE))(logits(), hard())) == pytest.approx(
        float(wanted), rel=2.0**-21
    )


@pytest.mark.parametrize(("function", "targets"), [(loss_from_labels, labels), (softmax_loss, classes_of_rows)])
def test_the_recipe_gives_the_loss_and_gradient_of_one_device(function, targets):
    # As in docs/distributed-jax.md.
    def of_device(x, y):
        positives = jax.lax.psum(jnp.sum(y >= 0), "devices")
        normalizer = jnp.maximum(positives, 1)
        value, gradient = jax.value_and_grad(lambda x: function(x, y, reduction="sum", normalizer=normalizer))(x)
        return jax.lax.psum(value, "devices"), gradient

    x, y = logits(), targets()
    # The positives of the first two pictures, and none elsewhere.
    y[2:] = -2
    value, gradient = mapped(of_device, "batch", EVERYWHERE, PLACEMENTS["batch"])(x, y)

    def total(x):
        return function(x, y, reduction="sum", normalizer=jnp.maximum(jnp.sum(y >= 0), 1))

    wanted, wanted_gradient = jax.jit(jax.value_and_grad(total))(x)
    # Eight sums were rounded to float32, and added.
    assert float(value) == pytest.approx(float(wanted), rel=8 * 2.0**-24)
    assert_same_bits(gradient, wanted_gradient)


def test_a_gradient_of_the_sum_over_devices_flows_into_parameters_that_all_share():
    spec = PLACEMENTS["batch"]

    @partial(jax.shard_map, mesh=mesh_of("devices"), in_specs=(EVERYWHERE, spec, spec), out_specs=EVERYWHERE)
    def of_devices(scale, x, y):
        positives = jnp.maximum(jax.lax.psum(jnp.sum(y >= 0), "devices"), 1)
        return jax.lax.psum(loss_from_labels(scale * x, y, reduction="sum", normalizer=positives), "devices")

    def of_one(scale, x, y):
        return loss_from_labels(scale * x, y, reduction="sum", normalizer=jnp.maximum(jnp.sum(y >= 0), 1))

    x, y = logits(), labels()
    found, wanted = (jax.jit(jax.value_and_grad(one))(jnp.float32(0.5), x, y) for one in (of_devices, of_one))
    # Products of float32 numbers, added in another order.
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_with_some_axes_of_the_mesh_left_to_xla_the_numbers_are_the_same():
    def of_device(x, y):
        return jax.lax.psum(loss_from_labels(x, y, reduction="sum"), "rows")

    spec = PartitionSpec("rows")
    some = jax.shard_map(
        of_device, mesh=mesh_of("rows", "columns"), in_specs=(spec, spec), out_specs=EVERYWHERE, axis_names={"rows"}
    )
    x, y = logits(), labels()
    wanted = jax.jit(lambda x, y: loss_from_labels(x, y, reduction="sum"))(x, y)
    assert float(jax.jit(some)(x, y)) == pytest.approx(float(wanted), rel=8 * 2.0**-24)
