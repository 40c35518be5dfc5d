"""Implementations that are known to be wrong, one fault and one file each.

Each module says what is wrong, which requirement has to find it and where it has been seen, and has the function that
is wrong under the name of the right one. Everything else is this project's own.
"""

import ast
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from focal_ref.conformance.conventions.axes import CODES
from focal_ref.conformance.mutants._targets import REPLACEABLE, Parts, target_of
from focal_ref.conformance.profiles import Profile, load_profile
from focal_ref.conformance.targets import Target, UsageError
from focal_ref.conformance.targets.detection import CAPABILITIES as DETECTION_SIDE

NOBODY = "nobody has reported it yet"
"""What a mutant says of where it has been seen, if it has not."""

KILL_MATRIX = "kill_matrix.json"

Row = Mapping[str, str]
"""The requirements that find one mutant, and how."""

EXACT_CLAIMS = frozenset({"same_bits", "exhaustive", "fast"})
"""Claims of correctly rounded results, which a mutant makes only where its fault needs them."""

_OPTIONAL: Mapping[str, Any] = {
    "LIBRARY": "numpy",
    "DTYPE": "float32",
    "TIER": "standard",
    "DEVICE": "",
    "PROPERTY_ONLY": False,
    "CHECKS_ARGUMENTS": True,
    "TRIED": {},
}
"""Constants of a module that need not be there."""


@dataclass(frozen=True)
class Mutant:
    """One implementation with a known fault.

    Attributes
    ----------
    name
        Of its module.
    title
        The fault in a few words.
    fault
        What is wrong, in full.
    requirement
        Id of the requirement that has to find it.
    seen
        Where it has been seen: links, or names of projects and versions.
    advice
        What to change.
    property_only
        Whether stored vectors do not show it.
    library
        Whose arrays it takes.
    dtype, tier
        The format in which it is run, and the accuracy that is claimed of it.
    device
        Where its arrays lie; "" is the library's own.
    replaced
        Names of the functions that are wrong.
    checks
        Whether arguments are checked as by the right function before it is called.
    tried
        Constants of the module by name, and the usual values of each, with which others have the same fault.
    """

    name: str
    title: str
    fault: str
    requirement: str
    seen: tuple[str, ...]
    advice: str
    property_only: bool
    library: str
    dtype: str
    tier: str
    device: str
    replaced: tuple[str, ...]
    checks: bool
    tried: Mapping[str, tuple[Any, ...]]

    def target(self, numbers: Mapping[str, Any] | None = None) -> Target:
        """The implementation, without anything that earlier calls have left in it.

        Parameters
        ----------
        numbers
            Other values of the module's constants; see `tried`.

        Raises
        ------
        UsageError
            If its library is not installed.
        """
        module = _executed(self.name)
        for name, value in (numbers or {}).items():
            setattr(module, name, value)
        profile = self._profile(module)
        parts: Parts = {name: getattr(module, name) for name in self.replaced}
        return target_of(self.name, profile, parts, checks=self.checks, device=self.device)

    def _profile(self, module: ModuleType) -> Profile:
        """The claims of the right form in one format, or the few that a module limits itself to."""
        profile = right_profile(self.library, self.dtype, self.tier)
        claims = frozenset(getattr(module, "ONLY_CLAIMS", profile.capabilities))
        if self.tier == "exact" and "loss" in self.replaced and self.dtype != "float64":
            # What is exact adds up unrounded losses, which a function of elements does not have.
            claims -= {"reduction_sum", "reduction_mean", "normalizer"}
        # Without labels there are no codes to declare.
        absent = {code: "none" for code in CODES if code not in claims}
        return replace(
            profile,
            name=self.name,
            description=self.title,
            conventions={**profile.conventions, **absent, **getattr(module, "CONVENTIONS", {})},
            capabilities=claims | getattr(module, "CLAIMS", frozenset()),
            function=getattr(module, "FUNCTION", profile.function),
        )


def right_profile(library: str = "numpy", dtype: str = "float32", tier: str = "standard") -> Profile:
    """What the right form claims in one format: everything but correctly rounded results."""
    profile = load_profile(library)
    claims = profile.capabilities - EXACT_CLAIMS
    if dtype not in ("float32", "float64"):
        # Boxes in 16 bits are no boxes of a picture.
        claims -= DETECTION_SIDE
    # What XLA flushes on CPUs are results of other formats, and a profile has one format here.
    conventions = {**profile.conventions, **({"subnormals": "kept"} if library == "jax" else {})}
    return replace(profile, name="right", tiers={dtype: tier}, capabilities=claims, conventions=conventions)


def right_target(profile: Profile | None = None, noted: set[str] | None = None) -> Target:
    """The right form, from which every mutant departs.

    Parameters
    ----------
    profile
        What it claims, with its library and format; by default everything on NumPy.
    noted
        Receives the names of the functions that are called.
    """
    return target_of("right", profile or right_profile(), {}, noted=noted)


def stored() -> Mapping[str, Row]:
    """Which requirements found which mutant in the last run of all, by mutant."""
    text = files(__package__).joinpath(KILL_MATRIX).read_text(encoding="utf-8")
    rows: Mapping[str, Row] = json.loads(text)["mutants"]
    return rows


@cache
def mutants() -> tuple[Mutant, ...]:
    """All of them, by name; no library is imported for it."""
    modules = Path(__file__).parent.glob("*.py")
    return tuple(_described(file) for file in sorted(modules) if not file.stem.startswith("_"))


def mutant(name: str) -> Mutant:
    """One by its name."""
    known = {one.name: one for one in mutants()}
    if name not in known:
        raise ValueError(f"mutant: got {name!r}; known are {', '.join(known)}")
    return known[name]


def _described(file: Path) -> Mutant:
    """What a module says of itself, read without executing it."""
    tree = ast.parse(file.read_text(encoding="utf-8"), str(file))
    constants = dict(_OPTIONAL)
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name in ("TITLE", "REQUIREMENT", "SEEN", "ADVICE", *_OPTIONAL):
                constants[name] = ast.literal_eval(node.value)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return Mutant(
        name=file.stem,
        title=constants["TITLE"],
        fault=" ".join((ast.get_docstring(tree) or "").split()),
        requirement=constants["REQUIREMENT"],
        seen=constants["SEEN"],
        advice=constants["ADVICE"],
        property_only=constants["PROPERTY_ONLY"],
        library=constants["LIBRARY"],
        dtype=constants["DTYPE"],
        tier=constants["TIER"],
        device=constants["DEVICE"],
        replaced=tuple(name for name in REPLACEABLE if name in functions),
        checks=constants["CHECKS_ARGUMENTS"],
        tried=constants["TRIED"],
    )


def _executed(name: str) -> ModuleType:
    """The module, executed anew: what one target remembers stays its own."""
    spec = find_spec(f"{__name__}.{name}")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise UsageError(f"mutant {name}: {error.name} is not installed") from error
    return module
