"""From a failing requirement to a line for a shell that shows the fault: the simplest input, written, run, compared."""

import shlex
from collections.abc import Mapping, Sequence

from catalogue import ROOT, Implementation

from focal_ref.conformance.targets.matcher import BoxTarget
from focal_ref.conformance.targets.python import PythonTarget, function_target

from . import shell
from .boxes import box_reproductions
from .search import Reproduction, reproductions

PREFERRED = ("float32", "float64", "float16", "bfloat16", "")
"""Formats in the order in which one is chosen for the line."""


def reproduced(
    entry: Implementation, failing: Mapping[str, Sequence[str]]
) -> tuple[dict[str, list[dict[str, str]]], list[str]]:
    """Lines for every failing requirement, executed.

    Parameters
    ----------
    entry
        Of the catalogue.
    failing
        From requirements to the formats in which they fail.

    Returns
    -------
    dict
        From requirements to lines, each with its command, what that printed, and what is right.
    list of str
        What is wrong with lines that do not show their fault.
    """
    own = entry.profile.endswith(".toml")
    profile = str(ROOT / entry.profile_option) if own else entry.profile
    target = function_target(entry.target or None, profile, None)
    if not isinstance(target, PythonTarget):
        return {}, []
    chosen: dict[str, list[Reproduction | None]] = {}
    missed: list[str] = []
    for name, dtypes in failing.items():
        dtype = min(dtypes, key=PREFERRED.index)
        found: list[Reproduction | None] = []
        try:
            found += _found(target, entry, name, dtype)
        except Exception as error:  # whatever one line is not made for, the others are
            missed.append(f"{name}: no line: {type(error).__name__}: {error}")
        chosen[name] = found or [None]
    commands = {one.command for found in chosen.values() for one in found if one is not None}
    repeating = {name: _repeating(entry, name, failing[name]) for name, found in chosen.items() if found == [None]}
    printed = shell.run_all(sorted({*commands, *repeating.values()}), ROOT)
    lines: dict[str, list[dict[str, str]]] = {}
    for name, found in chosen.items():
        for one in found:
            command = repeating[name] if one is None else one.command
            came = printed[command]
            shows = one.is_shown_by(came) if one is not None else "  got " in f"{came.output}\n"
            if not shows:
                missed.append(f"{name}: the line does not show the fault: {command}\n  it printed: {came.output}")
            data = {"command": command, "printed": came.output}
            if one is not None:
                data |= {"dtype": one.dtype, "quantity": one.quantity, "right": one.right}
            lines.setdefault(name, []).append(data)
    return lines, missed


def _found(target: PythonTarget, entry: Implementation, name: str, dtype: str) -> list[Reproduction]:
    if isinstance(target, BoxTarget):
        return list(box_reproductions(target, entry, name, dtype))
    return list(reproductions(target, entry, name, dtype))


def _repeating(entry: Implementation, name: str, dtypes: Sequence[str]) -> str:
    """The command of the suite that repeats a failure, for what no single call shows."""
    dtype = min(dtypes, key=PREFERRED.index)
    what = f"{name}/{dtype}".rstrip("/")
    target = f" --target={entry.target}" if entry.target else ""
    own = "PYTHONPATH=implementations " if entry.profile.endswith(".toml") else ""
    repro = f"focal-ref repro {shlex.quote(what)}{target} --profile={shlex.quote(entry.profile_option)}"
    return f"{own}{repro} | grep -E '^  (case|asked|gave|expected|got|note) '"
