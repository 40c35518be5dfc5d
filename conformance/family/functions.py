"""The functions whose truth stands here: their inputs, parameters and quantities. Names only, no formula."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

__all__ = ["FUNCTIONS", "IGNORE", "Function", "check_arguments", "quantities_of"]

#: Arguments are exact: a float stands for the rational number that it is.
Real = float | Fraction

#: Label of a row that counts nowhere.
IGNORE = -2


@dataclass(frozen=True)
class Function:
    """One public function.

    Parameters
    ----------
    inputs : tuple of str
        What differs from element to element (or from row to row), in the order of the call.
    parameters : tuple of str
        Hyper-parameters, in the order of the identifiers.
    quantities : tuple of str
        "value"; "gradient" and "second_derivative" with respect to the first input, which is a logit, a probability or
        a row of logits; and the names of the parameters and of the soft targets for the first derivatives in these.
    stored : tuple of str
        The quantities of the vector files.
    source : str
        Where the formula is printed.
    """

    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    quantities: tuple[str, ...]
    stored: tuple[str, ...]
    source: str


def _function(inputs: str, parameters: str, partials: str, source: str, *, stored: str = "") -> Function:
    quantities = ("value", "gradient", "second_derivative", *partials.split())
    kept = tuple(stored.split()) or quantities
    return Function(tuple(inputs.split()), tuple(parameters.split()), quantities, kept, source)


_LIN = "Lin et al., Focal Loss for Dense Object Detection, arXiv:1708.02002"
_LI = "Li et al., Generalized Focal Loss, arXiv:2006.04388"
_ZHANG = "Zhang et al., VarifocalNet, arXiv:2008.13367"
_RIDNIK = "Ridnik et al., Asymmetric Loss For Multi-Label Classification, arXiv:2009.14119"
_LAW = "Law and Deng, CornerNet, arXiv:1808.01244"

FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        # Its value and its derivatives with respect to the logit are the vectors of `focal_ref.conformance.vectors`.
        "loss": _function(
            *("logits targets", "alpha gamma", "alpha gamma targets", f"{_LIN}, section 3.2, equation 5"),
            stored="alpha gamma targets",
        ),
        "loss_from_probabilities": _function(
            "probabilities targets", "alpha gamma", "alpha gamma targets", f"{_LIN}, section 3.2, equation 5"
        ),
        "softmax_loss": _function(
            "logits targets", "alpha gamma", "alpha gamma targets", f"{_LIN}, section 3, for the softmax of a row"
        ),
        "star_loss": _function("logits targets", "alpha gamma beta", "alpha gamma beta", f"{_LIN}, appendix A"),
        "quality_focal_loss": _function("logits targets", "beta", "beta targets", f"{_LI}, equation 2"),
        "varifocal_loss": _function("logits targets", "alpha gamma", "alpha gamma targets", f"{_ZHANG}, equation 2"),
        "asymmetric_loss": _function(
            "logits targets",
            "gamma_positive gamma_negative clip",
            "gamma_positive gamma_negative targets",
            f"{_RIDNIK}, sections 2.2 to 2.4",
        ),
        "heatmap_focal_loss": _function(
            "logits targets", "gamma beta", "gamma beta targets", f"{_LAW}, equation 1, where gamma is called alpha"
        ),
    }
)


def quantities_of(function: str, parameters: Mapping[str, Any], inputs: Sequence[Any] | None = None) -> tuple[str, ...]:
    """Quantities that exist for these parameters: none in an alpha that is absent, nor in the targets of labels."""
    declared = FUNCTIONS[function].quantities
    labels = inputs is not None and function == "softmax_loss" and isinstance(inputs[1], int)
    absent = {"alpha"} if "alpha" in parameters and parameters["alpha"] is None else set()
    return tuple(name for name in declared if name not in absent | ({"targets"} if labels else set()))


def check_arguments(function: str, name: str, inputs: Sequence[Any], parameters: Mapping[str, Any]) -> None:
    """Refuse what the functions are not defined for."""
    if function not in FUNCTIONS:
        raise ValueError(f"function is {function!r}; known are {', '.join(FUNCTIONS)}")
    declared = FUNCTIONS[function]
    if name not in quantities_of(function, parameters, inputs):
        raise ValueError(f"{function} with {dict(parameters)} has no quantity {name!r}; known: {declared.quantities}")
    if set(parameters) != set(declared.parameters):
        raise ValueError(f"{function} takes the parameters {declared.parameters}, got {tuple(parameters)}")
    for key, number in parameters.items():
        _check_parameter(function, key, number)
    if function == "softmax_loss":
        _check_row(inputs, parameters["alpha"])
        return
    first, target = inputs
    allowed = target in (0, 1) if function == "star_loss" else 0 <= target <= 1
    if not allowed:
        raise ValueError(f"target {target!r} of {function} is out of range")
    if function == "loss_from_probabilities" and not (math.isnan(first) or 0 <= first <= 1):
        raise ValueError(f"probability must be in [0, 1], got {first!r}")


def _check_parameter(function: str, key: str, number: Any) -> None:
    if key == "alpha" and number is None and function != "varifocal_loss":
        return
    if function == "softmax_loss" and key == "alpha":
        allowed = all(0 <= weight < math.inf for weight in number)
    elif number is None or not math.isfinite(number):
        allowed = False
    elif key in ("alpha", "clip"):
        allowed = 0 <= number <= 1 and (key, number) != ("clip", 1)
    elif function == "star_loss":
        allowed = key == "beta" or number > 0
    else:
        allowed = number >= 0
    if not allowed:
        raise ValueError(f"{key} of {function} is out of range: {number!r}")


def _check_row(inputs: Sequence[Any], alpha: Sequence[Real] | None) -> None:
    row, target = inputs
    classes = len(row)
    if isinstance(target, int):
        if not (0 <= target < classes or target == IGNORE):
            raise ValueError(f"label {target} is neither {IGNORE} nor below {classes}")
    elif len(target) != classes or not all(0 <= share <= 1 for share in target):
        raise ValueError(f"targets of {classes} logits must be as many numbers in [0, 1], got {target}")
    if alpha is not None and len(alpha) != classes:
        raise ValueError(f"{len(alpha)} class weights for {classes} logits")
