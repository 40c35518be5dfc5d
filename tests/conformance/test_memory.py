"""What a requirement sees of memory: results that later calls change, arrays that are read only once."""

import numpy as np
import pytest

from focal_ref.conformance.kill_matrix import PROPERTY, found_by
from focal_ref.conformance.mutants import mutant, right_target
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.memory import AGAIN, ANEW, EARLIER, observed
from focal_ref.conformance.targets.python import backend_target


def fixed(seed):
    return lambda: (np.random.default_rng(seed).normal(size=5), np.ones(5))


def overwrite(array, numbers):
    array[...] = numbers
    return True


def look(function, overwrite=overwrite):
    found = observed(function, fixed(1), fixed(2), np.array, overwrite)
    return {done: bool(np.array_equal(*pair)) for done, pair in found.items()}


def test_memory_of_its_own_is_what_it_was():
    assert look(lambda logits, targets: logits * 2) == {EARLIER: True, AGAIN: True, ANEW: True}


def test_a_buffer_that_is_used_again_changes_the_earlier_result():
    buffer = np.empty(5)
    assert not look(lambda logits, targets: np.multiply(logits, 2, out=buffer))[EARLIER]


def test_a_kept_array_that_is_handed_out_is_spoilt_by_its_caller():
    kept = {}

    def function(logits, targets):
        return kept.setdefault(logits.tobytes(), logits * 2)

    assert look(function) == {EARLIER: True, AGAIN: False, ANEW: True}


def test_a_result_kept_by_the_address_is_that_of_the_old_numbers():
    kept = []

    def function(logits, targets):
        for array, result in kept:
            if array is logits:
                return result.copy()
        kept.append((logits, logits * 2))
        return logits * 2

    assert look(function) == {EARLIER: True, AGAIN: True, ANEW: False}


def test_arrays_that_cannot_be_written_to_are_looked_at_alone():
    assert look(lambda logits, targets: logits * 2, lambda array, numbers: False) == {EARLIER: True}


@pytest.mark.parametrize(
    ("backend", "seen"),
    [("numpy", {EARLIER, AGAIN, ANEW}), ("torch", {EARLIER, AGAIN, ANEW}), ("jax", {EARLIER})],
)
def test_a_backend_passes_in_all_that_its_library_allows(backend, seen):
    target = backend_target(backend, None)
    first, second = (Call(np.full((3, 2), x, np.float32), np.ones((3, 2), np.float32)) for x in (1.0, -2.0))
    found = target.memory(first, second)
    assert set(found) == seen
    assert all(np.array_equal(*pair) for pair in found.values())
    # What is compared is of the two calls, and not of one.
    assert ANEW not in found or not np.array_equal(found[ANEW][1], found[EARLIER][1])


@pytest.mark.parametrize(
    ("name", "done"),
    [
        ("result_buffer_used_again", EARLIER),
        ("results_kept_and_handed_out", AGAIN),
        ("results_kept_by_the_address", ANEW),
    ],
)
def test_the_requirement_says_what_was_done(name, done):
    _, findings = found_by(requirements()["FL-DET-001"], mutant(name).target(), "float32", PROPERTY)
    assert {finding.case for finding in findings} == {done}


def test_an_error_while_memory_is_looked_at_is_a_finding():
    target = right_target()

    def broken(first, second):
        raise RuntimeError("out of order")

    target.memory = broken
    _, findings = found_by(requirements()["FL-DET-001"], target, "float32")
    assert [(finding.case, finding.got) for finding in findings] == [
        ("memory of a result", "RuntimeError: out of order")
    ]
