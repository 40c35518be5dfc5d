"""Finding out how to call a function: library, order, form of targets, names of hyper-parameters, reduction."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from inspect import isfunction, unwrap
from itertools import product
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

from focal_ref.adapters import Unavailable
from focal_ref.conformance.inference import losses
from focal_ref.conformance.inference.losses import Fit, explanations
from focal_ref.conformance.inference.raw import SINGLE, RawSubject
from focal_ref.conformance.inference.reading import HYPER, Reading
from focal_ref.conformance.inference.subject import Measured
from focal_ref.conformance.profiles.signature import INPUTS, Signature
from focal_ref.conformance.targets.libraries import LIBRARIES
from focal_ref.conformance.targets.library import Library

TRIED = ("torch", "jax", "numpy")
"""Libraries, in the order in which they are tried where the module of a function uses several or none."""

NO_REDUCTION = ("none", "None", "no", "elementwise", "", False, None)
FORMS = ("floating", "labels", "integer", "signed")
CLASSES = 3


@dataclass(frozen=True)
class Found:
    """How a function is called, and the conventions that explain what it returned.

    Attributes
    ----------
    subject
        The function, called in this way.
    fits
        The combinations of values that explain the measurements.
    measured
        The measurements.
    """

    subject: RawSubject
    fits: Sequence[Fit]
    measured: Sequence[Measured]


@dataclass(frozen=True)
class Search:
    """What came of looking for a way to call a function.

    Attributes
    ----------
    found
        The first way that is explained by known conventions, or None.
    ran
        Ways in which it returned numbers that nothing explains.
    refusals
        What the other ways ended with, each text once.
    unexplained
        Arguments that move the loss as none of the known values does, in words.
    """

    found: Found | None
    ran: Sequence[Found]
    refusals: Sequence[str]
    unexplained: Sequence[str] = ()


def search(function: Callable[..., Any], reading: Reading, library: str | None = None) -> Search:
    """Try the ways to call a function until known conventions explain what it returns."""
    ran: dict[bytes, Found] = {}
    refusals: dict[str, None] = {}
    unexplained: list[str] = []
    for driver in _libraries(function, library):
        for signature, conventions in _ways(reading, driver.name):
            subject = RawSubject(function, signature, driver, conventions=conventions)
            measured = losses.measure(subject)
            *hard, _ = measured
            if not all(one.usable for one in hard):
                refusals |= dict.fromkeys(one.refusal for one in hard if one.refusal)
                continue
            shapes = [np.asarray(one.got).shape for one in hard]
            key = (
                b"".join(np.asarray(one.got).tobytes() for one in hard) + repr((sorted(subject.takes), shapes)).encode()
            )
            if key in ran:
                continue
            fits = _plausible(subject, measured[0], explanations(subject, measured))
            ran[key] = Found(subject, fits, measured)
            texts = _unexplained(reading, ran[key]) if fits else []
            if fits and not texts:
                return Search(ran[key], (), ())
            if texts and (not unexplained or len(texts) < len(unexplained)):
                unexplained = texts
    if not unexplained:
        unexplained = _strange_weights(reading, ran.values())
    return Search(None, tuple(ran.values()), tuple(refusals), tuple(dict.fromkeys(unexplained)))


def _strange_weights(reading: Reading, ran: Iterable[Found]) -> list[str]:
    """What positives and negatives weigh in the first way that is explained but for its weights."""
    for found in ran:
        name = found.subject.signature.alpha
        name = name if name not in (*reading.numbers, *reading.required) else ""
        weights = losses.unknown_weights(found.subject, found.measured) if name else ""
        if weights:
            value = found.measured[0].question.parameters["alpha"]
            return [_moved("alpha", name, value, weights)]
    return []


def _moved(role: str, name: str, value: Any, weights: str) -> str:
    text = f"its argument {name!r} moves the loss, but as none of the known values of {role} does"
    return f"{text}: with {name}={value} {weights}" if weights else text


def _unexplained(reading: Reading, found: Found) -> list[str]:
    """Arguments that are known by their names and were left out, but move the loss; the numbers stand in the texts."""
    texts = []
    signature = found.subject.signature
    for role in ("alpha", "gamma"):
        names = reading.roles.get(role, ())
        if getattr(signature, role) or len(names) != 1:
            continue
        for meaning in ("pos/1-pos", "class-vector") if role == "alpha" else ("pos/1-pos",):
            named: dict[str, Any] = {role: names[0]}
            passed = found.subject.called_by(replace(signature, **named)).supposing(alpha=meaning)
            measured = losses.measure(passed)
            pairs = list(zip(measured[:2], found.measured[:2], strict=True))
            if not measured[0].usable or all(_same(one, other) for one, other in pairs):
                continue
            weights = losses.unknown_weights(passed, measured) if role == "alpha" else ""
            texts.append(_moved(role, names[0], measured[0].question.parameters[role], weights))
            break
    return texts


def _same(one: Measured, other: Measured) -> bool:
    return np.array_equal(np.asarray(one.got), np.asarray(other.got))


def _plausible(subject: RawSubject, one: Measured, fits: list[Fit]) -> list[Fit]:
    """Those by which elements come back as elements; without an alpha that has no effect, unless nothing else fits."""
    whole = np.asarray(one.got).shape == one.question.predictions.shape
    fits = [fit for fit in fits if whole or fit.conventions["multi_class"] == "softmax"]
    used = [fit for fit in fits if "alpha" not in subject.takes or fit.conventions["alpha"] != "none"]
    return used or fits


def _libraries(function: Callable[..., Any], asked: str | None) -> Iterator[Library]:
    for name in (asked,) if asked else _used_by(function):
        try:
            yield LIBRARIES[name](name, None, "")
        except Unavailable:
            continue


def _used_by(function: Callable[..., Any]) -> tuple[str, ...]:
    """Libraries that a function's own code names, then those of its module, then all others."""
    named = _roots(_named_by(function, set()))
    module = sys.modules.get(getattr(function, "__module__", None) or type(function).__module__)
    beside = _roots(vars(module).values()) if module is not None else set()
    if "keras" in named | beside:
        named |= {_keras_backend()}
    order = [name for name in TRIED if name in named]
    order += [name for name in TRIED if name in beside and name not in order]
    return (*order, *(name for name in TRIED if name not in order))


def _named_by(function: Any, seen: set[int]) -> list[Any]:
    """Globals that a function, or the methods of a class, refer to; also by way of functions of the same module."""
    if id(function) in seen:
        return []
    seen.add(id(function))
    if isinstance(function, type):
        methods = [value for value in vars(function).values() if isinstance(value, FunctionType)]
        return [*function.__mro__[1:-1], *(value for method in methods for value in _named_by(method, seen))]
    function = unwrap(function) if callable(function) else function
    function = function.func if isinstance(function, partial) else function
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType):
        return _named_by(type(function), seen) if callable(function) and not isfunction(function) else []
    values = [function.__globals__[name] for name in _names(function.__code__) if name in function.__globals__]
    values += [annotation for annotation in function.__annotations__.values() if isinstance(annotation, type)]
    near = [one for one in values if getattr(one, "__module__", None) == function.__module__ and callable(one)]
    return [*values, *(value for one in near for value in _named_by(one, seen))]


def _names(code: CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*(_names(one) for one in inner))


def _roots(values: Iterable[Any]) -> set[str]:
    """First parts of the names of modules, and of the modules of functions and classes."""
    names = [
        value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        for value in values
    ]
    return {name.partition(".")[0] for name in names if isinstance(name, str)}


def _keras_backend() -> str:
    import keras

    return str(keras.backend.backend())


def _ways(reading: Reading, library: str) -> Iterator[tuple[Signature, dict[str, Any]]]:
    """Signatures to try, the likeliest first."""
    options = product(
        _constants(reading),
        _reductions(reading),
        _hyper_parameters(reading),
        _orders(reading),
        _layouts(),
        FORMS,
        ("scalar", "class-vector"),
    )
    for constants, (reduction, none), names, order, layout, form, alpha in options:
        if alpha == "class-vector" and "alpha" not in names:
            continue
        if form == "labels" and layout.get("returns") == "flat":
            continue
        signature = Signature(
            construct=reading.construct,
            order=order,
            arguments=reading.arguments,
            **names,
            reduction=reduction,
            constants={name: value for name, value in constants.items() if name not in names.values()},
            targets=form,
            reductions={"none": none},
            **{key: value for key, value in layout.items() if key != "multi_class"},
        )
        conventions = {
            "alpha": "class-vector" if alpha == "class-vector" else "pos/1-pos" if "alpha" in names else "none",
            "multi_class": layout.get("multi_class", "sigmoid"),
        }
        yield signature, conventions


def _layouts() -> tuple[dict[str, Any], ...]:
    """In which shape elements are given and come back."""
    return (
        {"returns": "elements"},
        {"returns": "flat"},
        {"returns": "elements", "trailing_axis": True},
        {"returns": SINGLE},
        {"returns": SINGLE, "multi_class": "softmax"},
        {"returns": "elements", "minimum_rank": 4, "class_axis": 1},
        {"returns": "elements", "minimum_rank": 3, "class_axis": 1},
    )


def _orders(reading: Reading) -> tuple[tuple[str, ...], ...]:
    other = (INPUTS[1], INPUTS[0])
    if reading.arguments:
        return (INPUTS,)
    if reading.order:
        return (reading.order,) if reading.order == INPUTS else (other, INPUTS)
    return (INPUTS, other)


def _constants(reading: Reading) -> Iterator[dict[str, Any]]:
    """Arguments that are the same in every call: logits rather than probabilities where there is a choice."""
    fixed: dict[str, Any] = {name: CLASSES for name in reading.roles.get("classes", ()) if name not in reading.defaults}
    for name in reading.roles.get("classes", ()):
        if reading.defaults.get(name, CLASSES) is None:
            fixed[name] = CLASSES
    # What has to be given and is nothing known is most likely a number to divide by.
    fixed |= dict.fromkeys(reading.required, 1.0)
    switches = [name for name in reading.roles.get("from_logits", ()) if name in reading.flags]
    for values in product((True, False), repeat=len(switches)):
        yield {**fixed, **dict(zip(switches, values, strict=True))}


def _reductions(reading: Reading) -> Iterator[tuple[str, Any]]:
    """The argument of the reduction and what it is called when there is none."""
    for name in reading.roles.get("reduction", ()):
        default = reading.defaults.get(name, "none")
        if isinstance(default, bool):
            yield name, 0
        else:
            yield from ((name, none) for none in NO_REDUCTION)
    yield "", "none"


def _hyper_parameters(reading: Reading) -> Iterator[dict[str, str]]:
    """From hyper-parameters to names of arguments."""
    known = {role: reading.roles[role] for role in HYPER if role in reading.roles}
    if reading.open:
        for role in ("alpha", "gamma"):
            known.setdefault(role, (role,))
    seen = []
    # Each role by its likeliest name, by the others, not at all; then under names that are not known.
    for choice in product(*((*names, "") for names in known.values())):
        seen.append({role: name for role, name in zip(known, choice, strict=True) if name})
    for names in list(seen):
        free = [role for role in ("gamma", "alpha") if role not in names]
        others = [name for name in (*reading.numbers, *reading.required) if name not in names.values()]
        for role, name in product(free, others):
            seen.append({**names, role: name})
        if len(free) == 2:
            seen += [{**names, "gamma": one, "alpha": two} for one in others for two in others if one != two]
    # What can be passed had better not be taken for a constant; a name that means something else explains nothing.
    seen.sort(key=lambda names: -len(names))
    yield from (dict(pairs) for pairs in dict.fromkeys(tuple(names.items()) for names in seen))


def with_flag(function: Callable[..., Any], found: Found, reading: Reading) -> Found:
    """Where alpha has no effect: the flag that gives it one."""
    signature = found.subject.signature
    if not signature.alpha or any(fit.conventions["alpha"] != "none" for fit in found.fits):
        return found
    for flag in reading.flags:
        if flag in signature.constants:
            continue
        other = not reading.defaults[flag]
        changed = replace(signature, alpha_on={flag: other}, alpha_off={flag: not other})
        subject = RawSubject(function, changed, found.subject.library, conventions=found.subject.conventions)
        measured = losses.measure(subject)
        fits = [fit for fit in explanations(subject, measured) if fit.conventions["alpha"] != "none"]
        if fits:
            return Found(subject, fits, measured)
    return found


def refusals_in_words(refusals: Iterable[str], limit: int = 3) -> str:
    """The first few refusals in one text."""
    texts = [text for text in refusals if text]
    return "; ".join(texts[:limit]) + (f"; and {len(texts) - limit} more" if len(texts) > limit else "")
