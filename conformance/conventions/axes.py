"""The axes on which focal losses differ, the values of each, and the formula of each value: one table.

A profile declares one value for every axis. The formulas are those that `focal_ref.conformance.conventions.oracle`
computes; p is the predicted probability, t the target, s = (2 t - 1) x the margin of a hard target, p_t the probability
of the target and ce the cross entropy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Value:
    """One value of an axis.

    Attributes
    ----------
    meaning
        What an implementation with it does.
    formula
        Of the loss, or of the part of it that the axis decides.
    """

    meaning: str
    formula: str


def _axis(values: Mapping[str, tuple[str, str]] | None = None, **more: tuple[str, str]) -> Mapping[str, Value]:
    return MappingProxyType({name: Value(*texts) for name, texts in {**(values or {}), **more}.items()})


AXES: Mapping[str, Mapping[str, Value]] = MappingProxyType(
    {
        "formula": _axis(
            focal=("the paper's focal loss", "alpha_t (1 - p_t)^gamma ce, ce = -log(p_t)"),
            star=("the paper's alternate loss, FL*", "-alpha_t log(sigmoid(gamma s + beta)) / gamma"),
            quality=("the quality focal loss", "|t - p|^beta ce, ce = -t log(p) - (1 - t) log(1 - p)"),
            varifocal=("the varifocal loss", "t ce for t > 0; alpha p^gamma (-log(1 - p)) for t = 0"),
            asymmetric=(
                "the asymmetric loss, negatives shifted by a clip",
                "t (1 - p)^gamma_positive (-log p) + (1 - t) m^gamma_negative (-log(1 - m)), m = max(p - clip, 0)",
            ),
            heatmap=(
                "the focal loss of keypoint heatmaps",
                "(1 - p)^gamma (-log p) for t = 1; (1 - t)^beta p^gamma (-log(1 - p)) for t < 1",
            ),
        ),
        "prediction": _axis(
            logits=("the first argument is a logit", "p = 1 / (1 + e^-x), or softmax(z)"),
            probabilities=("the first argument is a probability", "p as given"),
        ),
        "multi_class": _axis(
            sigmoid=("one sigmoid a class: every element is a loss of its own", "p = sigmoid(x)"),
            softmax=("one softmax a row: p_t is the probability of the row's class", "p = softmax(z), p_t = p_label"),
        ),
        "alpha": _axis(
            {
                "pos/1-pos": ("alpha on positives, 1 - alpha on negatives", "alpha_t = alpha t + (1 - alpha)(1 - t)"),
                "pos-only": ("alpha on positives, 1 on negatives", "alpha_t = alpha t + (1 - t)"),
                "neg-only": ("1 on positives, alpha on negatives", "alpha_t = t + alpha (1 - t)"),
                "uniform": ("alpha on everything", "alpha_t = alpha"),
                "class-vector": ("one weight a class", "alpha_t = alpha_label"),
                "first/rest": (
                    "1 - alpha for class 0, alpha for the others",
                    "alpha_t = 1 - alpha if label = 0 else alpha",
                ),
                "none": ("no alpha", "alpha_t = 1"),
            }
        ),
        "alpha_off": _axis(
            {
                "none": ("Python's None, or there is no alpha", "alpha_t = 1 for alpha = None"),
                "-1": ("the number -1", "alpha_t = 1 for alpha = -1"),
                "0": ("the number 0", "alpha_t = 1 for alpha = 0"),
                "1": ("the number 1", "alpha_t = 1 for alpha = 1"),
                "flag": ("keywords of their own, [signature.alpha_off] and [signature.alpha_on]", "alpha_t = 1"),
                "unsupported": ("weighting cannot be switched off", "alpha_t as in `alpha`"),
            }
        ),
        "soft_targets": _axis(
            blended=(
                "p_t, the cross entropy and alpha_t are each blended by the target",
                "alpha_t (1 - p_t)^gamma ce, p_t = p t + (1 - p)(1 - t), ce = -t log(p) - (1 - t) log(1 - p)",
            ),
            mixture=("the losses of both hard targets, mixed by the target", "t FL(x, 1) + (1 - t) FL(x, 0)"),
            distance=("the distance of p and t takes the place of 1 - p_t", "alpha_t |t - p|^gamma ce"),
            formula=("as the formula itself says", "see `formula`"),
            unsupported=("targets are 0 or 1", "no formula"),
        ),
        "clipping": _axis(
            {
                "none": ("nothing is clipped", "p"),
                "cross-entropy": (
                    "p is clipped inside the logarithms only",
                    "ce of min(max(p, epsilon), 1 - epsilon); its gradient is 0 where it clips",
                ),
                "logarithm": (
                    "each logarithm is of at least epsilon",
                    "ce of log(max(p, epsilon)) and log(max(1 - p, epsilon)); its gradient is 0 where it clips",
                ),
                "added": (
                    "epsilon is added inside the logarithms",
                    "ce of log(p + epsilon) and log(1 - p + epsilon)",
                ),
                "probability": (
                    "p is clipped everywhere",
                    "the loss of min(max(p, epsilon), 1 - epsilon); its gradient is 0 where it clips",
                ),
            }
        ),
        "mean": _axis(
            elements=("the number of elements", "sum / n"),
            rows=("the number of rows: elements over classes", "sum / (n / classes)"),
            valid=("the number of elements, or of rows of a softmax, whose label is not ignored", "sum / n_valid"),
            positives=("the number of positives, at least 1", "sum / max(1, sum_i [t_i = 1])"),
            weights=("the sum of the weights alpha_t", "sum / sum_i alpha_t,i"),
            unsupported=("there is no mean", "no formula"),
        ),
        "sum": _axis(
            elements=("every element once", "sum_i FL_i"),
            unsupported=("there is no sum", "no formula"),
        ),
        "gradient": _axis(
            autodiff=("the library's automatic differentiation", "dFL/dx"),
            function=("a function of its own that returns the gradient", "dFL/dx"),
            none=("there is none", "no formula"),
        ),
        "subnormals": _axis(
            kept=("results below the smallest normal number are kept", "as the formula"),
            flushed=("such results may be 0", "0 for |FL| < 2^e_min"),
        ),
    }
)
"""Axis to value to what it means; every axis is declared, with one of these values."""

CODES = ("background", "ignore")
"""Axes whose value is the integer label that stands for background (a negative of every class) or is left out of the
loss, or "none" where no label does. Background may also be "classes": the number of classes, one past the last."""

EPSILON = "epsilon"
"""The axis whose value is the number by which `clipping` clips; 0 with "none"."""

ALL = (*AXES, EPSILON, *CODES)
"""Every axis that a profile of a loss declares."""


def allowed(axis: str) -> tuple[str, ...]:
    """Values of an axis from the table, in its order."""
    return tuple(AXES[axis])
