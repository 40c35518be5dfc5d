"""The public losses as data: which closed form each evaluates, and what its arguments are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Definition:
    """One public loss.

    Attributes
    ----------
    name
        Of the function.
    form
        As in `focal_ref._parameters.Parameters`.
    defaults
        Its hyper-parameters and their defaults.
    targets
        "binary" (one an element), "labels" (integers), or "rows" (labels, or one row of shares an element).
    soft
        Whether targets between 0 and 1 are defined.
    signed
        Whether targets may be encoded as -1 and +1.
    argument
        What the first argument is called.
    """

    name: str
    form: str
    defaults: Mapping[str, Any]
    targets: Literal["binary", "labels", "rows"] = "binary"
    soft: bool = True
    signed: bool = False
    argument: str = "logits"

    @property
    def options(self) -> tuple[str, ...]:
        """Names of all keyword arguments that say what is computed."""
        further = ("encoding",) if self.signed else ("axis",) if self.targets == "rows" else ()
        return (*self.defaults, *further, "weights", "precision")


_PAPER = {"alpha": 0.25, "gamma": 2.0}

LOSS = Definition("loss", "focal", _PAPER, signed=True)
LABELS = Definition("loss_from_labels", "focal", _PAPER, targets="labels", soft=False)
PROBABILITIES = Definition("loss_from_probabilities", "probability", _PAPER, signed=True, argument="probabilities")
SOFTMAX = Definition("softmax_loss", "softmax", {"alpha": None, "gamma": 2.0}, targets="rows")
STAR = Definition("star_loss", "star", {"alpha": None, "gamma": 2.0, "beta": 1.0}, soft=False, signed=True)
QUALITY = Definition("quality_focal_loss", "quality", {"beta": 2.0})
VARIFOCAL = Definition("varifocal_loss", "varifocal", {"alpha": 0.75, "gamma": 2.0})
ASYMMETRIC = Definition("asymmetric_loss", "asymmetric", {"gamma_positive": 0.0, "gamma_negative": 4.0, "clip": 0.05})
HEATMAP = Definition("heatmap_focal_loss", "heatmap", {"gamma": 2.0, "beta": 4.0})

_BY_NAME = {
    definition.name: definition
    for definition in (
        LOSS,
        LABELS,
        PROBABILITIES,
        SOFTMAX,
        STAR,
        QUALITY,
        VARIFOCAL,
        ASYMMETRIC,
        HEATMAP,
    )
}


def definition_of(function: Any) -> Definition:
    """The definition of a public loss.

    Raises
    ------
    TypeError
        If the function is none of them.
    """
    name = getattr(function, "__name__", None)
    if name not in _BY_NAME or not str(getattr(function, "__module__", "")).startswith("focal_ref."):
        known = ", ".join(f"focal_ref.{known}" for known in _BY_NAME)
        raise TypeError(f"function: got {function!r}; it is one of {known}")
    return _BY_NAME[name]
