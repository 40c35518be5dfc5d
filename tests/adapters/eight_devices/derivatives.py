"""Derivatives of divided arrays have the bits that one device gives, and are divided as their arrays."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from focal_ref import loss, loss_from_labels, second_derivative, softmax_loss, value_and_grad

from ...comparison import assert_same_bits
from .meshes import CLASSES, PLACEMENTS, classes_of_rows, hard, labels, logits, mesh_of, placed

every_placement = pytest.mark.parametrize("placement", PLACEMENTS)


def mean_and_gradient(function):
    return jax.value_and_grad(lambda x, y: function(x, y, reduction="mean"))


DERIVATIVES = {
    "mean, dense": (mean_and_gradient(loss), hard),
    "mean, labels": (mean_and_gradient(loss_from_labels), labels),
    "mean, softmax": (mean_and_gradient(softmax_loss), classes_of_rows),
    "value_and_grad": (value_and_grad, hard),
    "value_and_grad of the mean": (lambda x, y: value_and_grad(x, y, reduction="mean"), hard),
}
INSIDE = {
    "of each": (jax.grad(lambda x, y: jnp.sum(loss_from_labels(x, y) ** 2)), labels),
    "second": (second_derivative, hard),
    "forward": (lambda x, y: jax.jvp(lambda x: loss(x, y, reduction="sum"), (x,), (jnp.ones_like(x),)), hard),
    "Hessian times a direction": (
        lambda x, y: jax.jvp(jax.grad(lambda x: softmax_loss(x, y, reduction="sum")), (x,), (jnp.ones_like(x),)),
        classes_of_rows,
    ),
}


def compare(function, spec, *arrays, mesh=None):
    """Of the compiled function, with arrays that are divided and with arrays on one device."""
    compiled = jax.jit(function)
    divided = compiled(*(placed(array, spec, mesh) for array in arrays))
    jax.tree.map(assert_same_bits, divided, compiled(*map(jnp.asarray, arrays)))
    return divided


@every_placement
@pytest.mark.parametrize("name", DERIVATIVES)
def test_a_gradient_has_the_bits_of_one_device_and_the_place_of_the_logits(name, placement):
    function, targets = DERIVATIVES[name]
    divided = compare(function, PLACEMENTS[placement], logits(), targets())[1]
    assert divided.sharding.shard_shape(divided.shape) == placed(logits(), PLACEMENTS[placement]).sharding.shard_shape(
        divided.shape
    )


@pytest.mark.parametrize("name", INSIDE)
def test_other_derivatives_have_the_bits_of_one_device(name):
    function, targets = INSIDE[name]
    compare(function, PLACEMENTS["anchors"], logits(), targets())


def test_derivatives_in_parameters_are_added_over_the_devices():
    alpha = np.random.default_rng(5).random(CLASSES).astype(np.float32)

    def gradients(x, y):
        def total(alpha, gamma):
            return loss_from_labels(x, y, alpha=alpha, gamma=gamma, reduction="mean")

        return jax.grad(total, argnums=(0, 1))(jnp.asarray(alpha), jnp.float32(1.5))

    x, y = logits(), labels()
    compiled = jax.jit(gradients)
    alone = compiled(jnp.asarray(x), jnp.asarray(y))
    divided = compiled(*(placed(array, PLACEMENTS["batch"]) for array in (x, y)))
    for found, wanted in zip(divided, alone, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2.0**-22)


@pytest.mark.parametrize(("placement", "inside"), [("anchors", False), ("classes", False), ("batch", True)])
def test_on_explicit_axes_gradients_have_the_types_of_their_arrays(placement, inside):
    mesh = mesh_of("devices", explicit=True)
    x, y = (placed(one, PLACEMENTS[placement], mesh) for one in (logits(), labels()))
    function = jax.grad(lambda x, y: loss_from_labels(x, y, reduction="mean"))
    with jax.set_mesh(mesh) if inside else contextlib.nullcontext():
        found = (function if inside else jax.jit(function))(x, y)
    assert jax.typeof(found) == jax.typeof(x)
    assert_same_bits(found, jax.jit(function)(*map(jnp.asarray, (logits(), labels()))))


def test_on_explicit_axes_gradients_under_vmap_stay_divided():
    mesh = mesh_of("devices", explicit=True)
    function = jax.vmap(jax.value_and_grad(lambda x, y: loss_from_labels(x, y, reduction="sum")))
    with jax.set_mesh(mesh):
        value, gradient = compare(function, PLACEMENTS["batch"], logits(), labels(), mesh=mesh)
    assert jax.typeof(value).sharding.spec == PartitionSpec("devices")
    assert jax.typeof(gradient).sharding.spec == PartitionSpec("devices", None, None)
