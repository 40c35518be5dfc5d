"""The libraries of arrays that the suite can drive."""

from typing import Any

from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.jax_library import JaxLibrary
from focal_ref.conformance.targets.library import Function, Library, Native
from focal_ref.conformance.targets.torch_library import TorchLibrary


class PlainLibrary(Library):
    """Libraries without automatic differentiation: the function gives the gradient itself."""

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        raise NotImplementedError(f"{self.name} has no automatic differentiation")


class CupyLibrary(PlainLibrary):
    """CuPy, whose arrays are never on the CPU."""

    default_device = "cuda"


LIBRARIES: dict[str, type[Library]] = {
    "numpy": PlainLibrary,
    "torch": TorchLibrary,
    "jax": JaxLibrary,
    "cupy": CupyLibrary,
    "array_api_strict": PlainLibrary,
}
