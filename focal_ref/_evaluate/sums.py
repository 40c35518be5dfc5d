"""Sums whose order depends on the size alone, in any Array API namespace."""

from typing import Any

Array = Any


def tree_sum(xp: Any, terms: Array) -> Array:
    """Sum of all elements by halving: the error grows with log2(n), and the order depends on the size alone.

    The lower part is a power of two, as in the kernels' sums.
    """
    terms = xp.reshape(terms, (-1,))
    size = terms.shape[0]
    if size == 0:
        return xp.sum(terms)
    while size > 1:
        half = 1 << (size - 1).bit_length() - 1
        pairs = terms[: size - half] + terms[half:size]
        terms = pairs if size == 2 * half else xp.concat([pairs, terms[size - half : half]])
        size = half
    return terms[0]
