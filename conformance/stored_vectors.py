"""Runs an examiner's target on stored vectors and compares it with their stored results."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from focal_ref.conformance.accuracy import Array, Exact
from focal_ref.conformance.conventions.calls import feasible, has_stored_results, stands_for_off
from focal_ref.conformance.targets import Call
from focal_ref.conformance.vectors import Group, VectorSet, load_vectors

if TYPE_CHECKING:
    from focal_ref.conformance.examiner import Examiner


def compare_stored(
    examiner: "Examiner",
    names: Sequence[str],
    quantity: str,
    select: Callable[[Group, Array], Any] | None,
    precision: str,
) -> None:
    """Compare one quantity with the vectors of the format under test; see `Examiner.vectors`."""
    for name in names:
        for group in _vector_set(name).groups:
            if group.dtype == examiner.dtype:
                _compare_group(examiner, group, quantity, select, precision)


def _compare_group(
    examiner: "Examiner",
    group: Group,
    quantity: str,
    select: Callable[[Group, Array], Any] | None,
    precision: str,
) -> None:
    profile = examiner.target.profile
    if group.encoding == "soft" and profile.conventions["soft_targets"] != "blended":
        return
    if stands_for_off(group.alpha, profile):
        return
    arrays = group.arrays
    chosen = np.ones(arrays.logits.shape, bool)
    if select is not None:
        chosen &= select(group, arrays.logits)
    ids = [test.id for test in group.tests]
    if examiner.case is not None:
        chosen &= np.array([identifier == examiner.case for identifier in ids])
    index = np.flatnonzero(chosen)
    if index.size == 0:
        return
    # Repeated up to a round size, so that compiling targets meet few shapes.
    size = 1 << max(6, int(index.size - 1).bit_length())
    call = Call(
        np.resize(arrays.logits[index], size),
        np.resize(arrays.targets[index], size),
        alpha=group.alpha,
        gamma=group.gamma,
        precision=precision,
    )
    asked = feasible(call, profile)
    got = examiner.run(quantity, call, ids[int(index[0])])
    if got is None:
        return
    asked = replace(asked, logits=arrays.logits[index], targets=arrays.targets[index])
    if (asked.alpha, asked.gamma) == (group.alpha, group.gamma) and has_stored_results(profile, "loss", asked.alpha):
        of = arrays.expected[quantity]
        exact = Exact(of.numbers, of.high, of.low, of.ulp_exponent, of.scale_ulp_exponent)[index]
    else:
        exact = examiner.exact(asked)[quantity]
    examiner.accuracy(quantity, asked, got[: index.size], exact, [ids[int(i)] for i in index])


@cache
def _vector_set(name: str) -> VectorSet:
    """A stored set, read and verified once."""
    return load_vectors(name)
