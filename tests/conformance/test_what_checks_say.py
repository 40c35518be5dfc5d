"""What requirements say of faults that are no wrong number of an element: the case, what is wanted and what is got."""

import pytest

from focal_ref.conformance.kill_matrix import PROPERTY, found_by
from focal_ref.conformance.mutants import mutant
from focal_ref.conformance.requirements import requirements


def findings_of(name):
    one = mutant(name)
    # The first comparison that fails ends a check.
    way, findings = found_by(requirements()[one.requirement], one.target(), one.dtype, PROPERTY)
    assert way == PROPERTY
    return [(finding.case, finding.quantity, finding.expected, finding.got) for finding in findings]


def test_a_dtype_that_is_claimed_and_refused_is_named():
    assert findings_of("integer_targets_refused") == [
        (
            "bool targets",
            "dtype of targets",
            "bool taken",
            "claimed integer_targets, but refuses bool: TypeError: result type Float can't be cast to bool",
        )
    ]


def test_a_constant_has_no_gradient():
    ((case, quantity, expected, got),) = findings_of("everything_ignored_is_a_constant")
    assert (case, quantity) == ("loss_from_labels, sum of 6 ignored labels", "gradient")
    assert expected == "zeros of shape (6, 5)"
    assert got.startswith("no gradient: RuntimeError: ")


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("mean_of_losses_above_zero", "mean over (7,), four of them easy"),
        ("upstream_strides_ignored", "upstream of other strides"),
        ("upstream_gradient_twice", "upstream (1, -2, 0.5, 0, 4)"),
        ("broadcast_views_read_past_their_end", "a broadcast row"),
    ],
)
def test_a_fault_is_found_in_the_case_that_shows_it(name, case):
    assert [finding[0] for finding in findings_of(name)] == [case]
