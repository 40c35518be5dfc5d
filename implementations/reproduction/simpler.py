"""Calls that are simpler than the one that failed, the simplest first."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.calls import USUAL, feasible
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.targets import ROWS, Call

LOGITS = (
    0,
    1,
    2,
    3,
    5,
    10,
    15,
    20,
    30,
    40,
    50,
    90,
    100,
    200,
    500,
    1000,
    1e4,
    1e5,
    1e10,
    1e30,
    1e38,
    3e38,
    1e100,
    1e308,
)
PROBABILITIES = (0.5, 0.25, 0.1, 0.9, 0.75, 0.01, 0.99, 1e-3, 0.999, 1e-4, 0.9999, 1e-6, 1e-8, 1e-10, 1e-20, 0.0, 1.0)
SHARES = (0.5, 0.25, 0.75, 0.1, 0.9)
PARAMETER_SETS = 6
REDUCED_SHAPES: Sequence[tuple[int, ...]] = ((1,), (2,), (3,), (2, 2), (2, 3), (2, 2, 2), (2, 2, 2, 2), (3, 2, 2, 2))
REDUCED_ROWS: Sequence[tuple[int, ...]] = ((1, 2), (2, 2), (3, 2), (2, 2, 2), (2, 3, 3), (2, 2, 2, 2), (2, 2, 2, 3))


def singles(call: Call, element: int | None, quantity: str) -> Iterator[Call]:
    """The call for one element or row alone: the one that failed, or each in turn."""
    shape = call.logits.shape[:-1] if of_rows(call) else call.logits.shape
    count = int(np.prod(shape, dtype=np.int64))
    if element is not None and of_rows(call) and quantity != "value":
        element //= call.logits.shape[-1]
    for index in range(min(count, 64)) if element is None else (min(element, max(0, count - 1)),):
        if count:
            yield _part(call, index)


def elements(profile: Profile, dtype: str, found: Sequence[tuple[Call, Finding]]) -> Iterator[Call]:
    """Calls of one element: parameters as usual before those that failed, few digits before many.

    Parameters
    ----------
    profile
        Of the implementation.
    dtype
        The format.
    found
        Failed calls of one element, and what was found.
    """
    format = FORMATS[dtype]
    inputs = [float(call.logits.reshape(-1)[0]) for call, _ in found]
    finite = [x for x in inputs if np.isfinite(x)]
    if profile.conventions["prediction"] == "probabilities":
        numbers: list[float] = [p for p in PROBABILITIES if p in inputs or 0 < p < 1]
    elif finite:
        # Little larger than what failed: huge logits are a fault of their own.
        limit = 1.99 * 2.0**format.maximum_exponent
        largest = min(limit, 1.25 * max(map(abs, finite)))
        numbers = [sign * x for x in LOGITS if x <= largest for sign in ((1, -1) if x else (1,))]
    else:
        numbers = []
    numbers += sorted(dict.fromkeys(inputs), key=lambda x: (len(repr(x)), abs(x)))
    targets = dict.fromkeys(float(call.targets.reshape(-1)[0]) for call, _ in found)
    soft = [t for t in targets if t not in (0, 1)]
    chosen = [t for t in (1.0, 0.0) if t in targets] + ([*SHARES, *soft] if soft else [])
    # An element that is badly wrong has other faults than one that is easy.
    sides = {_side(float(call.logits.reshape(-1)[0]), float(call.targets.reshape(-1)[0]), profile) for call, _ in found}
    for parameters in _parameter_sets(profile, [call for call, _ in found]):
        for x, t in product(dict.fromkeys(numbers), dict.fromkeys(chosen)):
            with np.errstate(over="ignore"):
                logits, target = (np.asarray([number]).astype(format.dtype) for number in (x, t))
            if _side(x, t, profile) in sides:
                yield replace(parameters, logits=logits, targets=target)


def rows(profile: Profile, dtype: str, found: Sequence[tuple[Call, Finding]]) -> Iterator[Call]:
    """Calls of one row of classes, likewise."""
    format = FORMATS[dtype]
    calls = [call for call, _ in found]
    flat = np.concatenate([call.logits.astype(np.float64).reshape(-1) for call in calls])
    bad = [x for x in (np.inf, -np.inf, np.nan) if np.any((flat == x) | (np.isnan(flat) & np.isnan(x)))]
    sizes = sorted(
        {min(call.logits.shape[-1], 3) for call in calls} | ({2} if calls[0].logits.shape[-1] > 1 else set())
    )
    every_finite = any(np.all(np.isfinite(call.logits.astype(np.float64))) for call in calls)
    moves: list[float] = [s * x for x in LOGITS if x <= 500 for s in ((1, -1) if x else (1,))] if every_finite else bad
    sides = {_side_of_row(call) for call in calls}
    for call in _rows(profile, format.dtype, calls, sizes, moves):
        if _side_of_row(call) in sides:
            yield call


def _rows(
    profile: Profile, dtype: Any, calls: Sequence[Call], sizes: Sequence[int], moves: Sequence[float]
) -> Iterator[Call]:
    """Rows of zeros but for one logit, with every label."""
    dense = [call.targets.ndim == call.logits.ndim for call in calls]
    special = [int(call.targets.reshape(-1)[0]) for call, is_dense in zip(calls, dense, strict=True) if not is_dense]
    codes = [label for label in dict.fromkeys(special) if label < 0]
    for parameters in _parameter_sets(profile, calls):
        for size, move in product(sizes, moves):
            for place in range(size):
                logits = np.zeros((1, size))
                logits[0, place] = move
                labels: list[Any] = [*codes] or list(range(size))
                if not all(dense):
                    for label in labels:
                        yield replace(parameters, logits=logits.astype(dtype), targets=np.array([label]))
                if any(dense):
                    for share, label in product((1.0, 0.5) if size > 1 else (1.0,), range(size)):
                        row = np.full((1, size), (1 - share) / max(1, size - 1))
                        row[0, label] = share
                        yield replace(parameters, logits=logits.astype(dtype), targets=row.astype(dtype))


def reductions(profile: Profile, dtype: str, call: Call) -> Iterator[Call]:
    """Sums and means of few zeros; of labels with one that is ignored where the call has one."""
    format = FORMATS[dtype]
    ignored = call.targets.dtype.kind in "iu" and bool(np.any(call.targets == IGNORE))
    all_ignored = ignored and bool(np.all(call.targets == IGNORE))
    plain = _parameter_sets(profile, [call])[0]
    if of_rows(call):
        for shape in REDUCED_ROWS:
            if shape[0] == 1 and ignored and not all_ignored:
                continue
            labels = np.zeros(shape[:-1], np.int64)
            if ignored:
                labels.reshape(-1)[slice(None) if all_ignored else slice(-1, None)] = IGNORE
            if call.targets.ndim < call.logits.ndim:
                yield replace(plain, logits=np.zeros(shape, format.dtype), targets=labels)
                if ignored and np.isnan(call.logits).any():
                    # Nothing of a row that is ignored may be seen, its NaN included.
                    logits = np.zeros(shape, format.dtype)
                    logits[labels == IGNORE] = np.nan
                    yield replace(plain, logits=logits, targets=labels)
        return
    for shape in REDUCED_SHAPES:
        yield replace(plain, logits=np.zeros(shape, format.dtype), targets=np.zeros(shape, format.dtype))


def blank(call: Call) -> Call:
    """The call with the same shapes, logits of 0 and targets of 1."""
    first = 0.5 if call.function == "loss_from_probabilities" else 0.0
    return replace(call, logits=np.full(call.logits.shape, first, call.logits.dtype), targets=_blank_targets(call))


def few(call: Call) -> Call:
    """Two elements or rows of a call that has more."""
    count = call.logits.shape[0] if call.logits.ndim else 0
    if count <= 2 or call.targets.shape[:1] != call.logits.shape[:1]:
        return call
    if of_rows(call) or call.logits.ndim == 1:
        return replace(call, logits=call.logits[:2], targets=call.targets[:2])
    return replace(call, logits=call.logits.reshape(-1)[:2], targets=call.targets.reshape(-1)[:2])


def narrow(call: Call) -> Call:
    """The call in float32."""
    targets = call.targets if call.targets.dtype.kind in "iub" else call.targets.astype(np.float32)
    return replace(call, logits=call.logits.astype(np.float32), targets=targets)


def transposed(call: Call) -> Iterator[Call]:
    """Views of zeros whose elements do not lie in order."""
    if not of_rows(call):
        yield replace(call, **{name: np.zeros((3, 2), call.logits.dtype).T for name in ("logits", "targets")})
    elif call.targets.ndim < call.logits.ndim:
        yield replace(call, logits=np.zeros((2, 3), call.logits.dtype).T, targets=np.zeros(3, call.targets.dtype))


def of_rows(call: Call) -> bool:
    """Whether a call has classes along the last axis."""
    return call.function in (ROWS, "loss_from_labels")


def _blank_targets(call: Call) -> Any:
    if call.targets.dtype.kind in "iu":
        return np.zeros(call.targets.shape, call.targets.dtype)
    return np.ones(call.targets.shape, call.targets.dtype)


def _side(x: float, target: float, profile: Profile) -> float:
    """The sign of the margin of a hard target; 0 of a soft one."""
    if profile.conventions["prediction"] == "probabilities":
        x -= 0.5
    return float(np.sign((2 * target - 1) * x)) if target in (0, 1) and not np.isnan(x) else 0.0


def _side_of_row(call: Call) -> float:
    """The sign of the logit of the label less the largest other one; 0 where there is no such thing."""
    row = call.logits.astype(np.float64).reshape(-1)
    targets = call.targets.reshape(-1)
    label = int(targets[0]) if call.targets.ndim < call.logits.ndim else int(np.argmax(targets))
    if row.size < 2 or label < 0 or label >= row.size or np.isnan(row).any():
        return 0.0
    others = float(np.max(np.delete(row, label)))
    return 0.0 if row[label] == others else float(np.sign(row[label] - others))


def _part(call: Call, index: int) -> Call:
    """One element or row, with its parameters."""
    if of_rows(call):
        classes = call.logits.shape[-1]
        targets = call.targets
        dense = targets.ndim == call.logits.ndim
        one = targets.reshape(-1, classes)[index : index + 1] if dense else targets.reshape(-1)[index : index + 1]
        return replace(call, logits=call.logits.reshape(-1, classes)[index : index + 1], targets=one)

    def single(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return np.broadcast_to(value, call.logits.shape).reshape(-1)[index : index + 1]

    arrays = {name: single(getattr(call, name)) for name in ("logits", "targets", "alpha", "gamma", "weights")}
    return replace(call, parameters={name: single(value) for name, value in call.parameters.items()}, **arrays)


def _parameter_sets(profile: Profile, calls: Sequence[Call]) -> list[Call]:
    """Calls whose parameters are worth trying: the usual ones first, then those of the calls, simple ones first."""
    first = calls[0]
    usual = replace(
        first,
        alpha=None if profile.conventions["alpha"] in ("none", "class-vector") else 0.25,
        gamma=2.0,
        parameters={**USUAL.get(first.function, {}), **{k: v for k, v in first.parameters.items() if k == "axis"}},
    )
    mixed = [replace(call, alpha=usual.alpha) for call in calls]
    ordered = [usual, *sorted(mixed, key=_length), *sorted(calls, key=_length)]
    kept: dict[str, Call] = {}
    for call in ordered:
        one = feasible(call, profile)
        kept.setdefault(repr((one.alpha, one.gamma, sorted(one.parameters.items()))), one)
    return list(kept.values())[:PARAMETER_SETS]


def _length(call: Call) -> tuple[int, str]:
    text = repr((call.alpha, call.gamma, sorted(call.parameters.items())))
    return len(text), text


__all__: Iterable[str] = (
    "blank",
    "elements",
    "few",
    "narrow",
    "of_rows",
    "reductions",
    "rows",
    "singles",
    "transposed",
)
