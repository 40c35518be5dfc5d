"""Losses, sums and means of divided arrays have the bits that one device gives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad

from ...comparison import assert_same_bits, assert_within, expected, expected_sum
from .meshes import (
    BATCH,
    CLASSES,
    PLACEMENTS,
    classes_of_rows,
    hard,
    labels,
    logits,
    mesh_of,
    placed,
    soft_rows,
    unlimited_logits,
)

LOSSES = {
    "dense": (loss, hard, ("none", "sum", "mean")),
    "labels": (loss_from_labels, labels, ("none", "sum", "mean")),
    "softmax": (softmax_loss, classes_of_rows, ("none", "mean")),
    "softmax of rows": (softmax_loss, soft_rows, ("sum",)),
}

every_placement = pytest.mark.parametrize("placement", PLACEMENTS)


def results(function, spec, *arrays, mesh=None):
    """Of the compiled function, with arrays that are divided and with arrays on one device."""
    compiled = jax.jit(function)
    return compiled(*(placed(array, spec, mesh) for array in arrays)), compiled(*map(jnp.asarray, arrays))


@functools.cache
def reduced(name):
    """A loss, compiled, with every reduction that it is tried with."""
    function, _, reductions = LOSSES[name]
    return jax.jit(lambda x, y: [function(x, y, reduction=one) for one in reductions])


@functools.cache
def on_one_device(name):
    return reduced(name)(jnp.asarray(logits()), jnp.asarray(LOSSES[name][1]()))


@every_placement
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_their_sum_and_mean_have_the_bits_of_one_device(name, placement):
    spec = PLACEMENTS[placement]
    divided = reduced(name)(placed(logits(), spec), placed(LOSSES[name][1](), spec))
    for found, wanted in zip(divided, on_one_device(name), strict=True):
        assert_same_bits(found, wanted)
    if divided[0].ndim and (placement != "classes" or not name.startswith("softmax")):
        assert not divided[0].sharding.is_fully_replicated


@pytest.mark.parametrize("placement", ["batch", "classes"])
def test_a_sum_is_that_of_the_exact_terms(placement):
    x, t = logits()[..., :8], hard()[..., :8]
    found = jax.jit(lambda x, t: loss(x, t, reduction="sum"))(*(placed(one, PLACEMENTS[placement]) for one in (x, t)))
    assert float(found) == np.float32(expected_sum(x, t))


@pytest.mark.parametrize("placement", ["anchors", "classes"])
def test_of_float64_the_terms_are_accurate_and_the_sum_is_theirs(placement):
    x, t = logits()[:, :128, :8].astype(np.float64), hard()[:, :128, :8]
    with jax.enable_x64(True):
        each, total = jax.jit(lambda x, t: (loss(x, t), loss(x, t, reduction="sum")))(
            *(placed(one, PLACEMENTS[placement]) for one in (x, t))
        )
    assert_within(np.asarray(each), expected(x, t)["value"], 12.0)
    assert abs(float(total) / expected_sum(x, t) - 1.0) < 12.0 * 2.0**-52


def test_labels_mean_the_same_where_a_device_has_some_of_the_classes():
    x, y = logits()[:, :16], labels()[:, :16]
    y[0, :5] = [CLASSES - 1, -2, -1, 0, 8]
    weights = np.random.default_rng(5).random(CLASSES).astype(np.float32)

    def both(x, y):
        return value_and_grad(x, jnp.zeros(x.shape, bool), alpha=weights), loss_from_labels(
            x, y, alpha=weights, reduction="sum"
        )

    divided, alone = results(both, PLACEMENTS["classes"], x, y)
    jax.tree.map(assert_same_bits, divided, alone)
    assert np.isfinite(divided[1])


@pytest.mark.parametrize("label", [CLASSES, -3])
def test_a_label_that_is_no_class_of_any_device_gives_nan_in_its_row_alone(label):
    x, y = logits()[:, :16], labels()[:, :16]
    y[0, 0] = label
    found, _ = results(loss_from_labels, PLACEMENTS["classes"], x, y)
    divided, alone = results(value_and_grad_of_sum, PLACEMENTS["classes"], x, y)
    assert np.isnan(divided[0])
    assert_same_bits(divided[1], alone[1])
    for array in (found, divided[1]):
        assert np.isnan(np.asarray(array)[0, 0]).all()
        assert np.isnan(np.asarray(array)).sum() == CLASSES


def value_and_grad_of_sum(x, y):
    return jax.value_and_grad(lambda x: loss_from_labels(x, y, reduction="sum"))(x)


@every_placement
def test_infinities_and_what_under_and_overflows_have_the_bits_of_one_device(placement):
    divided, alone = results(value_and_grad, PLACEMENTS[placement], unlimited_logits(), hard())
    jax.tree.map(assert_same_bits, divided, alone)


def test_sixteen_bits_are_added_before_they_are_rounded_on_every_device():
    x = logits().astype(jnp.bfloat16)
    divided, alone = results(lambda x, y: loss_from_labels(x, y, reduction="sum"), PLACEMENTS["batch"], x, labels())
    assert divided.dtype == jnp.float32
    assert_same_bits(divided, alone)


@pytest.mark.parametrize("spec", [("columns", None, "rows"), (None, ("rows", "columns"))])
def test_a_mesh_of_two_axes_divides_two_axes_or_one_twice(spec):
    mesh = mesh_of("rows", "columns")
    function = lambda x, y: loss_from_labels(x, y, reduction="mean")  # noqa: E731
    divided, alone = results(function, PartitionSpec(*spec), logits(), labels(), mesh=mesh)
    assert_same_bits(divided, alone)


def test_sums_of_pictures_under_vmap_stay_where_the_pictures_are():
    sums = jax.vmap(lambda x, y: loss_from_labels(x, y, reduction="sum"))
    divided, alone = results(sums, PLACEMENTS["batch"], logits(), labels())
    assert_same_bits(divided, alone)
    assert divided.sharding.shard_shape(divided.shape) == (BATCH // 8,)


def test_a_length_that_the_devices_do_not_share_evenly_counts_nothing_twice():
    def total(x, y):
        return loss_from_labels(x[:5], y[:5], reduction="sum")

    divided, alone = results(total, PLACEMENTS["batch"], logits(), labels())
    assert_same_bits(divided, alone)


def test_of_no_pictures_the_sum_is_zero():
    x, y = logits()[:0], labels()[:0]
    divided = reduced("labels")(*(placed(one, PLACEMENTS["anchors"]) for one in (x, y)))
    assert [float(one) for one in divided[1:]] == [0.0, 0.0]


def test_without_jit_and_without_a_divided_array_nothing_changes():
    x, y = logits()[:2, :64], labels()[:2, :64]
    alone = loss_from_labels(jnp.asarray(x), jnp.asarray(y), reduction="sum")
    assert_same_bits(loss_from_labels(x, y, reduction="sum"), alone)
    with jax.set_mesh(mesh_of("devices")):
        assert_same_bits(jax.jit(lambda x, y: loss_from_labels(x, y, reduction="sum"))(x, y), alone)
    x, y = (placed(one, PLACEMENTS["anchors"]) for one in (x, y))
    assert_same_bits(loss_from_labels(x, y, reduction="sum"), alone)


@every_placement
def test_on_explicit_axes_types_tell_how_results_are_divided(placement):
    mesh = mesh_of("devices", explicit=True)
    spec = PLACEMENTS[placement]
    divided = reduced("labels")(*(placed(one, spec, mesh) for one in (logits(), labels())))
    for found, wanted in zip(divided, on_one_device("labels"), strict=True):
        assert_same_bits(found, wanted)
    spec_found = jax.typeof(divided[0]).sharding.spec
    assert tuple(spec_found) == (*spec, *(None for _ in range(3 - len(spec))))
    assert jax.typeof(divided[1]).sharding.spec == PartitionSpec()
