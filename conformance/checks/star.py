"""STAR: the paper's alternate loss, FL*."""

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family_comparison import compare_vectors
from focal_ref.conformance.targets import Call

FUNCTION = "star_loss"


@check("FL-STAR-001")
def value(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "value")


@check("FL-STAR-002")
def gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "gradient")


@check("FL-STAR-003")
def second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, FUNCTION, "second_derivative")


@check("FL-STAR-004")
def gamma_above_zero(examiner: Examiner) -> None:
    logits, targets = examiner.random((4, 3), seed=4)
    for gamma in (0, -1.0, float("nan"), float("inf")):
        call = Call(logits, targets, alpha=None, gamma=gamma, function=FUNCTION, parameters={"beta": 1.0})
        examiner.refuses(f"gamma={gamma}", call, "gamma")


@check("FL-STAR-005")
def no_soft_targets(examiner: Examiner) -> None:
    logits, targets = examiner.random(8, seed=5)
    for bad in (0.5, 0.25, 2.0):
        targets[3] = bad
        call = Call(logits, targets, alpha=None, function=FUNCTION, parameters={"beta": 1.0})
        case = f"target {bad}"
        try:
            got = examiner.target.value(call)
        except ValueError as error:
            examiner.true("targets" in str(error), case, "error text", "the argument", error)
            continue
        except Exception as error:  # a target may raise anything, and the run goes on
            examiner.raised("value", call, case, error)
            continue
        examiner.true(bool(np.isnan(got[3])), case, "value", "nan or an error", got[3])
        examiner.true(not np.isnan(np.delete(got, 3)).any(), case, "value", "its neighbours untouched", got)
