"""Between the shapes of the canonical call and those of functions that take elements, or rows, in one dimension.

Targets of another shape than the call allows are handed over as they are: refusing them is up to the function.
"""

from typing import Any


def flat_elements(logits: Any, targets: Any) -> tuple[Any, Any]:
    """Logits and targets in one dimension."""
    if targets.shape != logits.shape:
        return logits, targets
    return logits.reshape(-1), targets.reshape(-1)


def flat_rows(logits: Any, targets: Any) -> tuple[Any, Any]:
    """Logits as rows of classes, and one label for each."""
    if targets.shape != logits.shape[:-1]:
        return logits, targets
    return logits.reshape(-1, logits.shape[-1]), targets.reshape(-1)


def shaped(result: Any, shape: Any, reduction: str) -> Any:
    """A result without reduction in its canonical shape; one with another number of elements as it is."""
    if reduction != "none" or result.numel() != shape.numel():
        return result
    return result.reshape(shape)
