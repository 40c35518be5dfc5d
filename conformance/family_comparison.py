"""Comparisons of the losses beside the focal loss, and of derivatives in parameters: with vectors, and with truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import Array, Exact, exact_results, family_budget
from focal_ref.conformance.conventions.calls import (
    feasible,
    has_stored_results,
    probabilities_of,
    stands_for_off,
)
from focal_ref.conformance.examiner import HUGE, Examiner, flat
from focal_ref.conformance.family.certify import bulk
from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.family.vectors import FunctionVectors, Group, load_vectors
from focal_ref.conformance.findings import shown
from focal_ref.conformance.formats import Format
from focal_ref.conformance.softmax_truth import MINIMUM_CLASSES, softmax_results
from focal_ref.conformance.targets import ROWS, Call
from focal_ref.conformance.targets.functions import parameter_names

Select = Callable[[Group], Any]

MASKED_CLASSES = {"second_derivative": 4}
"""Where shapes are compiled, rows get classes of logit -inf, up to so many or to the 20 of the longest stored rows."""

DISTANCES = ("quality_focal_loss", "asymmetric_loss")
"""Losses of a power of t - p or p - clip, whose derivatives are infinite where that is 0."""

LOST_BITS = 40
"""Where the terms are larger than the result by so many bits, such a distance is one that float64 rounds off: whatever
stands in its place, zero included, any number and infinity are as right as another. NaN is not."""

IN_LOGITS = {"value", "gradient", "second_derivative"}
EXPONENTS = ("gamma", "beta", "gamma_positive", "gamma_negative")


def compare_vectors(examiner: Examiner, function: str, quantity: str, select: Select | None = None) -> None:
    """Compare one quantity with the stored vectors of a function.

    Parameters
    ----------
    examiner
        Of the requirement.
    function
        One of `focal_ref.conformance.family.functions.FUNCTIONS`.
    quantity
        "value", "gradient", "second_derivative", a parameter's name or "targets".
    select
        From a group to a mask of its tests; all by default.
    """
    groups = [
        group for group in _vectors(function).groups if group.dtype == examiner.dtype and quantity in group.quantities
    ]
    size = common_size(function, examiner.dtype)
    if not in_full(examiner):
        groups = _of_one_kind(groups, select)
    for group in groups:
        chosen = _representable(examiner, group) & (True if select is None else select(group))
        if examiner.case is not None:
            chosen &= np.array([test.id == examiner.case for test in group.tests])
        index = np.flatnonzero(chosen)
        if index.size:
            _compare_group(examiner, group, quantity, index, size)


def function_is_own(examiner: Examiner, function: str) -> bool:
    """Whether a function is the one whose conventions the profile declares."""
    return function == examiner.target.profile.function


def _as_declared(examiner: Examiner, call: Call) -> Call:
    """The call as the function can be given it: with its own parameters, and of probabilities where it takes these."""
    profile = examiner.target.profile
    own = feasible(call, profile)
    of_logits = call.function != "loss_from_probabilities" and function_is_own(examiner, call.function)
    if of_logits and profile.conventions["prediction"] == "probabilities":
        own = replace(own, logits=probabilities_of(call.logits))
    return own


def _first(exact: Exact, count: int) -> Exact:
    return exact[np.arange(count)]


def in_full(examiner: Examiner) -> bool:
    """Whether every kind of call is run in the format under test.

    Where each kind is a compilation, the widest format shows them all: the others round the same numbers.
    """
    return not examiner.target.compiles or examiner.is_widest


def affordable(examiner: Examiner) -> tuple[str, ...]:
    """Value and gradient, of the kinds of calls that are not run in full the value alone."""
    return examiner.quantities if in_full(examiner) else ("value",)


def _of_one_kind(groups: Sequence[Group], select: Select | None) -> list[Group]:
    """Groups that take one compilation."""
    asked = [group for group in groups if select is None or np.any(select(group))]
    # The focal loss has closed forms of its own for some exponents.
    exponents = [group.function == "loss" and group.parameters["gamma"] for group in asked]
    kinds = [
        (group.parameters.get("alpha") is None, group.input_names, exponent)
        for group, exponent in zip(asked, exponents, strict=True)
    ]
    return [group for group, kind in zip(asked, kinds, strict=True) if kind == kinds[0]]


def common_size(function: str, dtype: str) -> int:
    """To how many elements or rows every group is repeated, so that compiling targets meet few shapes."""
    longest = max(len(group.tests) for group in _vectors(function).groups if group.dtype == dtype)
    return 1 << max(3, (longest - 1).bit_length())


def _representable(examiner: Examiner, group: Group) -> Array:
    """Which tests the target can read.

    Soft targets are for those who claim them; where subnormal numbers are flushed, a subnormal input is 0.
    """
    readable = np.ones(len(group.tests), bool)
    is_own = function_is_own(examiner, group.function)
    if is_own and "targets" in group.input_names and not examiner.claims("soft_targets"):
        targets = group.inputs["targets"].astype(np.float64).reshape(len(group.tests), -1)
        readable &= np.all((targets == 0) | (targets == 1), axis=-1)
    if examiner.target.profile.conventions["subnormals"] != "flushed":
        return readable
    smallest = 2.0**examiner.format.minimum_exponent
    for name in set(group.input_names) - {"logits", "labels"}:
        numbers = np.abs(group.inputs[name].astype(np.float64)).reshape(len(group.tests), -1)
        readable &= ~np.any((numbers > 0) & (numbers < smallest), axis=-1)
    return readable


def _compare_group(examiner: Examiner, group: Group, quantity: str, index: Array, size: int) -> None:
    repeated = np.resize(index, size)
    first, second = (group.inputs[name][repeated] for name in group.input_names)
    parameters: dict[str, Any] = dict(group.parameters)
    alpha, gamma = parameters.pop("alpha", None), parameters.pop("gamma", 2.0)
    if isinstance(alpha, tuple):
        alpha = np.array(alpha, dtype=np.float64)
    call = Call(first, second, alpha, gamma, function=group.function, parameters=parameters)
    if group.function == ROWS and examiner.target.compiles:
        call = _with_masked_classes(call, MASKED_CLASSES.get(quantity, 20))
    profile = examiner.target.profile
    if stands_for_off(call.alpha, profile) and function_is_own(examiner, group.function):
        return
    asked_call = _as_declared(examiner, call)
    stored = asked_call is call and has_stored_results(profile, group.function, call.alpha)
    exact = group.expected[quantity][index] if stored else _first(examiner.exact(asked_call)[quantity], index.size)
    call = asked_call
    matrix = quantity == "second_derivative" and group.function == ROWS
    asked = "hessian" if matrix and _by_autodiff(examiner, group) else quantity
    got = examiner.run(asked, call, group.tests[int(index[0])].id)
    if got is None:
        return
    got = got[: index.size]
    if matrix:
        got, exact = _of_rows(asked, got, exact, group.classes or 0)
    elif group.function == ROWS and quantity == "gamma":
        # The derivatives in the exponents of the classes add up to that in one exponent for all.
        got = got.astype(np.float64).sum(axis=-1)
        exact = _of_rounded_terms(exact, group.classes or 0, examiner.format)
    elif group.function == ROWS and quantity != "value":
        # What is not stored has the masked classes too.
        got, exact = got[:, : group.classes], exact[:, : group.classes]
    ids = [group.tests[int(i)].id for i in index]
    measure(examiner, quantity, call, got, exact, ids)


def _of_rows(asked: str, got: Array, exact: Exact, classes: int) -> tuple[Array, Exact]:
    """Hessians of the stored classes, or the diagonals of both."""
    if asked == "hessian":
        return got[:, :classes, :classes], exact
    return got[:, :classes], exact[:, np.arange(classes), np.arange(classes)]


def _of_rounded_terms(exact: Exact, classes: int, format: Format) -> Exact:
    """The same at the scale of a sum of rounded numbers of one sign, of which subnormal ones add their ulps."""
    subnormal = exact.ulp_exponent <= format.minimum_ulp_exponent
    scale = exact.scale_ulp_exponent + np.where(subnormal, max(classes, 1).bit_length(), 1)
    return replace(exact, scale_ulp_exponent=scale)


def _by_autodiff(examiner: Examiner, group: Group) -> bool:
    """Whether to take all second derivatives of rows from automatic differentiation, or the diagonal from a function.

    Where each is a compilation, one format and kind of rows shows it.
    """
    one_kind = examiner.is_widest and "labels" in group.input_names and group.parameters["alpha"] is None
    return examiner.claims("autodiff") and (one_kind or not examiner.target.compiles)


def _with_masked_classes(call: Call, classes: int) -> Call:
    """The same rows with further classes of probability 0."""
    more = classes - call.logits.shape[-1]
    rest = ((0, 0), (0, more))
    logits = np.pad(call.logits, rest, constant_values=-np.inf)
    targets = np.pad(call.targets, rest) if call.targets.ndim == 2 else call.targets
    alpha = np.pad(call.alpha, (0, more), constant_values=1.0) if isinstance(call.alpha, np.ndarray) else call.alpha
    return Call(logits, targets, alpha, call.gamma, function=call.function, parameters=call.parameters)


def compare_with_truth(examiner: Examiner, quantity: str, call: Call, case: str) -> None:
    """Compare a call without reduction with the double-double reference, or with balls."""
    got = examiner.run(quantity, call, case)
    if got is not None:
        measure(examiner, quantity, call, got, truth(examiner, call, (quantity,))[quantity], [case] * got.size)


def truth(examiner: Examiner, call: Call, quantities: Sequence[str]) -> Mapping[str, Exact]:
    """What a call without reduction and weights must give; classes of softmax along the last axis."""
    call = feasible(call, examiner.target.profile)
    if not has_stored_results(examiner.target.profile, call.function, call.alpha):
        return examiner.exact(call)
    if call.function in ("loss", "loss_from_labels") and set(quantities) <= IN_LOGITS:
        targets = one_hot(call.targets, call.logits.shape[-1]) if call.function != "loss" else call.targets
        return exact_results(call.logits, targets, alpha=call.alpha, gamma=call.gamma, format=examiner.format)
    if call.function == ROWS and _is_plain(call, quantities):
        return softmax_results(call.logits, call.targets, gamma=float(call.gamma), format=examiner.format)
    numbers = {name: getattr(call, name) for name in ("alpha", "gamma")} | dict(call.parameters)
    parameters = {name: numbers[name] for name in parameter_names(call.function)}
    return bulk(call.function, (call.logits, call.targets), parameters, quantities, examiner.format)


def one_hot(labels: Array, classes: int) -> Array:
    """Targets of labels: 1 for the labelled class, 0 for the others."""
    return np.asarray(labels[..., np.newaxis] == np.arange(classes), dtype=np.float64)


def measure(examiner: Examiner, quantity: str, call: Call, got: Array, exact: Exact, ids: Sequence[str]) -> None:
    """Compare results with exact ones by the budget of the claimed tier; one id a result, or one a row."""
    entries = got.size // max(1, len(ids))
    rows = call.function == ROWS
    if call.function in DISTANCES:
        lost = exact.scale_ulp_exponent - exact.ulp_exponent >= LOST_BITS
        got = np.where(lost & ~np.isnan(got.astype(np.float64)), exact.numbers, got)
    logits = np.resize(call.logits, (len(ids), call.logits.shape[-1])) if rows else np.resize(call.logits, got.size)

    def inputs(index: int) -> dict[str, str]:
        if rows:
            row = logits[index // entries]
            return {"logits": ", ".join(map(str, row[:8])) + (", ..." if row.size > 8 else "")}
        what = "probability" if call.function == "loss_from_probabilities" else "logit"
        if call.function == "loss_from_labels":
            return {what: shown(logits[index], examiner.dtype)}
        target = np.resize(call.targets, got.size)[index]
        return {what: shown(logits[index], examiner.dtype), "target": shown(target, examiner.dtype)}

    examiner.judge(
        quantity,
        call,
        got.reshape(-1),
        flat(exact),
        [identifier for identifier in ids for _ in range(entries)],
        examiner.widened(allowed_errors(examiner, call, got.size), quantity, call, exact),
        growth=np.minimum(_exponent(call, got.size), HUGE),
        inputs=inputs,
        entries=entries,
    )


def allowed_errors(examiner: Examiner, call: Call, count: int) -> Array:
    """The budget of each of so many results, in ulp."""
    names = parameter_names(call.function)
    by_logit = call.function not in (ROWS, "loss_from_probabilities")
    return family_budget(
        call.function,
        examiner.tier,
        examiner.format,
        _exponent(call, count),
        weighted=("alpha" in names and call.alpha is not None) or call.weights is not None,
        margin=np.resize(np.abs(call.logits.astype(np.float64)), count) if by_logit else 0.0,
    )


def _exponent(call: Call, count: int) -> Array:
    """The sum of a call's exponents, of each result; one for all results of rows."""
    named = [call.gamma] if "gamma" in parameter_names(call.function) else []
    named += [number for name, number in call.parameters.items() if name in EXPONENTS]
    if call.function == "star_loss":
        return np.zeros(count)
    total = sum(np.asarray(number, dtype=np.float64) for number in named)
    total = np.broadcast_to(total, call.logits.shape).reshape(-1) if np.ndim(total) else np.asarray(total).reshape(-1)
    return np.resize(total, count)


def _is_plain(call: Call, quantities: Sequence[str]) -> bool:
    """Whether the double-double reference has what is asked for: of labels, in the logits, without class weights."""
    hard = call.targets.dtype.kind in "iu" and call.alpha is None and np.ndim(call.gamma) == 0
    in_range = hard and bool(np.all((call.targets >= 0) & np.all(np.isfinite(call.logits.astype(np.float64)), axis=-1)))
    return in_range and call.logits.shape[-1] >= MINIMUM_CLASSES and set(quantities) <= {"value", "gradient"}


@cache
def _vectors(function: str) -> FunctionVectors:
    """Stored vectors, read and verified once."""
    assert function in FUNCTIONS
    return load_vectors(function)
