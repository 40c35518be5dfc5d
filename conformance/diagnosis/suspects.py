"""The known faults as functions that can be asked: every mutant, with other usual values of its numbers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from focal_ref.conformance.diagnosis.recording import Answer, asked
from focal_ref.conformance.mutants import Mutant, mutants
from focal_ref.conformance.mutants._targets import REPLACEABLE, NumpyTarget
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.targets import ROWS, Array, Call, Target, UsageError
from focal_ref.conformance.targets.detection import CAPABILITIES as DETECTION_SIDE

STEP = 1e-5
"""Of differences of a gradient in float64."""


@dataclass(frozen=True, eq=False)
class Suspect:
    """A mutant with certain numbers.

    Attributes
    ----------
    mutant
        Which fault.
    numbers
        Values of its constants that are not those of the catalogue.
    """

    mutant: Mutant
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return ", ".join([self.mutant.name, *(f"{name} = {value}" for name, value in self.numbers.items())])

    def target(self) -> Target:
        """The implementation, without memory of earlier calls."""
        return self.mutant.target(self.numbers)


def suspects(library: str, functions: frozenset[str]) -> Iterator[Suspect]:
    """Mutants of some functions that can be asked beside a target of a library."""
    for mutant in mutants():
        if mutant.library in ("numpy", library) and functions & set(mutant.replaced):
            yield Suspect(mutant)
            for values in product(*mutant.tried.values()) if mutant.tried else ():
                yield Suspect(mutant, dict(zip(mutant.tried, values, strict=True)))


def neighbours(suspect: Suspect, others: Iterable[Suspect]) -> list[Suspect]:
    """The same fault with numbers between a suspect's and the next ones that others have; whole ones stay whole."""
    found = []
    for name, value in suspect.numbers.items():
        known = {one.numbers[name] for one in others if name in one.numbers}
        if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in known):
            continue
        below = max((number for number in known if number < value), default=value)
        above = min((number for number in known if number > value), default=value)
        for other in (below, above):
            positive = value > 0 and other > 0
            for share in (1 / 3, 2 / 3):
                number = value ** (1 - share) * other**share if positive else value + share * (other - value)
                number = round(number) if isinstance(value, int) else float(f"{number:.3g}")
                if number not in known:
                    known.add(number)
                    found.append(Suspect(suspect.mutant, {**suspect.numbers, name: number}))
    return found


def sized(suspect: Suspect, sizes: Iterable[int]) -> list[Suspect]:
    """The same fault with sizes of blocks that the target's own numbers suggest."""
    whole = [name for name, value in suspect.numbers.items() if isinstance(value, int) and not isinstance(value, bool)]
    return [Suspect(suspect.mutant, {**suspect.numbers, name: size}) for name in whole for size in sizes]


def functions_of(profile: Profile) -> frozenset[str]:
    """What can be wrong in a target: its own function, or everything in a backend of this project."""
    if profile.kind not in ("loss", "objective") or profile.capabilities & DETECTION_SIDE:
        return frozenset(REPLACEABLE)
    return frozenset({profile.function, "reduce", "second_derivative", "parameter_gradients", "value_and_grad"})


def answer(
    target: Target, mutant: Mutant, method: str, arguments: tuple[Any, ...], *, checks: bool = True
) -> Answer | None:
    """What a mutant answers; None where it cannot be asked.

    Parameters
    ----------
    target, mutant
        Which one.
    method, arguments
        What is asked.
    checks
        Whether the arguments may be such that the right form refuses them.

    Notes
    -----
    A mutant in NumPy has no automatic differentiation: where it does not replace the second derivative itself, that of
    a wrong loss is the difference quotient of its gradient.
    """
    if isinstance(target, NumpyTarget):
        target.checks_arguments = checks and mutant.checks
    derived = method == "second_derivative" and "second_derivative" not in mutant.replaced
    if mutant.library == "numpy" and derived and isinstance(arguments[0], Call) and arguments[0].function != ROWS:
        return Answer(method, arguments, {"value": _difference_quotient(target, arguments[0])})
    given = asked(target, method, arguments)
    return None if given.error == "NotImplementedError" else given


def _difference_quotient(target: Target, call: Call) -> Array:
    wide = call.logits.astype(np.float64)
    step = STEP * np.maximum(1.0, np.abs(wide))
    above, below = (
        asked(target, "value_and_gradient", (replace(call, logits=wide + sign * step),)) for sign in (1.0, -1.0)
    )
    if above.results is None or below.results is None:
        return np.full(call.logits.shape, np.nan, call.logits.dtype)
    with np.errstate(all="ignore"):
        quotient = (above.results["gradient"] - below.results["gradient"]) / (2.0 * step)
        return np.asarray(quotient.astype(call.logits.dtype))


@cache
def usable(library: str) -> bool:
    """Whether mutants of a library can be executed here."""
    try:
        next(one for one in mutants() if one.library == library).target()
    except (UsageError, StopIteration):
        return False
    return True
