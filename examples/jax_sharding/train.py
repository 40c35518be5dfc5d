"""Train a small detector on a mesh of devices, in two ways; loss and gradients are those of one device.

XLA_FLAGS=--xla_force_host_platform_device_count=8 python train.py
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from focal_ref.detection import anchor_boxes, prior_bias, retinanet_loss

PICTURES, SIDE, CLASSES, STEPS, RATE = 8, 64, 3, 5, 0.01
STRIDE, RATIOS = 8, 9
Parameters = dict[str, jax.Array]
PARTS, WHOLE = PartitionSpec("pictures"), PartitionSpec()


def dataset() -> tuple[np.ndarray, ...]:
    """Pictures with a bright square each, but for the last three; boxes (N, 1, 4), classes (N, 1), which are real."""
    generator = np.random.default_rng(1)
    pictures = generator.random((PICTURES, SIDE, SIDE), dtype=np.float32)
    corners = generator.integers(0, SIDE - 32, (PICTURES, 2))
    valid = np.arange(PICTURES)[:, None] < PICTURES - 3
    for picture, (x, y), real in zip(pictures, corners, valid[:, 0], strict=True):
        picture[y : y + 32, x : x + 32] += np.float32(real)
    boxes = np.concatenate([corners, corners + 32], axis=1).astype(np.float32)[:, None]
    return pictures, boxes, np.arange(PICTURES, dtype=np.int32)[:, None] % CLASSES, valid


def initial() -> Parameters:
    """One linear layer from a patch of a picture to the outputs of both heads at its place."""
    generator = np.random.default_rng(2)
    weights = {name: generator.normal(0.0, 0.01, (STRIDE**2, RATIOS, last)) for name, last in SHAPES.items()}
    biases = {"class biases": np.full((RATIOS, CLASSES), prior_bias(0.01))}
    return {name: jnp.asarray(value, jnp.float32) for name, value in {**weights, **biases}.items()}


SHAPES = {"classes": CLASSES, "boxes": 4}


def detector(parameters: Parameters, pictures: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Of pictures (N, SIDE, SIDE), the logits (N, A, CLASSES) and the offsets (N, A, 4)."""
    places = SIDE // STRIDE
    patches = pictures.reshape(-1, places, STRIDE, places, STRIDE).transpose(0, 1, 3, 2, 4)
    patches = patches.reshape(-1, places**2, STRIDE**2)
    logits, deltas = (jnp.einsum("npk,krc->nprc", patches, parameters[name]) for name in SHAPES)
    logits = logits + parameters["class biases"]
    return logits.reshape(-1, places**2 * RATIOS, CLASSES), deltas.reshape(-1, places**2 * RATIOS, 4)


def loss_of(parameters: Parameters, *batch: jax.Array, **options: Any) -> jax.Array:
    """The loss of the pictures given, divided by their positive anchors."""
    pictures, boxes, labels, valid = batch
    anchors = jnp.asarray(anchor_boxes((SIDE, SIDE), levels=(3,), sizes=(32.0,)), jnp.float32)
    outputs = detector(parameters, pictures)
    total: jax.Array = retinanet_loss(
        *outputs, anchors, boxes, labels, gt_valid=valid, normalizer="batch", **options
    ).total
    return total


def moved(parameters: Parameters, gradients: Parameters) -> Parameters:
    """One step of gradient descent."""
    return jax.tree.map(lambda parameter, gradient: parameter - RATE * gradient, parameters, gradients)


@jax.jit
def step(parameters: Parameters, *batch: jax.Array) -> tuple[jax.Array, Parameters]:
    """Of one device, or of a mesh: XLA divides it as the pictures are divided."""
    value, gradients = jax.value_and_grad(loss_of)(parameters, *batch)
    return value, moved(parameters, gradients)


def step_of_parts(mesh: jax.sharding.Mesh) -> Any:
    """The same by jax.shard_map: each device computes the loss of its pictures, and what is added up is written out."""

    @jax.jit
    @partial(jax.shard_map, mesh=mesh, in_specs=(WHOLE, PARTS, PARTS, PARTS, PARTS), out_specs=(WHOLE, WHOLE))
    def step(parameters: Parameters, *batch: jax.Array) -> tuple[jax.Array, Parameters]:
        def total(parameters: Parameters) -> jax.Array:
            own = loss_of(parameters, *batch, sum_over_ranks=lambda count: jax.lax.psum(count, "pictures"))
            return jax.lax.psum(own, "pictures")

        value, gradients = jax.value_and_grad(total)(parameters)
        return value, moved(parameters, gradients)

    return step


def trained(step: Any, batch: Any) -> tuple[list[float], Parameters]:
    """The losses of some steps and the parameters after them."""
    parameters, losses = initial(), []
    for _ in range(STEPS):
        value, parameters = step(parameters, *batch)
        losses.append(float(value))
    return losses, parameters


def main() -> None:
    """Train on one device, on the mesh, and by parts; print the losses and how far they are apart."""
    batch = dataset()
    mesh = jax.make_mesh((jax.device_count(),), ("pictures",), axis_types=(AxisType.Auto,))
    divided = [jax.device_put(array, NamedSharding(mesh, PARTS)) for array in batch]
    print(f"{jax.device_count()} devices")
    ways = {
        "one device": trained(step, batch),
        "jit": trained(step, divided),
        "shard_map": trained(step_of_parts(mesh), divided),
    }
    wanted = ways["one device"][1]
    for name, (losses, parameters) in ways.items():
        apart = max(float(jnp.max(jnp.abs(np.asarray(parameters[key]) - wanted[key]))) for key in wanted)
        print(f"{name:10}  {' '.join(f'{loss:.5f}' for loss in losses)}  parameters at most {apart:.1e} apart")


if __name__ == "__main__":
    main()
