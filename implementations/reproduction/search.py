"""The simplest call that shows what a requirement found, and its line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from time import monotonic
from typing import Any

import numpy as np
from catalogue import Implementation

from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import PythonTarget

from .faults import SEVERITY, VISIBLE, Judge, Shown
from .lines import DTYPE, NUMBER, NUMBERS, SHAPE, line
from .shell import Printed
from .simpler import blank, elements, few, narrow, of_rows, reductions, rows, singles, transposed

IS_OF = {"sum of a row": "gradient"}
"""What is printed where a requirement compared something that follows from it."""

MAXIMUM_TRIED = 400
"""Simpler calls that are tried for a fault."""

SECONDS = 120.0
"""For how long; far more than they take, so that what is chosen does not depend on the machine's load."""

QUANTITIES = ("value", "gradient", "second_derivative")

MAXIMUM_LINE = 800
"""Characters; what is longer is no line to paste."""

Test = Callable[[Call], Shown | None]


@dataclass(frozen=True)
class Reproduction:
    """A line, and what it has to print.

    Attributes
    ----------
    dtype
        The format of its logits.
    quantity
        "value", "gradient" or "second_derivative".
    command
        For a shell.
    right
        What the result should be.
    shown
        What the call gave when it was chosen.
    """

    dtype: str
    quantity: str
    command: str
    right: str
    shown: Shown

    def is_shown_by(self, printed: Printed) -> bool:
        """Whether an output has the fault: nearer to what the call gave than to what is right."""
        if self.shown.way == "raise":
            # The same exception, not one of the line's own.
            return bool(printed.code) and self.shown.message[:40] in printed.output
        if printed.code != 0:
            return False
        if self.shown.way == "accepted":
            return True
        if self.shown.way == "dtype":
            return self.dtype not in printed.output and bool(printed.output)
        if self.shown.way == "shape":
            return printed.output.replace(" ", "") != self.right.replace(" ", "").removeprefix("shape")
        got, expected = self.shown.got, self.shown.expected
        if got is None or expected is None:
            return False
        numbers = np.array(printed.numbers)
        if numbers.size != got.size:
            return False
        one, other = (array.astype(np.float64).reshape(-1) for array in (got, np.broadcast_to(expected, got.shape)))
        return any(_nearer(*three) for three in zip(numbers, one, other, strict=True))


def _nearer(number: float, got: float, expected: float) -> bool:
    """Whether a number is the wrong one of two."""
    if np.isnan(number) or np.isnan(expected):
        return bool(np.isnan(number) != np.isnan(expected))
    if np.isinf(number) or np.isinf(expected):
        return bool(number != expected)
    return bool(got != expected and abs(number - got) < abs(number - expected))


def reproductions(target: PythonTarget, entry: Implementation, name: str, dtype: str) -> Iterator[Reproduction]:
    """Lines for a failing requirement in one format, one a quantity; none where no line can show it."""
    judge = Judge(target, name, dtype)
    for quantity, findings in _by_quantity(judge).items():
        found = _simplest(judge, quantity, findings)
        for call, shown in found:
            result = np.asarray(shown.got) if shown.got is not None else call.logits
            kind = {"dtype": DTYPE, "shape": SHAPE, "accepted": SHAPE}.get(shown.way)
            if kind is None:
                kind = NUMBER if result.size == 1 else NUMBERS
            command = line(target, entry, call, quantity, kind)
            if command is not None and len(command) <= MAXIMUM_LINE:
                yield Reproduction(judge.dtype, quantity, command, shown.right, shown)


def _by_quantity(judge: Judge) -> dict[str, list[Finding]]:
    """Findings that are of one call, by what is printed, each group of the way that is shown first."""
    groups: dict[str, list[Finding]] = {}
    for finding in judge.findings:
        if finding.made_by is None:
            continue
        quantity = IS_OF.get(finding.quantity, finding.quantity)
        quantity = quantity if quantity in QUANTITIES else "value"
        groups.setdefault(quantity, []).append(finding)
    if judge.name == "FL-RED-009":
        logits = np.zeros(2, FORMATS["float32"].dtype)
        call = Call(logits, logits, reduction="sum")
        groups["value"] = [Finding("", "sum", "", "", signature="off-by-ulp", made_by=call)]
    for quantity, findings in groups.items():
        way = min((finding.signature for finding in findings), key=_severity)
        groups[quantity] = [finding for finding in findings if finding.signature == way]
    return {quantity: groups[quantity] for quantity in QUANTITIES if quantity in groups}


def _simplest(judge: Judge, quantity: str, findings: Sequence[Finding]) -> Iterator[tuple[Call, Shown]]:
    """The simplest call that fails in the way of the findings, if one is found."""
    way = findings[0].signature
    calls = [finding.made_by for finding in findings if finding.made_by is not None]
    if way == "accepted":
        for call in calls:
            kept = [few(blank(call)), blank(call), call] if call.reduction != "none" else [blank(call), call]
            kept = [*(narrow(one) for one in kept if "float32" in judge.target.profile.tiers), *kept]
            yield from _first(kept, judge.accepted, lambda shown: True)
            return
    if way == "raise" and quantity != "value" and "value" in (finding.quantity for finding in judge.findings):
        # What raises for the value says nothing new for the gradient.
        return
    if way == "raise":
        parts = (part for call in calls for part in singles(call, None, "value"))
        strided = (one for call in calls[:1] for one in transposed(call))
        few_parts = islice(parts, 256)
        yield from _first(
            chain(few_parts, strided, calls), lambda call: judge.raised(call, quantity), lambda shown: True
        )
        return
    if calls[0].reduction != "none":
        tried = [
            one for call in calls[:1] if call.logits.size for one in reductions(judge.target.profile, judge.dtype, call)
        ]
        yield from _first(
            [*(call for call in calls if not call.logits.size), *tried, *calls],
            lambda call: judge.reduced(call, quantity) if call.logits.size <= 64 else None,
            lambda shown: True,
        )
        return
    yield from _of_elements(judge, quantity, findings)


def _of_elements(judge: Judge, quantity: str, findings: Sequence[Finding]) -> Iterator[tuple[Call, Shown]]:
    def test(call: Call) -> Shown | None:
        return judge.numbers(call, quantity)

    failed: list[tuple[Call, Finding]] = []
    worst = 0.0
    ways = set()
    for finding in findings:
        assert finding.made_by is not None
        for single in singles(finding.made_by, finding.element, quantity):
            shown = test(single)
            if shown is not None:
                failed.append((single, finding))
                worst = max(worst, shown.relative)
                ways.add(shown.way)
                break
    if not failed:
        return
    way = min(ways, key=_severity)
    enough = min(VISIBLE, worst / 2)
    make = rows if of_rows(failed[0][0]) else elements
    simpler = _in_time(islice(make(judge.target.profile, judge.dtype, failed), MAXIMUM_TRIED))
    tried = chain(simpler, (call for call, _ in failed))

    def printed(call: Call) -> Shown | None:
        shown = test(call)
        if shown is None or shown.way != way or shown.relative < enough:
            return None
        return judge.printed(shown, quantity)

    yield from _first(tried, printed, lambda shown: True)


def _in_time(calls: Iterable[Call]) -> Iterator[Call]:
    """As many as can be tried."""
    end = monotonic() + SECONDS
    return takewhile(lambda _: monotonic() < end, calls)


def _first(calls: Iterable[Call], test: Test, wanted: Callable[[Shown], bool]) -> Iterator[tuple[Call, Shown]]:
    for call in calls:
        try:
            shown = test(call)
        except (ArithmeticError, ValueError, IndexError):
            # No truth is known of such a call.
            continue
        if shown is not None and wanted(shown):
            yield call, shown
            return


def _severity(way: Any) -> int:
    return SEVERITY.index(way) if way in SEVERITY else len(SEVERITY)
