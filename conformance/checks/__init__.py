"""The checks: one function a requirement, registered under its id.

A check takes an `Examiner`, runs the target through it and compares. It knows nothing of pytest, of reports or of
whether the target is a backend of this project.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module

from focal_ref.conformance.examiner import Examiner

Check = Callable[[Examiner], None]

_MODULES = (
    "declarations",
    "values",
    "derivatives",
    "extremes",
    "labels",
    "probabilities",
    "softmax",
    "star",
    "relatives",
    "parameters",
    "reductions",
    "shapes",
    "transforms",
    "determinism",
    "overlap",
    "anchors",
    "matching",
    "matching_options",
    "coding",
    "detector",
    "selection",
)
_REGISTERED: dict[str, Check] = {}


def check(identifier: str) -> Callable[[Check], Check]:
    """Register a function as the check of a requirement."""

    def register(function: Check) -> Check:
        if identifier in _REGISTERED:
            raise ValueError(f"{identifier}: two checks, {_REGISTERED[identifier].__name__} and {function.__name__}")
        _REGISTERED[identifier] = function
        return function

    return register


@cache
def checks() -> Mapping[str, Check]:
    """All checks by requirement id."""
    for module in _MODULES:
        import_module(f"focal_ref.conformance.checks.{module}")
    return dict(_REGISTERED)
