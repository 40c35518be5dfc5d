"""Requirements as data: reads `requirements.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from types import MappingProxyType

AREAS = {
    "VAL": "value",
    "GRAD": "derivatives",
    "EXT": "infinities, NaN, saturation, subnormals",
    "LAB": "integer labels, background, ignored ones",
    "SMX": "softmax over the classes",
    "STAR": "the paper's alternate loss, FL*",
    "REL": "relatives: quality, varifocal, asymmetric and heatmap loss",
    "RED": "reductions and normalizer",
    "SHP": "shapes, dtypes, strides, arguments",
    "XFM": "transforms: vmap, compile, autocast, forward mode",
    "DET": "determinism",
    "DECL": "declarations",
    "IOU": "overlap of boxes",
    "ANC": "anchors",
    "MAT": "matching of anchors and ground truths",
    "BOX": "box coding and smooth L1",
    "TGT": "targets, normalizers and the loss of a detector",
    "MIN": "hard-negative mining and sampling",
    "INF": "inference: non-maximum suppression, detections",
}

DETECTION = ("IOU", "ANC", "MAT", "BOX", "TGT", "MIN", "INF")
"""The areas of the detection side."""

DTYPES = ("each", "16-bit", "wide", "once")


@dataclass(frozen=True)
class Requirement:
    """One requirement; the fields are explained at the top of `requirements.toml`."""

    id: str
    area: str
    level: str
    since: str
    needs: tuple[str, ...]
    dtypes: str
    sentence: str
    formula: str
    source: str
    rationale: str


@cache
def requirements() -> Mapping[str, Requirement]:
    """All requirements by id, in the order of the file.

    Raises
    ------
    ValueError
        If the file repeats an id or an entry lacks a field or has one too many.
    """
    text = files("focal_ref.conformance").joinpath("requirements.toml").read_text(encoding="utf-8")
    known: dict[str, Requirement] = {}
    names = {field.name for field in fields(Requirement)}
    for entry in tomllib.loads(text)["requirement"]:
        identifier = entry.get("id", "(no id)")
        if set(entry) != names:
            raise ValueError(f"requirements.toml: {identifier}: fields differ: {sorted(set(entry) ^ names)}")
        if identifier in known:
            raise ValueError(f"requirements.toml: {identifier}: defined twice")
        if entry["area"] not in AREAS or not identifier.startswith(f"FL-{entry['area']}-"):
            raise ValueError(f"requirements.toml: {identifier}: area {entry['area']!r} is not one of {list(AREAS)}")
        if entry["dtypes"] not in DTYPES:
            raise ValueError(f"requirements.toml: {identifier}: dtypes {entry['dtypes']!r}: allowed are {DTYPES}")
        known[identifier] = Requirement(**{**entry, "needs": tuple(entry["needs"])})
    return MappingProxyType(known)
