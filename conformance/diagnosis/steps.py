"""Many suspects asked the same questions, and which of them explain a target, one after the other."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from focal_ref.conformance.diagnosis.likeness import Layout, Likeness, Numbers
from focal_ref.conformance.diagnosis.recording import Answer
from focal_ref.conformance.diagnosis.suspects import Suspect, answer, neighbours
from focal_ref.conformance.targets import Array

SHARED = 0.7
"""Share of a suspect's wrong numbers that has to be the target's too."""

NEAR = 0.9
"""Distance from the target up to which numbers between the usual ones are tried."""

ROUNDS = 4

ALONE, TOGETHER, MAXIMUM_PAIRED = 0.4, 0.6, 40
"""A suspect that explains less alone is tried in pairs, which have to explain more; so many are."""


class Step(NamedTuple):
    """A suspect that explains what others before it left over."""

    suspect: Suspect
    likeness: Likeness


class Suspects:
    """The answers of many suspects to the same questions."""

    def __init__(self, layout: Layout, chosen: Sequence[Suspect]) -> None:
        self.layout = layout
        self.chosen: list[Suspect] = []
        empty = np.zeros((0, layout.right.values.size))
        self.numbers = Numbers(empty, empty.astype(bool))
        self._add(chosen)

    def _add(self, more: Sequence[Suspect]) -> None:
        rows = [self.layout.row(_answers(suspect, self.layout)) for suspect in more]
        self.chosen += more
        self.numbers = Numbers(
            np.stack([*self.numbers.values, *(row.values for row in rows)]) if rows else self.numbers.values,
            np.stack([*self.numbers.present, *(row.present for row in rows)]) if rows else self.numbers.present,
        )

    def refine(self) -> None:
        """Add suspects with numbers between the usual ones where these come near."""
        for _ in range(ROUNDS):
            distances = self.layout.distances(self.numbers)
            nearest: dict[str, tuple[float, Suspect]] = {}
            for suspect, distance in zip(self.chosen, distances, strict=True):
                name = suspect.mutant.name
                if suspect.numbers and float(distance) < nearest.get(name, (NEAR, suspect))[0]:
                    nearest[name] = (float(distance), suspect)
            more = [
                between
                for distance, suspect in nearest.values()
                if distance > 0.01
                for between in neighbours(suspect, [one for one in self.chosen if one.mutant is suspect.mutant])
            ]
            if not more:
                return
            self._add(more)

    def shared(self) -> Array:
        """Of each suspect: the share of its wrong numbers that is the target's too."""
        return self.layout.likeness(self.numbers, self.layout.right)[1]

    def deviating(self) -> Array:
        """Which suspects have wrong numbers."""
        return self.layout.deviating(self.numbers)

    def steps(self, preference: Sequence[tuple[object, ...]], worthwhile: float, maximum: int) -> list[Step]:
        """Suspects that explain the target one after the other, each together with those before it.

        Parameters
        ----------
        preference
            Of suspects that explain the same, the one with the smallest is taken.
        worthwhile
            What one has to explain at least of what is left.
        maximum
            Number of suspects.
        """
        base, left = self.layout.right, 1.0
        steps: list[Step] = []
        while self.chosen and len(steps) < maximum:
            joined = self.layout.together(self.numbers, base)
            explained, shared = self.layout.likeness(joined, base)
            # One fault with one number: the same one with another number says nothing more.
            named = {step.suspect.mutant.name for step in steps}
            fresh = np.array([one.mutant.name not in named for one in self.chosen])
            score = np.where((shared >= SHARED) & fresh, explained * shared, 0.0)
            order = sorted(range(len(self.chosen)), key=lambda i: (-round(float(score[i]), 2), *preference[i]))
            best = order[0]
            if not steps and score[best] < ALONE:
                pair = self._pair(explained)
                if pair is not None:
                    steps, base = pair
                    left *= 1.0 - steps[-1].likeness.explained
                    continue
            if score[best] * left < worthwhile:
                break
            found = Likeness(round(float(explained[best]) * left, 3), round(float(shared[best]), 3))
            steps.append(Step(self.chosen[best], found))
            base = Numbers(joined.values[best], joined.present[best])
            left *= 1.0 - float(explained[best])
        return steps

    def _pair(self, explained: Array) -> tuple[list[Step], Numbers] | None:
        """Two faults of the same numbers, which neither of them explains alone."""
        right = self.layout.right
        best: tuple[float, int, int, Likeness] | None = None
        # Where one of them has no effect, the other one explains something.
        for first in np.argsort(-explained, kind="stable")[:MAXIMUM_PAIRED]:
            base = Numbers(self.numbers.values[first], self.numbers.present[first])
            both, shared = self.layout.likeness(self.layout.together(self.numbers, base), right)
            other = np.array([one.mutant is not self.chosen[first].mutant for one in self.chosen])
            score = np.where((shared >= SHARED) & other, both * shared, 0.0)
            second = int(np.argmax(score))
            if explained[first] > 0 and score[second] >= TOGETHER and (best is None or score[second] > best[0] + 0.01):
                found = Likeness(round(float(both[second]), 3), round(float(shared[second]), 3))
                best = (float(score[second]), int(first), second, found)
        if best is None:
            return None
        _, first, second, found = best
        rows = (Numbers(self.numbers.values[i], self.numbers.present[i]) for i in (first, second))
        joined = self.layout.together(*rows)
        return [Step(self.chosen[i], found) for i in (first, second)], joined


def _answers(suspect: Suspect, layout: Layout) -> list[Answer | None]:
    """What a suspect answers, asked in this order from the beginning."""
    target, mutant = suspect.target(), suspect.mutant
    return [
        answer(target, mutant, one.method, one.arguments, checks=right.results is None)
        for one, right in zip(layout.questions, layout.rights, strict=True)
    ]
