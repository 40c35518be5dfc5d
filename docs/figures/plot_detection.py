"""Draw the figures of the page on detection: ``python docs/figures/plot_detection.py`` writes them beside this file."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot
from matplotlib.patches import Rectangle

from focal_ref.detection import IGNORED, NEGATIVE, POSITIVE, anchor_boxes, box_iou, match_anchors

FOLDER = Path(__file__).parent
PICTURE = 256
SHOWN = 90
"""Anchors in the diagram of overlaps."""
COLORS = {POSITIVE: "tab:green", IGNORED: "tab:orange", NEGATIVE: "0.8"}
NAMES = {POSITIVE: "positive", IGNORED: "ignored", NEGATIVE: "background"}
PRESETS = ("paper", "detectron", "torchvision", "mmdet", "fizyr", "tf_official")

# The same bytes from the same version of Matplotlib, and text that stays text.
mpl.rcParams.update(
    {"svg.hashsalt": "focal-ref", "svg.fonttype": "none", "font.size": 9, "figure.constrained_layout.use": True}
)


def outline(axes: Any, box: Any, **style: Any) -> None:
    """Draw one box."""
    axes.add_patch(Rectangle((box[0], box[1]), box[2] - box[0], box[3] - box[1], fill=False, **style))


def empty_picture(axes: Any, title: str, size: int = PICTURE, margin: int = 40) -> None:
    """Axes in pixels with the picture's border, y downwards."""
    outline(axes, (0, 0, size, size), color="black", linewidth=1.0)
    axes.set(title=title, xlim=(-margin, size + margin), ylim=(size + margin, -margin), aspect="equal")


def centers(anchors: Any) -> Any:
    """Centres of boxes, (A, 2)."""
    return (anchors[:, :2] + anchors[:, 2:]) / 2


def location_figure() -> None:
    """The nine anchors of one location of P5, and how they sit in other libraries."""
    figure, panels = pyplot.subplots(1, 3, figsize=(8.4, 3.1))
    for axes, preset in zip(panels, ("paper", "torchvision", "effdet"), strict=True):
        anchors = anchor_boxes((PICTURE, PICTURE), preset=preset, levels=(5,), sizes=(128,))
        cells = PICTURE // 32
        location = (cells // 2 * cells + cells // 2) * 9
        empty_picture(axes, preset, margin=30)
        for index, box in enumerate(anchors[location : location + 9]):
            outline(axes, box, color=f"C{index // 3}", linewidth=0.9)
        axes.plot(*centers(anchors[location : location + 1])[0], "k+", markersize=5)
        axes.set_xticks(np.arange(0, PICTURE + 1, 32), minor=True)
        axes.set_yticks(np.arange(0, PICTURE + 1, 32), minor=True)
        axes.grid(which="minor", color="0.9", linewidth=0.5)
    figure.savefig(FOLDER / "anchors.svg", metadata={"Date": None})
    pyplot.close(figure)


def bands_figure() -> None:
    """States of anchors over a picture, and the overlaps that decide them."""
    anchors = anchor_boxes((PICTURE, PICTURE), levels=(4, 5), sizes=(64, 128), scales=(1.0,))
    boxes = np.array([[30, 40, 118, 112], [120, 96, 236, 224]], np.float32)
    matches = match_anchors(anchors, boxes)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8.4, 3.9), width_ratios=(1.0, 1.2))
    empty_picture(left, "anchors whose best IoU is ...")
    for state in (IGNORED, POSITIVE):
        for box in anchors[matches.state == state]:
            outline(left, box, color=COLORS[state], linewidth=0.4, alpha=0.7)
    middle = np.unique(centers(anchors[matches.state == NEGATIVE]), axis=0)
    left.plot(*middle.T, ".", color=COLORS[NEGATIVE], markersize=3, zorder=0)
    for box in boxes:
        outline(left, box, color="black", linewidth=1.8)
    order = np.argsort(-matches.iou)
    overlap, state = matches.iou[order], matches.state[order]
    for code in (POSITIVE, IGNORED, NEGATIVE):
        rank = np.flatnonzero(state == code) + 1
        shown = rank <= SHOWN
        text = f"{NAMES[code]}: {len(rank)}"
        right.bar(rank[shown], overlap[state == code][shown], width=1.0, color=COLORS[code], label=text)
    for limit in (0.4, 0.5):
        right.axhline(limit, color="black", linewidth=0.7, linestyle=":")
    right.set(title="best IoU with a ground truth", xlabel="anchors, by their best IoU")
    right.set(xlim=(0.5, SHOWN + 0.5), ylim=(0, 1))
    right.legend(frameon=False)
    figure.savefig(FOLDER / "matching.svg", metadata={"Date": None})
    pyplot.close(figure)


def presets_figure() -> None:
    """One picture under six presets: an easy ground truth, one between the thresholds, one that no anchor overlaps."""
    anchors = anchor_boxes((PICTURE, PICTURE), levels=(5,), sizes=(64,), scales=(1.0,), ratios=(1.0,))
    boxes = np.array([[20, 20, 90, 86], [144, 52, 184, 98], [300, 300, 330, 330]], np.float32)
    best = box_iou(anchors, boxes).max(axis=0)
    # What the figure is to show.
    assert best[0] >= 0.5
    assert 0.4 < best[1] < 0.5
    assert best[2] == 0.0
    figure, panels = pyplot.subplots(2, 3, figsize=(8.4, 6.0))
    for axes, preset in zip(panels.flat, PRESETS, strict=True):
        matches = match_anchors(anchors, boxes, preset=preset)
        empty_picture(axes, f"{preset}: {int(matches.num_positive)} of {len(anchors)}", margin=84)
        for state in (NEGATIVE, IGNORED, POSITIVE):
            points = centers(anchors[matches.state == state])
            axes.plot(*points.T, "o", color=COLORS[state], markersize=4, label=NAMES[state])
        if matches.num_positive < len(anchors):
            for box in anchors[matches.state == POSITIVE]:
                outline(axes, box, color=COLORS[POSITIVE], linewidth=0.8)
        for box in boxes:
            outline(axes, box, color="black", linewidth=1.5)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", frameon=False, ncols=3)
    figure.savefig(FOLDER / "presets.svg", metadata={"Date": None})
    pyplot.close(figure)


if __name__ == "__main__":
    location_figure()
    bands_figure()
    presets_figure()
