"""What follows from declared conventions: the function of the canonical call that they describe, and what it can do."""

from collections.abc import Mapping
from typing import Any

from focal_ref.conformance.conventions.axes import CODES

FUNCTION_OF_FORMULA: Mapping[str, str] = {
    "focal": "loss",
    "star": "star_loss",
    "quality": "quality_focal_loss",
    "varifocal": "varifocal_loss",
    "asymmetric": "asymmetric_loss",
    "heatmap": "heatmap_focal_loss",
}
"""The elementwise function of logits with each formula."""

CAPABILITY_OF_FUNCTION: Mapping[str, str] = {
    "loss": "loss",
    "loss_from_labels": "labels",
    "loss_from_probabilities": "probabilities",
    "softmax_loss": "softmax",
    "star_loss": "star",
    "quality_focal_loss": "quality",
    "varifocal_loss": "varifocal",
    "asymmetric_loss": "asymmetric",
    "heatmap_focal_loss": "heatmap",
}
"""The capability of having a function."""

_WEIGHTED = ("pos/1-pos", "pos-only", "neg-only", "uniform", "none")
_OF_CLASSES = ("uniform", "class-vector", "first/rest", "none")
_ALPHA: Mapping[str, tuple[str, ...]] = {
    "softmax_loss": _OF_CLASSES,
    "quality_focal_loss": ("none",),
    "varifocal_loss": ("neg-only",),
    "asymmetric_loss": ("none",),
    "heatmap_focal_loss": ("none",),
}
_SOFT: Mapping[str, tuple[str, ...]] = {
    "loss": ("blended", "mixture", "distance", "unsupported"),
    "loss_from_probabilities": ("blended", "mixture", "distance", "unsupported"),
    "loss_from_labels": ("unsupported",),
    "softmax_loss": ("mixture", "unsupported"),
    "star_loss": ("unsupported",),
}

CANONICAL: Mapping[str, tuple[str, str]] = {
    "loss": ("pos/1-pos", "blended"),
    "loss_from_labels": ("pos/1-pos", "unsupported"),
    "loss_from_probabilities": ("pos/1-pos", "blended"),
    "softmax_loss": ("class-vector", "mixture"),
    "star_loss": ("pos/1-pos", "unsupported"),
    "quality_focal_loss": ("none", "formula"),
    "varifocal_loss": ("neg-only", "formula"),
    "asymmetric_loss": ("none", "formula"),
    "heatmap_focal_loss": ("none", "formula"),
}
"""Meaning of alpha and rule for soft targets of the stored vectors, which are of logits and clip nothing."""


def function_of(conventions: Mapping[str, Any], *, labels: bool = False) -> str:
    """The function of the canonical call that these conventions describe; `labels` if its targets are labels."""
    if conventions["multi_class"] == "softmax":
        return "softmax_loss"
    if conventions["formula"] == "focal" and conventions["prediction"] == "probabilities":
        return "loss_from_probabilities"
    if conventions["formula"] == "focal" and labels:
        return "loss_from_labels"
    return FUNCTION_OF_FORMULA[conventions["formula"]]


def is_canonical(conventions: Mapping[str, Any], function: str) -> bool:
    """Whether the stored vectors of a function have these conventions, for hard and soft targets and any alpha."""
    alpha, soft = CANONICAL[function]
    of_probabilities = conventions["prediction"] == "probabilities"
    return (
        conventions["clipping"] == "none"
        and of_probabilities == (function == "loss_from_probabilities")
        and conventions["alpha"] in (alpha, "none")
        and conventions["soft_targets"] in (soft, "unsupported")
    )


def has_second_derivative(conventions: Mapping[str, Any], function: str) -> bool:
    """Whether there is a formula of the second derivative with these conventions."""
    plain = (conventions["prediction"], conventions["clipping"]) == ("logits", "none")
    elementwise = function in ("loss", "loss_from_labels") and plain and conventions["soft_targets"] != "distance"
    return elementwise or is_canonical(conventions, function)


def contradiction(conventions: Mapping[str, Any], *, labels: bool = False) -> tuple[str, str] | None:
    """The axis that has no formula beside the others and what is allowed for it, or None."""
    formula, prediction = conventions["formula"], conventions["prediction"]
    if conventions["multi_class"] == "softmax":
        if formula != "focal":
            return "multi_class", f"sigmoid, for conventions.formula = {formula!r}"
        if prediction != "logits":
            return "prediction", "logits, for conventions.multi_class = 'softmax'; pass what turns it on as a constant"
    if prediction == "probabilities" and (formula == "star" or labels):
        return "prediction", f"logits, for {'targets that are labels' if labels else 'FL*'}"
    function = function_of(conventions, labels=labels)
    if labels and function not in ("loss_from_labels", "softmax_loss"):
        return "formula", "focal, for targets that are labels"
    alphas = _ALPHA.get(function, _WEIGHTED)
    if conventions["alpha"] not in alphas:
        return "alpha", f"{', '.join(alphas)}, for what is a {function}"
    rules = _SOFT.get(function, ("formula", "unsupported"))
    if conventions["soft_targets"] not in rules:
        return "soft_targets", f"{', '.join(rules)}, for what is a {function}"
    if conventions["alpha"] == "none" and conventions["alpha_off"] != "none":
        return "alpha_off", "none, where conventions.alpha is 'none'"
    if formula == "star" and conventions["clipping"] != "none":
        return "clipping", "none, for FL*, which has no probability"
    if (conventions["clipping"] == "none") != (conventions["epsilon"] == 0):
        return "epsilon", "0 with conventions.clipping = 'none', and above 0 otherwise"
    return None


def derived_capabilities(conventions: Mapping[str, Any], function: str, tiers: Mapping[str, str]) -> frozenset[str]:
    """What is claimed by declaring conventions and accuracy."""
    limited = {"cancellation-limited", "clipped"} & set(tiers.values())
    with_number = function == "softmax_loss" and conventions["alpha"] in ("uniform", "first/rest")
    claims = {
        CAPABILITY_OF_FUNCTION[function]: True,
        "gradient": conventions["gradient"] != "none",
        "autodiff": conventions["gradient"] == "autodiff",
        "soft_targets": conventions["soft_targets"] != "unsupported",
        "reduction_sum": conventions["sum"] != "unsupported",
        "reduction_mean": conventions["mean"] != "unsupported",
        "alpha": conventions["alpha"] != "none",
        "alpha_balanced": conventions["alpha"] == "pos/1-pos",
        "softmax_alpha": with_number,
        "easy_elements": not limited,
        "hard_elements": conventions["clipping"] == "none",
    }
    return frozenset(name for name, claimed in claims.items() if claimed)


def label_capabilities(conventions: Mapping[str, Any], capabilities: frozenset[str]) -> frozenset[str]:
    """Of labels, which a loss of labels or a softmax has: the codes beside the classes."""
    if not capabilities & {"labels", "softmax"}:
        return frozenset()
    return frozenset(name for name in CODES if conventions[name] != "none")
