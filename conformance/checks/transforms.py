"""XFM: transforms of the library must not change a result."""

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Call


@check("FL-XFM-001")
def vmap(examiner: Examiner) -> None:
    for gamma in (0.5, 2.0):
        _same_as_direct(examiner, "vmap", gamma)


@check("FL-XFM-002")
def compiled(examiner: Examiner) -> None:
    for gamma in (0.5, 2.0):
        _same_as_direct(examiner, "compile", gamma)


@check("FL-XFM-003")
def autocast(examiner: Examiner) -> None:
    # The formats that autocast leaves alone and the one that it lowers to.
    for dtype in examiner.target.profile.tiers:
        if dtype != "float16":
            inner = type(examiner)(examiner.target, examiner.requirement, dtype)
            _same_as_direct(inner, "autocast", 2.0)
            examiner.absorb(inner)


@check("FL-XFM-004")
def forward_mode(examiner: Examiner) -> None:
    logits, targets = examiner.random((6, 4), seed=4)
    call = Call(logits, targets)
    tangent = examiner.array(np.resize([1.0, -1.0, 2.0, 0.5], logits.shape))
    gradient = examiner.run("gradient", call, "reverse mode")
    try:
        got = examiner.target.forward_derivative(call, tangent)
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("forward derivative", call, "forward mode", error)
        return
    if gradient is None:
        return
    expected = (gradient.astype(np.float64) * tangent.astype(np.float64)).astype(gradient.dtype)
    normal = np.abs(expected.astype(np.float64)) > 2.0 ** (examiner.format.minimum_exponent + 4)
    if _has_same_bits(examiner):
        examiner.same_bits("tangent (1, -1, 2, 0.5)", "forward derivative", got[normal], expected[normal])
    else:
        tolerance = 64.0 * 2.0 ** (1 - examiner.format.precision)
        near = np.allclose(got.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=1e-30)
        examiner.true(near, "tangent (1, -1, 2, 0.5)", "forward derivative", str(expected[0]), got[0])


def _has_same_bits(examiner: Examiner) -> bool:
    """Float64 results are accurate, not correctly rounded: a transform may take another of the closed forms."""
    return examiner.claims("same_bits") and examiner.dtype != "float64"


def _same_as_direct(examiner: Examiner, transform: str, gamma: float) -> None:
    logits, targets = examiner.random((8, 16), seed=1)
    # Saturated, zero and infinite logits as well.
    special = examiner.array([0.0, -0.0, 30.0, -30.0, 90.0, -90.0, np.inf, -np.inf])
    if examiner.claims("same_bits"):
        logits[:, 0] = special
    call = Call(logits, targets, gamma=gamma)
    case = f"{transform}/gamma={gamma}"
    try:
        value, gradient = examiner.target.value_and_gradient(call)
        got_value, got_gradient = examiner.target.transformed(transform, call)
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("value and gradient", call, case, error)
        return
    if _has_same_bits(examiner):
        examiner.same_bits(case, "value", got_value, value, {"logit": logits})
        examiner.same_bits(case, "gradient", got_gradient, gradient, {"logit": logits})
        return
    for quantity, got in (("value", got_value), ("gradient", got_gradient)):
        exact = examiner.exact(call)[quantity]
        flat = type(exact)(*(np.asarray(getattr(exact, f)).reshape(-1) for f in exact.__dataclass_fields__))
        examiner.accuracy(quantity, call, got.reshape(-1), flat, [case] * got.size)
