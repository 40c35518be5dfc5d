"""What primitives of our own need inside of jax.shard_map: operands and results that vary over the same mesh axes.

JAX's own operations see to it by themselves. A derivative inside jax.shard_map compares the types of cotangents and
operands, so that a result that has forgotten that it varies is an error.
"""

from typing import Any

import jax

Array = Any


def aligned(operands: Any) -> list[Array]:
    """The operands, each of which varies over every axis over which one of them does."""
    own = [_varying(jax.typeof(operand)) for operand in operands]
    union = frozenset[Any]().union(*own)
    return [
        jax.lax.pcast(operand, tuple(union - axes), to="varying") if axes != union else operand
        for operand, axes in zip(operands, own, strict=True)
    ]


def shaped(operand: Any, shape: Any, dtype: Any) -> Any:
    """The abstract result of aligned operands, one of which is given."""
    if not _varying(operand):
        return jax.core.ShapedArray(tuple(shape), dtype)
    partition: Any = jax.sharding.PartitionSpec
    sharding = operand.sharding.update(spec=partition(*(None for _ in shape)))
    return operand.update(shape=tuple(shape), dtype=dtype, weak_type=False, sharding=sharding)


def _varying(abstract: Any) -> frozenset[Any]:
    # The name of the attribute depends on the version of JAX.
    if hasattr(abstract, "manual_axis_type"):
        return frozenset(abstract.manual_axis_type.varying)
    return frozenset(getattr(abstract, "vma", ()))
