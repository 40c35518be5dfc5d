"""The loss of a detector on a mesh: positives are counted over all pictures, wherever these are."""

import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from focal_ref.detection import normalize_loss, retinanet_loss

from .meshes import EVERYWHERE, PLACEMENTS, mesh_of, placed

PICTURES, ANCHORS, CLASSES, BOXES = 8, 64, 4, 5
BATCH = PLACEMENTS["batch"]
COUNTED = ["batch", "plus_one", "plus_one_per_picture"]


def corners(generator, *shape):
    first = generator.uniform(0.0, 100.0, (*shape, 2))
    return np.concatenate([first, first + generator.uniform(10.0, 60.0, (*shape, 2))], axis=-1).astype(np.float32)


def pictures():
    """Logits, deltas, ground truths, their labels and which of them are any: of half of the pictures, none."""
    generator = np.random.default_rng(4)
    valid = np.arange(BOXES) < np.array([5, 0, 1, 0, 0, 3, 0, 2])[:, None]
    return (
        generator.normal(0.0, 3.0, (PICTURES, ANCHORS, CLASSES)).astype(np.float32),
        generator.normal(0.0, 1.0, (PICTURES, ANCHORS, 4)).astype(np.float32),
        corners(generator, PICTURES, BOXES),
        generator.integers(0, CLASSES, (PICTURES, BOXES)).astype(np.int32),
        valid,
    )


def of_pictures(logits, deltas, boxes, labels, valid, **options):
    anchors = jnp.asarray(corners(np.random.default_rng(5), ANCHORS))

    def total(logits, deltas):
        found = retinanet_loss(logits, deltas, anchors, boxes, labels, gt_valid=valid, **options)
        return found.total, found.num_positive

    (value, positives), gradients = jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(logits, deltas)
    return value, positives, gradients


@pytest.fixture(scope="module")
def alone():
    return jax.jit(partial(of_pictures, normalizer="batch"))(*pictures())


def assert_same(found, wanted):
    assert float(found[0]) == pytest.approx(float(wanted[0]), rel=2.0**-21)
    np.testing.assert_array_equal(found[1], wanted[1])
    for one, other in zip(found[2], wanted[2], strict=True):
        np.testing.assert_allclose(one, other, rtol=2.0**-22, atol=0.0)


def test_pictures_have_uneven_numbers_of_positives_and_some_have_none(alone):
    positives = np.asarray(alone[1])
    assert len(set(positives.tolist())) > 2
    assert np.sum(positives == 0) >= 4


def test_under_jit_positives_are_those_of_all_pictures(alone):
    arrays = [placed(array, BATCH) for array in pictures()]
    assert_same(jax.jit(partial(of_pictures, normalizer="batch"))(*arrays), alone)


def test_in_a_shard_map_positives_are_added_by_the_function_that_is_given(alone):
    mesh = mesh_of("devices")
    outputs = (EVERYWHERE, BATCH, (BATCH, BATCH))

    @partial(jax.shard_map, mesh=mesh, in_specs=BATCH, out_specs=outputs)
    def of_device(*arrays):
        sum_over_ranks = lambda count: jax.lax.psum(count, "devices")  # noqa: E731
        value, positives, gradients = of_pictures(*arrays, normalizer="batch", sum_over_ranks=sum_over_ranks)
        return jax.lax.psum(value, "devices"), positives, gradients

    assert_same(jax.jit(of_device)(*pictures()), alone)


@pytest.mark.parametrize("normalizer", COUNTED)
@pytest.mark.parametrize("counts", [[10, 0, 3, 0, 0, 0, 1, 7], [0] * 8], ids=["uneven", "none"])
def test_normalizers_count_over_the_mesh(normalizer, counts):
    sums, counts = np.linspace(1.0, 8.0, 8, dtype=np.float32), np.array(counts, np.int32)
    wanted = normalize_loss(sums, counts, normalizer)
    found = jax.jit(lambda s, n: normalize_loss(s, n, normalizer))(*(placed(one, BATCH) for one in (sums, counts)))
    assert float(found) == pytest.approx(float(wanted), rel=2.0**-22)

    @partial(jax.shard_map, mesh=mesh_of("devices"), in_specs=BATCH, out_specs=EVERYWHERE)
    def of_device(sums, counts):
        own = normalize_loss(sums, counts, normalizer, sum_over_ranks=lambda count: jax.lax.psum(count, "devices"))
        return jax.lax.psum(own, "devices")

    assert float(jax.jit(of_device)(sums, counts)) == pytest.approx(float(wanted), rel=2.0**-21)


def test_counted_on_each_device_alone_the_loss_is_another(alone):
    @partial(jax.shard_map, mesh=mesh_of("devices"), in_specs=BATCH, out_specs=EVERYWHERE)
    def of_device(*arrays):
        return jax.lax.pmean(of_pictures(*arrays, normalizer="batch")[0], "devices")

    assert abs(float(jax.jit(of_device)(*pictures())) / float(alone[0]) - 1.0) > 0.01


def test_the_page_has_what_each_normalizer_gives():
    sums, counts = np.float32([40.0, 40.0, 12.0, 8.0]), np.int32([2, 0, 1, 0])

    def on_mesh(devices, normalizer, added):
        kind = (jax.sharding.AxisType.Auto,)
        mesh = jax.make_mesh((devices,), ("data",), axis_types=kind, devices=jax.devices()[:devices])
        part = jax.sharding.PartitionSpec("data")

        @partial(jax.shard_map, mesh=mesh, in_specs=part, out_specs=EVERYWHERE)
        def of_device(sums, counts):
            options = {"sum_over_ranks": lambda count: jax.lax.psum(count, "data")} if added else {}
            own = normalize_loss(sums, counts, normalizer, **options)
            return jax.lax.psum(own, "data") if added else jax.lax.pmean(own, "data")

        return f"{float(jax.jit(of_device)(sums, counts)):.3f}"

    page = (Path(__file__).parents[3] / "docs" / "distributed-jax.md").read_text(encoding="utf-8")
    rows = re.findall(r'^\| `"(\w+)"` \| (.+?) \|$', page, re.MULTILINE)
    assert [name for name, _ in rows] == COUNTED
    for name, numbers in rows:
        found = [f"{float(normalize_loss(sums, counts, name)):.3f}"]
        found += [on_mesh(devices, name, False) for devices in (2, 4)]
        assert found == numbers.split(" | ")[:3]
        assert {on_mesh(devices, name, True) for devices in (2, 4)} == {numbers.split(" | ")[3]}
