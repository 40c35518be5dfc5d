"""The figures of docs/performance.md: docs/figures/performance-*.svg.

Each holds the digest of what it draws, so that a test without Matplotlib sees whether it belongs to the results.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from summary import Row

FOLDER = Path(__file__).parents[2] / "docs" / "figures"

OURS, PEER, FLOOR = "#1f6fb4", "0.65", "0.2"


def drawn(tables: dict[str, Sequence[Row]], lines: dict[str, dict[int, float]]) -> dict[str, Any]:
    """What each figure shows, as plain data."""
    rows = tables["detection"]
    return {
        "performance-time": {
            "fresh": [[row.name, row.kind, row.fresh] for row in rows if row.fresh],
            "reused": [[row.name, row.kind, row.reused] for row in rows if row.reused],
        },
        "performance-memory": [
            [row.name, row.kind, row.extra_megabytes] for row in rows if row.extra_megabytes is not None
        ],
        "performance-growth": {name: [list(pair) for pair in line.items()] for name, line in lines.items()},
    }


def digest(data: Any) -> str:
    """Of the data of one figure."""
    return hashlib.sha256(json.dumps(data).encode()).hexdigest()[:16]


def stale(data: dict[str, Any]) -> list[str]:
    """Figures that are missing or drawn from other data."""
    found = []
    for name, each in data.items():
        file = FOLDER / f"{name}.svg"
        held = re.search(r"results ([0-9a-f]{16})", file.read_text(encoding="utf-8")) if file.exists() else None
        if held is None or held[1] != digest(each):
            found.append(file.name)
    return found


def draw(data: dict[str, Any]) -> None:
    """Write all figures."""
    import matplotlib as mpl

    mpl.use("svg")
    # The same bytes from the same version of Matplotlib, and text that stays text.
    mpl.rcParams.update(
        {"svg.hashsalt": "focal-ref", "svg.fonttype": "none", "font.size": 9, "figure.constrained_layout.use": True}
    )
    time, memory, growth = (data[f"performance-{name}"] for name in ("time", "memory", "growth"))
    _bars(
        "performance-time",
        data,
        [("new arrays in every call", time["fresh"]), ("memory used again", time["reused"])],
        "milliseconds, value and gradient",
    )
    _bars("performance-memory", data, [("", memory)], "MB beside the inputs, value and gradient")
    _growth("performance-growth", data, growth)


def _bars(name: str, data: dict[str, Any], panels: list[tuple[str, list[Any]]], label: str) -> None:
    from matplotlib import pyplot

    longest = max(len(rows) for _, rows in panels)
    size = (4.6 * len(panels) + 0.6, 0.22 * longest + 0.9)
    figure, all_axes = pyplot.subplots(1, len(panels), figsize=size, squeeze=False)
    for axes, (title, rows) in zip(all_axes[0], panels, strict=True):
        rows = sorted(rows, key=lambda row: row[2], reverse=True)
        colors = [{"ours": OURS, "floor": FLOOR}.get(kind, PEER) for _, kind, _ in rows]
        axes.barh([each for each, _, _ in rows], [max(number, 0.01) for _, _, number in rows], color=colors)
        axes.set(title=title, xlabel=label, xscale="log")
        axes.tick_params(axis="y", length=0)
        axes.spines[["top", "right"]].set_visible(False)
    _save(figure, name, data)


def _growth(name: str, data: dict[str, Any], lines: dict[str, list[list[float]]]) -> None:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.6, 3.4))
    for contestant, points in lines.items():
        axes.plot(*zip(*points, strict=True), marker="o", markersize=3, label=contestant)
    axes.set(xscale="log", yscale="log", xlabel="elements", ylabel="milliseconds")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, name, data)


def _save(figure: Any, name: str, data: dict[str, Any]) -> None:
    from matplotlib import pyplot

    about = {"Date": None, "Description": f"results {digest(data[name])}"}
    figure.savefig(FOLDER / f"{name}.svg", metadata=about)
    pyplot.close(figure)
