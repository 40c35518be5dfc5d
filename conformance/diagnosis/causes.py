"""What is said of a cause: the fault, how much of what was seen it explains, what to change, and who had it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from focal_ref.conformance.diagnosis.likeness import Likeness
from focal_ref.conformance.diagnosis.suspects import Suspect

NUMBERS, TARGET, FAILURE = "numbers", "target", "failure"
"""How a cause was found: it gives the wrong numbers that the requirement found; it gives those of the target elsewhere,
and is known to fail this requirement; or it fails the requirement in the same way."""

HOW = {
    NUMBERS: "gives {:.0%} of the wrong numbers",
    TARGET: "gives {:.0%} of the target's wrong numbers elsewhere, and fails this requirement",
    FAILURE: "fails in {:.0%} of these ways",
}


@dataclass(frozen=True)
class Cause:
    """A known fault that explains what a requirement found.

    Attributes
    ----------
    mutant, title, fault, advice, seen
        As in the catalogue of mutants.
    numbers
        Values of the mutant's constants that fit best, where these are not its own.
    by
        `NUMBERS`, `TARGET` or `FAILURE`.
    explained, shared
        Share of the target's wrong numbers that are the mutant's too, and of the mutant's that are the target's.
    """

    mutant: str
    title: str
    fault: str
    advice: str
    seen: Sequence[str]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    by: str = NUMBERS
    explained: float = 1.0
    shared: float = 1.0

    @classmethod
    def of(cls, suspect: Suspect, by: str, found: Likeness) -> "Cause":
        """The cause that a suspect is."""
        mutant = suspect.mutant
        text = (mutant.name, mutant.title, mutant.fault, mutant.advice, tuple(mutant.seen))
        return cls(*text, dict(suspect.numbers), by, round(found.explained, 3), round(found.shared, 3))

    def rows(self, name: str) -> list[tuple[str, str]]:
        """Lines of a failure text, each with what it is."""
        numbers = "".join(f", {constant} = {value}" for constant, value in self.numbers.items())
        how = HOW[self.by].format(self.explained)
        return [
            (name, f"{self.title} ({self.mutant}{numbers}): {how}"),
            ("", self.fault),
            ("change", self.advice),
            ("seen", "; ".join(self.seen)),
        ]

    def record(self) -> dict[str, Any]:
        """The cause as JSON data."""
        record = asdict(self)
        record.update(seen=list(self.seen), numbers={name: _plain(value) for name, value in self.numbers.items()})
        return record


NO_CAUSE = "none of the known faults explains it"
"""What is said where a cause was sought and not found."""


@dataclass(frozen=True)
class Explanation:
    """What a failure was compared with the known faults for.

    Attributes
    ----------
    causes
        Those that explain it, the likeliest first.
    broken
        Why there was no comparison, or "": a diagnosis that breaks down takes no verdict away.
    """

    causes: Sequence[Cause] = ()
    broken: str = ""

    def rows(self) -> list[tuple[str, str]]:
        """Lines of a failure text, each with what it is."""
        if self.broken:
            return [("cause", f"the comparison with the known faults broke down: {self.broken}")]
        rows = [row for place, cause in enumerate(self.causes) for row in cause.rows("and" if place else "cause")]
        return rows or [("cause", NO_CAUSE)]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) or value is None else repr(value)
