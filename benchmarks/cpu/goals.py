"""The goals for the CPU beside what was measured."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contestants import ADAPTERS, ALL, COMPILERS, EXACT, FAST, FLOOR, Contestant, ours
from summary import MEGABYTE, extra_megabytes, fastest, ratio

COMPILED = [each for each in ALL.values() if each.is_compiled]
PEERS = [each for each in ALL.values() if each.is_peer]

LINEAR = 1.1
"""Largest exponent of a growth that is called linear."""


@dataclass(frozen=True)
class Goal:
    """One goal.

    Attributes
    ----------
    what
        It, with its bound.
    measured
        For each subject (an adapter, or "") the measured figure, and whether it reaches the goal.
    unit
        Written after each figure.
    """

    what: str
    measured: dict[str, tuple[float, bool]]
    unit: str = ""

    @property
    def verdict(self) -> str:
        """Met, not met, or by whom not."""
        missed = [subject for subject, (_, met) in self.measured.items() if not met]
        if not missed:
            return "met"
        return "not met" if len(missed) == len(self.measured) else f"not met on {', '.join(missed)}"


def goals(sections: dict[str, Any], matching: dict[str, Any]) -> list[Goal]:
    """All goals whose sections were measured."""
    measured = {name: section["measured"] for name, section in sections.items()}
    found: list[Goal] = []
    if "detection" in measured:
        found += _speed(measured["detection"])
        found.append(_memory_with_gradient(measured["detection"]["fresh"]))
    if "forward" in measured:
        found.append(_memory_of_forward(measured["forward"]["forward"]))
    found += _matching(matching)
    if "growth" in measured:
        found.append(_growth(measured["growth"]))
    if "threads" in measured:
        found.append(_threads(measured["threads"]))
    if "start" in measured:
        found += _start(measured["start"])
    return [goal for goal in found if goal.measured]


def _of_adapters(
    precision: str, figure: Callable[[Contestant], float | None], reaches: Callable[[float], bool]
) -> dict[str, tuple[float, bool]]:
    found = {}
    for adapter, library in ADAPTERS.items():
        contestant = ours(adapter, precision)
        number = figure(contestant)
        if number is not None:
            subject = f"{library} under {COMPILERS[adapter]}" if adapter in COMPILERS else library
            found[subject] = (number, reaches(number))
    return found


def _speed(detection: dict[str, Any]) -> list[Goal]:
    found = []
    eager = ALL["torchvision, eager"].name
    for mode, said in (("fresh", "new arrays"), ("reused", "memory reused")):
        section = detection[mode]

        def over(chosen: list[Contestant], section: Any = section) -> Callable[[Contestant], float | None]:
            def figure(contestant: Contestant) -> float | None:
                nearest = fastest(section, contestant.name, chosen)
                return None if nearest is None else nearest[1]

            return figure

        found += [
            Goal(
                f"exact, {said}: ahead of every peer, eager or compiled (the nearest peer's time)",
                _of_adapters("exact", over(PEERS), lambda number: number > 1.0),
                " x",
            ),
            Goal(
                f"exact, {said}: at least 1.5 x the fastest compiled peer",
                _of_adapters("exact", over(COMPILED), lambda number: number >= 1.5),
                " x",
            ),
            Goal(
                f"exact, {said}: at least 20 x torchvision eager",
                _of_adapters(
                    "exact",
                    lambda each, section=section: ratio(section, eager, each.name),  # type: ignore[misc]
                    lambda number: number >= 20,
                ),
                " x",
            ),
        ]
    reused = detection["reused"]
    to_floor = ratio(reused, FAST.name, FLOOR.name)
    nearest = fastest(reused, FAST.name, COMPILED)
    if to_floor is not None:
        found.append(
            Goal("fast, `out=`: at most 2.0 x the streaming floor", {"NumPy": (to_floor, to_floor <= 2.0)}, " x")
        )
    if nearest is not None:
        found.append(
            Goal(
                "fast, `out=`: at least 3 x the fastest compiled peer with memory reused",
                {"NumPy": (nearest[1], nearest[1] >= 3.0)},
                " x",
            )
        )
    return found


def _memory_of_forward(forward: dict[str, Any]) -> Goal:
    return Goal(
        "forward: less than 1 MB beside the inputs",
        _of_adapters("exact", lambda each: extra_megabytes(forward, each.name), lambda number: number < 1.0),
        " MB",
    )


def _memory_with_gradient(fresh: dict[str, Any]) -> Goal:
    def beside_results(contestant: Contestant) -> float | None:
        extra = extra_megabytes(fresh, contestant.name)
        return None if extra is None else extra - fresh["contestants"][contestant.name]["result_bytes"] / MEGABYTE

    return Goal(
        "with gradient: the results alone, nothing of a one-hot's size (less than 1 MB beside them)",
        _of_adapters("exact", beside_results, lambda number: number < 1.0),
        " MB",
    )


def _matching(matching: dict[str, Any]) -> list[Goal]:
    row = next(each for each in matching["rows"] if each["boxes"] == 500)
    return [
        Goal("matching with 500 boxes: at most 100 ms", _alone(row["milliseconds"], row["milliseconds"] <= 100), " ms"),
        Goal(
            "matching with 500 boxes: at most 2 MiB",
            _alone(row["extra_mebibytes"], row["extra_mebibytes"] <= 2),
            " MiB",
        ),
        Goal("matching with 500 boxes: at least 25 x torchvision", _alone(row["ratio"], row["ratio"] >= 25), " x"),
    ]


def _alone(number: float, met: bool) -> dict[str, tuple[float, bool]]:
    return {"": (number, met)}


def exponent(growth: dict[str, Any], name: str, smallest: int) -> float | None:
    """Of n in the time, fitted by least squares from a number of elements on."""
    points = [
        (math.log(int(size)), math.log(statistics.median(seconds)))
        for size, section in growth.items()
        if int(size) >= smallest
        for seconds in [[each for heat in section["heats"] for each in heat.get(name, [])]]
        if seconds
    ]
    if len(points) < 2:
        return None
    return statistics.linear_regression(*zip(*points, strict=True)).slope


def _growth(growth: dict[str, Any]) -> Goal:
    figures = {}
    for contestant in (EXACT, FAST):
        found = exponent(growth, contestant.name, 10**4)
        if found is not None:
            figures[contestant.precision] = (found, found <= LINEAR)
    largest = len(str(max(map(int, growth)))) - 1
    return Goal(f"growth from 10^4 to 10^{largest} elements: linear (exponent of n at most {LINEAR})", figures)


def _threads(threads: dict[str, Any]) -> Goal:
    section, (one, several) = threads["threads"], threads["counts"]
    figures = {}
    for contestant in (EXACT, FAST):
        faster = ratio(section, f"{contestant.name} on {one}", f"{contestant.name} on {several}")
        to_floor = ratio(section, f"{contestant.name} on {several}", f"{FLOOR.name} on {several}")
        # Within twice the floor, it waits for memory rather than for processors.
        if faster is not None and to_floor is not None and several > one:
            bound = to_floor <= 2.0
            figures[contestant.precision + (" (memory-bound)" if bound else "")] = (faster, bound or faster >= 1.7)
    return Goal(f"{several} processors: at least 1.7 x one, while not memory-bound", figures, " x")


def _start(start: dict[str, Any]) -> list[Goal]:
    pairs = zip(start["imports"]["focal_ref"], start["imports"]["numpy"], strict=True)
    imported = statistics.median(a / b for a, b in pairs)
    first = {
        name: statistics.median(each["cached"])
        for name, each in start["first_calls"].items()
        if "cached" in each and not name.startswith("peer")
    }
    return [
        Goal("`import focal_ref`: at most 1.3 x `import numpy`", _alone(imported, imported <= 1.3), " x"),
        Goal(
            "first call of a cached kernel: at most 0.5 s",
            {name: (seconds, seconds <= 0.5) for name, seconds in first.items()},
            " s",
        ),
    ]
