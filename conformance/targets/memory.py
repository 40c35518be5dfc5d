"""Whether a result is memory of its own: looked at again after another call, and written over."""

from collections.abc import Callable, Mapping
from typing import Any

from focal_ref.conformance.targets import Array

EARLIER = "an earlier result after another call"
AGAIN = "the same call after its result was overwritten"
ANEW = "the same arrays with other numbers in them"

OVER = 7.0
"""What is written over a result: no loss of an ordinary element."""

Arguments = Callable[[], tuple[Any, Any]]
"""Makes logits and targets anew, as arrays of the library that nothing else has."""


def observed(
    function: Callable[[Any, Any], Any],
    first: Arguments,
    second: Arguments,
    numbers: Callable[[Any], Array],
    overwrite: Callable[[Any, Any], bool],
) -> Mapping[str, tuple[Array, Array]]:
    """What is found and what has to be found, by what was done.

    Parameters
    ----------
    function
        The loss.
    first, second
        Arguments of two calls of one shape.
    numbers
        Copies an array to NumPy.
    overwrite
        Writes a number, or an array's numbers, over an array; False where that cannot be done.
    """
    logits, targets = first()
    result = function(logits, targets)
    before = numbers(result)
    other = numbers(function(*second()))
    found = {EARLIER: (numbers(result), before)}
    if overwrite(result, OVER):
        found[AGAIN] = numbers(function(*first())), before
    logits, targets = first()
    function(logits, targets)
    if all(overwrite(array, new) for array, new in zip((logits, targets), second(), strict=True)):
        found[ANEW] = numbers(function(logits, targets)), other
    return found
