"""Profiles: what an implementation claims, declared in TOML and then tested.

A profile says how the suite's canonical call maps onto a function's signature, which conventions the function follows,
and what it claims. An undeclared axis is an error; a claim that is not made is shown as NOT-CLAIMED and never counts as
passed. The files beside this module are the shipped profiles.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from focal_ref.conformance.formats import FORMATS

CAPABILITIES = {
    "gradient": "derivatives with respect to the logits",
    "autodiff": "the derivative is part of the library's automatic differentiation",
    "second_derivative": "second derivatives with respect to the logits",
    "forward_mode": "forward-mode automatic differentiation",
    "soft_targets": "targets between 0 and 1",
    "signed_targets": "targets -1 and +1",
    "integer_targets": "boolean and integer targets",
    "array_parameters": "alpha, gamma and weights as arrays",
    "zero_weight": "a weight of zero gives zero, also times infinity",
    "huge_gamma": "gamma beyond the range of the format",
    "fast": "a precision 'fast' beside 'exact'",
    "exhaustive": "every 16-bit logit is correctly rounded",
    "same_bits": "results are correctly rounded, hence the same bits everywhere",
    "reduction_sum": "reduction 'sum'",
    "reduction_mean": "reduction 'mean'",
    "normalizer": "a normalizer that divides the sum",
    "argument_checks": "bad arguments raise",
    "data_checks": "bad targets raise or give NaN",
    "vmap": "mapping over a batch axis",
    "compile": "just-in-time compilation",
    "autocast": "automatic mixed precision",
    "labels": "a loss of integer labels, one sigmoid a class, with background and ignored ones",
    "probabilities": "a loss of probabilities",
    "softmax": "a loss of a softmax over the classes",
    "star": "the paper's alternate loss, FL*",
    "quality": "the quality focal loss",
    "varifocal": "the varifocal loss",
    "asymmetric": "the asymmetric loss",
    "heatmap": "the focal loss of heatmaps",
    "parameter_derivatives": "derivatives with respect to hyper-parameters and soft targets",
    "derivative_functions": "functions that return derivatives, beside automatic differentiation",
    "boxes": "the overlap of boxes",
    "box_options": "overlap with crowds, and boxes whose last pixel counts",
    "anchors": "the anchors of a picture",
    "matching": "assigning anchors to ground truths",
    "matching_options": "matching with options, presets, masks and batches",
    "box_coding": "encoding and decoding of boxes",
    "clamp": "decoding enlarges a side by at most 1000/16",
    "coding_options": "encoding and decoding with weights and with boxes whose last pixel counts",
    "smooth_l1": "smooth L1, the loss of boxes",
    "detection_targets": "targets, normalizers and the loss of a detector",
    "mining": "hard negatives, online hard examples and random samples",
    "inference": "non-maximum suppression and detections",
}
"""What a profile may claim, and what it means."""

TIERS = ("exact", "standard")
LIBRARIES = ("numpy", "torch", "jax", "cupy", "array_api_strict")

AXES: Mapping[str, tuple[str, ...]] = {
    "prediction": ("logits",),
    "alpha": ("pos/1-pos",),
    "alpha_off": ("none", "-1"),
    "soft_targets": ("blended", "mixture", "unsupported"),
    "multi_class": ("sigmoid",),
    "subnormals": ("kept", "flushed"),
}
"""Conventions, and the values that have an oracle formula."""

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

KINDS: Mapping[str, tuple[str, ...] | None] = {"loss": None, "matcher": ("IOU", "MAT"), "coder": ("BOX",)}
"""What a profile describes, and the areas of requirements that it can have; None for all."""

KIND_CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "loss": tuple(CAPABILITIES),
    "matcher": ("boxes", "matching"),
    "coder": ("box_coding", "clamp"),
}
"""What a profile of each kind may claim."""


class ProfileError(ValueError):
    """A profile that cannot be used; the text names file, key, value and what is allowed."""


@dataclass(frozen=True)
class Signature:
    """How the canonical call maps onto a function.

    Attributes
    ----------
    function
        Default ``package.module:function``.
    alpha, gamma, reduction, encoding, weights, normalizer, precision
        Name of the keyword argument, or "" where the function has none.
    minimum_rank
        Logits of fewer dimensions get leading ones.
    targets
        "same" to hand targets over as they are, "floating" to convert them to the logits' dtype first.
    iou
        Of a matcher: its function of two sets of boxes, as ``package.module:function``, or "" where it has none.
    decode
        Of a box coder: its function of deltas and anchors; `function` is the one of boxes and anchors.
    """

    function: str
    alpha: str
    gamma: str
    reduction: str = ""
    encoding: str = ""
    weights: str = ""
    normalizer: str = ""
    precision: str = ""
    minimum_rank: int = 0
    targets: str = "floating"
    iou: str = ""
    decode: str = ""


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
        One value for each key of `AXES`; of a matcher, of `MATCHER_AXES` and `MATCHER_THRESHOLDS`; of a box coder, of
        `CODER_AXES`, and its weights.
    tiers
        Claimed dtypes and the accuracy tier of each.
    capabilities
        Claimed keys of `CAPABILITIES`.
    kind
        One of `KINDS`.
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
        raise ProfileError(f"profile: got {name!r}; it is neither a file nor one of {_list(shipped_profiles())}")
    return parse_profile(path.read_text(encoding="utf-8"), name)


def parse_profile(text: str, source: str) -> Profile:
    """A profile from the text of a TOML file; `source` names it in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: not valid TOML: {error}") from error
    _keys(document, source, "", ("profile", "signature", "conventions", "claims"))
    profile, claims = document["profile"], document["claims"]
    kind = profile.setdefault("kind", "loss")
    _keys(profile, source, "profile", ("name", "description", "package", "library", "kind"))
    _one_of(kind, tuple(KINDS), source, "profile.kind")
    axes, numbers = _AXES[kind]
    _keys(document["conventions"], source, "conventions", (*axes, *numbers))
    _keys(claims, source, "claims", ("dtypes", "capabilities"))
    _one_of(profile["library"], LIBRARIES, source, "profile.library")
    for axis, allowed in axes.items():
        _one_of(document["conventions"][axis], allowed, source, f"conventions.{axis}")
    for dtype, tier in claims["dtypes"].items():
        _one_of(dtype, tuple(FORMATS), source, "claims.dtypes")
        _one_of(tier, TIERS, source, f"claims.dtypes.{dtype}")
    if not claims["dtypes"]:
        raise ProfileError(f"{source}: claims.dtypes: empty; claim at least one of {_list(tuple(FORMATS))}")
    for capability in claims["capabilities"]:
        _one_of(capability, KIND_CAPABILITIES[kind], source, "claims.capabilities")
    {"loss": _check_soft_targets, "matcher": _check_matcher, "coder": _check_coder}[kind](document, source)
    try:
        unnamed: dict[str, Any] = {} if kind == "loss" else {"alpha": "", "gamma": ""}
        signature = Signature(**document["signature"], **unnamed)
    except TypeError as error:
        raise ProfileError(f"{source}: signature: {str(error).replace('Signature.__init__() ', '')}") from error
    return Profile(
        **profile,
        signature=signature,
        conventions=document["conventions"],
        tiers=claims["dtypes"],
        capabilities=frozenset(claims["capabilities"]),
    )


_AXES: Mapping[str, tuple[Mapping[str, tuple[Any, ...]], tuple[str, ...]]] = {
    "loss": (AXES, ()),
    "matcher": (MATCHER_AXES, MATCHER_THRESHOLDS),
    "coder": (CODER_AXES, ("weights",)),
}
"""Conventions of each kind of profile: those from closed sets, and those that are numbers."""


def _check_soft_targets(document: Mapping[str, Any], source: str) -> None:
    declared, capabilities = document["conventions"]["soft_targets"], document["claims"]["capabilities"]
    soft = declared != "unsupported"
    if soft != ("soft_targets" in capabilities):
        raise ProfileError(
            f"{source}: conventions.soft_targets is {declared!r}, "
            f"but claims.capabilities {'lacks' if soft else 'has'} 'soft_targets'"
        )


def _check_matcher(document: Mapping[str, Any], source: str) -> None:
    _keys(document["signature"], source, "signature", ("function", "iou"))
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
    _keys(document["signature"], source, "signature", ("function", "decode"))
    weights = document["conventions"]["weights"]
    numbers = isinstance(weights, list) and all(type(number) in (int, float) and number > 0 for number in weights)
    if not numbers or len(weights) != 4:
        raise ProfileError(f"{source}: conventions.weights: got {weights!r}; four numbers above 0")
    _check_detection(document, source, "box_coding")


def _check_detection(document: Mapping[str, Any], source: str, capability: str) -> None:
    if capability not in document["claims"]["capabilities"]:
        raise ProfileError(f"{source}: claims.capabilities: a {document['profile']['kind']} has {capability!r}")
    for dtype in document["claims"]["dtypes"]:
        _one_of(dtype, ("float32", "float64"), source, "claims.dtypes")


def _keys(table: Any, source: str, place: str, expected: tuple[str, ...]) -> None:
    prefix = f"{place}." if place else ""
    for key in expected:
        if key not in table:
            raise ProfileError(f"{source}: {prefix}{key}: not declared; every axis is")
    for key in table:
        if key not in expected:
            raise ProfileError(f"{source}: {prefix}{key}: unknown; allowed are {_list(expected)}")


def _one_of(value: Any, allowed: tuple[str, ...], source: str, key: str) -> None:
    # 0 and False are equal, but only one of them is meant.
    if not any(value == one and type(value) is type(one) for one in allowed):
        raise ProfileError(f"{source}: {key}: got {value!r}; allowed are {_list(allowed)}")


def _list(names: tuple[Any, ...]) -> str:
    return ", ".join(map(str, names))
