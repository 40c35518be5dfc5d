"""GRAD: derivatives with respect to the logits."""

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.values import compare_soft, is_huge, ordinary
from focal_ref.conformance.examiner import Examiner


@check("FL-GRAD-001")
def hard_targets(examiner: Examiner) -> None:
    examiner.vectors(["grid", "hard", "worst"], "gradient", ordinary)


@check("FL-GRAD-002")
def at_zero(examiner: Examiner) -> None:
    examiner.vectors(["zero"], "gradient")


@check("FL-GRAD-003")
def saturated(examiner: Examiner) -> None:
    examiner.vectors(["saturation"], "gradient")


@check("FL-GRAD-004")
def any_gamma_and_alpha(examiner: Examiner) -> None:
    examiner.vectors(
        ["gamma", "alpha"], "gradient", lambda group, logits: ordinary(group, logits) & (not is_huge(group))
    )


@check("FL-GRAD-005")
def soft_targets(examiner: Examiner) -> None:
    compare_soft(examiner, "gradient")


@check("FL-GRAD-006")
def second_derivatives(examiner: Examiner) -> None:
    sets = ["grid", "hard", "zero", "saturation", "gamma", "alpha", "soft", "extremes"]
    examiner.vectors(sets, "second_derivative", lambda group, logits: np.isfinite(logits.astype(np.float64)))


@check("FL-GRAD-007")
def upstream_gradient(examiner: Examiner) -> None:
    call = examiner.sample((12, 4), seed=7)
    # Powers of two, zero and signs leave the derivative's bits alone but for the exponent.
    upstream = examiner.array(np.resize([1.0, -2.0, 0.5, 0.0, 4.0], call.shape_of("value")))
    try:
        plain = examiner.target.value_and_gradient(call)[1]
        scaled = examiner.target.value_and_gradient(call, upstream)[1]
        again = examiner.target.value_and_gradient(call, upstream)[1]
        # Every other element of its memory belongs to it.
        strided = np.stack([upstream, examiner.array(np.full(upstream.shape, 8.0))], axis=-1)[..., 0]
        from_strides = examiner.target.value_and_gradient(call, strided)[1]
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("gradient", call, "upstream", error)
        return
    of_logits = upstream[..., np.newaxis] if upstream.ndim < plain.ndim else upstream
    of_logits = np.broadcast_to(of_logits, plain.shape)
    expected = (plain.astype(np.float64) * of_logits.astype(np.float64)).astype(plain.dtype)
    normal = np.abs(expected.astype(np.float64)) > 2.0 ** (examiner.format.minimum_exponent + 4)
    zero = of_logits == 0
    examiner.same_bits("upstream (1, -2, 0.5, 0, 4)", "gradient", scaled[normal], expected[normal])
    examiner.true(np.all(scaled[zero] == 0), "upstream 0", "gradient", "0", scaled[zero])
    examiner.same_bits("second walk", "gradient", again, scaled)
    examiner.same_bits("upstream of other strides", "gradient", from_strides, scaled)
