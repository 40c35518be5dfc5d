"""A profile as TOML, with a comment beside each line on what was seen."""

import json
from collections.abc import Mapping
from typing import Any

from focal_ref.conformance.conventions.axes import ALL
from focal_ref.conformance.inference.describing import Description
from focal_ref.conformance.profiles.signature import INPUTS, PARAMETERS, REDUCTIONS, Signature

COLUMN = 44
WIDTH = 160


def document_of(head: Mapping[str, Any], function: str, description: Description) -> dict[str, Any]:
    """The profile as data."""
    return {
        "profile": dict(head),
        "signature": {"function": function, **signature_table(description.signature)},
        "conventions": {axis: description.conventions[axis] for axis in ALL},
        "claims": {"capabilities": [], "dtypes": dict(description.tiers)},
    }


def signature_table(signature: Signature) -> dict[str, Any]:
    """What differs from the defaults of a signature."""
    table: dict[str, Any] = {name: getattr(signature, name) for name in PARAMETERS if getattr(signature, name)}
    if signature.construct:
        table["construct"] = True
    if signature.order != INPUTS and not signature.arguments:
        table["order"] = list(signature.order)
    if signature.reduction:
        table["reduction"] = signature.reduction
    for name, default in (("targets", "floating"), ("class_axis", -1), ("minimum_rank", 0), ("trailing_axis", False)):
        if getattr(signature, name) != default:
            table[name] = getattr(signature, name)
    if signature.returns not in ("", "elements", "rows"):
        table["returns"] = signature.returns
    if signature.pair:
        table["pair"] = True
    if signature.gradient:
        table["gradient"] = signature.gradient
    names = {name: value for name, value in signature.reductions.items() if value != name and name in REDUCTIONS}
    inner = {
        "arguments": signature.arguments,
        "constants": signature.constants,
        "fixed": signature.fixed,
        "alpha_off": signature.alpha_off,
        "alpha_on": signature.alpha_on,
        "reductions": names if signature.reduction else {},
    }
    return {**table, **{name: dict(value) for name, value in inner.items() if value}}


def toml(document: Mapping[str, Any], seen: Mapping[str, str], heading: str) -> str:
    """The text of the file; `seen` has the comments by dotted key."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for place, table in document.items():
        lines += ["", *_table(place, table, seen)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _table(place: str, table: Mapping[str, Any], seen: Mapping[str, str]) -> list[str]:
    lines = [f"[{place}]"]
    for key, value in table.items():
        if not isinstance(value, Mapping):
            lines.append(_line(key, value, seen.get(f"{place}.{key}", "")))
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_table(f"{place}.{key}", value, seen)]
    return lines if len(lines) > 1 else []


def _line(key: str, value: Any, seen: str) -> str:
    line = f"{key} = {toml_value(value)}"
    # A comment ends with its line, and control characters would end the file's validity.
    comment = printable(seen.replace("\n", " "))
    if not comment:
        return line
    comment = comment if len(comment) <= WIDTH else comment[: WIDTH - 3] + "..."
    return f"{line:<{COLUMN}} # {comment}"


def toml_value(value: Any) -> str:
    """A value in TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return repr(value)


def printable(text: str) -> str:
    """A text without what would move a terminal's cursor or end a comment; line ends stay."""
    return "".join(character if character.isprintable() or character == "\n" else " " for character in text)
