"""Computations of whole arrays of which each device of a mesh has a part.

XLA divides element-wise operations among devices by itself, but gathers the arrays of a loop that takes slices of them.
So that nothing is gathered, each device runs the loop over what it has, and sums are added over the devices.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from jax.experimental.custom_partitioning import custom_partitioning

from focal_ref.adapters._jax_shards import aligned

Array = Any

Axes = tuple[int | None, ...]
"""Of each axis of an array, which axis of the work it is; None where it has one index."""

Mapped = tuple[tuple[bool, ...], ...]
"""Of each jax.vmap around the work, the outermost first, which operands begin with its axis."""

Part = tuple[Array, int]
"""Where a device's part of an axis begins, and how long the whole axis is."""


class Work(Protocol):
    """What is computed from operands, the first of which has all axes of the work; hashable."""

    @property
    def added(self) -> tuple[bool, ...]:
        """Of each result, whether it is a sum over all axes."""

    @property
    def whole_rows(self) -> bool:
        """Whether nothing can be computed from a part of the last axis."""

    def __call__(self, *operands: Array) -> tuple[Array, ...]:
        """The results; runs and is traced with x64 enabled."""

    def axes(self, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Axes], list[Axes]]:
        """The axes of operands of these shapes, and those of the results."""

    def of_part(self, operands: Sequence[Array], parts: dict[int, Part]) -> Sequence[Array]:
        """Operands that mean in a part of the axes what they meant in the whole."""


def in_parts(work: Work, *operands: Array) -> tuple[Array, ...]:
    """The results of the work, computed by each device of a mesh from its part of the operands."""
    if devices_wanted() is None:
        return work(*operands)
    return _in_parts(work, (), aligned(operands))


@functools.cache
def devices_wanted() -> Any:
    """A parameter for primitives of our own that are lowered to such work; None where there is but one device.

    JAX tells a lowering rule the devices only where it finds one that asks for them in a jaxpr or in a parameter.
    """
    if max(jax.device_count(), jax.device_count("cpu")) == 1:
        return None
    divisible = custom_partitioning(lambda operand: operand)
    divisible.def_partition(lambda mesh, operands, _: (mesh, divisible, operands[0].sharding, (operands[0].sharding,)))
    return jax.make_jaxpr(divisible)(0.0)


def _in_parts(work: Work, mapped: Mapped, operands: Sequence[Array]) -> tuple[Array, ...]:
    @jax.custom_batching.custom_vmap
    def results(*operands: Array) -> tuple[Array, ...]:
        found: tuple[Array, ...] = _divisible(work, mapped, operands)(*operands)
        return found

    @results.def_vmap
    def over_one_axis_more(_: int, own: Sequence[bool], *operands: Array) -> tuple[tuple[Array, ...], Any]:
        found = _in_parts(work, (tuple(own), *mapped), operands)
        return found, tuple(True for _ in found)

    found: tuple[Array, ...] = results(*operands)
    return found


def _divisible(work: Work, mapped: Mapped, operands: Sequence[Array]) -> Callable[..., tuple[Array, ...]]:
    """The work as a function with a rule that tells XLA how to divide it."""

    def function(*operands: Array) -> tuple[Array, ...]:
        computed: Callable[..., tuple[Array, ...]] = work
        for own in reversed(mapped):
            computed = jax.vmap(computed, in_axes=tuple(0 if one else None for one in own))
        with jax.enable_x64(True):
            return computed(*operands)

    axes, result_axes = _axes(work, mapped, [operand.shape for operand in operands])
    levels = len(mapped)

    def partition(mesh: Any, operands: Any, results: Any) -> Any:
        if mesh.empty:
            # No argument of the program says what the mesh is, so that each device computes everything.
            devices = sorted(operands[0].sharding.device_set, key=lambda device: device.id)
            mesh = jax.sharding.Mesh(np.array(devices), ("devices",))
        divided = _division(mesh, [*zip(operands, axes, strict=True), *zip(results, result_axes, strict=True)])
        lengths = dict(zip(axes[0], operands[0].shape, strict=True))
        if work.whole_rows:
            _leave_whole(axes[0][-1], divided, lengths, mesh)
        over = tuple(name for axis, names in divided.items() if axis >= levels for name in names)

        def of_device(*operands: Array) -> tuple[Array, ...]:
            # XLA asks for this long after the scope in which the function was traced.
            with jax.enable_x64(True):
                parts = {
                    axis - levels: (_begin(mesh, names, lengths[axis]), lengths[axis])
                    for axis, names in divided.items()
                    if axis >= levels
                }
                return tuple(
                    jax.lax.psum(result, over) if added and over else result
                    for result, added in zip(function(*work.of_part(operands, parts)), work.added, strict=True)
                )

        def sharding(axes: Axes) -> Any:
            return jax.sharding.NamedSharding(
                mesh, jax.sharding.PartitionSpec(*(None if axis is None else divided.get(axis) for axis in axes))
            )

        return mesh, of_device, tuple(map(sharding, result_axes)), tuple(map(sharding, axes))

    def inferred(mesh: Any, operands: Any, _: Any) -> Any:
        return partition(mesh, operands, tuple(operands[:1] for _ in ()))[2]

    names = [_factors(number, own) for number, own in enumerate((*axes, *result_axes))]
    rule = f"{', '.join(names[: len(axes)])} -> {', '.join(names[len(axes) :])}"
    divisible = custom_partitioning(function)
    divisible.def_partition(partition, infer_sharding_from_operands=inferred, sharding_rule=rule)
    return divisible


def _axes(work: Work, mapped: Mapped, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Axes], list[Axes]]:
    """The axes of operands and results, those of jax.vmap first."""
    levels = len(mapped)
    inner = [shape[sum(own[number] for own in mapped) :] for number, shape in enumerate(shapes)]
    operands, results = (
        [tuple(None if axis is None else levels + axis for axis in own) for own in axes] for axes in work.axes(inner)
    )
    leading = [[level for level, own in enumerate(mapped) if own[number]] for number in range(len(shapes))]
    return (
        [(*levels_of_one, *own) for levels_of_one, own in zip(leading, operands, strict=True)],
        [(*range(levels), *own) for own in results],
    )


def _factors(number: int, axes: Axes) -> str:
    """The axes of an array in a sharding rule: equal names are one axis."""
    return " ".join(f"own{number}x{place}" if axis is None else f"axis{axis}" for place, axis in enumerate(axes))


def _division(mesh: Any, arrays: Sequence[tuple[Any, Axes]]) -> dict[int, tuple[str, ...]]:
    """Over which axes of the mesh each axis is divided, as the first array that has it says."""
    divided: dict[int, tuple[str, ...]] = {}
    taken: set[str] = set()
    for array, axes in arrays:
        spec = getattr(array.sharding, "spec", ())
        for axis, length, names in zip(axes, array.shape, [*spec, *(None for _ in axes[len(spec) :])], strict=True):
            names = (names,) if isinstance(names, str) else tuple(names or ())
            # Where parts are not of one length, XLA would fill them up, and sums would count what it fills in.
            if axis is None or axis in divided or not names or taken & set(names) or length % _devices(mesh, names):
                continue
            divided[axis] = names
            taken |= set(names)
    return divided


def _leave_whole(
    axis: int | None, divided: dict[int, tuple[str, ...]], lengths: dict[int | None, int], mesh: Any
) -> None:
    """Divide another axis in the place of this one, the longest that can be."""
    names = divided.pop(axis, ()) if axis is not None else ()
    for other in sorted((one for one in lengths if one not in (axis, None)), key=lambda one: -lengths[one]):
        together = (*divided.get(other, ()), *names)
        if names and lengths[other] % _devices(mesh, together) == 0:
            divided[other] = together
            return


def _begin(mesh: Any, names: tuple[str, ...], length: int) -> Array:
    index = 0
    for name in names:
        index = index * mesh.shape[name] + jax.lax.axis_index(name)
    return index * (length // _devices(mesh, names))


def _devices(mesh: Any, names: tuple[str, ...]) -> int:
    return math.prod(mesh.shape[name] for name in names)
