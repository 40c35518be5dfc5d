"""Functions of whole arrays block by block, so that what they need in between is no larger than a block.

Where two results share an exponential, XLA on the CPU writes it to memory for the whole array, and so it does with the
terms of a sum. In a loop over blocks such arrays are as large as a block, and stay in the processor's cache.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from focal_ref._evaluate import tree_sum
from focal_ref.adapters._jax_shards import aligned

Array = Any

FOLDED = 8
"""So many terms of a block are added to one another before they are added to the sums of the blocks."""


SHORT = 64
"""Loops over fewer elements than that do not vectorise well. Other axes stay as they are: XLA multiplies in place where
the shape of the result is that of the loop's."""


@dataclass(frozen=True)
class Blocks:
    """How an array is divided.

    Attributes
    ----------
    outer
        Lengths of the axes that may be divided.
    groups
        The axes of more than one index; the last ones are one group where they are short, as far as each operand has,
        or lacks, all of them.
    lengths
        Of the groups.
    axis
        The group that is divided; of those before it, each block has one index.
    length, chunks
        Of a block along that group, and how many there are. The last one may begin before the one before it ends.
    """

    outer: tuple[int, ...]
    groups: tuple[tuple[int, ...], ...]
    lengths: tuple[int, ...]
    axis: int
    length: int
    chunks: int

    @property
    def steps(self) -> int:
        return math.prod(self.lengths[: self.axis]) * self.chunks


def blocks_of(operands: Sequence[Array], outer: tuple[int, ...], size: int) -> Blocks | None:
    """Divide arrays into blocks of about `size` elements of the largest one; None where one block is all.

    The first axes of each operand have the lengths of `outer`, or 1; its further ones are never divided.
    """
    if 0 in outer:
        return None
    inner = max(math.prod(operand.shape[len(outer) :]) for operand in operands)
    groups: list[tuple[int, ...]] = []
    owners: list[list[bool]] = []
    for axis, length in reversed(list(enumerate(outer))):
        own = [operand.shape[axis] == length for operand in operands]
        if length == 1:
            continue
        if owners and owners[-1] == own and inner * math.prod(outer[axis + 1 :]) < SHORT:
            groups[-1] = (axis, *groups[-1])
        else:
            groups.append((axis,))
            owners.append(own)
    groups.reverse()
    lengths = tuple(math.prod(outer[axis] for axis in group) for group in groups)
    if math.prod(lengths) * inner <= size:
        return None
    below = [math.prod(lengths[axis + 1 :]) * inner for axis in range(len(lengths))]
    axis = next((axis for axis, elements in enumerate(below) if elements <= size), len(lengths) - 1)
    whole = lengths[axis]
    rows = min(whole, max(1, size // below[axis]))
    length = _ceil(whole, _ceil(whole, rows))
    if rows >= FOLDED:
        length = min(whole, _ceil(length, FOLDED) * FOLDED)
    return Blocks(outer, tuple(groups), lengths, axis, length, _ceil(whole, length))


def in_blocks(
    function: Callable[..., tuple[Array, ...]], operands: Sequence[Array], blocks: Blocks, added: Sequence[bool]
) -> tuple[Array, ...]:
    """Apply a function to operands block by block.

    Parameters
    ----------
    function
        From blocks of all operands to as many results; each of their elements belongs to one index of the outer axes.
    operands, blocks
        As for `blocks_of`, and what it returned.
    added
        Of each result, whether its sum is asked for; such a result is float64.

    Returns
    -------
    tuple
        The results, of the outer axes and then their own; of those that are added, sums of shape ().
    """
    operands = [_merged(operand, blocks) for operand in operands]
    shapes = jax.eval_shape(lambda: function(*_sliced(operands, blocks, _position(blocks, 0))))
    kept = len(blocks.lengths) - blocks.axis

    def start(shape: Any, add: bool) -> Any:
        if not add:
            return _zeros((*blocks.lengths, *shape.shape[kept:]), shape.dtype, operands)
        sums = _zeros((math.prod(shape.shape) // _folded(shape.shape),), shape.dtype, operands)
        return _zeros(shape.shape, shape.dtype, operands), sums, sums

    def step(index: Array, results: Any) -> Any:
        position = _position(blocks, index)
        found = function(*_sliced(operands, blocks, position))
        # What a block repeats of the one before it is counted once.
        first = None if blocks.lengths[blocks.axis] % blocks.length == 0 else index % blocks.chunks * blocks.length
        fresh = None if first is None else position[-1] + jnp.arange(blocks.length) >= first
        return tuple(
            (_fresh(block, fresh), *_added(*result)) if add else _written(result, block, position)
            for result, block, add in zip(results, found, added, strict=True)
        )

    initial = tuple(start(shape, add) for shape, add in zip(shapes, added, strict=True))
    results = jax.lax.fori_loop(0, blocks.steps, step, initial)
    return tuple(
        sum(tree_sum(jnp, part) for part in _added(*result))
        if add
        else jnp.reshape(result, (*blocks.outer, *shape.shape[kept:]))
        for result, shape, add in zip(results, shapes, added, strict=True)
    )


def _merged(operand: Array, blocks: Blocks) -> Array:
    """The operand with each group of axes as one, and without those of one index."""
    lengths = (math.prod(operand.shape[axis] for axis in group) for group in blocks.groups)
    return jnp.reshape(operand, (*lengths, *operand.shape[len(blocks.outer) :]))


def _zeros(shape: tuple[int, ...], dtype: Any, operands: Sequence[Array]) -> Array:
    return aligned((jnp.zeros(shape, dtype), *operands))[0]


def _position(blocks: Blocks, index: Any) -> list[Any]:
    """Where a block begins, along the axes up to the divided one."""
    leading, chunk = index // blocks.chunks, index % blocks.chunks
    position = []
    for length in reversed(blocks.lengths[: blocks.axis]):
        position.append(leading % length)
        leading = leading // length
    last = blocks.lengths[blocks.axis] - blocks.length
    return [*reversed(position), jnp.minimum(chunk * blocks.length, last)]


def _sliced(operands: Sequence[Array], blocks: Blocks, position: list[Any]) -> list[Array]:
    """One block of each operand, without the axes before the divided one."""
    found = []
    for operand in operands:
        shape = operand.shape
        starts = [at if shape[axis] > 1 else 0 for axis, at in enumerate(position)]
        own = blocks.length if shape[blocks.axis] > 1 else 1
        sizes = (*(1 for _ in range(blocks.axis)), own, *shape[blocks.axis + 1 :])
        starts += [0] * (len(shape) - len(starts))
        found.append(jnp.reshape(_slice(operand, starts, sizes), sizes[blocks.axis :]))
    return found


def _slice(operand: Array, starts: list[Any], sizes: tuple[int, ...]) -> Array:
    if operand.dtype != jnp.bfloat16:
        return jax.lax.dynamic_slice(operand, starts, sizes)

    def taken() -> Array:
        return jax.lax.dynamic_slice(jax.lax.bitcast_convert_type(operand, jnp.uint16), starts, sizes)

    # XLA on the CPU takes a slice of this format in float32, and what a loop does to an array as a whole it does ahead
    # of the loop. Out of a branch, which is always taken, it moves nothing.
    bits = jax.lax.cond(starts[0] >= 0, taken, lambda: _zeros(sizes, jnp.uint16, [operand]))
    return jax.lax.bitcast_convert_type(bits, operand.dtype)


def _written(result: Array, block: Array, position: list[Any]) -> Array:
    block = jnp.reshape(block, (*(1 for _ in position[1:]), *block.shape))
    return jax.lax.dynamic_update_slice(result, block, [*position, *(0 for _ in range(block.ndim - len(position)))])


def _fresh(terms: Array, fresh: Array | None) -> Array:
    """The terms, but 0 at indices of the divided axis that are not fresh."""
    if fresh is None:
        return terms
    return jnp.where(jnp.reshape(fresh, (-1, *(1 for _ in range(terms.ndim - 1)))), terms, 0.0)


def _added(terms: Array, sums: Array, lacking: Array) -> tuple[Array, Array]:
    """Add the terms of a block to sums, and what that rounds away to what these lack.

    They are those of the block before: slices of what one step computes, XLA would compute slice by slice.
    """
    folded = list(jnp.reshape(terms, (_folded(terms.shape), -1)))
    while len(folded) > 1:
        folded = [first + second for first, second in zip(folded[::2], folded[1::2], strict=True)]
    total = sums + folded[0]
    part = total - sums
    error = (sums - (total - part)) + (folded[0] - part)
    # Beyond the largest number nothing is lacking.
    return total, lacking + jnp.where(jnp.abs(total) < jnp.inf, error, 0.0)


def _folded(shape: tuple[int, ...]) -> int:
    return math.gcd(math.prod(shape), FOLDED)


def _ceil(number: int, divisor: int) -> int:
    return -(-number // divisor)
