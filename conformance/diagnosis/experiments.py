"""Questions that tell known faults apart: asked of a target that failed, of the right form and of every suspect."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.claims import claimed
from focal_ref.conformance.conventions.calls import feasible, ordinary_call, stands_for_off
from focal_ref.conformance.diagnosis.likeness import COARSE, FINE, Question
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import ROWS, Array, Call

MODERATE = (-6.5, -3.75, -2.0, -1.25, -0.5, -0.125, 0.0, 0.25, 0.75, 1.5, 2.25, 3.0, 4.5, 7.0)
_LARGE = (14.0, 18.0, 25.0, 37.5, 60.0, 89.0, 120.0, 200.0, 1e4)
EXTREME = (*(-x for x in reversed(_LARGE)), *_LARGE)
PARAMETERS: tuple[tuple[float | None, float], ...] = (
    (0.25, 2.0),
    (None, 2.0),
    (0.25, 0.0),
    (None, 0.0),
    (0.25, 0.5),
    (0.75, 1.0),
    (0.0, 2.0),
    (1.0, 2.0),
    (0.5, 1.5),
    (0.25, 3.7),
    (0.6, 5.0),
    (None, 1.0),
    (0.25, 3.0),
    (0.25, 4.0),
)
"""alpha and gamma of hard targets."""

SHARES = (0.05, 0.3, 0.5, 0.7, 0.95)
"""Soft targets."""


def questions(profile: Profile) -> Iterator[Question]:
    """What is asked about a profile's function, the most telling first."""
    if profile.kind != "loss":
        return
    demanded = {requirement.id for requirement in requirements().values() if claimed(requirement, profile)}
    widest = next(dtype for dtype in FORMATS if dtype in profile.tiers)
    yield from _formula(profile, widest)
    yield from _reductions(profile, widest, demanded)
    yield from _soft(profile, widest)
    for dtype in profile.tiers:
        yield from _numerics(profile, dtype, demanded)
    yield from _shapes(profile, widest, demanded)


def _formula(profile: Profile, dtype: str) -> Iterator[Question]:
    for alpha, gamma in PARAMETERS:
        call = _call(profile, MODERATE, dtype, alpha=alpha, gamma=gamma)
        if not stands_for_off(alpha, profile):
            yield Question(_both(profile), (call,), COARSE)
    if "autodiff" in profile.capabilities:
        call = _call(profile, MODERATE, dtype)
        size = call.targets.shape if call.function == ROWS else call.logits.shape
        upstream = (1.0 + np.arange(np.prod(size)) % 5).reshape(size).astype(call.logits.dtype)
        yield Question("value_and_gradient", (call, upstream), COARSE)
    if "second_derivative" in profile.capabilities:
        yield Question("second_derivative", (_call(profile, MODERATE, dtype),), COARSE)


def _reductions(profile: Profile, dtype: str, demanded: Collection[str]) -> Iterator[Question]:
    base = _call(profile, np.resize(MODERATE, 24), dtype, shape=(2, 3, 4))
    if profile.conventions["sum"] == "elements":
        yield Question(_both(profile), (replace(base, reduction="sum"),), COARSE)
    if profile.conventions["mean"] == "elements":
        for shape in ((2, 3, 4), (7,), (5, 1)):
            call = _call(profile, np.resize(MODERATE, int(np.prod(shape))), dtype, shape=shape)
            yield Question(_both(profile), (replace(call, reduction="mean"),), COARSE)
        # Negatives alone, and nothing at all.
        yield Question(_both(profile), (replace(base, targets=np.zeros_like(base.targets), reduction="mean"),), COARSE)
        if "FL-RED-005" in demanded:
            yield Question("value", (_call(profile, (), dtype, shape=(0, 3), reduction="mean"),), COARSE)
    if "FL-RED-004" in demanded:
        yield Question("value", (replace(base, reduction="average"),), COARSE)


def _soft(profile: Profile, dtype: str) -> Iterator[Question]:
    if profile.conventions["soft_targets"] == "unsupported" or profile.function == ROWS:
        return
    logits = np.repeat(MODERATE, len(SHARES))
    targets = np.resize(SHARES, logits.size).astype(FORMATS[dtype].dtype)
    for alpha, gamma in ((0.25, 2.0), (None, 0.5)):
        call = replace(_call(profile, logits, dtype, alpha=alpha, gamma=gamma), targets=targets)
        yield Question(_both(profile), (call,), COARSE)


def _numerics(profile: Profile, dtype: str, demanded: Collection[str]) -> Iterator[Question]:
    for gamma in (2.0, 0.5, 0.0):
        yield Question(_both(profile), (_call(profile, EXTREME, dtype, gamma=gamma),), COARSE)
    if "FL-EXT-001" in demanded:
        yield Question(_both(profile), (_call(profile, (-np.inf, 0.5, np.inf), dtype),), COARSE)
    if "FL-EXT-003" in demanded:
        yield Question(_both(profile), (_call(profile, (1.0, np.nan, -1.0), dtype),), COARSE)
    if dtype != "float64":
        yield Question(_both(profile), (_call(profile, MODERATE, dtype),), FINE)


def _shapes(profile: Profile, dtype: str, demanded: Collection[str]) -> Iterator[Question]:
    base = _call(profile, np.resize(MODERATE, 60), dtype, shape=(12, 5))
    if profile.function != ROWS:
        turned = replace(base, logits=base.logits[::2, ::-1], targets=base.targets[::2, ::-1])
        yield Question(_both(profile), (turned,), COARSE)
        if "FL-SHP-002" in demanded:
            for targets in (base.targets[:, :1], base.targets[:1], base.targets[0]):
                yield Question("value", (replace(base, targets=targets.copy()),), COARSE)
        if "FL-SHP-005" in demanded:
            for kind in (np.int64, np.bool_):
                yield Question(_both(profile), (replace(base, targets=base.targets.astype(kind)),), COARSE)
        if "FL-SHP-007" in demanded:
            yield Question("value", (replace(base, targets=base.targets + 1.5),), COARSE)
    # Whether one call changes the next is seen where the first question comes back.
    yield Question(_both(profile), (_call(profile, MODERATE, dtype),), COARSE)


def large_questions(profile: Profile) -> Iterator[Question]:
    """Whether a target that is right about few elements is right about many."""
    widest = next(dtype for dtype in FORMATS if dtype in profile.tiers)
    for count in () if profile.kind != "loss" else (1003, 70_001):
        call = _call(profile, np.resize(MODERATE, count), widest)
        yield Question(_both(profile), (call,), COARSE)
        if profile.conventions["mean"] == "elements":
            yield Question("value", (replace(call, reduction="mean"),), COARSE)


def _both(profile: Profile) -> str:
    return "value_and_gradient" if "gradient" in profile.capabilities else "value"


def _call(
    profile: Profile,
    logits: Any,
    dtype: str,
    alpha: float | None = 0.25,
    gamma: float = 2.0,
    shape: tuple[int, ...] | None = None,
    reduction: str = "none",
) -> Call:
    """A call of the profile's function, each logit once as a negative and once as a positive."""
    numbers = np.asarray(logits, dtype=np.float64)
    if shape is None:
        positive = np.repeat([0.0, 1.0], numbers.size)
        numbers = np.tile(numbers, 2)
    else:
        positive, numbers = (np.arange(numbers.size) % 3 == 1).astype(np.float64).reshape(shape), numbers.reshape(shape)
    if profile.function in (ROWS, "loss_from_labels"):
        numbers = numbers.reshape(-1, numbers.shape[-1]) if numbers.ndim > 1 else _rows(numbers)
    with np.errstate(over="ignore"):
        arrays: list[Array] = [np.asarray(a.astype(FORMATS[dtype].dtype)) for a in (numbers, positive)]
    call = ordinary_call(profile, *arrays, gamma=gamma, reduction=reduction)
    if profile.conventions["alpha"] != "class-vector":
        call = feasible(replace(call, alpha=alpha), profile)
    return call


def _rows(numbers: Array) -> Array:
    """Rows of three classes, each logit in one of them."""
    rows = np.zeros((numbers.size, 3))
    rows[np.arange(numbers.size), np.arange(numbers.size) % 3] = numbers
    rows[:, 1] += 0.5
    return rows
