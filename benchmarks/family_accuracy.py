"""Measure the largest error of every loss beside the paper's own, on NumPy arrays, against Arb balls.

    python benchmarks/family_accuracy.py [--count N] [--quick] [--out FILE]

Errors are in units of the last place (ulp) of the exact result; where terms cancel, of the sum of their magnitudes.
The 16-bit formats are exhaustive: all 65536 logits for each target and set of parameters. float32 and float64
are random logits and targets. Derivatives in parameters are measured with them.

The exit status is 1 if any bound is exceeded.
"""

import argparse
import datetime
import json
import multiprocessing
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

import focal_ref
from focal_ref.conformance.accuracy import error_in_ulps
from focal_ref.conformance.family.certify import bulk
from focal_ref.conformance.formats import FORMATS

Array = NDArray[Any]

PROCESSES = 2
BLOCK = 2048
DERIVATIVES = ("value", "gradient", "second_derivative")

ELEMENTWISE: Mapping[str, Sequence[Mapping[str, Any]]] = {
    "loss_from_probabilities": ({"alpha": 0.25, "gamma": 2.0}, {"alpha": None, "gamma": 0.5}),
    "star_loss": ({"alpha": None, "gamma": 2.0, "beta": 1.0}, {"alpha": 0.25, "gamma": 0.7, "beta": -3.0}),
    "quality_focal_loss": ({"beta": 2.0}, {"beta": 1.5}),
    "varifocal_loss": ({"alpha": 0.75, "gamma": 2.0}, {"alpha": 0.3, "gamma": 1.5}),
    "asymmetric_loss": (
        {"gamma_positive": 0.0, "gamma_negative": 4.0, "clip": 0.05},
        {"gamma_positive": 1.5, "gamma_negative": 2.5, "clip": 0.0},
    ),
    "heatmap_focal_loss": ({"gamma": 2.0, "beta": 4.0}, {"gamma": 1.5, "beta": 2.5}),
}
PARTIALS: Mapping[str, Sequence[str]] = {
    "loss": ("alpha", "gamma", "targets"),
    "loss_from_probabilities": ("gamma", "targets"),
    "star_loss": ("gamma", "beta"),
    "quality_focal_loss": ("beta", "targets"),
    "varifocal_loss": ("alpha", "gamma", "targets"),
    "asymmetric_loss": ("gamma_positive", "gamma_negative", "targets"),
    "heatmap_focal_loss": ("gamma", "beta", "targets"),
}
SOFT_TARGETS = (0.0, 1.0, 0.3)
CLASSES = (2, 3, 10, 100, 1000)


@dataclass(frozen=True)
class Case:
    """One measurement.

    Attributes
    ----------
    function, dtype
        What is measured.
    parameters
        Its hyper-parameters.
    quantities
        "value", "gradient", "second_derivative", or what the function has a derivative in.
    target
        Target of all elements, "random", or "labels" for rows.
    classes
        Logits a row, 0 for a loss of elements.
    count
        Elements or rows.
    """

    function: str
    dtype: str
    parameters: Mapping[str, Any]
    quantities: tuple[str, ...]
    target: float | str
    classes: int
    count: int

    def inputs(self) -> tuple[Array, Array]:
        """Logits (or probabilities) and targets, the same in every run."""
        dtype = FORMATS[self.dtype].dtype
        generator = np.random.default_rng([self.count, self.classes, 20170807])
        probabilities = self.function == "loss_from_probabilities"
        if self.classes:
            logits = generator.normal(0.0, 1.0, (self.count, self.classes)) * generator.choice(
                [1, 8, 60], (self.count, 1)
            )
            return logits.astype(dtype), generator.integers(0, self.classes, self.count)
        if FORMATS[self.dtype].bits == 16:
            logits = np.arange(1 << 16, dtype=np.uint16).view(dtype)
            with np.errstate(invalid="ignore"):
                chosen = (logits >= 0) & (logits <= 1) if probabilities else ~np.isnan(logits)
            logits = logits[chosen]
        elif probabilities:
            logits = generator.random(self.count).astype(dtype)
        else:
            logits = (generator.normal(0.0, 1.0, self.count) * generator.choice([1, 8, 40], self.count)).astype(dtype)
        if self.target == "random":
            targets = generator.random(logits.size).astype(dtype)
        else:
            targets = np.full(logits.size, float(self.target)).astype(dtype)
        return logits, targets


def cases(count: int) -> Iterator[Case]:
    """Everything that is measured, with so many random elements."""
    for function, sets in ELEMENTWISE.items():
        targets: tuple[float | str, ...] = (0.0, 1.0) if function == "star_loss" else SOFT_TARGETS
        for dtype in ("float16", "bfloat16"):
            for target in targets:
                yield Case(function, dtype, sets[0], DERIVATIVES, target, 0, 1 << 16)
        for dtype in ("float32", "float64"):
            for parameters in sets:
                for target in targets if function == "star_loss" else (*targets[:2], "random"):
                    quantities = (*DERIVATIVES, *PARTIALS[function])
                    yield Case(function, dtype, parameters, quantities, target, 0, count)
    for gamma in (0.5, 2.0):
        for dtype in FORMATS:
            for target in (0.0, 1.0, "random"):
                parameters = {"alpha": 0.25, "gamma": gamma}
                exhaustive = FORMATS[dtype].bits == 16
                if not (exhaustive and target == "random"):
                    yield Case("loss", dtype, parameters, PARTIALS["loss"], target, 0, 1 << 16 if exhaustive else count)
    for classes in CLASSES:
        for dtype in FORMATS:
            for gamma in (0.5, 2.0):
                rows = max(10, count // (4 * classes))
                yield Case(
                    "softmax_loss", dtype, {"alpha": None, "gamma": gamma}, DERIVATIVES[:2], "labels", classes, rows
                )


def bound(case: Case, quantity: str) -> float:
    """What docs/accuracy.md promises."""
    if case.function == "softmax_loss":
        return 1.0 if case.dtype == "float32" else 16.0 if case.dtype == "float64" else 0.51
    if case.dtype != "float64":
        return 0.501
    if case.function == "star_loss":
        return 5.0
    exponents = [
        number for name, number in case.parameters.items() if name not in ("alpha", "clip") and number is not None
    ]
    return 8.0 + 2.0 * max(exponents) + 2.0


def measured(case: Case, logits: Array, targets: Array) -> dict[str, Array]:
    """What the package gives."""
    function = getattr(focal_ref, case.function)
    given = {name: number for name, number in case.parameters.items() if number is not None or name == "alpha"}
    results: dict[str, Array] = {}
    if {"value", "gradient"} & set(case.quantities):
        results["value"], results["gradient"] = focal_ref.value_and_grad(logits, targets, function=function, **given)
    if "second_derivative" in case.quantities:
        results["second_derivative"] = focal_ref.second_derivative(logits, targets, function=function, **given)
    if set(case.quantities) - set(DERIVATIVES):
        results.update(focal_ref.parameter_gradients(logits, targets, function=function, **given))
    return results


def run(case: Case) -> list[dict[str, Any]]:
    """One row of results a quantity."""
    format = FORMATS[case.dtype]
    logits, targets = case.inputs()
    got = measured(case, logits, targets)
    quantities = [name for name in case.quantities if name in got]
    worst = dict.fromkeys(quantities, (0.0, -1))
    not_rounded = dict.fromkeys(quantities, 0)
    block = max(1, BLOCK // max(1, case.classes))
    for start in range(0, logits.shape[0], block):
        part = slice(start, start + block)
        truth = bulk(case.function, (logits[part], targets[part]), case.parameters, quantities, format)
        for name in quantities:
            error = error_in_ulps(got[name][part], truth[name], flushed=0.0, format=format)
            not_rounded[name] += int(np.sum(got[name][part] != truth[name].numbers))
            largest = int(np.argmax(error))
            if error.flat[largest] > worst[name][0]:
                worst[name] = (float(error.flat[largest]), start + largest // (error.size // error.shape[0]))
    rows = []
    for name in quantities:
        maximum, at = worst[name]
        row = {
            "function": case.function,
            "format": case.dtype,
            "parameters": dict(case.parameters),
            "target": case.target,
            "classes": case.classes,
            "quantity": name,
            "count": int(logits.shape[0]),
            "exhaustive": format.bits == 16 and not case.classes,
            "bound": bound(case, name),
            "maximum": maximum,
            "exceeded": not maximum <= bound(case, name),
            "not_correctly_rounded": not_rounded[name],
        }
        if at >= 0 and not case.classes:
            row["at"] = {"input": float(logits[at]), "target": float(targets[at]), "got": float(got[name][at])}
        rows.append(row)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000, help="random elements a case")
    parser.add_argument("--quick", action="store_true", help="no exhaustive case")
    parser.add_argument("--only", help="one function")
    parser.add_argument("--out", help="file for the results, as JSON")
    options = parser.parse_args(arguments)
    todo = [
        case
        for case in cases(options.count)
        if options.only in (None, case.function) and not (options.quick and case.count == 1 << 16)
    ]
    begun = time.time()
    rows = []
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        for results in pool.imap(run, todo):
            rows += results
            for row in results:
                mark = "EXCEEDED" if row["exceeded"] else ""
                parameters = " ".join(f"{name}={number}" for name, number in row["parameters"].items())
                size = f"C={row['classes']}" if row["classes"] else f"t={row['target']}"
                print(
                    f"{row['function']:<24} {row['format']:<9} {size:<8} {parameters:<52} {row['quantity']:<18}"
                    f" {row['maximum']:>12.7g} of {row['bound']:<6g} {mark}",
                    flush=True,
                )
    document = {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": f"python benchmarks/family_accuracy.py --count {options.count}",
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("focal-ref", "numpy", "ml_dtypes", "python-flint")},
        },
        "seconds": round(time.time() - begun),
        "measurements": rows,
    }
    if options.out:
        with open(options.out, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
    return int(any(row["exceeded"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
