"""The verdict: what has to be run, what came of it, and when the gate is green."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from focal_ref.conformance.cases import Cases, packed, unpacked
from focal_ref.conformance.checks import checks
from focal_ref.conformance.claims import claimed
from focal_ref.conformance.diagnosis import Diagnosis, Recording
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.findings import failure_text, is_loss_vector
from focal_ref.conformance.outcome import Outcome
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.requirements import DETECTION, Requirement, requirements
from focal_ref.conformance.targets import Target
from focal_ref.conformance.targets.builtin import CAUGHT_BY, DTYPE, right_target, wrong_target
from focal_ref.conformance.versioning import current, is_tentative, tentative_cases
from focal_ref.conformance.waivers import Facts, Failure, WaiverFile, is_unexpected, problems, waived


class ExitCode(IntEnum):
    """What the process ends with; each has one line of reason."""

    CONFORMANT = 0
    NOT_CONFORMANT = 1
    INTERRUPTED = 2
    INTERNAL = 3
    USAGE = 4
    NOTHING = 5
    INCOMPLETE = 6
    WAIVERS = 7
    SELF_CHECK = 8


@dataclass(frozen=True, order=True)
class Item:
    """One thing to run: a requirement in a format, or a self-check.

    Attributes
    ----------
    name
        Id of the requirement, or "self-check".
    dtype
        Format under test; "" for requirements that are verified once. For a self-check, which implementation.
    """

    name: str
    dtype: str = ""

    def __str__(self) -> str:
        return f"{self.name}-{self.dtype}" if self.dtype else self.name


SELF_CHECK = "self-check"


@dataclass(frozen=True)
class Result:
    """What an item came to.

    Attributes
    ----------
    item
        What was run.
    passed
        Whether the requirement is met, or the self-check came out as it must.
    comparisons, error, budget
        As in `Outcome`.
    text
        The failure text, or "".
    findings
        As JSON data.
    regimes
        The largest errors by regime, as JSON data; see `focal_ref.conformance.regimes`.
    seconds
        How long it took.
    waiver
        Reason of the waiver by which this failure is expected, or "".
    causes
        Known faults that explain the failure, as JSON data; see `focal_ref.conformance.diagnosis`.
    failing
        Cases by the way in which they failed, a key of `focal_ref.conformance.cases.SIGNATURES`.
    passing
        Of an item that failed, the cases that passed.
    tentative
        Whether a failure does not count yet: the requirement, or all that failed, is newer than the level of the run.
    """

    item: Item
    passed: bool
    comparisons: int = 0
    error: float = 0.0
    budget: float = 0.0
    text: str = ""
    findings: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    regimes: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    seconds: float = 0.0
    waiver: str = ""
    causes: Sequence[Mapping[str, Any]] = ()
    failing: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passing: Sequence[str] = ()
    tentative: bool = False

    @property
    def is_red(self) -> bool:
        """Whether it is a failure that nobody expects."""
        return not (self.passed or self.waiver or self.tentative)

    def record(self) -> dict[str, Any]:
        """The result as JSON data; infinite and NaN errors as text."""
        return {
            "requirement": self.item.name,
            "dtype": self.item.dtype,
            "passed": self.passed,
            "comparisons": self.comparisons,
            "error_ulp": _finite(self.error),
            "budget_ulp": _finite(self.budget),
            "text": self.text,
            "findings": list(self.findings),
            "regimes": list(self.regimes),
            "seconds": round(self.seconds, 3),
            "waiver": self.waiver,
            "causes": list(self.causes),
            "tentative": self.tentative,
            "cases": {
                "failing": {way: packed(cases) for way, cases in self.failing.items()},
                "passing": packed(self.passing),
            },
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Result":
        """The result of which `record` made this data."""
        return cls(
            Item(record["requirement"], record["dtype"]),
            record["passed"],
            record["comparisons"],
            float(record["error_ulp"]),
            float(record["budget_ulp"]),
            record["text"],
            record["findings"],
            record["regimes"],
            record["seconds"],
            record["waiver"],
            record.get("causes", ()),
            {way: unpacked(groups) for way, groups in record.get("cases", {}).get("failing", {}).items()},
            unpacked(record.get("cases", {}).get("passing", {})),
            record.get("tentative", False),
        )


def items_of(profile: Profile) -> tuple[Item, ...]:
    """Everything that has to be run for a profile: the must-pass set, and the self-checks."""
    needed = []
    for requirement in requirements().values():
        if claimed(requirement, profile):
            needed += [Item(requirement.id, dtype) for dtype in _dtypes(requirement, profile)]
    return (*(Item(SELF_CHECK, name) for name in ("right", *CAUGHT_BY)), *needed)


def run_item(
    item: Item,
    target: Target,
    command: str,
    case: str | None = None,
    level: str | None = None,
    diagnosis: Diagnosis | None = None,
) -> Result:
    """Run one item and say what came of it.

    Parameters
    ----------
    item, target
        What to run, and what to run it on.
    command
        What failure texts tell to repeat.
    case
        The one stored vector to run.
    level
        The release whose requirements and vectors count; the current one by default.
    diagnosis
        Of the target: what says which known fault explains a failure. None to do without.
    """
    if item.name == SELF_CHECK:
        return _self_check(item)
    requirement = requirements()[item.name]
    level = level or current()
    target.begin()
    # Declarations are diagnosed by their checks, which call the target as if it had declared something else.
    recording = None if diagnosis is None or requirement.area == "DECL" else Recording(target)
    outcome = examine(requirement, recording or target, item.dtype, case)
    explanation = None
    if outcome.findings and diagnosis is not None and recording is not None:
        explanation = diagnosis.explanation(requirement, outcome.findings, recording.answers)
    text = failure_text(requirement, item.dtype, outcome.findings, command, explanation) if outcome.findings else ""
    if not outcome.comparisons:
        text = f"{item}: nothing was compared" + (f"; no vector has the id {case!r}" if case else "")
    return Result(
        item,
        not text,
        outcome.comparisons,
        outcome.error,
        outcome.budget,
        text,
        [finding.record() for finding in outcome.findings],
        outcome.regimes.record(),
        causes=[cause.record() for cause in explanation.causes] if explanation else [],
        failing=outcome.cases.failing if text else {},
        passing=outcome.cases.passing if text else (),
        tentative=is_tentative(requirement.since, level) or _only_tentative(outcome, level),
    )


def examine(requirement: Requirement, target: Target, dtype: str, case: str | None = None) -> Outcome:
    """Run the check of one requirement, or what concerns one case of it."""
    # Vectors of losses are chosen by the examiner; of other cases the check runs as a whole.
    narrows = case is not None and is_loss_vector(case)
    examiner = Examiner(target, requirement, dtype or _only(requirement, target.profile), case if narrows else None)
    checks()[requirement.id](examiner)
    outcome = examiner.outcome()
    return outcome if case is None or narrows else _of_case(outcome, case)


def _of_case(outcome: Outcome, case: str) -> Outcome:
    """What an outcome says of one case; nothing was compared if there is none of that name."""
    cases = Cases()
    for way, failing in outcome.cases.failing.items():
        if case in failing:
            cases.failed(case, way)
    if case in outcome.cases.passing:
        cases.ran([case])
    findings = tuple(finding for finding in outcome.findings if finding.case == case)
    known = bool(findings or cases.failing or cases.passing)
    return Outcome(int(known), 0.0, 0.0, findings, cases=cases)


def verdict(
    expected: Sequence[Item],
    results: Sequence[Result],
    case: str | None,
    waivers: WaiverFile | None = None,
    facts: Facts | None = None,
) -> tuple[ExitCode, str]:
    """The exit code of a run that came to its end, and one line of reason.

    Parameters
    ----------
    expected
        Everything that has to be run.
    results
        What came of it; the waiver of an expected failure stands in its result.
    case
        The one stored vector that was run, if it was one.
    waivers, facts
        The expected failures, and what decides about their conditions.

    Notes
    -----
    The first of these that holds: a self-check failed; something is not met that no waiver speaks of; nothing was run;
    a waiver does not fit; something was left out.
    """
    executed = {result.item for result in results}
    left_out = [item for item in expected if item not in executed]
    missing = f"{len(left_out)} of {len(expected)} items were skipped or filtered" if left_out else ""
    broken = [result for result in results if not result.passed and result.item.name == SELF_CHECK]
    if broken:
        return ExitCode.SELF_CHECK, f"self-check failed: {broken[0].text}"
    wrong = misfits(expected, results, case, waivers, facts)
    failed = [result for result in results if result.is_red]
    if waivers is not None and facts is not None and wrong:
        # What a misfitting waiver speaks of is that waiver's problem.
        failed = [result for result in failed if is_unexpected(_failure(result), waivers, facts)]
    more = f"; {missing}" if missing else ""
    more += f"; {_counted(wrong, 'waiver problem')}" if wrong else ""
    if failed:
        count = _counted({result.item.name for result in failed}, "requirement")
        return ExitCode.NOT_CONFORMANT, f"not conformant: {count} not met{more}"
    if not executed:
        return ExitCode.NOTHING, "nothing was run"
    if wrong:
        others = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return ExitCode.WAIVERS, f"{wrong[0]}{others}"
    if left_out or case is not None:
        return ExitCode.INCOMPLETE, f"incomplete: {missing or f'only case {case}'}"
    expectedly = {result.item.name for result in results if not result.passed and result.waiver}
    tentative = {result.item.name for result in results if not result.passed and not result.waiver and result.tentative}
    remark = f"; {_counted(tentative, 'tentative requirement')} not met" if tentative else ""
    if expectedly:
        count = _counted(expectedly, "waived requirement")
        return ExitCode.CONFORMANT, f"no unexpected failure: {count}, not conformant{remark}"
    return ExitCode.CONFORMANT, f"conformant: {sum(result.passed for result in results)} items passed{remark}"


def misfits(
    expected: Sequence[Item],
    results: Sequence[Result],
    case: str | None,
    waivers: WaiverFile | None,
    facts: Facts | None,
) -> list[str]:
    """What is wrong with the expected failures, one line each; see `verdict`. Of one case nothing can be said."""
    if waivers is None or facts is None or case is not None:
        return []
    pairs = [(item.name, item.dtype) for item in expected]
    return problems(waivers, pairs, [_failure(result) for result in results], facts)


def expect(result: Result, waivers: WaiverFile, facts: Facts) -> Result:
    """The result with the reason why its failure is expected, if it is."""
    reason = "" if result.passed or result.item.name == SELF_CHECK else waived(_failure(result), waivers, facts)
    return replace(result, waiver=reason)


def _failure(result: Result) -> Failure:
    return Failure(result.item.name, result.item.dtype, result.failing, result.passing)


def _only_tentative(outcome: Outcome, level: str) -> bool:
    """Whether there are failures, and all of them are vectors that do not count yet."""
    failing = {case for cases in outcome.cases.failing.values() for case in cases}
    return bool(failing) and tentative_cases(failing, level) == failing


def _counted(things: Collection[Any], name: str) -> str:
    return f"{len(things)} {name}{'s' * (len(things) != 1)}"


def _self_check(item: Item) -> Result:
    """Run the gate's own implementations through the checks: the right one passes, a wrong one is found."""
    if item.dtype == "right":
        target: Target = right_target()
        names = [name for name, requirement in requirements().items() if claimed(requirement, target.profile)]
        outcomes = {name: examine(requirements()[name], target, DTYPE) for name in names}
        accused = [name for name, outcome in outcomes.items() if outcome.findings]
        text = f"the built-in right implementation fails {', '.join(accused)}" if accused else ""
    else:
        target = wrong_target(item.dtype)
        outcomes = {name: examine(requirements()[name], target, DTYPE) for name in CAUGHT_BY[item.dtype]}
        # By a comparison: an error was measured, or anchors were matched otherwise.
        missed = [
            name
            for name, outcome in outcomes.items()
            if not any(finding.error or finding.quantity == "matches" for finding in outcome.findings)
        ]
        text = f"{', '.join(missed)} does not find the built-in wrong implementation {item.dtype!r}" if missed else ""
    comparisons = sum(outcome.comparisons for outcome in outcomes.values())
    return Result(item, not text, comparisons, text=text)


def _dtypes(requirement: Requirement, profile: Profile) -> tuple[str, ...]:
    if requirement.dtypes == "once":
        return ("",)
    if requirement.dtypes == "16-bit":
        return tuple(dtype for dtype in profile.tiers if dtype in ("float16", "bfloat16"))
    if requirement.dtypes == "wide":
        return tuple(dtype for dtype in profile.tiers if dtype in ("float32", "float64"))
    return tuple(profile.tiers)


def _only(requirement: Requirement, profile: Profile) -> str:
    """The format of what is verified once: the widest; on the detection side the one in which detectors compute."""
    if requirement.area in DETECTION and "float32" in profile.tiers:
        return "float32"
    return next(dtype for dtype in ("float64", "float32", "float16", "bfloat16") if dtype in profile.tiers)


def _finite(value: float) -> float | str:
    return value if abs(value) < float("inf") else repr(value)
