"""Boosting objectives as targets: functions that give the first and second derivatives, and no loss."""

from collections.abc import Callable
from typing import Any

import numpy as np

from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.targets import Array, Call
from focal_ref.conformance.targets.library import Library, Native
from focal_ref.conformance.targets.python import PythonTarget


class ObjectiveTarget(PythonTarget):
    """An objective: of margins and labels, the derivative in each margin and the diagonal of the Hessian.

    Parameters
    ----------
    name, profile, library
        As in `PythonTarget`.
    derivatives
        Takes the canonical call without a reduction, in arrays of the library, and returns the two as a pair in the
        logits' shape.
    """

    def __init__(self, name: str, derivatives: Callable[..., Any], profile: Profile, library: Library) -> None:
        def first(logits: Native, targets: Native, **keywords: Any) -> Native:
            return _pair(derivatives(logits, targets, **keywords))[0]

        super().__init__(name, first, profile, library)
        self.derivatives = derivatives

    def value(self, call: Call) -> Array:
        raise NotImplementedError("an objective gives derivatives alone")

    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        """The derivative, and NaN in the place of the loss that there is not."""
        if upstream is not None or call.reduction != "none":
            raise NotImplementedError("an objective gives the derivative in each margin alone")
        missing = np.full(call.shape_of("value"), np.nan).astype(call.logits.dtype)
        return missing, self._of_pair(call, 0, "the gradient")

    def second_derivative(self, call: Call) -> Array:
        return self._of_pair(call, 1, "the second derivative")

    def _of_pair(self, call: Call, index: int, what: str) -> Array:
        with self._scope(call.logits.dtype.name):
            logits, targets, keywords = self._native(call)
            return self._checked(_pair(self.derivatives(logits, targets, **keywords))[index], what, call)


def _pair(result: Any) -> tuple[Native, Native]:
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise TypeError(f"derivatives returned {type(result).__name__}; it returns a pair, first and second derivative")
    return result[0], result[1]
