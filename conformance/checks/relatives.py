"""REL: the quality, varifocal, asymmetric and heatmap losses."""

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family_comparison import compare_vectors
from focal_ref.conformance.targets import Call


@check("FL-REL-001")
def quality_value(examiner: Examiner) -> None:
    compare_vectors(examiner, "quality_focal_loss", "value")


@check("FL-REL-002")
def quality_gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, "quality_focal_loss", "gradient")


@check("FL-REL-003")
def quality_second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, "quality_focal_loss", "second_derivative")


@check("FL-REL-004")
def quality_at_the_target(examiner: Examiner) -> None:
    # sigmoid(0) is 1/2 in every format.
    profile = examiner.target.profile
    own = profile.function == "quality_focal_loss" and profile.conventions["prediction"] == "probabilities"
    logits, targets = examiner.array(np.full(4, 0.5 if own else 0.0)), examiner.array(np.full(4, 0.5))
    for beta in (0.5, 1.0, 2.0, 3.0):
        call = Call(logits, targets, function="quality_focal_loss", parameters={"beta": beta})
        for quantity in examiner.quantities:
            got = examiner.run(quantity, call, f"p == t/beta={beta}")
            if got is not None:
                examiner.true(bool(np.all(got == 0)), f"p == t/beta={beta}", quantity, "0", got)


@check("FL-REL-005")
def varifocal_value(examiner: Examiner) -> None:
    compare_vectors(examiner, "varifocal_loss", "value")


@check("FL-REL-006")
def varifocal_gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, "varifocal_loss", "gradient")


@check("FL-REL-007")
def varifocal_second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, "varifocal_loss", "second_derivative")


@check("FL-REL-008")
def asymmetric_value(examiner: Examiner) -> None:
    compare_vectors(examiner, "asymmetric_loss", "value")


@check("FL-REL-009")
def asymmetric_gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, "asymmetric_loss", "gradient")


@check("FL-REL-010")
def asymmetric_second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, "asymmetric_loss", "second_derivative")


@check("FL-REL-011")
def asymmetric_below_the_clip(examiner: Examiner) -> None:
    # sigmoid(-3) = 0.047 is below the default of 0.05 and sigmoid(-1.5) = 0.18 below 0.2.
    for clip, logit in ((0.05, -3.0), (0.2, -1.5)):
        logits = examiner.array([logit, 2 * logit, -60.0, -np.inf])
        for gamma in (0.0, 0.5, 4.0):
            parameters = {"gamma_positive": 0.0, "gamma_negative": gamma, "clip": clip}
            call = Call(logits, examiner.array(np.zeros(4)), function="asymmetric_loss", parameters=parameters)
            for quantity in examiner.quantities:
                case = f"negatives below clip={clip}/gamma_negative={gamma}"
                got = examiner.run(quantity, call, case)
                if got is not None:
                    examiner.true(bool(np.all(got == 0)), case, quantity, "0 everywhere", got)


@check("FL-REL-012")
def heatmap_value(examiner: Examiner) -> None:
    compare_vectors(examiner, "heatmap_focal_loss", "value")


@check("FL-REL-013")
def heatmap_gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, "heatmap_focal_loss", "gradient")


@check("FL-REL-014")
def heatmap_second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, "heatmap_focal_loss", "second_derivative")
