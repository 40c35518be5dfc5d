"""Draw the figures of the pages on losses: ``python docs/figures/plot.py`` writes one SVG a loss beside this file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot

import focal_ref

FOLDER = Path(__file__).parent
LOGITS = np.linspace(-6.0, 6.0, 481)
POSITIVE, NEGATIVE = np.ones_like(LOGITS), np.zeros_like(LOGITS)

# The same bytes from the same version of Matplotlib, and text that stays text.
mpl.rcParams.update(
    {"svg.hashsalt": "focal-ref", "svg.fonttype": "none", "font.size": 9, "figure.constrained_layout.use": True}
)


def curves(function: Callable[..., Any], targets: Any, **parameters: Any) -> tuple[Any, Any]:
    """Value and derivative along the logits."""
    return focal_ref.value_and_grad(LOGITS, targets, function=function, **parameters)


def save(name: str, columns: list[Any], label: str = "logit") -> None:
    """One figure with a panel of values and a panel of derivatives."""
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8.0, 3.2))
    for text, (value, gradient) in columns:
        left.plot(LOGITS, value, label=text)
        right.plot(LOGITS, gradient, label=text)
    left.set(title="value", xlabel=label, ylim=(0.0, 5.0))
    right.set(title="derivative with respect to the logit", xlabel=label)
    right.axhline(0.0, color="0.7", linewidth=0.6, zorder=0)
    left.legend(frameon=False)
    figure.savefig(FOLDER / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def paper_figure() -> None:
    """Figure 1 of the paper: the loss over the probability of the true class."""
    probability = np.linspace(0.002, 1.0, 500)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(8.0, 3.2))
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        ones = np.ones_like(probability)
        value = focal_ref.loss_from_probabilities(probability, ones, alpha=None, gamma=gamma)
        left.plot(probability, value, label=f"gamma = {gamma:g}")
        right.plot(LOGITS, curves(focal_ref.loss, POSITIVE, alpha=None, gamma=gamma)[1], label=f"gamma = {gamma:g}")
    left.set(title="value", xlabel="probability of the true class", ylim=(0.0, 5.0))
    right.set(title="derivative with respect to the logit", xlabel="logit of a positive")
    left.legend(frameon=False)
    figure.savefig(FOLDER / "focal.svg", metadata={"Date": None})
    pyplot.close(figure)


def softmax_curves(gamma: float) -> tuple[Any, Any]:
    """The loss of the first of three classes along its logit, the others at 0."""
    rows = np.stack([LOGITS, np.zeros_like(LOGITS), np.zeros_like(LOGITS)], axis=1)
    labels = np.zeros(LOGITS.size, dtype=np.int64)
    value, gradient = focal_ref.value_and_grad(rows, labels, function=focal_ref.softmax_loss, gamma=gamma)
    return value, gradient[:, 0]


def main() -> None:
    """Write all figures."""
    paper_figure()
    save(
        "softmax",
        [(f"gamma = {gamma:g}", softmax_curves(gamma)) for gamma in (0.0, 0.5, 1.0, 2.0, 5.0)],
        "logit of the class",
    )
    star = [
        (f"gamma = {gamma:g}, beta = {beta:g}", gamma, beta) for gamma, beta in ((1.0, 0.0), (2.0, 1.0), (4.0, 0.0))
    ]
    save(
        "star",
        [(text, curves(focal_ref.star_loss, POSITIVE, gamma=gamma, beta=beta)) for text, gamma, beta in star],
        "logit of a positive",
    )
    save(
        "quality",
        [
            (f"t = {target:g}", curves(focal_ref.quality_focal_loss, POSITIVE * target))
            for target in (0.0, 0.5, 0.8, 1.0)
        ],
    )
    save(
        "varifocal",
        [(f"t = {target:g}", curves(focal_ref.varifocal_loss, POSITIVE * target)) for target in (0.0, 0.5, 0.8, 1.0)],
    )
    negatives = [
        (f"negative, clip = {clip:g}", curves(focal_ref.asymmetric_loss, NEGATIVE, clip=clip))
        for clip in (0.0, 0.05, 0.2)
    ]
    save("asymmetric", [("positive", curves(focal_ref.asymmetric_loss, POSITIVE)), *negatives])
    save(
        "heatmap",
        [
            (f"t = {target:g}", curves(focal_ref.heatmap_focal_loss, POSITIVE * target))
            for target in (0.0, 0.5, 0.8, 1.0)
        ],
    )


if __name__ == "__main__":
    main()
