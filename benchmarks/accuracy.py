"""Measure the largest error of focal_ref on NumPy arrays, against the double-double reference.

    python benchmarks/accuracy.py [--margins N] [--quick] [--out FILE]

Errors are in units of the last place (ulp) of the exact result; for derivatives whose terms cancel, of the exact sum
of the magnitudes of the terms. float32 is measured at every margin with 2^-22 <= |s| <= 104.5, some 480 million a
gamma. The reference needs 3 microseconds an element, too much for that, so a sieve comes first: the same loss in plain
float64, good to some 2^-20 ulp of float32. What it puts near the largest error so far, or near a rounding boundary,
goes to the reference, and so does every 997th element, whatever the sieve says. How far sieve and reference were ever
apart is part of the result and must stay far below the sieve's slack.

The exit status is 1 if any bound is exceeded.
"""

import argparse
import datetime
import json
import multiprocessing
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import ml_dtypes
import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

import focal_ref
from focal_ref._exact import Exact, evaluate
from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._kernels.dense import dense_kernel
from focal_ref._kernels.host import second_derivative
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref._parameters import Parameters, Precision

Array = NDArray[Any]

GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
MORE_GAMMAS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
PROCESSES = 2
BLOCK = 1 << 15
TASK = 1 << 25

SIEVE_SLACK = 2.0**-12
LARGEST_SIEVE_ERROR = 2.0**-16
SAMPLE = 997

FIRST_MARGIN, LAST_MARGIN = (int(np.float32(number).view(np.int32)) for number in (2.0**-22, 104.5))
MARGINS = 2 * (LAST_MARGIN - FIRST_MARGIN + 1)
"""float32 numbers s, of both signs, with 2^-22 <= |s| <= 104.5."""


@dataclass(frozen=True)
class Format:
    """A binary format: its NumPy dtype, the exponent of its smallest normal number, and its precision in bits."""

    dtype: Any
    minimum_exponent: int
    precision: int


FORMATS = {
    "float64": Format(np.float64, -1022, 53),
    "float32": Format(np.float32, -126, 24),
    "float16": Format(np.float16, -14, 11),
    "bfloat16": Format(ml_dtypes.bfloat16, -126, 8),
}


@dataclass(frozen=True)
class Case:
    """One measurement: a configuration, and the inputs that it is evaluated on.

    Attributes
    ----------
    inputs
        "margins" (float32 bit patterns, `count` of them evenly strided over all), "patterns" (all of a 16-bit format)
        or "random" (`count` of them, from the middle, the tails, next to zero and all bit patterns).
    target
        1 or 0, or None for random soft targets.
    fused
        False for the kernel without fused multiply-adds; None for the public function.
    """

    storage: str
    gamma: float
    inputs: str
    count: int
    alpha: float | None = None
    target: int | None = 1
    precision: Precision = "exact"
    quantities: tuple[str, ...] = ("value", "gradient")
    fused: bool | None = None

    @property
    def bound(self) -> float:
        """The promised largest error, in ulp."""
        if self.storage not in ("float64", "float32"):
            return 0.501 if self.precision == "exact" else 0.51
        if self.storage == "float32" and self.precision == "exact":
            return 0.501
        weight_rounds = self.alpha is not None and np.frexp(self._weight)[0] != 0.5
        return (8.0 if self.storage == "float64" else 10.0) + 2.0 * self.gamma + float(weight_rounds)

    @property
    def _weight(self) -> float:
        if self.alpha is None:
            return 1.0
        return self.alpha if self.target == 1 else 1.0 - self.alpha

    @property
    def correctly_rounded(self) -> bool:
        """Whether results are expected to be correctly rounded, so that those that are not are counted."""
        return self.bound == 0.501 and self.target is not None

    @property
    def label(self) -> str:
        target = "soft" if self.target is None else f"y={self.target}"
        fused = "" if self.fused is None else " without FMA"
        return f"{self.storage} {self.precision}{fused}, gamma={self.gamma:g}, alpha={self.alpha}, {target}"


@dataclass
class Tally:
    """What was found about one quantity of one case."""

    count: int = 0
    judged: int = 0
    not_correctly_rounded: int = 0
    beyond_float64: int = 0
    maximum: float = 0.0
    at: dict[str, Any] = field(default_factory=dict)
    sieve_error: float = 0.0

    def merge(self, other: "Tally") -> None:
        for name in ("count", "judged", "not_correctly_rounded", "beyond_float64"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.sieve_error = max(self.sieve_error, other.sieve_error)
        if other.maximum > self.maximum:
            self.maximum, self.at = other.maximum, other.at


@dataclass(frozen=True)
class Task:
    """A piece of a case, small enough to report progress by."""

    case: Case
    first: int
    last: int


def tasks(case: Case) -> list[Task]:
    """Cut a case into pieces; only "margins" are many."""
    return [Task(case, first, min(first + TASK, case.count)) for first in range(0, case.count, TASK)]


def run(task: Task) -> tuple[Case, dict[str, Tally]]:
    """Evaluate one piece in blocks and tally the errors of each quantity."""
    case = task.case
    tallies = {name: Tally() for name in case.quantities}
    for logits, targets in _blocks(task):
        results = _results(case, logits, targets)
        with np.errstate(invalid="ignore"):  # bfloat16 signalling NaN
            wide = logits.astype(np.float64)
        chosen = {name: np.ones(logits.size, dtype=np.bool_) for name in case.quantities}
        if case.inputs == "margins":
            screened = {name: _ulps(case, results[name], sieved) for name, sieved in _sieve(case, wide).items()}
            for name, errors in screened.items():
                threshold = min(tallies[name].maximum, 0.5 if case.correctly_rounded else np.inf) - SIEVE_SLACK
                chosen[name] = ~(errors < threshold)
                chosen[name][::SAMPLE] = True
        union = np.any(list(chosen.values()), axis=0)
        exact = evaluate(wide[union], targets[union].astype(np.float64), alpha=case.alpha, gamma=case.gamma)
        for name, tally in tallies.items():
            errors = _judge(case, name, exact, results[name][union], wide[union], targets[union], tally)
            if case.inputs == "margins":
                tally.sieve_error = max(tally.sieve_error, float(np.max(np.abs(errors - screened[name][union]))))
            tally.count += logits.size
    return case, tallies


def _blocks(task: Task) -> Iterator[tuple[Array, Array]]:
    """Logits in the case's dtype, and targets: booleans, or float64 for soft ones."""
    case = task.case
    dtype = FORMATS[case.storage].dtype
    for first in range(task.first, task.last, BLOCK):
        index = np.arange(first, min(first + BLOCK, task.last))
        if case.inputs == "margins":
            # Magnitude and sign alternate, so that a stride keeps both signs.
            index = index * MARGINS // case.count
            logits = ((FIRST_MARGIN + (index >> 1)) | ((index & 1) << 31)).astype(np.uint32).view(np.float32)
        elif case.inputs == "patterns":
            logits = index.astype(np.uint16).view(dtype)
        else:
            logits = _random_logits(np.random.default_rng(first), index.size, case, dtype)
        if case.target is None:
            # The fast arithmetic takes soft targets as float32: what it makes of these is the question.
            soft_dtype = np.float32 if case.precision == "fast" else np.float64
            yield logits, _random_targets(np.random.default_rng(first + 1), logits.size).astype(soft_dtype)
        else:
            yield logits, np.full(logits.size, case.target == 1)


def _random_logits(generator: np.random.Generator, count: int, case: Case, dtype: Any) -> Array:
    """Logits from the middle, around the second derivative's root, both tails, next to zero, and all bit patterns."""
    vanishing = (745.0 if case.storage == "float64" else 104.0) / (case.gamma + 1.0)
    pieces = [
        generator.normal(0.0, 8.0, count),
        generator.uniform(-5.0, -2.0, count),
        generator.uniform(-60.0, vanishing, count),
        generator.uniform(0.95 * vanishing, 1.01 * vanishing, count),
        generator.uniform(-800.0, 800.0, count),
        generator.choice([-1.0, 1.0], count) * 10.0 ** generator.uniform(-20.0, 2.0, count),
    ]
    margins = np.choose(generator.integers(0, len(pieces), count), pieces).astype(dtype)
    itemsize = margins.dtype.itemsize
    patterns = generator.integers(0, 256, (count, itemsize), dtype=np.uint8).view(dtype).reshape(-1)
    chosen = (generator.random(count) < 0.1) & np.isfinite(patterns)
    logits: Array = np.where(chosen, patterns, margins if case.target != 0 else -margins)
    return logits


def _random_targets(generator: np.random.Generator, count: int) -> Array:
    """Targets from the middle, and close to 0 and to 1."""
    pieces = [
        generator.random(count),
        10.0 ** -generator.uniform(0.0, 40.0, count),
        1.0 - 2.0 ** -generator.uniform(0.0, 53.0, count),
        generator.integers(0, 5, count) / 4.0,
    ]
    return np.choose(generator.integers(0, len(pieces), count), pieces)


def _results(case: Case, logits: Array, targets: Array) -> dict[str, Array]:
    """What focal_ref gives."""
    results = {}
    if case.fused is not None:
        results["value"], results["gradient"] = _kernel_results(case, logits, targets)
    elif "value" in case.quantities:
        results["value"], results["gradient"] = focal_ref.value_and_grad(
            logits, targets, alpha=case.alpha, gamma=case.gamma, precision=case.precision
        )
    if "second_derivative" in case.quantities:
        second = np.empty_like(logits)
        parameters = Parameters(alpha=case.alpha, gamma=case.gamma, precision=case.precision)
        second_derivative(logits, targets, parameters, out=second)
        results["second_derivative"] = second
    return results


def _kernel_results(case: Case, logits: Array, targets: Array) -> tuple[Array, Array]:
    arithmetic = "float32" if case.precision == "fast" else "float64"
    number: Any = FORMATS[arithmetic].dtype
    exponent = case.gamma if case.gamma in SPECIAL_EXPONENTS else None
    kernel = dense_kernel(case.storage, case.storage, arithmetic, exponent, True, True, fused=case.fused)
    alpha = case.alpha
    weights = (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
    gamma, tail = number(case.gamma), number(case.gamma - float(number(case.gamma)))
    value, gradient = np.empty_like(logits), np.empty_like(logits)
    kernel(logits, targets.view(np.uint8), *map(number, weights), gamma, tail, number(1.0), value, gradient)
    return value, gradient


def _sieve(case: Case, logits: Array) -> dict[str, Array]:
    """Value and gradient in plain float64; its error of some hundred float64 ulp is nothing to float32."""
    margins = logits if case.target == 1 else -logits
    positive = margins > 0.0
    decay = np.exp(-np.abs(margins))
    log1p_decay = np.log1p(decay)
    favoured = 1.0 / (1.0 + decay)
    disfavoured = decay * favoured
    easy, hard = np.maximum(margins, 0.0), np.maximum(-margins, 0.0)
    cross_entropy = hard + log1p_decay
    factor = case._weight * np.exp(-case.gamma * (easy + log1p_decay))
    p, q = np.where(positive, favoured, disfavoured), np.where(positive, disfavoured, favoured)
    gradient = factor * (case.gamma * p * cross_entropy + q)
    return {"value": factor * cross_entropy, "gradient": -gradient if case.target == 1 else gradient}


def _ulps(case: Case, results: Array, sieved: Array) -> Array:
    """Errors against the sieve's float64 numbers."""
    target = FORMATS[case.storage]
    exponent = np.maximum((np.abs(sieved).view(np.int64) >> 52) - 1023, target.minimum_exponent)
    per_ulp = ((1023 - (exponent - target.precision + 1)) << 52).view(np.float64)
    errors: Array = np.abs(results.astype(np.float64) - sieved) * per_ulp
    return errors


def _judge(case: Case, name: str, exact: Exact, results: Array, logits: Array, targets: Array, tally: Tally) -> Array:
    """Tally the errors against the reference, and return them."""
    target = FORMATS[case.storage]
    quantity = getattr(exact, name)
    scale = quantity if name == "value" else getattr(exact, f"{name}_scale")
    unit = scale.unit_exponent(target.minimum_exponent, target.precision)
    high, low = quantity.in_units(unit)
    wide = results.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        # The difference with `high` is exact for a small error, and so is that with 1/2: an error beyond 1/2 shows,
        # however little it is beyond.
        difference = np.ldexp(wide, -unit) - high
        excess = (np.abs(difference) - 0.5) - np.copysign(low, low * np.sign(difference))
        errors = np.abs(difference - low)
    same = (wide == high) | (np.isnan(wide) & np.isnan(high))
    errors = np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))
    tally.judged += errors.size
    if case.correctly_rounded and name != "second_derivative":
        wrong = ~same & ~(excess <= 0.0)
        tally.not_correctly_rounded += int(np.count_nonzero(wrong))
        # Closer to a rounding boundary than half an ulp of float64: correct rounding to float64 would not have helped.
        close = excess <= 2.0 ** (target.precision - 54)
        tally.beyond_float64 += int(np.count_nonzero(wrong & close))
    if errors.size:
        worst = int(np.argmax(errors))
        if errors[worst] > tally.maximum:
            tally.maximum = float(errors[worst])
            tally.at = {"logit": float(logits[worst]), "target": float(targets[worst]), "got": float(wide[worst])}
    return errors


def full_cases(margins: int) -> list[Case]:
    """The measurement that `benchmarks/results/accuracy.json` records."""
    both, all_three = ("value", "gradient"), ("value", "gradient", "second_derivative")
    third = 1.0 / 3.0
    cases = []
    for gamma in GAMMAS:
        single = Case("float32", gamma, "margins", margins)
        cases += [single, replace(single, alpha=0.25, target=0, count=margins // 16)]
        cases += [replace(single, precision="fast", count=margins // 4)]
        cases += [replace(single, precision="fast", alpha=0.25, target=0, count=margins // 16)]
        cases += [replace(single, precision=precision, fused=False, count=margins // 16) for precision in _PRECISIONS]
    for gamma in MORE_GAMMAS:
        for storage in ("float16", "bfloat16"):
            every = Case(storage, gamma, "patterns", 1 << 16, quantities=all_three)
            cases += [
                replace(every, alpha=alpha, target=target, precision=precision)
                for alpha in (None, 0.25, third)
                for target in (1, 0, None)
                for precision in _PRECISIONS
            ]
        double = Case("float64", gamma, "random", 1 << 20, quantities=all_three)
        cases += [double, replace(double, target=None)]
        cases += [replace(double, alpha=alpha, target=0, count=1 << 18) for alpha in (0.25, third)]
        cases += [replace(double, alpha=third, target=None, count=1 << 18)]
        cases += [replace(double, fused=False, quantities=both, count=1 << 19)]
        cases += [
            replace(double, storage="float32", precision=precision, target=target, count=1 << 18)
            for precision in _PRECISIONS
            for target in (1, None)
        ]
    return cases


_PRECISIONS: tuple[Precision, ...] = ("exact", "fast")


def quick_cases() -> list[Case]:
    """The same kinds on fewer inputs: seconds."""
    both, all_three = ("value", "gradient"), ("value", "gradient", "second_derivative")
    cases = []
    for gamma in (0.5, 2.0):
        cases += [Case("float32", gamma, "margins", 1 << 21, precision=precision) for precision in _PRECISIONS]
        cases += [
            Case(storage, gamma, "patterns", 1 << 16, alpha=alpha, target=target, quantities=all_three)
            for storage in ("float16", "bfloat16")
            for alpha, target in ((None, 1), (1.0 / 3.0, 0))
        ]
        double = Case("float64", gamma, "random", 1 << 16, quantities=all_three)
        cases += [double, replace(double, alpha=1.0 / 3.0, target=None)]
    cases += [Case("float16", 2.0, "patterns", 1 << 16, precision="fast", quantities=all_three)]
    cases += [Case("bfloat16", 2.0, "patterns", 1 << 16, precision="fast", quantities=all_three)]
    cases += [Case("float64", 0.5, "random", 1 << 15, fused=False, quantities=both)]
    cases += [Case("float32", 0.5, "margins", 1 << 19, fused=False)]
    return cases


def report(case: Case, tallies: dict[str, Tally]) -> list[dict[str, Any]]:
    """One row for each quantity."""
    rows = []
    for name, tally in tallies.items():
        exceeded = not tally.maximum <= case.bound or tally.sieve_error > LARGEST_SIEVE_ERROR
        row: dict[str, Any] = {
            "format": case.storage,
            "precision": case.precision,
            "gamma": case.gamma,
            "alpha": case.alpha,
            "target": "soft" if case.target is None else case.target,
            "fused_multiply_add": has_fused_multiply_add() if case.fused is None else case.fused,
            "quantity": name,
            "inputs": case.inputs,
            "count": tally.count,
            "judged_by_reference": tally.judged,
            "bound": case.bound,
            "maximum": tally.maximum,
            "at": tally.at,
            "exceeded": exceeded,
        }
        if case.correctly_rounded and name != "second_derivative":
            row["not_correctly_rounded"] = tally.not_correctly_rounded
            row["of_these_within_half_a_float64_ulp_of_a_tie"] = tally.beyond_float64
        if case.inputs == "margins":
            row["sieve_error"] = tally.sieve_error
        rows.append(row)
    return rows


def measure(cases: Sequence[Case], processes: int) -> list[dict[str, Any]]:
    """Run all cases and return the rows of the report; progress goes to stderr."""
    pieces = [task for case in cases for task in tasks(case)]
    tallies = {case: {name: Tally() for name in case.quantities} for case in cases}
    total = sum(task.last - task.first for task in pieces)
    done, started = 0, time.monotonic()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for task, (case, found) in zip(pieces, pool.imap(run, pieces), strict=True):
            for name, tally in found.items():
                tallies[case][name].merge(tally)
            done += task.last - task.first
            line = f"{done / total:6.1%} {time.monotonic() - started:6.0f} s  {case.label}"
            print(f"\r{line:<100}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return [row for case in cases for row in report(case, tallies[case])]


def environment() -> dict[str, Any]:
    """Where and when a measurement was made."""
    features = binding.get_host_cpu_features()
    names = ("fma", "avx2", "avx512f", "avx512dq", "neon")
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python", *sys.argv]),
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("focal-ref", "numpy", "numba", "llvmlite", "ml_dtypes")},
        },
        "cpu": {
            "name": binding.get_host_cpu_name(),
            "machine": platform.machine(),
            "features": [name for name in names if features.get(name)],
        },
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the largest error of focal_ref on NumPy arrays.")
    parser.add_argument(
        "--margins", type=int, default=MARGINS, help=f"float32 margins a gamma; all of them by default: {MARGINS}"
    )
    parser.add_argument("--quick", action="store_true", help="fewer inputs: seconds instead of a quarter of an hour")
    parser.add_argument("--out", help="write the result as JSON")
    options = parser.parse_args(arguments)
    if not 0 < options.margins <= MARGINS:
        parser.error(f"--margins: got {options.margins}; it is between 1 and {MARGINS}")
    started = time.monotonic()
    rows = measure(quick_cases() if options.quick else full_cases(options.margins), PROCESSES)
    result = {**environment(), "seconds": round(time.monotonic() - started), "measurements": rows}
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
            file.write("\n")
    exceeded = [row for row in rows if row["exceeded"]]
    for row in exceeded:
        print("EXCEEDED", row)
    print(f"{len(rows)} maxima over {sum(row['count'] for row in rows):,} results, {len(exceeded)} beyond their bound")
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
