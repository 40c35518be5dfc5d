"""What has to hold for stored vectors whoever wrote them: schema, ids, bits, hashes, counts."""

import json
from collections.abc import Iterator
from fractions import Fraction
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

from focal_ref.conformance.bundle.contents import EXHAUSTIVE, FOLDERS, digest, read, schema_of, set_names
from focal_ref.conformance.bundle.exhaustive import document as exhaustive_document
from focal_ref.conformance.formats import FORMATS, Format, round_to_format
from focal_ref.conformance.vectors import QUANTITIES, VectorError


def complaints(*, regenerate: bool = False) -> Iterator[str]:
    """What is wrong with the installed vectors, a sentence each.

    Parameters
    ----------
    regenerate
        Compute the hashes of the exhaustive recipes again, which takes some seconds.
    """
    seen: dict[str, str] = {}
    for kind in FOLDERS:
        yield from _other_files(kind)
    for name in set_names():
        try:
            document = json.loads(read(name))
        except (VectorError, ValueError) as error:
            yield str(error)
            continue
        yield from set_complaints(name, document, seen)
    if regenerate and exhaustive_document().encode() != read(EXHAUSTIVE):
        yield "exhaustive.json: differs from what the reference gives"


def set_complaints(name: str, document: Any, seen: dict[str, str]) -> Iterator[str]:
    """What is wrong with one set; `seen` has the ids of the sets before it, and gets those of this one."""
    kind, _, short = name.partition("/")
    for error in Draft202012Validator(schema_of(name)[1]).iter_errors(document):
        yield f"{name}: {error.json_path}: {error.message[:200]}"
        return
    for group in document.get("groups", [document]):
        for test in group["tests"]:
            identifier = test["id"]
            # Ids of the detection side are unique in their file.
            key = f"{name}: {identifier}" if kind == "detection" else identifier
            if key in seen:
                yield f"{name}: {identifier}: stands in {seen[key]} as well"
            seen[key] = name
            if kind == "focal":
                yield from _focal_complaints(name, short, group, test)
            elif kind == "family":
                yield from _family_complaints(name, short, group, test)


def _focal_complaints(name: str, short: str, group: Any, test: Any) -> Iterator[str]:
    format = FORMATS[group["dtype"]]
    parameters = [f"{key}={_short(group[key])}" for key in ("gamma", "alpha")]
    start = "/".join([short, group["dtype"], *parameters, "target="])
    if not test["id"].startswith(start) or not test["id"].endswith(f"/logit={test['logit']}"):
        yield f"{name}: {test['id']}: is not the id of its contents, {start}.../logit={test['logit']}"
    for quantity in QUANTITIES:
        if not _rounds_to(test[f"exact_{quantity}"], test[quantity], format):
            yield f"{name}: {test['id']}: {quantity}: {test[quantity]} is not exact_{quantity} after rounding"


def _family_complaints(name: str, short: str, group: Any, test: Any) -> Iterator[str]:
    format = FORMATS[group["dtype"]]
    parts = [f"{key}={_short(value)}" for key, value in group["parameters"].items()]
    parts += [f"{key}={_joined(value)}" for key, value in test["inputs"].items()]
    made = "/".join([short, group["dtype"], *parts])
    if test["id"] != made:
        yield f"{name}: {test['id']}: is not the id of its contents, {made}"
    for quantity, entry in test["expected"].items():
        pairs = zip(_flat(entry["exact"]), _flat(entry["bits"]), strict=True)
        if not all(_rounds_to(exact, bits, format) for exact, bits in pairs):
            yield f"{name}: {test['id']}: {quantity}: bits are not exact after rounding"


def _rounds_to(exact: str | None, bits: str, format: Format) -> bool:
    """Whether a decimal number of 40 digits gives the bits: those that lie on a tie to all digits may go either way."""
    got = int(bits, 16)
    if exact in ("nan", "inf", "-inf"):
        return got == round_to_format(float(exact), format)
    magnitude = got & ~format.sign_bit
    if exact is None or Fraction(exact) == 0:
        return magnitude == 0
    number = Fraction(exact)
    nearly = abs(number) / 10**39
    possible = {round_to_format(number + step, format) & ~format.sign_bit for step in (-nearly, 0, nearly)}
    return magnitude in possible and (magnitude == 0 or (number < 0) == bool(got & format.sign_bit))


def _other_files(kind: str) -> Iterator[str]:
    """Hashes of what lies beside the sets."""
    try:
        manifest = json.loads(_folder(kind).joinpath("manifest.json").read_bytes())
        for name, expected in manifest["other_files"].items():
            if digest(_folder(kind).joinpath(name).read_bytes()) != expected:
                yield f"{kind}/{name}: sha256 differs from that in manifest.json (other_files)"
    except (OSError, ValueError, KeyError) as error:
        yield f"{kind}/manifest.json: other_files: cannot be read: {type(error).__name__}: {error}"


def _short(parameter: Any) -> str:
    if isinstance(parameter, list):
        return ",".join(map(_short, parameter))
    return "none" if parameter is None else str(parameter["decimal"]).removesuffix(".0")


def _joined(entry: Any) -> str:
    return ",".join(entry) if isinstance(entry, list) else str(entry)


def _flat(entries: Any) -> list[Any]:
    return [number for entry in entries for number in _flat(entry)] if isinstance(entries, list) else [entries]


def _folder(kind: str) -> Any:
    return files(FOLDERS[kind]) / "vectors"
