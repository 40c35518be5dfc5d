"""Values and derivatives of whole arrays through the closed forms, in any Array API namespace.

What comes out is in the working precision, not yet rounded to the logits' dtype: callers multiply or sum first. A loss
of rows (softmax) has results of the logits' shape without the last axis; its derivatives have the logits' shape.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from focal_ref._evaluate import elementwise, focal, rows
from focal_ref._evaluate.sums import tree_sum
from focal_ref._formulas import ASYMMETRIC, HEATMAP, PROBABILITY, QUALITY, STAR, VARIFOCAL, ElementwiseForm
from focal_ref._parameters import ROWS, Parameters

__all__ = [
    "FORMS",
    "Unrounded",
    "evaluate",
    "evaluate_curvature",
    "evaluate_partial",
    "evaluate_second",
    "over_logits",
    "over_results",
    "tree_sum",
]

Array = Any

FORMS: Mapping[str, ElementwiseForm] = {
    "probability": PROBABILITY,
    "star": STAR,
    "quality": QUALITY,
    "varifocal": VARIFOCAL,
    "asymmetric": ASYMMETRIC,
    "heatmap": HEATMAP,
}
"""The losses beside "focal" and "softmax", which have modules of their own here."""


class Unrounded(NamedTuple):
    """Weighted value, and derivative with respect to the logits, in the working precision."""

    value: Array
    gradient: Array


def evaluate(xp: Any, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool = False) -> Unrounded:
    """Weighted loss and its derivative with respect to each logit.

    Parameters
    ----------
    xp
        Array API namespace of the arrays.
    logits
        In the working dtype, float64 or float32.
    targets
        As `Parameters.encoding` says; boolean or integer targets are hard, floating-point ones soft unless signed.
    parameters
        Arrays among them belong to `xp` and broadcast to the logits.
    narrowed
        Whether the values are rounded to a narrower format next.

    Returns
    -------
    Unrounded
        NaN where a target or a parameter is outside its range, zero where the label says to ignore.
    """
    if parameters.form == "focal":
        return Unrounded(*focal.value_and_gradient(xp, logits, targets, parameters, narrowed=narrowed))
    if parameters.form == ROWS:
        return Unrounded(*rows.value_and_gradient(xp, logits, targets, parameters, narrowed=narrowed))
    form = FORMS[parameters.form]
    return Unrounded(*elementwise.value_and_gradient(xp, form, logits, targets, parameters, narrowed=narrowed))


def evaluate_second(xp: Any, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Weighted second derivative with respect to each logit; arguments as for `evaluate`."""
    if parameters.form == "focal":
        return focal.second_derivative(xp, logits, targets, parameters)
    if parameters.form == ROWS:
        return rows.second_derivative(xp, logits, targets, parameters)
    return elementwise.second_derivative(xp, FORMS[parameters.form], logits, targets, parameters)


def evaluate_curvature(xp: Any, logits: Array, targets: Array, parameters: Parameters, direction: Array) -> Array:
    """The Hessian of each result times a direction of the logits' shape; arguments as for `evaluate`."""
    if parameters.form == ROWS:
        return rows.curvature(xp, logits, targets, parameters, direction)
    return evaluate_second(xp, logits, targets, parameters) * direction


def evaluate_partial(xp: Any, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
    """Derivative of each result with respect to what broadcasts into it.

    Parameters
    ----------
    name
        One of `focal_ref._parameters.NUMBERS` that the loss has, "targets" (soft ones) or "weights".

    Returns
    -------
    array
        Of the logits' shape, or of the results' for "weights"; summed over the axes along which the parameter is
        broadcast, it is the derivative with respect to the parameter.
    """
    if parameters.form == "focal":
        return focal.partial(xp, name, logits, targets, parameters)
    if parameters.form == ROWS:
        return rows.partial(xp, name, logits, targets, parameters)
    return elementwise.partial(xp, FORMS[parameters.form], name, logits, targets, parameters)


def over_logits(parameters: Parameters, results: Array) -> Array:
    """What belongs to results, shaped so that it broadcasts to the logits."""
    return results[..., None] if parameters.form == ROWS else results


def over_results(xp: Any, parameters: Parameters, derivatives: Array) -> Array:
    """What belongs to logits, added up to the results that they lead to."""
    return xp.sum(derivatives, axis=-1) if parameters.form == ROWS else derivatives
