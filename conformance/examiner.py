"""Runs the target for one requirement and dtype and collects what was compared and what failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import (
    STANDARD,
    Array,
    Exact,
    budget,
    error_in_ulps,
    modulation,
)
from focal_ref.conformance.cases import Cases, signature_of, signatures_of
from focal_ref.conformance.conventions.calls import (
    absolute_errors,
    expected,
    feasible,
    ordinary_call,
)
from focal_ref.conformance.findings import MAXIMUM_LISTED, Finding, shown, signature
from focal_ref.conformance.formats import FORMATS, Format, to_bits
from focal_ref.conformance.outcome import Outcome
from focal_ref.conformance.regimes import Regimes, positions_of
from focal_ref.conformance.requirements import Requirement
from focal_ref.conformance.stored_vectors import compare_stored
from focal_ref.conformance.targets import ROWS, Call, NotNative, Target, TargetFault
from focal_ref.conformance.vectors import Group

HUGE = 1e9
"""Where a bound that grows with gamma stops growing."""


class Examiner:
    """The hands of a check: run the target, compare, remember."""

    def __init__(self, target: Target, requirement: Requirement, dtype: str, case: str | None = None) -> None:
        self.target = target
        self.requirement = requirement
        self.dtype = dtype
        self.case = case
        self.comparisons = 0
        self.findings: list[Finding] = []
        self.regimes = Regimes()
        self.cases = Cases()
        self._call: Call | None = None
        self._worst = (0.0, 0.0, 0.0)
        # Whether results are held to a relative budget, where the claimed tier has an absolute one beside it.
        self.relative = False

    @property
    def format(self) -> Format:
        """The format under test."""
        return FORMATS[self.dtype]

    @property
    def tier(self) -> str:
        """The accuracy that the profile claims for the format."""
        claimed = self.target.profile.tiers[self.dtype]
        return "standard" if self.relative and claimed in STANDARD else claimed

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
        for finding in self.findings:
            if not self.cases.has(finding.case):
                self.cases.failed(finding.case, finding.signature)
        return Outcome(self.comparisons, error, allowed, tuple(self.findings), self.regimes, self.cases)

    def array(self, numbers: Any, dtype: str | None = None) -> Array:
        """Numbers in the format under test."""
        return np.asarray(np.asarray(numbers, dtype=np.float64).astype(FORMATS[dtype or self.dtype].dtype))

    def random(self, shape: int | tuple[int, ...], seed: int, spread: float = 6.0) -> tuple[Array, Array]:
        """Normal logits of the format and targets of 0.0 and 1.0, the same in every run."""
        generator = np.random.default_rng([seed, 20170807])
        logits = self.array(generator.normal(0.0, spread, shape))
        return logits, self.array(generator.random(shape) < 0.3)

    def possible(self, call: Call) -> bool:
        """Whether the function can be given a call as it is."""
        nearest = feasible(call, self.target.profile)
        same = (np.array_equal(getattr(nearest, name), getattr(call, name)) for name in ("alpha", "gamma"))
        return all(same) and nearest.parameters == call.parameters

    def sample(self, shape: int | tuple[int, ...], seed: int, spread: float = 6.0, **options: Any) -> Call:
        """An ordinary call of the function that the profile describes, with logits of a shape."""
        return ordinary_call(self.target.profile, *self.random(shape, seed, spread), **options)

    @property
    def of_rows(self) -> bool:
        """Whether the function that the profile describes takes rows of classes."""
        return self.target.profile.function in (ROWS, "loss_from_labels")

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
        compare_stored(self, names, quantity, select, precision)

    def run(self, quantity: str, call: Call, case: str) -> Array | None:
        """One quantity of a call, by its name or the parameter's; after an exception, which is a finding, None."""
        self._call = call = feasible(call, self.target.profile)
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
            self.fail(case, quantity, f"shape {call.shape_of(quantity)}", f"shape {result.shape}", "shape")
            return None
        if call.reduction == "none" and result.dtype.name != call.logits.dtype.name:
            self.fail(case, quantity, f"dtype {call.logits.dtype.name}", f"dtype {result.dtype.name}", "dtype")
            return None
        return result

    def memory(self, first: Call, second: Call) -> Mapping[str, tuple[Array, Array]]:
        """What the target says of its memory; after an exception, which is a finding, nothing."""
        try:
            return self.target.memory(*(feasible(call, self.target.profile) for call in (first, second)))
        except Exception as error:  # a target may raise anything, and the run goes on
            self.raised("value", first, "memory of a result", error)
            return {}

    def raised(self, quantity: str, call: Call, case: str, error: Exception) -> None:
        """Record an exception of the target."""
        native, fault = isinstance(error, NotNative), isinstance(error, TargetFault)
        kind = "" if native or fault else f"{type(error).__name__}: "
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        self.comparisons += 1
        self._found(
            Finding(
                case,
                quantity,
                "a native array" if native else "a result",
                f"{kind}{first_line}",
                {"call": signature(call)},
                signature="dtype" if native else "fault" if fault else "raise",
            )
        )

    def _found(self, finding: Finding, numbers: tuple[Any, Any] | None = None) -> None:
        """Remember a failure, with the call that was made last; the way it failed is that of `numbers`, if given."""
        way = finding.signature if numbers is None else signature_of(*numbers)
        self.findings.append(replace(finding, signature=way, made_by=self._call))
        self.cases.failed(finding.case, way)

    def compare(self, quantity: str, call: Call, case: str) -> None:
        """Compare a call without reduction with what is exact."""
        got = self.run(quantity, call, case)
        if got is not None:
            self.agree(quantity, call, got, case)

    def agree(self, quantity: str, call: Call, got: Array, case: str, exact: Exact | None = None) -> None:
        """Compare a result of a call without reduction with what is exact; by the declared conventions if not given."""
        call = feasible(call, self.target.profile)
        exact = self.exact(call)[quantity] if exact is None else exact
        if call.function == "loss":
            self.accuracy(quantity, call, got.reshape(-1), flat(exact), [case] * call.logits.size)
            return
        from focal_ref.conformance.family_comparison import measure

        rows = call.logits.shape[:-1] if call.function == ROWS else call.logits.shape
        if got.size:
            measure(self, quantity, call, got, exact, [case] * int(np.prod(rows)))

    def exact(self, call: Call) -> dict[str, Exact]:
        """The exact results of a call without reduction and weights, by the declared conventions."""
        return expected(feasible(call, self.target.profile), self.target.profile, self.format)

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
        allowed = self.widened(allowed, quantity, call, exact)

        def inputs(index: int) -> dict[str, str]:
            return {"logit": shown(logits[index], self.dtype), "target": shown(targets[index], self.dtype)}

        self.judge(quantity, call, got, exact, ids, allowed, growth=np.minimum(gamma, HUGE), inputs=inputs)

    def widened(self, allowed: Array, quantity: str, call: Call, exact: Exact) -> Array:
        """Budgets with the absolute part that the claimed tier has, in ulp."""
        tier = self.tier if call.precision == "exact" else "fast"
        absolute = absolute_errors(call, self.target.profile, tier, quantity, self.format, allowed.size)
        with np.errstate(over="ignore"):
            # Infinite budgets would let NaN and infinity pass.
            return np.asarray(np.minimum(allowed + np.ldexp(absolute, -exact.scale_ulp_exponent.reshape(-1)), 1e300))

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
        entries: int = 1,
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
        entries
            Results for each row.
        """
        flushed: Array = np.zeros(())
        if self.target.profile.conventions["subnormals"] == "flushed":
            # A result of gamma + 1 equal terms vanishes when each of them is subnormal; exact claims to avoid that.
            flushed = np.ones(()) if self.tier == "exact" and call.precision == "exact" else 1.0 + growth
        error = error_in_ulps(got, exact, flushed=flushed, format=self.format)
        self.comparisons += got.size
        self.regimes.add(quantity, *positions_of(call, got.size, entries), error, allowed, ids)
        self.cases.ran(ids)
        with np.errstate(all="ignore"):
            ratio = error / allowed
            worst = int(np.argmax(np.nan_to_num(ratio, nan=np.inf)))
        if ratio[worst] >= self._worst[0]:
            self._worst = (float(ratio[worst]), float(error[worst]), float(allowed[worst]))
        bad = np.flatnonzero(~(error <= allowed))
        if bad.size == 0:
            return
        ways = signatures_of(got[bad], exact.numbers[bad])
        for identifier, way in dict.fromkeys(zip([ids[int(i)] for i in bad], ways, strict=True)):
            self.cases.failed(identifier, way)
        self._found(
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
                element=worst,
                wrong=bad.tolist(),
            ),
            (got[worst], exact.numbers[worst]),
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
        # NaN is the largest error, and stays so.
        if not (np.isnan(self._worst[0]) or error / allowed < self._worst[0]):
            self._worst = (error / allowed, error, allowed)
        self.cases.ran([case])
        if not error <= allowed:
            texts = shown(expected, dtype), shown(got, dtype)
            self._found(Finding(case, quantity, *texts, inputs or {}, error, allowed), (got, expected))

    def absorb(self, other: "Examiner") -> None:
        """Add what another examiner, of another dtype, came to."""
        self.comparisons += other.comparisons
        self.findings += other.findings
        self.cases.merge(other.cases)
        self.regimes.merge(other.regimes)

    def same_bits(
        self, case: str, quantity: str, got: Array, expected: Array, inputs: dict[str, Array] | None = None
    ) -> None:
        """Compare two arrays of one format bit by bit; any NaN equals any other."""
        if got.shape != expected.shape or got.dtype != expected.dtype:
            way = "shape" if got.shape != expected.shape else "dtype"
            self.fail(case, quantity, f"{expected.dtype.name} {expected.shape}", f"{got.dtype.name} {got.shape}", way)
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
        self.cases.ran([case])
        bad = np.flatnonzero(differs)
        if bad.size == 0:
            return
        first = int(bad[0])
        named = {
            name: shown(np.broadcast_to(array, got.shape).flat[first], array.dtype.name)
            for name, array in (inputs or {}).items()
        }
        self._found(
            Finding(
                case,
                quantity,
                shown(expected.flat[first], dtype),
                shown(got.flat[first], dtype),
                {"element": str(first), **named},
                failed=int(bad.size),
                compared=int(got.size),
            ),
            (got.flat[first], expected.flat[first]),
        )

    def true(
        self, condition: Any, case: str, quantity: str, expected: str, got: Any, signature: str | None = None
    ) -> None:
        """Require a condition; `expected` says it in words. The way it fails is that of `got` unless it is given."""
        self.comparisons += 1
        self.cases.ran([case])
        if not condition:
            wanted = np.nan if expected.startswith("nan") else 0.0
            self._found(Finding(case, quantity, expected, str(got), signature=signature or signature_of(got, wanted)))

    def fail(self, case: str, quantity: str, expected: str, got: str, signature: str = "other") -> None:
        """Record a failed comparison."""
        self.true(False, case, quantity, expected, got, signature)

    def refuses(self, case: str, call: Call, names: str | None = None) -> None:
        """Require that a call raises, with a text that names the argument; a result is a finding."""
        self._call = call
        self.cases.ran([case])
        try:
            result = self.target.value(call)
        except TargetFault as error:  # a crash is no refusal
            self.raised("value", call, case, error)
            return
        except Exception as error:  # which type it is, is the implementation's own convention
            self.comparisons += 1
            if names is not None and names not in str(error):
                text = f"{type(error).__name__}: {error}"
                self._found(Finding(case, "error text", f"an error that names {names!r}", text, signature="raise"))
            return
        self.comparisons += 1
        accepted = f"a result of shape {result.shape}"
        self._found(Finding(case, "value", "an error", accepted, {"call": signature(call)}, signature="accepted"))


def flat(exact: Exact) -> Exact:
    """The same, of one dimension."""
    return Exact(*(np.asarray(getattr(exact, name)).reshape(-1) for name in Exact.__dataclass_fields__))
