"""The functions of an implementation: the losses beside the paper's, and those that return derivatives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from focal_ref.conformance.conventions.scope import CAPABILITY_OF_FUNCTION
from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.targets import Call

Function = Callable[..., Any]

CAPABILITY_OF: Mapping[str, str] = MappingProxyType(
    {function: capability for function, capability in CAPABILITY_OF_FUNCTION.items() if function != "loss"}
)
"""The capability by which a profile claims a function beside the focal loss."""


@dataclass(frozen=True)
class Functions:
    """What an implementation has beside its focal loss.

    Attributes
    ----------
    named
        Losses by the names of the canonical call.
    value_and_gradient, second_derivative, parameter_gradients
        Functions that return derivatives without automatic differentiation; they take what the loss takes, and which
        loss it is as ``function=``. None where there is no such function.
    """

    named: Mapping[str, Function] = field(default_factory=dict)
    value_and_gradient: Function | None = None
    second_derivative: Function | None = None
    parameter_gradients: Function | None = None

    def loss(self, name: str) -> Function:
        """A loss by its name."""
        return _present(self.named.get(name), name)

    def derivative(self, name: str) -> Function:
        """A function that returns derivatives, by the name of its attribute."""
        return _present(getattr(self, name), f"function for the {name.replace('_', ' ')}")


def own_functions() -> Functions:
    """Those of this project."""
    import focal_ref

    return Functions(
        {name: getattr(focal_ref, name) for name in ("loss", *CAPABILITY_OF)},
        focal_ref.value_and_grad,
        focal_ref.second_derivative,
        focal_ref.parameter_gradients,
    )


def parameter_names(function: str) -> tuple[str, ...]:
    """Hyper-parameters of a loss, by their canonical names."""
    return FUNCTIONS["loss" if function == "loss_from_labels" else function].parameters


def keywords_of(call: Call) -> dict[str, Any]:
    """The keyword arguments of a call of a loss beside the focal loss; defaults that every loss has stay away."""
    taken = parameter_names(call.function)
    keywords: dict[str, Any] = {name: getattr(call, name) for name in ("alpha", "gamma") if name in taken}
    keywords |= call.parameters
    defaults = {"encoding": "binary", "weights": None, "reduction": "none", "normalizer": None, "precision": "exact"}
    for name, default in defaults.items():
        value = getattr(call, name)
        if value is not default and not (isinstance(value, str) and value == default):
            keywords[name] = value
    return keywords


def _present(function: Function | None, what: str) -> Function:
    if function is None:
        raise NotImplementedError(f"the target has no {what}")
    return function
