"""Whether a call shows the fault of a requirement, and what it should give: by the suite's own comparison."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import Array, Exact
from focal_ref.conformance.checks import checks
from focal_ref.conformance.conventions.calls import expected, feasible
from focal_ref.conformance.conventions.oracle import denominator
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family_comparison import truth
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import ROWS, Call, Target

from .lines import binding_of

VISIBLE = 1e-3
"""A relative error of this size is seen without counting digits."""

SEVERITY = ("accepted", "raise", "nan", "infinity", "zero", "shape", "dtype", "off-by-ulp", "other")
"""Ways in which a comparison fails, in the order in which they are shown."""

HEAVY = ("FL-RED-009",)
"""Requirements whose check is not repeated: ten million elements; a sum of two shows the same."""


@dataclass(frozen=True)
class Shown:
    """What a call gives, and what it should.

    Attributes
    ----------
    way
        In which it is wrong, one of `SEVERITY`.
    expected
        Numbers in the format; None where something else than numbers is expected.
    got
        Likewise.
    right
        The expected result as text.
    error
        In ulp, or None.
    message
        Of what was raised.
    """

    way: str
    expected: Array | None
    got: Array | None
    right: str
    error: float | None = None
    message: str = ""

    @property
    def relative(self) -> float:
        """The largest error of a number in proportion to it; infinite where it is no matter of size."""
        if self.expected is None or self.got is None or self.way in ("nan", "infinity", "zero"):
            return math.inf
        with np.errstate(all="ignore"):
            one, other = (array.astype(np.float64).reshape(-1) for array in (self.got, self.expected))
            return float(np.max(np.nan_to_num(np.abs(one - other) / np.abs(other), nan=0.0), initial=0.0))


class Judge:
    """One requirement in one format, for one target.

    Parameters
    ----------
    target
        Under test.
    name, dtype
        Of the requirement, and the format, "" where it is verified once.
    """

    def __init__(self, target: Target, name: str, dtype: str) -> None:
        self.name = name
        self.target = target
        self.dtype = dtype or next(format for format in FORMATS if format in target.profile.tiers)
        self.findings: Sequence[Finding] = ()
        # The requirement sees the elements of such a function, and a user sees their sums.
        self._adds_classes = getattr(binding_of(target), "adds_classes", False)
        if name in HEAVY:
            self.dtype = "float32"
        self.examiner = Examiner(target, requirements()[name], self.dtype)
        if name not in HEAVY:
            # The check leaves the examiner with the accuracy by which it judges.
            target.begin()
            checks()[name](self.examiner)
            self.findings = tuple(self.examiner.findings)

    def numbers(self, call: Call, quantity: str) -> Shown | None:
        """What is wrong with a quantity of a call without reduction, or None."""
        call = feasible(call, self.target.profile)
        exact = self._exact(call, quantity)
        return self.compared(call, quantity, exact)

    def compared(self, call: Call, quantity: str, exact: Exact) -> Shown | None:
        """The same, by results that are known."""
        self.examiner.findings.clear()
        got = self.examiner.run(quantity, call, "shown")
        if got is not None:
            self.examiner.agree(quantity, call, got, "shown", exact)
        if not self.examiner.findings:
            return None
        finding = self.examiner.findings[0]
        numbers = np.asarray(exact.numbers)
        right = _text(numbers, self.dtype) if finding.signature not in ("dtype", "shape") else finding.expected
        return Shown(finding.signature, numbers, got, right, finding.error, finding.got)

    def printed(self, shown: Shown, quantity: str) -> Shown | None:
        """What the line can print of results of elements; None if the fault is not seen in it."""
        if not self._adds_classes or quantity != "value" or shown.got is None or shown.expected is None:
            return shown
        format = FORMATS[self.dtype].dtype
        with np.errstate(all="ignore"):
            got, expected = (
                np.asarray(array.astype(np.float64).sum(axis=-1)).astype(format)
                for array in (shown.got, shown.expected)
            )
        added = Shown(_way(got, expected), expected, got, _text(expected, self.dtype))
        return added if added.relative > VISIBLE else None

    def reduced(self, call: Call, quantity: str) -> Shown | None:
        """What is wrong with a sum or mean, or with its gradient, or None."""
        call = feasible(call, self.target.profile)
        plain = replace(call, reduction="none", normalizer=None)
        exact = truth(self._of("float64"), _counted(_wide(plain)), (quantity,))[quantity]
        divisor = 1.0 if call.reduction == "sum" else denominator(_left(plain), self.target.profile.conventions)
        terms = np.asarray(exact.numbers, np.float64)
        if call.function == ROWS or call.function == "loss_from_labels":
            terms = np.where(_ignored(plain, terms), 0.0, terms)
        wanted = terms if quantity == "gradient" else np.asarray(math.fsum(terms.reshape(-1).tolist()))
        wanted = np.zeros_like(wanted) if not divisor else wanted / divisor
        numbers = wanted.astype(FORMATS[self.dtype].dtype)
        self.examiner.findings.clear()
        got = self.examiner.run(quantity, call, "shown")
        if got is None:
            finding = self.examiner.findings[0]
            return Shown(finding.signature, numbers, None, _text(numbers, self.dtype), message=finding.got)
        if got.shape != numbers.shape:
            return Shown("shape", None, got, str(numbers.shape))
        if got.dtype != numbers.dtype and got.dtype.itemsize < numbers.dtype.itemsize:
            return Shown("dtype", None, got, f"dtype {numbers.dtype.name}")
        shown = Shown(_way(got, numbers), numbers, got, _text(numbers, self.dtype))
        return shown if shown.way != "off-by-ulp" or shown.relative > VISIBLE else None

    def accepted(self, call: Call) -> Shown | None:
        """A call that has to be refused, and is not."""
        try:
            got = self.target.value(feasible(call, self.target.profile))
        except Exception:  # whatever it raises is a refusal
            return None
        return Shown("accepted", None, got, "an error")

    def raised(self, call: Call, quantity: str) -> Shown | None:
        """A call that raises, and has to give a result."""
        self.examiner.findings.clear()
        if self.examiner.run(quantity, call, "shown") is not None or self.examiner.findings[0].signature != "raise":
            return None
        try:
            right = _text(np.asarray(self._exact(feasible(call, self.target.profile), quantity).numbers), self.dtype)
        except (ArithmeticError, ValueError, IndexError):
            right = "a result"
        return Shown("raise", None, None, right, message=self.examiner.findings[0].got)

    def _exact(self, call: Call, quantity: str) -> Exact:
        if self.name == "FL-EXT-009":
            # Held to the formula that nothing clips.
            profile = self.target.profile
            plain = replace(profile, conventions={**profile.conventions, "clipping": "none", "epsilon": 0})
            return expected(call, plain, self.examiner.format)[quantity]
        exact = truth(self.examiner, call, (quantity,))[quantity]
        if quantity == "second_derivative" and call.function == ROWS:
            # Of a row the truth is its Hessian, and a function gives the diagonal.
            classes = np.arange(call.logits.shape[-1])
            exact = exact[..., classes, classes]
        return exact

    def _of(self, dtype: str) -> Examiner:
        return Examiner(self.target, self.examiner.requirement, dtype)


def _wide(call: Call) -> Call:
    targets = call.targets if call.targets.dtype.kind in "iub" else call.targets.astype(np.float64)
    return replace(call, logits=call.logits.astype(np.float64), targets=targets)


def _counted(call: Call) -> Call:
    """With a class in the place of labels that are ignored, whose terms are taken out afterwards."""
    if call.targets.dtype.kind not in "iu" or call.targets.ndim == call.logits.ndim:
        return call
    return replace(call, targets=np.where(call.targets == IGNORE, 0, call.targets))


def _left(call: Call) -> Call:
    """Without the rows whose label is ignored, which no mean counts."""
    if call.targets.dtype.kind not in "iu" or call.targets.ndim == call.logits.ndim:
        return call
    kept = call.targets != IGNORE
    return call if kept.all() else replace(call, logits=call.logits[kept], targets=call.targets[kept])


def _ignored(call: Call, terms: Array) -> Array:
    if call.targets.dtype.kind not in "iu" or call.targets.ndim == call.logits.ndim:
        return np.zeros(terms.shape, bool)
    mask = call.targets == IGNORE
    return np.broadcast_to(mask if terms.ndim == mask.ndim else mask[..., np.newaxis], terms.shape)


def _way(got: Array, expected: Array) -> str:
    with np.errstate(invalid="ignore"):
        if np.any(np.isnan(got) & ~np.isnan(expected)):
            return "nan"
        if np.any(np.isinf(got) & (got != expected)):
            return "infinity"
        return "zero" if np.any((got == 0) & (expected != 0)) else "off-by-ulp"


def _text(numbers: Array, dtype: str) -> str:
    """Expected numbers in the fewest digits that name them in the format."""
    flat: list[Any] = [str(number) for number in numbers.astype(FORMATS[dtype].dtype).reshape(-1)]
    return flat[0] if len(flat) == 1 else f"[{', '.join(flat)}]"
