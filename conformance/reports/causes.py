"""The known faults that explain the failures of a run, each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from focal_ref.conformance.gate import Result


@dataclass(frozen=True)
class LikelyCause:
    """One fault, and what it explains.

    Attributes
    ----------
    cause
        As in the record; see `focal_ref.conformance.diagnosis.Cause`.
    items
        What failed because of it, as ``FL-VAL-004-float32``.
    """

    cause: Mapping[str, Any]
    items: Sequence[str]

    @property
    def name(self) -> str:
        """Of the fault, with the values of its constants that fit."""
        numbers = "".join(f", {name} = {value}" for name, value in self.cause["numbers"].items())
        return f"{self.cause['title']} ({self.cause['mutant']}{numbers})"


def likely_causes(failed: Sequence[Result]) -> list[LikelyCause]:
    """Faults by the number of failures that they explain best."""
    found: dict[str, tuple[Mapping[str, Any], list[str]]] = {}
    for result in failed:
        for cause in result.causes[:1]:
            found.setdefault(cause["mutant"], (cause, []))[1].append(str(result.item))
    ordered = sorted(found.values(), key=lambda entry: -len(entry[1]))
    return [LikelyCause(cause, items) for cause, items in ordered]


def explained(failed: Sequence[Result]) -> str:
    """How many failures have a cause, in words; "" where none was sought."""
    if not any(result.causes for result in failed):
        return ""
    return f"{sum(bool(result.causes) for result in failed)} of {len(failed)} failures explained"
