"""Runs the target for one requirement and dtype and collects what was compared and what failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import (
    Array,
    Exact,
    budget,
    error_in_ulps,
    exact_results,
    modulation,
)
from focal_ref.conformance.findings import MAXIMUM_LISTED, Finding, shown, signature
from focal_ref.conformance.formats import FORMATS, Format, to_bits
from focal_ref.conformance.requirements import Requirement
from focal_ref.conformance.targets import Call, NotNative, Target
from focal_ref.conformance.vectors import Group, VectorSet, load_vectors

HUGE = 1e9
"""Where a bound that grows with gamma stops growing."""


@dataclass(frozen=True)
class Outcome:
    """What one requirement and dtype came to.

    Attributes
    ----------
    comparisons
        Elements compared; a check that compares nothing has failed.
    error, budget
        The largest error in proportion to its budget, and that budget, in ulp; 0 where nothing was measured.
    findings
        Empty if the requirement is met.
    """

    comparisons: int
    error: float
    budget: float
    findings: tuple[Finding, ...]


class Examiner:
    """The hands of a check: run the target, compare, remember."""

    def __init__(self, target: Target, requirement: Requirement, dtype: str, case: str | None = None) -> None:
        self.target = target
        self.requirement = requirement
        self.dtype = dtype
        self.case = case
        self.comparisons = 0
        self.findings: list[Finding] = []
        self._worst = (0.0, 0.0, 0.0)

    @property
    def format(self) -> Format:
        """The format under test."""
        return FORMATS[self.dtype]

    @property
    def tier(self) -> str:
        """The accuracy that the profile claims for the format."""
        return self.target.profile.tiers[self.dtype]

    def claims(self, capability: str) -> bool:
        """Whether the profile claims a capability."""
        return capability in self.target.profile.capabilities

    @property
    def is_widest(self) -> bool:
        """Whether the format under test is the widest that the profile claims."""
        return self.dtype == next(dtype for dtype in FORMATS if dtype in self.target.profile.tiers)

    @property
    def quantities(self) -> tuple[str, ...]:
        """What a check of both runs: the value, and the gradient where it is claimed."""
        return ("value", "gradient") if self.claims("gradient") else ("value",)

    def outcome(self) -> Outcome:
        """Everything so far."""
        _, error, allowed = self._worst
        return Outcome(self.comparisons, error, allowed, tuple(self.findings))

    def array(self, numbers: Any, dtype: str | None = None) -> Array:
        """Numbers in the format under test."""
        return np.asarray(np.asarray(numbers, dtype=np.float64).astype(FORMATS[dtype or self.dtype].dtype))

    def random(self, shape: int | tuple[int, ...], seed: int, spread: float = 6.0) -> tuple[Array, Array]:
        """Normal logits of the format and targets of 0.0 and 1.0, the same in every run."""
        generator = np.random.default_rng([seed, 20170807])
        logits = self.array(generator.normal(0.0, spread, shape))
        return logits, self.array(generator.random(shape) < 0.3)

    def vectors(
        self,
        names: Sequence[str],
        quantity: str,
        select: Callable[[Group, Array], Any] | None = None,
        precision: str = "exact",
    ) -> None:
        """Compare one quantity with stored vectors.

        Parameters
        ----------
        names
            Vector sets.
        quantity
            "value", "gradient" or "second_derivative".
        select
            From a group and its logits to a mask of the tests to run; all by default.
        precision
            Passed to the target.
        """
        for name in names:
            for group in _vector_set(name).groups:
                if group.dtype == self.dtype:
                    self._vector_group(group, quantity, select, precision)

    def _vector_group(
        self,
        group: Group,
        quantity: str,
        select: Callable[[Group, Array], Any] | None,
        precision: str,
    ) -> None:
        if group.encoding == "soft" and self.target.profile.conventions["soft_targets"] != "blended":
            return
        arrays = group.arrays
        chosen = np.ones(arrays.logits.shape, bool)
        if select is not None:
            chosen &= select(group, arrays.logits)
        ids = [test.id for test in group.tests]
        if self.case is not None:
            chosen &= np.array([identifier == self.case for identifier in ids])
        index = np.flatnonzero(chosen)
        if index.size == 0:
            return
        # Repeated up to a round size, so that compiling targets meet few shapes.
        size = 1 << max(6, int(index.size - 1).bit_length())
        call = Call(
            np.resize(arrays.logits[index], size),
            np.resize(arrays.targets[index], size),
            alpha=group.alpha,
            gamma=group.gamma,
            precision=precision,
        )
        expected = arrays.expected[quantity]
        exact = Exact(expected.numbers, expected.high, expected.low, expected.ulp_exponent, expected.scale_ulp_exponent)
        got = self.run(quantity, call, ids[int(index[0])])
        if got is not None:
            call = replace(call, logits=arrays.logits[index], targets=arrays.targets[index])
            self.accuracy(quantity, call, got[: index.size], exact[index], [ids[int(i)] for i in index])

    def run(self, quantity: str, call: Call, case: str) -> Array | None:
        """One quantity of a call, by its name or the parameter's; after an exception, which is a finding, None."""
        try:
            if quantity == "value":
                result = self.target.value(call)
            elif quantity == "gradient":
                result = self.target.value_and_gradient(call)[1]
            elif quantity in ("second_derivative", "hessian"):
                result = getattr(self.target, quantity)(call)
            else:
                result = self.target.parameter_gradient(quantity, call)
        except Exception as error:  # a target may raise anything, and the run goes on
            self.raised(quantity, call, case, error)
            return None
        if call.reduction == "none" and result.shape != call.shape_of(quantity):
            self.fail(case, quantity, f"shape {call.shape_of(quantity)}", f"shape {result.shape}")
            return None
        if call.reduction == "none" and result.dtype.name != call.logits.dtype.name:
            self.fail(case, quantity, f"dtype {call.logits.dtype.name}", f"dtype {result.dtype.name}")
            return None
        return result

    def raised(self, quantity: str, call: Call, case: str, error: Exception) -> None:
        """Record an exception of the target."""
        kind = "" if isinstance(error, NotNative) else f"{type(error).__name__}: "
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        self.comparisons += 1
        self.findings.append(
            Finding(
                case,
                quantity,
                "a native array" if not kind else "a result",
                f"{kind}{first_line}",
                {"call": signature(call)},
            )
        )

    def compare(self, quantity: str, call: Call, case: str) -> None:
        """Compare a call without reduction with the double-double reference."""
        got = self.run(quantity, call, case)
        if got is None:
            return
        exact = self.exact(call)[quantity]
        self.accuracy(quantity, call, got.reshape(-1), flat(exact), [case] * call.logits.size)

    def exact(self, call: Call) -> dict[str, Exact]:
        """The exact results of a call without reduction and weights, by the declared rule for soft targets."""
        rule = self.target.profile.conventions["soft_targets"]
        hard = bool(np.all((call.targets == 0) | (call.targets == 1)))
        return exact_results(
            call.logits,
            call.targets,
            alpha=call.alpha,
            gamma=call.gamma,
            format=self.format,
            rule="blended" if hard else rule,
        )

    def accuracy(self, quantity: str, call: Call, got: Array, exact: Exact, ids: Sequence[str]) -> None:
        """Compare results with exact ones by the budget of the claimed tier."""
        tier = self.tier if call.precision == "exact" else "fast"
        weighted = call.alpha is not None or call.weights is not None
        logits, targets = call.logits.reshape(-1), call.targets.reshape(-1)
        gamma = np.broadcast_to(call.gamma, call.logits.shape).reshape(-1)
        allowed = np.broadcast_to(
            budget(tier, self.format, gamma, weighted=weighted, modulation=modulation(logits, targets, gamma)),
            got.shape,
        )

        def inputs(index: int) -> dict[str, str]:
            return {"logit": shown(logits[index], self.dtype), "target": shown(targets[index], self.dtype)}

        self.judge(quantity, call, got, exact, ids, allowed, growth=np.minimum(gamma, HUGE), inputs=inputs)

    def judge(
        self,
        quantity: str,
        call: Call,
        got: Array,
        exact: Exact,
        ids: Sequence[str],
        allowed: Array,
        *,
        growth: Array,
        inputs: Callable[[int], Mapping[str, str]],
    ) -> None:
        """Compare results with exact ones by the errors that are allowed.

        Parameters
        ----------
        quantity, call, got, exact, ids
            As in `accuracy`, everything flat.
        allowed
            Largest error of each, in ulp.
        growth
            How many more terms of its size a result has, for those that are flushed one by one.
        inputs
            What is shown of an element.
        """
        flushed: Array = np.zeros(())
        if self.target.profile.conventions["subnormals"] == "flushed":
            # A result of gamma + 1 equal terms vanishes when each of them is subnormal; exact claims to avoid that.
            flushed = np.ones(()) if self.tier == "exact" and call.precision == "exact" else 1.0 + growth
        error = error_in_ulps(got, exact, flushed=flushed, format=self.format)
        self.comparisons += got.size
        with np.errstate(all="ignore"):
            ratio = error / allowed
            worst = int(np.argmax(np.nan_to_num(ratio, nan=np.inf)))
        if ratio[worst] >= self._worst[0]:
            self._worst = (float(ratio[worst]), float(error[worst]), float(allowed[worst]))
        bad = np.flatnonzero(~(error <= allowed))
        if bad.size == 0:
            return
        self.findings.append(
            Finding(
                ids[worst],
                quantity,
                shown(exact.numbers[worst], self.dtype),
                shown(got[worst], self.dtype),
                {"call": signature(call), **inputs(worst)},
                float(error[worst]),
                float(allowed[worst]),
                int(bad.size),
                int(got.size),
                [ids[int(i)] for i in bad if int(i) != worst][:MAXIMUM_LISTED],
            )
        )

    def measured(
        self,
        case: str,
        quantity: str,
        expected: Any,
        got: Any,
        error: float,
        allowed: float,
        dtype: str,
        inputs: Mapping[str, str] | None = None,
    ) -> None:
        """Compare one number whose error in ulp is known already."""
        self.comparisons += 1
        if not error / allowed < self._worst[0]:
            self._worst = (error / allowed, error, allowed)
        if not error <= allowed:
            texts = shown(expected, dtype), shown(got, dtype)
            self.findings.append(Finding(case, quantity, *texts, inputs or {}, error, allowed))

    def absorb(self, other: "Examiner") -> None:
        """Add what another examiner, of another dtype, came to."""
        self.comparisons += other.comparisons
        self.findings += other.findings

    def same_bits(
        self, case: str, quantity: str, got: Array, expected: Array, inputs: dict[str, Array] | None = None
    ) -> None:
        """Compare two arrays of one format bit by bit; any NaN equals any other."""
        if got.shape != expected.shape or got.dtype != expected.dtype:
            self.fail(case, quantity, f"{expected.dtype.name} {expected.shape}", f"{got.dtype.name} {got.shape}")
            return
        dtype = expected.dtype.name
        format = FORMATS[dtype]
        with np.errstate(invalid="ignore"):
            both_nan = np.isnan(got) & np.isnan(expected)
        differs = (to_bits(got, format) != to_bits(expected, format)) & ~both_nan
        if self.target.profile.conventions["subnormals"] == "flushed" and dtype == "float64":
            smallest = 2.0**format.minimum_exponent
            differs &= ~((np.abs(expected) < smallest) & (got == 0))
        self.comparisons += max(1, int(got.size))
        bad = np.flatnonzero(differs)
        if bad.size == 0:
            return
        first = int(bad[0])
        named = {
            name: shown(np.broadcast_to(array, got.shape).flat[first], array.dtype.name)
            for name, array in (inputs or {}).items()
        }
        self.findings.append(
            Finding(
                case,
                quantity,
                shown(expected.flat[first], dtype),
                shown(got.flat[first], dtype),
                {"element": str(first), **named},
                failed=int(bad.size),
                compared=int(got.size),
            )
        )

    def true(self, condition: Any, case: str, quantity: str, expected: str, got: Any) -> None:
        """Require a condition; `expected` says it in words."""
        self.comparisons += 1
        if not condition:
            self.findings.append(Finding(case, quantity, expected, str(got)))

    def fail(self, case: str, quantity: str, expected: str, got: str) -> None:
        """Record a failed comparison."""
        self.true(False, case, quantity, expected, got)

    def refuses(self, case: str, call: Call, names: str | None = None) -> None:
        """Require that a call raises, with a text that names the argument; a result is a finding."""
        self.comparisons += 1
        try:
            result = self.target.value(call)
        except Exception as error:  # which type it is, is the implementation's own convention
            if names is not None and names not in str(error):
                self.findings.append(
                    Finding(case, "error text", f"an error that names {names!r}", f"{type(error).__name__}: {error}")
                )
            return
        self.findings.append(
            Finding(case, "value", "an error", f"a result of shape {result.shape}", {"call": signature(call)})
        )


@cache
def _vector_set(name: str) -> VectorSet:
    """A stored set, read and verified once."""
    return load_vectors(name)


def flat(exact: Exact) -> Exact:
    """The same, of one dimension."""
    return Exact(*(np.asarray(getattr(exact, name)).reshape(-1) for name in Exact.__dataclass_fields__))
