"""The comparison of a target that fails with all known faults."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from focal_ref.conformance.checks import checks
from focal_ref.conformance.claims import claimed
from focal_ref.conformance.conventions.calls import expected
from focal_ref.conformance.conventions.scope import is_canonical
from focal_ref.conformance.diagnosis.causes import FAILURE, NUMBERS, TARGET, Cause, Explanation
from focal_ref.conformance.diagnosis.experiments import large_questions, questions
from focal_ref.conformance.diagnosis.likeness import COARSE, FINE, Failed, Layout, Likeness, Question
from focal_ref.conformance.diagnosis.recording import Answer, asked, call_of
from focal_ref.conformance.diagnosis.steps import SHARED, Step, Suspects
from focal_ref.conformance.diagnosis.suspects import Suspect, functions_of, sized, suspects, usable
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.mutants import NOBODY, right_target, stored
from focal_ref.conformance.requirements import Requirement, requirements
from focal_ref.conformance.targets import Call, Target, TargetFault

WORTHWHILE = 0.015
"""Share of a target's wrong answers that a further cause has to explain."""

ENOUGH = 0.3
"""Share of the wrong numbers of a requirement that a cause has to explain."""

MAXIMUM_CAUSES = 5

MAXIMUM_ANSWERS = 10
"""Wrong answers of a requirement that are compared, and right ones."""

MAXIMUM_ELEMENTS = 64
"""Of one call of a requirement that are compared: what depends on many is found by experiments."""

TIMES = 30.0
"""How far the errors of the same failure may lie apart."""

MAXIMUM_CERTIFIED = 2000
"""Elements of a call whose declared results are computed to see that they are those of the canonical conventions."""


class Diagnosis:
    """Finds causes of the failures of one target.

    Parameters
    ----------
    target
        It is asked further questions once something failed.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._profile = target.profile
        self._right = right_target()

    def explanation(
        self, requirement: Requirement, findings: Sequence[Finding], answers: Sequence[Answer]
    ) -> Explanation:
        """`causes`, or why they could not be sought."""
        try:
            return Explanation(self.causes(requirement, findings, answers))
        except Exception as error:  # the target may do anything, and the verdict does not depend on it
            return Explanation(broken=f"{type(error).__name__}: {error}"[:200])

    def causes(
        self, requirement: Requirement, findings: Sequence[Finding], answers: Sequence[Answer]
    ) -> tuple[Cause, ...]:
        """Known faults that explain why a requirement is not met, the likeliest first; none where none fits.

        Parameters
        ----------
        requirement
            That failed.
        findings
            Its failed comparisons.
        answers
            What the target was asked for it, and answered.
        """
        layout = self._layout(answers, findings)
        if layout is not None:
            return self._by_numbers(requirement, layout)
        return self._by_failure(requirement, findings)

    def _by_numbers(self, requirement: Requirement, layout: Layout) -> tuple[Cause, ...]:
        general = [step.suspect for step in self.general]
        named = [one for one in self._suspects if one.mutant.requirement == requirement.id and one not in general]
        steps = self._steps(layout, [*general, *named], requirement)
        if sum(step.likeness.explained for step in steps) < ENOUGH:
            steps = self._steps(layout, self._consistent, requirement) or steps
        return tuple(Cause.of(step.suspect, NUMBERS, step.likeness) for step in steps)

    def _steps(self, layout: Layout, chosen: Sequence[Suspect], requirement: Requirement) -> list[Step]:
        general = [step.suspect for step in self.general]

        def preference(suspect: Suspect) -> tuple[object, ...]:
            mutant = suspect.mutant
            return (suspect not in general, mutant.requirement != requirement.id, *self._rarity(suspect))

        return Suspects(layout, chosen).steps([preference(one) for one in chosen], ENOUGH / 3, 3)

    def _by_failure(self, requirement: Requirement, findings: Sequence[Finding]) -> tuple[Cause, ...]:
        """Mutants that name the requirement, by how far their failed comparisons are those of the target."""
        # What the whole target shows explains this as well, if the mutant is known to fail it.
        rows = stored()
        known = [step for step in self.general if requirement.id in rows.get(step.suspect.mutant.name, {})]
        if known:
            return tuple(Cause.of(step.suspect, TARGET, step.likeness) for step in known[:1])
        ranked: list[tuple[tuple[object, ...], Cause]] = []
        mine = _ways(findings)
        for suspect in self._consistent:
            mutant = suspect.mutant
            if mutant.requirement != requirement.id or suspect.numbers:
                continue
            examiner = Examiner(suspect.target(), requirement, mutant.dtype)
            checks()[requirement.id](examiner)
            theirs = _ways(examiner.findings)
            both = [way for way in mine if way in theirs and _same_size(mine[way], theirs[way])]
            alike, shared = (len(both) / max(1, len(ways)) for ways in (mine, theirs))
            if alike:
                found = Likeness(round(alike, 3), round(shared, 3))
                rank = (-alike * shared, *self._rarity(suspect))
                ranked.append((rank, Cause.of(suspect, FAILURE, found)))
        return tuple(cause for _, cause in sorted(ranked, key=lambda entry: entry[0]))

    @cached_property
    def general(self) -> list[Step]:
        """Causes of what the experiments show, each with what it explains of it."""
        found = []
        for tested in (self._tested, self._large):
            preference = [self._rarity(one) for one in tested.chosen]
            found += tested.steps(preference, WORTHWHILE, MAXIMUM_CAUSES)
        return found

    @cached_property
    def _tested(self) -> Suspects:
        """Every suspect with its answers to the experiments."""
        asking = [] if self._target.compiles else list(questions(self._profile))
        self._target.begin()
        layout = self._laid_out(asking, self._answered(asking))
        every = Suspects(layout, self._suspects)
        every.refine()
        return every

    def _answered(self, asking: Sequence[Question]) -> list[Answer]:
        """What the target answers; where it hangs or dies, nothing more is asked."""
        answers = []
        for one in asking:
            answers.append(asked(self._target, one.method, one.arguments))
            if answers[-1].error == TargetFault.__name__:
                return []
        return answers

    @cached_property
    def _large(self) -> Suspects:
        """Where few elements are right and many are not: suspects that are right about few, asked about many."""
        asking = [] if self._target.compiles else list(large_questions(self._profile))
        layout = self._laid_out(asking, self._answered(asking))
        # Their first question is the first of the experiments, repeated.
        wrong = layout.is_wrong().any() and not self._tested.layout.is_wrong()[:1].any()
        first = self._tested.layout.part([0]) if wrong else layout
        few = Suspects(first, self._suspects).deviating() if wrong else np.ones(len(self._suspects), bool)
        chosen = [one for one, deviates in zip(self._suspects, few, strict=True) if not deviates]
        # The first number that is wrong is where the first block ends, or the last one begins.
        sizes = layout.first_wrong() if wrong else []
        firsts = {one.mutant.name: one for one in reversed(self._suspects) if one.numbers}
        chosen += [more for one in firsts.values() for more in sized(one, sizes)]
        large = Suspects(layout, chosen)
        large.refine()
        return large

    @cached_property
    def _consistent(self) -> list[Suspect]:
        """Suspects that the experiments do not refute."""
        tested = self._tested
        return [one for one, shared in zip(tested.chosen, tested.shared(), strict=True) if shared >= SHARED]

    @cached_property
    def _suspects(self) -> list[Suspect]:
        every = suspects(self._profile.library, functions_of(self._profile))
        return [suspect for suspect in every if usable(suspect.mutant.library)]

    def _rarity(self, suspect: Suspect) -> tuple[object, ...]:
        """What comes last of suspects that explain the same: faults of what is not claimed, or that nobody reported."""
        mutant = suspect.mutant
        is_claimed = claimed(requirements()[mutant.requirement], self._profile)
        return (not is_claimed, mutant.seen == (NOBODY,), bool(suspect.numbers), str(suspect))

    def _layout(self, answers: Iterable[Answer], findings: Sequence[Finding]) -> Layout | None:
        """Some wrong and some right answers of the target, in their order; None where there is no wrong one.

        Where comparisons with a budget failed, what they found wrong counts and nothing else: a claimed accuracy may
        allow other errors.
        """
        failed = _failed(findings)
        smaller = [_smaller(given, _positions(given, failed)) for given in answers]
        for size in (COARSE, FINE):
            asking = [Question(one.method, one.arguments, size) for one, _ in smaller]
            limits = [limit if failed else None for _, limit in smaller]
            layout = self._laid_out(asking, [one for one, _ in smaller], limits)
            wrong = layout.is_wrong() if layout.questions else np.zeros(0, bool)
            if wrong.any():
                some = sorted((*np.flatnonzero(wrong)[:MAXIMUM_ANSWERS], *np.flatnonzero(~wrong)[:MAXIMUM_ANSWERS]))
                return layout.part(some)
        return None

    def _laid_out(
        self, asking: Sequence[Question], answers: Sequence[Answer], limits: Sequence[Failed | None] | None = None
    ) -> Layout:
        """The questions to which the right form has an answer by the declared conventions."""
        kept = []
        limits = [None] * len(asking) if limits is None else limits
        # Of a target that died there are no answers.
        for question, given, limit in zip(asking, answers, limits, strict=False):
            right = self._rightly(question.method, question.arguments)
            if right is not None:
                kept.append((question, right, given, limit))
        if not kept:
            return Layout([], [], [])
        questions, rights, given_ones, limited = zip(*kept, strict=True)
        return Layout(questions, rights, given_ones, limited)

    def _rightly(self, method: str, arguments: tuple[object, ...]) -> Answer | None:
        """The answer of the right form; None where it has none, or other conventions than the target declares."""
        call = call_of(arguments)
        if call is not None and not self._is_canonical(call):
            return None
        given = asked(self._right, method, arguments)
        return None if given.error == "NotImplementedError" else given

    def _is_canonical(self, call: Call) -> bool:
        """Whether the declared conventions ask for the same results as those of this project."""
        profile = self._profile
        if call.function != profile.function or is_canonical(profile.conventions, call.function):
            return True
        if call.reduction != "none" or not 0 < call.logits.size <= MAXIMUM_CERTIFIED:
            # What holds of the elements holds of their sum.
            return call.alpha is None and is_canonical({**profile.conventions, "alpha": "none"}, call.function)
        own = asked(self._right, "value", (call,)).results
        try:
            declared = expected(call, profile, FORMATS[call.logits.dtype.name])["value"].numbers
        except (ValueError, KeyError):
            return False
        if own is None or own["value"].shape != declared.shape:
            return False
        with np.errstate(all="ignore"):
            return bool(np.allclose(own["value"].astype(np.float64), declared.astype(np.float64), 1e-3, 0, True))


def _failed(findings: Sequence[Finding]) -> list[tuple[Call, str, Sequence[int]]]:
    """Calls of which some results are beyond their budgets, with quantity and positions; none of a wrong shape."""
    return [
        (one.made_by, one.quantity, one.wrong or ())
        for one in findings
        if one.made_by is not None and (one.wrong or one.signature in ("dtype", "shape"))
    ]


def _positions(given: Answer, failed: Sequence[tuple[Call, str, Sequence[int]]]) -> Failed:
    """Which results of an answer failed."""
    found: dict[str, set[int]] = {}
    for call, quantity, positions in failed:
        method, name = {
            "value": ("value", "value"),
            "gradient": ("value_and_gradient", "gradient"),
            "second_derivative": ("second_derivative", "value"),
            "hessian": ("hessian", "value"),
        }.get(quantity, ("parameter_gradient", "value"))
        if call is given.made_by and method == given.method:
            found.setdefault(name, set()).update(positions)
    return found


def _smaller(given: Answer, failed: Failed) -> tuple[Answer, Failed]:
    """An answer about some elements of a long call, where each depends on itself alone; those that failed first."""
    call = given.arguments[0] if given.arguments else None
    if not isinstance(call, Call) or call.function != "loss" or given.results is None or len(given.arguments) > 1:
        return given, failed
    count = call.logits.size
    same = all(result.shape == (count,) for result in given.results.values())
    plain = all(np.ndim(value) == 0 for value in (call.alpha, call.gamma, call.weights) if value is not None)
    if call.logits.ndim != 1 or count <= MAXIMUM_ELEMENTS or call.reduction != "none" or not (same and plain):
        return given, failed
    half = MAXIMUM_ELEMENTS // 2
    first = sorted({position for positions in failed.values() for position in positions})
    chosen = [first[round(i)] for i in np.linspace(0, len(first) - 1, min(len(first), half))]
    some = np.unique([*chosen, *np.linspace(0, count - 1, half).astype(np.int64)]).astype(np.int64)
    smaller = replace(call, logits=call.logits[some], targets=call.targets[some])
    places = {name: np.flatnonzero(np.isin(some, list(positions))).tolist() for name, positions in failed.items()}
    return Answer(given.method, (smaller,), {name: result[some] for name, result in given.results.items()}), places


def _ways(findings: Sequence[Finding]) -> dict[tuple[str, str, str], float | None]:
    """In which comparisons something failed and how, with the largest error in ulp; None where nothing was measured."""
    ways: dict[tuple[str, str, str], float | None] = {}
    for finding in findings:
        way = (finding.case.partition("/")[0], finding.quantity, finding.signature)
        known = ways.get(way)
        ways[way] = finding.error if known is None or finding.error is None else max(known, finding.error)
    return ways


def _same_size(first: float | None, second: float | None) -> bool:
    """Whether two errors are both unknown, or neither is many times the other."""
    if first is None or second is None:
        return first is second
    smaller, larger = sorted((first, second))
    return smaller == larger or larger <= TIMES * smaller
