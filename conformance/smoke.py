"""A first impression in seconds: the harness proves itself, then a dozen stored vectors."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from focal_ref.conformance.cases import Cases
from focal_ref.conformance.claims import claimed
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.gate import ExitCode, examine
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Array, Target
from focal_ref.conformance.targets.builtin import DTYPE, right_target, wrong_target
from focal_ref.conformance.vectors import Group

WRONG = ("loses-easy-elements", "swaps-alpha")
"""Built-in implementations that a dozen vectors have to find."""


@dataclass(frozen=True)
class Probe:
    """A few vectors of one set for one requirement."""

    requirement: str
    vectors: str
    quantity: str
    count: int
    alpha: tuple[float | None, ...]
    gamma: float


PROBES = (
    Probe("FL-VAL-001", "grid", "value", 4, (0.25, 0.75), 2.0),
    Probe("FL-VAL-002", "saturation", "value", 4, (None,), 2.0),
    Probe("FL-VAL-004", "alpha", "value", 4, (0.1,), 2.0),
    Probe("FL-GRAD-001", "grid", "gradient", 4, (0.25, 0.75), 2.0),
    Probe("FL-GRAD-003", "saturation", "gradient", 4, (None,), 2.0),
)
"""Twelve vectors, eight of them with their gradient; one exponent, for which compiling targets compile once."""

AREAS = ("VAL", "GRAD", "LAB", "SMX", "STAR", "REL")
"""Areas that speak of values and gradients of a loss."""

FIRST = 3
"""Requirements that are run of what has no vector among the dozen."""


@dataclass(frozen=True)
class Row:
    """What came of one probe: see `focal_ref.conformance.gate.Result`."""

    requirement: str
    quantity: str
    vectors: int
    error: float
    budget: float
    failed: int
    text: str

    @property
    def passed(self) -> bool:
        """Whether something was compared and nothing failed."""
        return self.vectors > 0 and not self.failed


def smoke_format(target: Target) -> str:
    """The format of the smoke test: float32 if it is claimed."""
    return "float32" if "float32" in target.profile.tiers else next(iter(target.profile.tiers))


def harness_fault() -> str:
    """What is wrong with the harness itself: the right implementation passes, and each wrong one is found."""
    accused = [row for row in smoke_rows(right_target(), DTYPE) if not row.passed]
    if accused:
        return f"the built-in right implementation fails {accused[0].requirement}"
    for name in WRONG:
        if not any(row.failed for row in smoke_rows(wrong_target(name), DTYPE)):
            return f"the built-in wrong implementation {name!r} is not found"
    return ""


def smoke_rows(target: Target, dtype: str) -> Sequence[Row]:
    """What came of each probe that the profile claims; of matchers and coders, their first requirements."""
    if target.profile.kind != "loss":
        names = [name for name, entry in requirements().items() if claimed(entry, target.profile)][:FIRST]
        return [_row(name, "", examine(requirements()[name], target, dtype)) for name in names]
    rows = []
    for probe in PROBES:
        if not claimed(requirements()[probe.requirement], target.profile):
            continue
        examiner = Examiner(target, requirements()[probe.requirement], dtype)
        target.begin()
        examiner.vectors([probe.vectors], probe.quantity, _selection(probe))
        rows.append(_row(probe.requirement, probe.quantity, examiner.outcome()))
    return rows or _family_rows(target, dtype)


def _family_rows(target: Target, dtype: str) -> list[Row]:
    """Of a loss that has no vector among the dozen, such as a softmax: its first requirements."""
    first = [entry for entry in requirements().values() if entry.area in AREAS and claimed(entry, target.profile)]
    rows = []
    for entry in first[:FIRST]:
        target.begin()
        rows.append(_row(entry.id, "", examine(entry, target, dtype)))
    return rows


def smoke_verdict(rows: Sequence[Row]) -> tuple[ExitCode, str]:
    """The exit code, and one line of reason. A smoke test alone does not prove conformance."""
    failed = [row for row in rows if not row.passed]
    if not any(row.vectors for row in rows):
        return ExitCode.NOTHING, "none of the vectors is within what the profile claims"
    if failed:
        return ExitCode.NOT_CONFORMANT, f"not conformant: {len(failed)} of {len(rows)} checks fail"
    return ExitCode.CONFORMANT, "the smoke test passes; `focal-ref conform` gives the verdict"


def _selection(probe: Probe) -> Callable[[Group, Array], Any]:
    taken: set[tuple[float | None, int]] = set()
    each = max(1, probe.count // len(probe.alpha))

    def select(group: Group, logits: Array) -> Any:
        chosen = np.zeros(logits.shape, bool)
        key = (group.alpha, len(group.tests))
        if group.gamma != probe.gamma or group.alpha not in probe.alpha or group.encoding == "soft" or key in taken:
            return chosen
        taken.add(key)
        # Spread over the moderate logits of both targets, which stand one after the other.
        moderate = np.flatnonzero(np.abs(logits.astype(np.float64)) <= 30.0)
        chosen[moderate[((np.arange(each) + 0.4) / each * moderate.size).astype(int)]] = True
        return chosen

    return select


def _row(requirement: str, quantity: str, outcome: Any) -> Row:
    cases: Cases = outcome.cases
    failing = {case for ids in cases.failing.values() for case in ids}
    finding = outcome.findings[0] if outcome.findings else None
    text = "" if finding is None else f"expected {finding.expected.split()[0]}, got {finding.got}"
    count = len(failing) + len(cases.passing)
    return Row(requirement, quantity, count, outcome.error, outcome.budget, len(failing), text)
