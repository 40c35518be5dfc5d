"""Implementations that are right and different: other arithmetic, or other conventions, which they declare.

Each module says what is different, and has a loss, its gradient where it is no automatic one, and what its profile
declares beyond `BASE`. Every requirement that the profile claims has to pass: what does not is a false alarm.
"""

import ast
from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from focal_ref.conformance.gate import SELF_CHECK, Item, examine, items_of
from focal_ref.conformance.profiles import Profile, profile_from
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Target
from focal_ref.conformance.targets.python import profile_target

BASE: Mapping[str, Any] = {
    "profile": {"package": "focal-ref", "library": "numpy"},
    "signature": {"alpha": "alpha", "gamma": "gamma"},
    "conventions": {
        "formula": "focal",
        "prediction": "logits",
        "multi_class": "sigmoid",
        "alpha": "pos/1-pos",
        "alpha_off": "none",
        "soft_targets": "unsupported",
        "clipping": "none",
        "epsilon": 0,
        "mean": "unsupported",
        "sum": "unsupported",
        "background": "none",
        "ignore": "none",
        "gradient": "function",
        "subnormals": "kept",
    },
    "claims": {"capabilities": [], "dtypes": {"float32": "standard"}},
}
"""The profile of a plain focal loss with a gradient of its own; a module's PROFILE changes and adds entries."""


@dataclass(frozen=True)
class Variant:
    """One implementation that is right.

    Attributes
    ----------
    name
        Of its module.
    difference
        What is different.
    """

    name: str
    difference: str

    def profile(self) -> Profile:
        """What it declares and claims."""
        module = import_module(f"{__name__}.{self.name}")
        document: dict[str, Any] = deepcopy(dict(BASE))
        for table, entries in module.PROFILE.items():
            document[table] |= entries
        document["profile"] |= {"name": self.name, "description": self.difference}
        signature = document["signature"]
        signature["function"] = f"{module.__name__}:loss"
        if document["conventions"]["gradient"] == "function":
            signature["gradient"] = f"{module.__name__}:gradient"
        # An entry of None takes one away that stands in the base.
        document["signature"] = {key: value for key, value in signature.items() if value is not None}
        return profile_from(document, f"{self.name}.py")

    def target(self) -> Target:
        """The implementation, as anybody's function is run."""
        return profile_target(self.profile())


@cache
def variants() -> tuple[Variant, ...]:
    """All of them, by name; nothing is imported for it."""
    files = sorted(file for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_"))
    return tuple(Variant(file.stem, _difference(file)) for file in files)


def false_alarms(variant: Variant, left_out: Collection[str] = ()) -> tuple[int, list[Item]]:
    """How many items of a variant were run, and which of them failed or compared nothing.

    Parameters
    ----------
    variant
        What is run.
    left_out
        Ids of requirements that are not.
    """
    target = variant.target()
    items = [item for item in items_of(target.profile) if item.name not in {SELF_CHECK, *left_out}]
    accused = []
    for item in items:
        outcome = examine(requirements()[item.name], target, item.dtype)
        if outcome.findings or not outcome.comparisons:
            accused.append(item)
    return len(items), accused


def _difference(file: Path) -> str:
    return " ".join((ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split())
