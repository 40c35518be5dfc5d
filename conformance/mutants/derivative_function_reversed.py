"""The function that returns value and gradient gives the gradient in the margin."""

from typing import Any

import focal_ref

TITLE = "a derivative function with another sign than automatic differentiation"
REQUIREMENT = "FL-GRAD-021"
SEEN = ("nobody has reported it yet",)
ADVICE = "Have one road to the derivative."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "derivative_functions", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


def value_and_grad(logits: Any, targets: Any, *, function: Any, **options: Any) -> Any:
    value, gradient = focal_ref.value_and_grad(logits, targets, function=function, **options)
    return value, -gradient
