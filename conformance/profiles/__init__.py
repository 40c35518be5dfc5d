"""Profiles: what an implementation claims, declared in TOML and then tested.

A profile says how the suite's canonical call maps onto a function's signature, which conventions the function follows,
and what it claims. An undeclared axis is an error; a claim that is not made is shown as NOT-CLAIMED and never counts as
passed. The files beside this module are the shipped profiles.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from focal_ref.conformance.conventions.axes import AXES, CODES, EPSILON, allowed
from focal_ref.conformance.conventions.scope import (
    CAPABILITY_OF_FUNCTION,
    contradiction,
    derived_capabilities,
    function_of,
    has_second_derivative,
    label_capabilities,
)
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles.capabilities import CAPABILITIES, FOLLOWING, KIND_CAPABILITIES
from focal_ref.conformance.profiles.declarations import ProfileError, Table, check_one_of, listed
from focal_ref.conformance.profiles.signature import Signature, check_loss, detection_signature, loss_signature

__all__ = [
    "CAPABILITIES",
    "KINDS",
    "LIBRARIES",
    "MATCHER_AXES",
    "MATCHER_THRESHOLDS",
    "TIERS",
    "Profile",
    "ProfileError",
    "Signature",
    "load_profile",
    "parse_profile",
    "profile_from",
    "shipped_profiles",
]

TIERS = ("exact", "tight", "standard", "cancellation-limited", "clipped")
"""Claims of accuracy, from the most to the least accurate; see `focal_ref.conformance.accuracy.budget`."""

LIBRARIES = ("numpy", "torch", "jax", "cupy", "array_api_strict", "process")
"""Whose arrays a function takes and gives; "process" for a program that is not Python."""

MATCHER_AXES: Mapping[str, tuple[Any, ...]] = {
    "codes": ("torchvision", "detectron2", "effdet", "mmdet"),
    "negative_closed": (False, True),
    "low_quality": ("none", "band", "all"),
    "low_quality_owner": ("argmax", "forcing_first", "forcing_last"),
    "low_quality_ties": ("all", "first"),
    "offset": (0, 1),
}
"""Conventions of a matcher; beside them it declares `MATCHER_THRESHOLDS`."""

MATCHER_THRESHOLDS = ("positive", "negative")

CODER_AXES: Mapping[str, tuple[Any, ...]] = {"offset": (0, 1)}
"""Conventions of a box coder; beside them it declares four "weights"."""

DERIVATIVES = (
    *("FL-GRAD-001", "FL-GRAD-002", "FL-GRAD-003", "FL-GRAD-004", "FL-GRAD-005", "FL-GRAD-006"),
    *("FL-SMX-002", "FL-SMX-003", "FL-SMX-004"),
)
"""Requirements that ask for derivatives with respect to the logits, and not for the loss."""

OVERLAP = ("FL-IOU-001", "FL-IOU-002", "FL-IOU-003", "FL-IOU-004")
"""Requirements on the overlap of two boxes, and of a box with a crowd."""

KINDS: Mapping[str, tuple[str, ...] | None] = {
    "loss": None,
    "matcher": ("IOU", "MAT"),
    "coder": ("BOX",),
    "iou": OVERLAP,
    "objective": DERIVATIVES,
}
"""What a profile describes, and the requirements that it can have, or their areas; None for all."""


@dataclass(frozen=True)
class Profile:
    """One implementation's claims.

    Attributes
    ----------
    name, description
        What it is called in reports, and what it is.
    package
        Distribution whose version is reported.
    library
        Whose arrays it takes and gives; one of `LIBRARIES`.
    signature
        See `Signature`.
    conventions
        One value for each axis of `focal_ref.conformance.conventions.axes`; of a matcher, of `MATCHER_AXES` and
        `MATCHER_THRESHOLDS`; of a box coder, of `CODER_AXES`, and its weights; none of an overlap.
    tiers
        Claimed dtypes and the accuracy tier of each.
    capabilities
        Claimed keys of `CAPABILITIES`: those that are listed, and those that follow from conventions.
    kind
        One of `KINDS`.
    function
        The function of the canonical call that a loss is, such as "loss" or "softmax_loss"; "" for what is no loss.
    environment
        Environment variables that have to be set before the package is imported.
    """

    name: str
    description: str
    package: str
    library: str
    signature: Signature
    conventions: Mapping[str, Any]
    tiers: Mapping[str, str]
    capabilities: frozenset[str]
    kind: str = "loss"
    function: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with the suite."""
    folder = files("focal_ref.conformance.profiles")
    return tuple(sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml")))


def load_profile(name: str) -> Profile:
    """A shipped profile by its name, or one from a file by its path.

    Raises
    ------
    ProfileError
        If there is none, or if it is not complete and consistent.
    """
    if name in shipped_profiles():
        text = files("focal_ref.conformance.profiles").joinpath(f"{name}.toml").read_text(encoding="utf-8")
        return parse_profile(text, f"{name}.toml")
    path = Path(name)
    if not path.is_file():
        raise ProfileError(f"profile: got {name!r}; it is neither a file nor one of {listed(shipped_profiles())}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"{name}: cannot be read as UTF-8 text: {error}") from error
    return parse_profile(text, name)


def parse_profile(text: str, source: str) -> Profile:
    """A profile from the text of a TOML file; `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: not valid TOML: {error}") from error
    return profile_from(document, source)


def profile_from(document: Mapping[str, Any], source: str) -> Profile:
    """A profile from data in the structure of the TOML file, such as JSON; `source` names it in errors.

    Raises
    ------
    ProfileError
        If it is not complete and consistent.
    """
    whole = Table(document, source, "")
    whole.keys(("profile", "conventions", "claims"), ("signature",))
    head = Table(document["profile"], source, "profile")
    head.keys(("name", "description", "package", "library"), ("kind", "environment"))
    kind = head.one_of("kind", KINDS, "loss")
    library = head.one_of("library", LIBRARIES)
    claims = Table(document["claims"], source, "claims")
    claims.keys(("dtypes", "capabilities"))
    tiers = _tiers(Table(claims.values["dtypes"], source, "claims.dtypes"))
    capabilities = claims.typed("capabilities", list, None, "a list of names")
    for capability in capabilities:
        if kind in ("loss", "objective") and capability in FOLLOWING:
            raise claims.error("capabilities", f"{capability!r} follows from {FOLLOWING[capability]}; leave it out")
        check_one_of(capability, KIND_CAPABILITIES[kind], source, "claims.capabilities")
    if library != "process" and "signature" not in document:
        raise ProfileError(f"{source}: signature: not declared")
    signature = Table(document.get("signature", {}), source, "signature")
    conventions = Table(document["conventions"], source, "conventions")
    environment = Table(head.table("environment"), source, "profile.environment")
    parts = {
        "name": head.text("name"),
        "description": head.text("description"),
        "package": head.text("package"),
        "library": library,
        "tiers": tiers,
        "kind": kind,
        "conventions": conventions.values,
        "environment": {key: environment.text(key) for key in environment.values},
    }
    if kind in ("loss", "objective"):
        return _loss(parts, signature, conventions, claims)
    _keep_to_sets(conventions, kind)
    {"matcher": _check_matcher, "coder": _check_coder, "iou": _check_iou}[kind](document, source)
    second = {"matcher": "iou", "coder": "decode", "iou": ""}[kind]
    return Profile(**parts, signature=detection_signature(signature, second), capabilities=frozenset(capabilities))


def _check_objective(signature: Table, conventions: Table) -> None:
    """Refuse what a boosting objective, which gives derivatives alone, cannot have."""
    if not signature.values.get("binding"):
        raise signature.error("binding", "not declared; an objective is a class with the method derivatives")
    for axis, value in (("gradient", "function"), ("mean", "unsupported"), ("sum", "unsupported")):
        if conventions.values[axis] != value:
            text = f"got {conventions.values[axis]!r}; allowed is {value}, for an objective"
            raise conventions.error(axis, text)


def _tiers(table: Table) -> Mapping[str, str]:
    for dtype in table.values:
        check_one_of(dtype, tuple(FORMATS), table.source, table.place)
        table.one_of(dtype, TIERS)
    if not table.values:
        raise ProfileError(f"{table.source}: {table.place}: empty; claim at least one of {listed(FORMATS)}")
    return table.values


def _loss(parts: dict[str, Any], table: Table, conventions: Table, claims: Table) -> Profile:
    """The profile of a loss, with everything that follows from its conventions."""
    listed_ones = frozenset(claims.values["capabilities"])
    conventions.keys((*AXES, EPSILON, *CODES))
    for axis in AXES:
        conventions.one_of(axis, allowed(axis))
    epsilon = conventions.typed(EPSILON, (int, float), None, "a number from 0 up to 0.5")
    if not 0 <= epsilon < 0.5:
        raise conventions.error(EPSILON, f"got {epsilon!r}; a number from 0 up to 0.5")
    for code in CODES:
        names = ("none", "classes") if code == "background" else ("none",)
        value = conventions.values[code]
        if value not in names and (isinstance(value, bool) or not isinstance(value, int)):
            raise conventions.error(code, f"got {value!r}; an integer label, or {listed(names)}")
    signature = loss_signature(table)
    values = conventions.values
    if parts["kind"] == "objective":
        _check_objective(table, conventions)
    wrong = contradiction(values, labels=signature.takes_labels)
    if wrong is not None:
        axis, text = wrong
        raise conventions.error(axis, f"got {values[axis]!r}; allowed are {text}")
    if ("clipped" in parts["tiers"].values()) and values["clipping"] == "none":
        raise ProfileError(f"{table.source}: claims.dtypes: 'clipped', but conventions.clipping is 'none'")
    function = function_of(values, labels=signature.takes_labels)
    signature = check_loss(table, signature, function, values, parts["library"])
    own = CAPABILITY_OF_FUNCTION[function]
    if own in listed_ones:
        raise ProfileError(f"{table.source}: claims.capabilities: {own!r} follows from conventions; leave it out")
    if "second_derivative" in listed_ones and not has_second_derivative(values, function):
        kept = ("prediction", "alpha", "soft_targets", "clipping")
        declared = ", ".join(f"{axis} = {values[axis]!r}" for axis in kept)
        text = f"'second_derivative' has no formula with {declared}; leave it out"
        raise claims.error("capabilities", text)
    capabilities = listed_ones | derived_capabilities(values, function, parts["tiers"])
    capabilities |= label_capabilities(values, capabilities)
    return Profile(**parts, signature=signature, capabilities=capabilities, function=function)


_SETS: Mapping[str, tuple[Mapping[str, tuple[Any, ...]], tuple[str, ...]]] = {
    "matcher": (MATCHER_AXES, MATCHER_THRESHOLDS),
    "coder": (CODER_AXES, ("weights",)),
    "iou": ({}, ()),
}
"""Conventions of the other kinds of profile: those from closed sets, and those that are numbers."""


def _keep_to_sets(conventions: Table, kind: str) -> None:
    axes, numbers = _SETS[kind]
    conventions.keys((*axes, *numbers))
    for axis, values in axes.items():
        conventions.one_of(axis, values)


def _check_matcher(document: Mapping[str, Any], source: str) -> None:
    detection_signature(Table(document["signature"], source, "signature"), "iou")
    for name in MATCHER_THRESHOLDS:
        value = document["conventions"][name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ProfileError(f"{source}: conventions.{name}: got {value!r}; an IoU in [0, 1]")
    if document["conventions"]["negative"] > document["conventions"]["positive"]:
        raise ProfileError(f"{source}: conventions.negative: it is at most as large as positive")
    if ("boxes" in document["claims"]["capabilities"]) != bool(document["signature"]["iou"]):
        raise ProfileError(f"{source}: signature.iou: it is named exactly if claims.capabilities has 'boxes'")
    _check_detection(document, source, "matching")


def _check_coder(document: Mapping[str, Any], source: str) -> None:
    detection_signature(Table(document["signature"], source, "signature"), "decode")
    weights = document["conventions"]["weights"]
    numbers = isinstance(weights, list) and all(type(number) in (int, float) and number > 0 for number in weights)
    if not numbers or len(weights) != 4:
        raise ProfileError(f"{source}: conventions.weights: got {weights!r}; four numbers above 0")
    _check_detection(document, source, "box_coding")


def _check_iou(document: Mapping[str, Any], source: str) -> None:
    detection_signature(Table(document["signature"], source, "signature"))
    _check_detection(document, source, "boxes")


def _check_detection(document: Mapping[str, Any], source: str, capability: str) -> None:
    if capability not in document["claims"]["capabilities"]:
        raise ProfileError(f"{source}: claims.capabilities: a {document['profile']['kind']} has {capability!r}")
    for dtype in document["claims"]["dtypes"]:
        check_one_of(dtype, ("float32", "float64"), source, "claims.dtypes")
