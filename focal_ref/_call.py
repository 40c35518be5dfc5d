"""From the arguments of a public loss to its result: the one path that all of them take."""

from typing import Any

from focal_ref._arguments import check_call, check_reduction
from focal_ref._definitions import Definition
from focal_ref.adapters import adapter_of

Array = Any
"""An array of any supported library: NumPy, PyTorch, JAX, CuPy, or one that follows the Array API standard."""


def reduced(
    definition: Definition, logits: Array, targets: Array, reduction: Any, normalizer: Any, **given: Any
) -> Array:
    """Check the arguments of a loss and evaluate it with its reduction."""
    adapter = adapter_of(logits)
    normalizer = check_reduction(adapter, reduction, normalizer)
    logits, targets, parameters = check_call(adapter, definition, logits, targets, given)
    if reduction == "none":
        return adapter.loss(logits, targets, parameters)
    if reduction == "mean":
        # Nothing to add up has mean zero, like its sum.
        normalizer = adapter.count(logits, targets, parameters)
    return adapter.total(logits, targets, parameters, normalizer)
