"""A profile for a function that has none: find out how it is called, what it does, and write both down."""

import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module, metadata
from typing import Any

import numpy as np

from focal_ref.conformance.gate import Item, Result, items_of, run_item
from focal_ref.conformance.inference import exploring
from focal_ref.conformance.inference.answers import Answer, number
from focal_ref.conformance.inference.describing import Description, Row, describe
from focal_ref.conformance.inference.exploring import Found, Search
from focal_ref.conformance.inference.formulas import has_formula, losses
from focal_ref.conformance.inference.losses import alike
from focal_ref.conformance.inference.raw import SINGLE
from focal_ref.conformance.inference.reading import Unreadable, read
from focal_ref.conformance.inference.subject import refusal_text
from focal_ref.conformance.inference.writing import document_of, printable, toml
from focal_ref.conformance.profiles import Profile, ProfileError, profile_from
from focal_ref.conformance.targets import UsageError
from focal_ref.conformance.targets.python import profile_target

AREA = "FL-DECL-"

SLOPES = ("grad", "derivative", "backward", "slope", "d_", "diff", "prime")
"""Parts of the names of functions that return a derivative; whether they do is measured."""


@dataclass(frozen=True)
class Profiling:
    """What came of profiling a function.

    Attributes
    ----------
    text
        The TOML file, or "" where no profile describes the function.
    rows
        Question, answer and evidence of everything that was found out.
    problem
        Why there is no profile, in a sentence; "" where there is one.
    details
        Numbers behind the problem, a line each.
    """

    text: str
    rows: Sequence[Row]
    problem: str = ""
    details: Sequence[str] = ()


def profile_function(path: str, library: str | None = None) -> Profiling:
    """Find out everything that a profile declares about ``package.module:function``.

    Raises
    ------
    UsageError
        If it cannot be imported, or its signature not be read.
    """
    function = imported(path)
    try:
        reading = read(function)
    except Unreadable as error:
        raise UsageError(f"{path}: {error}") from error
    with np.errstate(all="ignore"):
        search = exploring.search(function, reading, library)
        if search.found is None:
            return _nothing_fits(search)
        found = exploring.with_flag(function, search.found, reading)
        description = describe(
            function, found, _slopes(path, function), reading.defaults.get(found.subject.signature.reduction)
        )
        rows = (*_calling_rows(found, description), *description.rows)
        if description.unknown:
            return Profiling("", rows, _unknown_text(description.unknown), _unknown_details(description.unknown))
        if not description.tiers:
            refusals = [f"{row.key}: {row.seen}" for row in description.rows if row.key.startswith("claims.dtypes")]
            return Profiling("", rows, "no format is given back as it was taken, with a gradient", refusals)
        return _verified(path, rows, found, description)


def imported(path: str) -> Callable[..., Any]:
    """What a path ``package.module:function`` names; modules of the current folder are found."""
    module_name, _, attribute = path.partition(":")
    if not module_name or not attribute:
        raise UsageError(f"got {path!r}; name what to profile as package.module:function")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = import_module(module_name)
    except Exception as error:  # a module may raise anything
        raise UsageError(f"{path}: cannot import {module_name!r}: {refusal_text(error)}") from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{path}: {module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{path}: it is a {type(found).__name__}, which cannot be called")
    return found  # type: ignore[no-any-return]


def _slopes(path: str, function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    """Functions beside this one whose names say that they return its derivative."""
    module, _, attribute = path.partition(":")
    owner, _, name = attribute.rpartition(".")
    beside: Any = sys.modules[module]
    for part in owner.split(".") if owner else ():
        beside = getattr(beside, part)
    stem = name.lower().replace("_loss", "").replace("loss", "") or name.lower()
    prefix = f"{module}:{owner}." if owner else f"{module}:"
    return {
        prefix + other: value
        for other, value in sorted(vars(beside).items())
        if value is not function
        and inspect.isroutine(value)
        and stem in other.lower()
        and any(word in other.lower() for word in SLOPES)
    }


def _verified(path: str, rows: Sequence[Row], found: Found, description: Description) -> Profiling:
    """The profile, after it was loaded and its declarations were tested on the function."""
    head = _head(path, found)
    complaints: list[Profiling] = []
    for told, notes in _tellings(description):
        document = document_of(head, path, told)
        try:
            profile = profile_from(document, "the profile")
        except ProfileError as error:
            known = _not_to_be_said(description)
            problem = f"no profile can say that {known}" if known else f"no profile can say what was found: {error}"
            complaints.append(Profiling("", rows, problem))
            continue
        failed = _failed(profile)
        if not failed:
            seen = {row.key: row.seen for row in rows} | dict(notes)
            return Profiling(toml(document, seen, _heading(path, told)), rows)
        names = ", ".join(dict.fromkeys(result.item.name for result in failed))
        texts = [one.text for one in failed]
        complaints.append(Profiling("", rows, f"the profile that was found does not pass {names}", texts))
    return complaints[0]


def _not_to_be_said(description: Description) -> str:
    """What is known of the function and has no place in a profile, with what to do about it; or ""."""
    softmax = description.conventions["multi_class"] == "softmax"
    if softmax and description.conventions["prediction"] == "probabilities":
        return "it takes the probabilities of a softmax: profile a function that takes logits and applies the softmax"
    return ""


def _tellings(description: Description) -> Iterator[tuple[Description, Mapping[str, str]]]:
    """What was found; then without the reduction of a function that has no argument for one."""
    yield description, {}
    if not description.signature.reduction and description.signature.returns == SINGLE:
        without = {**description.conventions, "mean": "unsupported", "sum": "unsupported"}
        notes = {
            f"conventions.{axis}": f"found: {description.conventions[axis]}; not tested, there is no argument for it"
            for axis in ("mean", "sum")
        }
        yield replace(description, conventions=without), notes


def _failed(profile: Profile) -> list[Result]:
    """The declarations that the function does not meet when it is called by its new profile."""
    try:
        target = profile_target(profile)
    except UsageError as error:
        return [Result(Item("the profile's target"), False, text=str(error))]
    items = [item for item in items_of(profile) if item.name.startswith(AREA)]
    results = [run_item(item, target, f"focal-ref conform --profile={profile.name}.toml") for item in items]
    return [result for result in results if not result.passed]


def _head(path: str, found: Found) -> dict[str, Any]:
    module, _, attribute = path.partition(":")
    package = module.partition(".")[0]
    distributions = _distributions().get(package, [package])
    head: dict[str, Any] = {
        "name": attribute.replace(".", "_").replace("_", "-").lower(),
        "description": f"{module}.{attribute}",
        "package": distributions[0],
        "library": found.subject.library.name,
    }
    if package == "keras":
        head["environment"] = {"KERAS_BACKEND": found.subject.library.name}
    return head


@cache
def _distributions() -> Mapping[str, list[str]]:
    """From importable packages to what is installed; it reads the metadata of everything."""
    return metadata.packages_distributions()


def _heading(path: str, description: Description) -> str:
    left_out = [row for row in description.rows if row.key.startswith("claims.dtypes") and row.value is None]
    lines = [f"Conventions of {path}, found out by calling it; each was tested by its requirement of area DECL."]
    lines += [f"Not claimed: {row.key.rpartition('.')[2]}, because {row.seen}" for row in left_out]
    lines += ["What else it can do (docs/profiles.md lists the capabilities) is for its authors to claim."]
    return "\n".join(printable(line.replace("\n", " ")) for line in lines)


def _calling_rows(found: Found, description: Description) -> list[Row]:
    """How the function is called."""
    signature = description.signature
    names = {name: getattr(signature, name) for name in ("alpha", "gamma", "beta", "gamma_positive", "gamma_negative")}
    rows = [
        Row("profile.library", found.subject.library.name, "takes and gives its arrays"),
        Row("signature.order", list(signature.order), "by keyword" if signature.arguments else "by position"),
        Row("signature.targets", signature.targets, _TARGETS.get(signature.targets, "")),
        Row("signature.returns", signature.returns or "elements", _RETURNS.get(signature.returns, "")),
    ]
    rows += [
        Row(f"signature.{name}", own, f"its argument {own!r} moves the loss as {name} does")
        for name, own in names.items()
        if own
    ]
    rows += [
        Row(f"signature.fixed.{name}", value, "no argument: the value that explains the numbers")
        for name, value in signature.fixed.items()
    ]
    if signature.reduction:
        called = ", ".join(f"{name}: {value!r}" for name, value in signature.reductions.items())
        rows.append(Row("signature.reduction", signature.reduction, called))
    for key, value in signature.constants.items():
        rows.append(Row(f"signature.constants.{key}", value, "the same in every call"))
    for key, value in signature.alpha_off.items():
        rows.append(Row(f"signature.alpha_off.{key}", value, "alpha has no effect with it"))
    for key, value in signature.alpha_on.items():
        rows.append(Row(f"signature.alpha_on.{key}", value, "alpha has its effect with it"))
    if signature.pair:
        rows.append(Row("signature.pair", True, "the first part is the loss"))
    if signature.gradient:
        rows.append(Row("signature.gradient", signature.gradient, "returns the derivative of the loss"))
    if signature.construct:
        rows.append(Row("signature.construct", True, "a class: hyper-parameters go to its constructor"))
    return rows


_TARGETS = {
    "floating": "in the shape and the dtype of the logits",
    "labels": "integer labels",
    "one-hot": "one-hot rows in the dtype of the logits",
    "integer": "integers in the shape of the logits",
    "signed": "-1 and +1 in the dtype of the logits",
}
_RETURNS = {
    "elements": "a number for each logit",
    "rows": "a number for each row",
    "classes": "an array in the logits' shape, whose sum over the classes is the loss of the row",
    "flat": "a number for each logit, in one dimension",
    "sum": "one number: elements are had one call each",
}


def _unknown_text(unknown: Sequence[Answer]) -> str:
    axes = ", ".join(f"conventions.{answer.axis}" for answer in unknown)
    return f"it behaves as none of the known values of {axes}"


def _unknown_details(unknown: Sequence[Answer]) -> list[str]:
    lines = []
    for answer in unknown:
        if answer.note:
            lines.append(f"{answer.axis}: {answer.note}")
        for evidence in answer.evidence:
            would = "; ".join(f"{value}: {text}" for value, text in evidence.expected.items())
            lines.append(f"{answer.axis}: {evidence.asked} gave {evidence.got}{'; ' + would if would else ''}")
    return lines


def _nothing_fits(search: Search) -> Profiling:
    """What it returned beside what the nearest formulas would."""
    if search.unexplained:
        return Profiling("", (), "; ".join(search.unexplained))
    if not search.ran:
        problem = "no way to call it gives numbers"
        return Profiling("", (), problem, [f"it said: {text}" for text in search.refusals[:6]])
    lines = []
    for found in search.ran[:2]:
        lines += _comparison(found)
    return Profiling("", (), "it behaves as none of the known formulas", lines)


_SHOWN: Sequence[Mapping[str, str]] = (
    {"formula": "focal", "prediction": "logits", "multi_class": "sigmoid"},
    {"formula": "focal", "prediction": "probabilities", "multi_class": "sigmoid"},
    {"formula": "star", "prediction": "logits", "multi_class": "sigmoid"},
    {"formula": "varifocal", "prediction": "logits", "multi_class": "sigmoid"},
    {"formula": "focal", "prediction": "logits", "multi_class": "softmax"},
)


def _comparison(found: Found) -> list[str]:
    one = found.measured[0]
    question, given = one.question, found.subject.given(one.question)
    named = ", ".join(f"{name}={value}" for name, value in given.items())
    asked = f"{question.predictions[0].tolist()}, targets {question.targets[0].tolist()}{', ' if named else ''}{named}"
    lines = [f"{asked} gave {_first(one.got)}"]
    for conventions in _SHOWN:
        meaning = {"varifocal": "neg-only"}.get(conventions["formula"], "none")
        whole = {**conventions, "alpha": meaning, "clipping": "none", "epsilon": 0.0, "soft_targets": "mixture"}
        if not has_formula(whole):
            continue
        parameters = {"alpha": 0.75, "gamma": 2.0, "beta": 0.0, **given}
        with np.errstate(all="ignore"):
            expected = losses(question.predictions, question.targets, whole, parameters)
        pair = alike(one.got, expected)
        ratio = "" if pair is None else f", the ratio is {_first(pair[0] / pair[1])}"
        name = f"{conventions['formula']} of {conventions['prediction']}, {conventions['multi_class']}"
        weighted = ", unweighted" if meaning == "none" else ""
        lines.append(f"  {name}{weighted}: {_first(expected)}{ratio}")
    return lines


def _first(numbers: Any) -> str:
    if numbers is None:
        return "nothing"
    row = np.atleast_1d(np.atleast_1d(numbers)[0])
    return f"[{', '.join(map(number, row))}]"
