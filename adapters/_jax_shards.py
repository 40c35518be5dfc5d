"""What JAX's own operations see to by themselves, and primitives of our own have to: types that tell of a mesh.

Inside of jax.shard_map operands and results vary over the same mesh axes: a derivative there compares the types of
cotangents and operands, so that a result that has forgotten that it varies is an error. Where axes of the mesh are
explicit, as those of jax.make_mesh are, types tell how an array is divided; we leave that to XLA.
"""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

Array = Any


def aligned(operands: Any) -> list[Array]:
    """The operands, each of which varies over every axis over which one of them does."""
    own = [_varying(jax.typeof(operand)) for operand in operands]
    union = frozenset[Any]().union(*own)
    return [
        jax.lax.pcast(operand, tuple(union - axes), to="varying") if axes != union else operand
        for operand, axes in zip(operands, own, strict=True)
    ]


def carried_alike(step: Callable[..., Any], carry: Any, items: Any) -> Any:
    """What a jax.lax.scan begins with, varying over the axes over which what its steps carry on varies."""
    if AxisType.Manual not in jax.sharding.get_abstract_mesh().axis_types:
        return carry
    starts, tree = jax.tree.flatten(carry)
    found = jax.make_jaxpr(step)(carry, jax.tree.map(lambda item: item[0], items)).out_avals
    lacking = [
        tuple(_varying(after) - _varying(jax.typeof(start))) for start, after in zip(starts, found, strict=False)
    ]
    varying = [
        jax.lax.pcast(start, axes, to="varying") if axes else start for start, axes in zip(starts, lacking, strict=True)
    ]
    return jax.tree.unflatten(tree, varying)


def shaped(operand: Any, shape: Any, dtype: Any, spec: tuple[Any, ...] = ()) -> Any:
    """The abstract result of aligned operands, one of which is given; `spec` says how the first axes are divided."""
    mesh = operand.sharding.mesh
    if mesh.empty:
        return jax.core.ShapedArray(tuple(shape), dtype)
    spec = (*spec, *(None for _ in range(len(shape) - len(spec))))
    sharding = operand.sharding.update(spec=PartitionSpec(*spec))
    return operand.update(shape=tuple(shape), dtype=dtype, weak_type=False, sharding=sharding)


def spec_of(abstract: Any) -> tuple[Any, ...]:
    """How the axes of an array are divided over explicit axes of a mesh."""
    spec = tuple(abstract.sharding.spec)
    return (*spec, *(None for _ in range(len(abstract.shape) - len(spec))))


def divided_alike(array: Array, like: Array) -> Array:
    """The array divided as another one of its shape."""
    own, wanted = jax.typeof(array), jax.typeof(like)
    if AxisType.Explicit not in wanted.sharding.mesh.axis_types or spec_of(own) == spec_of(wanted):
        return array
    return jax.sharding.reshard(array, NamedSharding(wanted.sharding.mesh, PartitionSpec(*spec_of(wanted))))


def with_automatic_axes(
    function: Callable[..., Any],
    static: tuple[Hashable, ...],
    ranks: tuple[int, ...],
    like: str,
    logits: Array,
    arrays: dict[str, Array],
) -> Any:
    """``function(*static, logits, arrays)``, in which XLA decides how arrays are divided.

    Each result, of which `ranks` has the number of axes, is divided as the first axes of an operand are: of the one
    that is called `like`.
    """
    meshes = [jax.typeof(array).sharding.mesh for array in (logits, *arrays.values())]
    mesh = next((mesh for mesh in meshes if AxisType.Explicit in mesh.axis_types), None)
    if mesh is None:
        return function(*static, logits, arrays)
    return _with_automatic_axes(function, static, ranks, like, mesh, logits, arrays)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def _with_automatic_axes(
    function: Callable[..., Any], static: Any, ranks: Any, like: str, mesh: Any, logits: Array, arrays: dict[str, Array]
) -> Any:
    spec = spec_of(jax.typeof({"logits": logits, **arrays}[like]))
    own = tuple(NamedSharding(mesh, PartitionSpec(*spec[:rank])) for rank in ranks)
    automatic: Any = jax.sharding.auto_axes(partial(function, *static), axes=mesh.explicit_axes, out_sharding=own)
    return automatic(logits, arrays)


def _varying(abstract: Any) -> frozenset[Any]:
    # The name of the attribute depends on the version of JAX.
    if hasattr(abstract, "manual_axis_type"):
        return frozenset(abstract.manual_axis_type.varying)
    return frozenset(getattr(abstract, "vma", ()))
