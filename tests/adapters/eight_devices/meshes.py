"""Meshes of eight devices, and arrays of a batch of pictures that are divided over them."""

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from ...comparison import some_logits

BATCH, ANCHORS, CLASSES = 8, 1024, 32
"""Each device has more than one block of what `focal_ref.adapters._jax_blocks` takes at once."""

PLACEMENTS = {
    "batch": PartitionSpec("devices"),
    "anchors": PartitionSpec(None, "devices"),
    "classes": PartitionSpec(None, None, "devices"),
}
EVERYWHERE = PartitionSpec()


def mesh_of(*names, explicit=False):
    """All devices along one axis, or four by two along two."""
    shape = (8,) if len(names) == 1 else (4, 2)
    kind = AxisType.Explicit if explicit else AxisType.Auto
    return jax.make_mesh(shape, names, axis_types=(kind,) * len(names))


def placed(array, spec, mesh=None):
    """The array divided as far as the specification names axes that it has."""
    mesh = mesh_of("devices") if mesh is None else mesh
    return jax.device_put(array, NamedSharding(mesh, PartitionSpec(*spec[: np.ndim(array)])))


def unlimited_logits():
    """With infinities, and logits where formats under- and overflow."""
    return some_logits("float32", BATCH * ANCHORS * CLASSES).reshape(BATCH, ANCHORS, CLASSES)


def logits():
    """Of which no loss is so large that a sum would tell nothing of the others."""
    return np.clip(unlimited_logits(), -30.0, 30.0)


def hard():
    return np.random.default_rng(1).random((BATCH, ANCHORS, CLASSES)) < 0.1


def labels(lowest=-2):
    """Classes, background (-1) and what is ignored (-2)."""
    return np.random.default_rng(2).integers(lowest, CLASSES, (BATCH, ANCHORS)).astype(np.int32)


def classes_of_rows():
    """Labels that a softmax takes: classes, and what is ignored."""
    found = labels(0)
    found[:, ::7] = -2
    return found


def soft_rows():
    shares = np.random.default_rng(3).random((BATCH, ANCHORS, CLASSES)).astype(np.float32)
    return shares / shares.sum(axis=-1, keepdims=True)
