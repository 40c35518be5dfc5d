"""VAL, GRAD, EXT: the focal loss of probabilities."""

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.vectors import Group
from focal_ref.conformance.family_comparison import compare_vectors
from focal_ref.conformance.targets import Array, Call

FUNCTION = "loss_from_probabilities"


def certain(group: Group) -> Array:
    """Probabilities of exactly 0 and 1, and NaN; the others are ordinary ones."""
    p = group.inputs["probabilities"].astype(np.float64)
    return np.asarray((p == 0) | (p == 1) | np.isnan(p))


def accepted(examiner: Examiner, group: Group) -> Array:
    """Hard targets, and soft ones where they are claimed."""
    targets = group.inputs["targets"].astype(np.float64)
    return np.asarray((targets == 0) | (targets == 1) | examiner.claims("soft_targets"))


@check("FL-VAL-013")
def value(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "value", lambda group: accepted(examiner, group) & ~certain(group))


@check("FL-GRAD-008")
def gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "gradient", lambda group: accepted(examiner, group) & ~certain(group))


@check("FL-GRAD-009")
def second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "second_derivative", lambda group: accepted(examiner, group) & ~certain(group))


@check("FL-EXT-008")
def certain_probabilities(examiner: Examiner) -> None:
    for quantity in examiner.quantities:
        compare_vectors(examiner, FUNCTION, quantity, lambda group: accepted(examiner, group) & certain(group))


@check("FL-SHP-008")
def no_probability(examiner: Examiner) -> None:
    targets = examiner.array([0.0, 1.0, 0.0, 1.0])
    for bad in (-0.25, 1.5, float("inf")):
        probabilities = examiner.array([0.5, bad, 0.25, 1.0])
        call = Call(probabilities, targets, function=FUNCTION)
        case = f"probability {bad}"
        try:
            got = examiner.target.value(call)
        except ValueError as error:
            examiner.true("probabilities" in str(error), case, "error text", "the argument", error)
            continue
        except Exception as error:  # a target may raise anything, and the run goes on
            examiner.raised("value", call, case, error)
            continue
        examiner.true(bool(np.isnan(got[1])), case, "value", "nan or an error", got[1])
        examiner.true(not np.isnan(np.delete(got, 1)).any(), case, "value", "its neighbours untouched", got)
