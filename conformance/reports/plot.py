"""Plots of the error by regime: where each point lies. The template turns this into SVG."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.gate import Result
from focal_ref.conformance.regimes import BINS, LIMIT, WIDTH, Bin, Regimes

PLACES = BINS[:-1]
"""Of the horizontal axis: all bins but the one of what has no axis."""

SLOT = 10
LEFT, TOP, RIGHT, BOTTOM = 56, 26, 12, 40
HEIGHT = 190
"""Of the area in which points lie; all in units of the drawing."""

TICKS = 10
"""Between the labels of the horizontal axis."""

FLOOR = -3
"""Decade at which smaller errors are drawn."""

CEILING = 9
"""Decade at which larger ones are drawn, infinite ones too."""

MINIMUM_BINS = 3
"""Fewer make no plot."""

AXIS_NAMES = {"margin": "margin (2t - 1) x of hard targets", "logit": "logit x of soft targets"}


@dataclass(frozen=True)
class Point:
    """One bin of a format."""

    x: float
    y: float
    budget_y: float
    text: str
    is_over: bool
    ratio: float


@dataclass(frozen=True)
class Line:
    """One format."""

    dtype: str
    points: tuple[Point, ...]

    @property
    def path(self) -> str:
        """Of the errors."""
        return " ".join(f"{point.x:.1f},{point.y:.1f}" for point in self.points)

    @property
    def budget_path(self) -> str:
        """Of the budgets: one step a bin."""
        half = SLOT / 2
        steps = [f"{p.x - half:.1f},{p.budget_y:.1f} {p.x + half:.1f},{p.budget_y:.1f}" for p in self.points]
        return " ".join(steps)


@dataclass(frozen=True)
class Plot:
    """One quantity over one axis, a line for each format."""

    title: str
    axis: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    worst: Point
    worst_dtype: str

    width = LEFT + SLOT * len(PLACES) + RIGHT
    height = TOP + HEIGHT + BOTTOM
    left, right, top, bottom = LEFT, LEFT + SLOT * len(PLACES), TOP, TOP + HEIGHT


def plots(results: Iterable[Result], title: str) -> list[Plot]:
    """A plot for each quantity and axis of which there are enough bins; results of several requirements are merged."""
    merged: dict[str, Regimes] = {}
    for result in results:
        if result.item.dtype in FORMATS:
            merged.setdefault(result.item.dtype, Regimes()).merge(Regimes.from_record(result.regimes))
    keys = dict.fromkeys(key for regimes in merged.values() for key in regimes.bins)
    drawn = []
    for quantity, axis in keys:
        bins = {dtype: merged[dtype].bins.get((quantity, axis), {}) for dtype in FORMATS if dtype in merged}
        bins = {dtype: found for dtype, found in bins.items() if found}
        if axis in AXIS_NAMES and max(map(len, bins.values())) >= MINIMUM_BINS:
            what = quantity.replace("_", " ") + (", soft targets" if axis == "logit" else "")
            drawn.append(_plot(f"{title}: {what}", axis, bins))
    return drawn


def place_text(place: int | str) -> str:
    """A bin in words."""
    if isinstance(place, int):
        return f"{place} to {place + WIDTH}"
    return {"below": f"below -{LIMIT}", "above": f"{LIMIT} and above", "all": "everywhere"}.get(place, place)


def _plot(title: str, axis: str, bins: dict[str, dict[int | str, Bin]]) -> Plot:
    numbers = [number for found in bins.values() for bin in found.values() for number in (bin.error, bin.budget)]
    decades = (math.ceil(math.log10(number * 1.1)) for number in numbers if 0 < number < math.inf)
    top = min(max([1, *decades]), CEILING)

    def height(value: float) -> float:
        decade = math.log10(value) if 0 < value < math.inf else FLOOR if value == 0 else top
        return TOP + HEIGHT * (top - min(max(decade, FLOOR), top)) / (top - FLOOR)

    lines = []
    for dtype, found in bins.items():
        points = []
        for index, place in enumerate(PLACES):
            if (bin := found.get(place)) is None:
                continue
            text = (
                f"{dtype}, {axis} {place_text(place)}: {bin.error:.4g} ulp, budget {bin.budget:.4g} ulp, "
                f"the worst of {bin.count} is {bin.case}"
            )
            x, is_over = LEFT + SLOT * (index + 0.5), not bin.error <= bin.budget
            points.append(Point(x, height(bin.error), height(bin.budget), text, is_over, bin.ratio))
        lines.append(Line(dtype, tuple(points)))
    worst_dtype, worst = max(
        ((line.dtype, point) for line in lines for point in line.points), key=lambda pair: _order(pair[1].ratio)
    )
    edge = PLACES.index(-LIMIT)
    inner = range(-LIMIT + TICKS, LIMIT, TICKS)
    x_ticks = [(LEFT + SLOT * (edge + (s + LIMIT) / WIDTH), f"{s}") for s in inner]
    x_ticks += [(LEFT + SLOT * (PLACES.index(name) + 0.5), text) for name, text in (("-inf", "-∞"), ("inf", "∞"))]
    step = max(1, math.ceil((top - FLOOR) / 7))
    y_ticks = [(height(10.0**decade), _decade(decade)) for decade in range(FLOOR, top + 1, step)]
    return Plot(title, AXIS_NAMES[axis], tuple(lines), tuple(x_ticks), tuple(y_ticks), worst, worst_dtype)


def _order(ratio: float) -> float:
    return math.inf if math.isnan(ratio) else ratio


def _decade(decade: int) -> str:
    return f"{10.0**decade:g}" if -4 < decade < 5 else f"1e{decade}"
