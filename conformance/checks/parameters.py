"""GRAD: derivatives with respect to hyper-parameters and soft targets."""

import math
from collections.abc import Sequence

import numpy as np

from focal_ref.conformance.accuracy import Exact
from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.probabilities import accepted
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.family.vectors import Group
from focal_ref.conformance.family_comparison import (
    IN_LOGITS,
    allowed_errors,
    common_size,
    compare_vectors,
    in_full,
    measure,
    truth,
)
from focal_ref.conformance.targets import ROWS, Array, Call
from focal_ref.conformance.targets.functions import CAPABILITY_OF


@check("FL-GRAD-010")
def of_the_focal_loss(examiner: Examiner) -> None:
    for name in ("gamma", "alpha"):
        compare_vectors(examiner, "loss", name, lambda group: accepted(examiner, group))


@check("FL-GRAD-011")
def in_soft_targets(examiner: Examiner) -> None:
    compare_vectors(examiner, "loss", "targets")


@check("FL-GRAD-012")
def of_probabilities(examiner: Examiner) -> None:
    _compare_all(examiner, "loss_from_probabilities")


@check("FL-GRAD-013")
def of_softmax(examiner: Examiner) -> None:
    _compare_all(examiner, ROWS)


@check("FL-GRAD-014")
def of_star(examiner: Examiner) -> None:
    _compare_all(examiner, "star_loss")


@check("FL-GRAD-015")
def of_quality(examiner: Examiner) -> None:
    _compare_all(examiner, "quality_focal_loss")


@check("FL-GRAD-016")
def of_varifocal(examiner: Examiner) -> None:
    _compare_all(examiner, "varifocal_loss")


@check("FL-GRAD-017")
def of_asymmetric(examiner: Examiner) -> None:
    _compare_all(examiner, "asymmetric_loss")


@check("FL-GRAD-018")
def of_heatmap(examiner: Examiner) -> None:
    _compare_all(examiner, "heatmap_focal_loss")


def _compare_all(examiner: Examiner, function: str) -> None:
    """Compare the derivatives in every parameter, and in soft targets where these are claimed or the loss's own."""

    def select(group: Group) -> Array:
        if function == "loss_from_probabilities":
            return accepted(examiner, group)
        if function == ROWS:
            # Whether NaN reaches the weight of a class without a share is not prescribed.
            numbers = ~np.isnan(group.inputs["logits"].astype(np.float64)).any(axis=-1)
            return np.asarray(numbers & ("labels" in group.input_names or examiner.claims("soft_targets")))
        return np.ones(len(group.tests), bool)

    names = [name for name in FUNCTIONS[function].quantities if name not in IN_LOGITS]
    if function in ("loss_from_probabilities", ROWS) and not examiner.claims("soft_targets"):
        names.remove("targets")
    if not in_full(examiner):
        names = names[:1]
    for name in names:
        compare_vectors(examiner, function, name, select)


@check("FL-GRAD-019")
def learnable(examiner: Examiner) -> None:
    logits, targets = examiner.random(40, seed=19, spread=4.0)
    call = Call(logits, targets, reduction="sum")
    for name in ("gamma", "alpha") if in_full(examiner) else ("gamma",):
        _compare_sum(examiner, name, call, f"sum of 40 by {name}")
    # The functions share the way from single derivatives to their sum: one format shows it.
    if examiner.claims("star") and examiner.is_widest:
        star = Call(logits, targets, None, reduction="sum", function="star_loss", parameters={"beta": 1.0})
        for name in ("gamma", "beta"):
            _compare_sum(examiner, name, star, f"sum of 40, FL*, by {name}")
    if examiner.claims("softmax") and examiner.is_widest:
        weights, labels = np.array([0.25, 1.0, 2.0, 0.5]), np.arange(10) % 4
        rows = Call(logits.reshape(10, 4), labels, weights, reduction="sum", function=ROWS)
        for name in ("gamma", "alpha"):
            _compare_sum(examiner, name, rows, f"sum of 10 rows by {name}")


def _compare_sum(examiner: Examiner, name: str, call: Call, case: str) -> None:
    """Compare a derivative of a sum with the sum of the exact derivatives."""
    got = examiner.run(name, call, case)
    if got is None:
        return
    exact = truth_of_parameter(examiner, name, call)
    by_class = name == "alpha" and call.function == ROWS
    expected, scale = _sums(exact, by_class=by_class)
    if got.shape != expected.shape or got.dtype != call.logits.dtype:
        examiner.fail(case, name, f"{call.logits.dtype.name} {expected.shape}", f"{got.dtype.name} {got.shape}")
        return
    element = float(np.max(allowed_errors(examiner, call, 1)))
    if examiner.tier == "exact" and examiner.dtype != "float64":
        # One rounding of float64 terms, or a second one to 16 bits by way of float32.
        allowed, magnitude = 0.51, np.abs(expected)
    else:
        allowed, magnitude = element + math.ceil(math.log2(call.logits.size)) + 3.0, scale
    format = examiner.format
    for index in np.ndindex(expected.shape):
        unit = 2.0 ** max(math.frexp(float(magnitude[index]))[1] - format.precision, format.minimum_ulp_exponent)
        exact_sum = float(expected[index])
        error = abs(float(got[index]) - exact_sum) / unit
        examiner.measured(case, name, exact_sum, got[index], error, allowed, examiner.dtype)


def truth_of_parameter(examiner: Examiner, name: str, call: Call) -> Exact:
    """The exact derivative of each result."""
    return truth(examiner, call, (name,))[name]


def _sums(exact: Exact, *, by_class: bool) -> tuple[Array, Array]:
    """Sums of exact numbers and of their magnitudes: over everything, or over the rows."""
    terms = np.ldexp(exact.high, exact.ulp_exponent)
    columns = terms.T if by_class else terms.reshape(1, -1)
    sums = np.array([(math.fsum(column), math.fsum(np.abs(column))) for column in columns])
    return (sums[:, 0], sums[:, 1]) if by_class else (sums[0, 0], sums[0, 1])


@check("FL-GRAD-020")
def saturated(examiner: Examiner) -> None:
    format = examiner.format
    largest = (2.0 - 2.0 ** (1 - format.precision)) * 2.0**format.maximum_exponent
    singles = np.array([17.0, 38.0, 90.0, 104.5, 750.0, largest, np.inf])
    logits = examiner.array(np.tile(np.concatenate([singles, -singles, [0.0, -0.0]]), 2))
    targets = examiner.array(np.repeat([0.0, 1.0], logits.size // 2))
    names = ("gamma", "alpha", "targets") if examiner.claims("soft_targets") else ("gamma", "alpha")
    for gamma in (0.0, 0.5) if in_full(examiner) else (0.5,):
        call = Call(logits, targets, gamma=gamma)
        exact = _truths(examiner, call, names)
        for name in names:
            got = examiner.run(name, call, f"saturated/gamma={gamma}")
            if got is not None:
                measure(examiner, name, call, got, exact[name], [f"saturated/gamma={gamma}"] * got.size)


def _truths(examiner: Examiner, call: Call, names: Sequence[str]) -> dict[str, Exact]:
    return dict(truth(examiner, call, names))


@check("FL-GRAD-021")
def functions_and_autodiff(examiner: Examiner) -> None:
    # One narrow format shows it: float64 is accurate, not correctly rounded, and may go another way.
    narrow = next((dtype for dtype in ("float32", "float16", "bfloat16") if dtype in examiner.target.profile.tiers), "")
    inner = type(examiner)(examiner.target, examiner.requirement, narrow or examiner.dtype)
    for function in ("loss", ROWS) if examiner.target.compiles else ("loss", *CAPABILITY_OF):
        if function == "loss" or examiner.claims(CAPABILITY_OF[function]):
            _compare_ways(inner, function)
    examiner.absorb(inner)


def _compare_ways(examiner: Examiner, function: str) -> None:
    call = _small_call(examiner, function)
    try:
        returned = examiner.target.derivative_functions(call)
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("derivative functions", call, function, error)
        return
    for quantity, expected in returned.items():
        got = examiner.run(quantity, call, function)
        if got is None:
            continue
        if examiner.claims("same_bits") and examiner.dtype != "float64":
            examiner.same_bits(function, quantity, got, expected)
        else:
            near = np.allclose(got.astype(np.float64), expected.astype(np.float64), rtol=1e-5, atol=1e-30)
            examiner.true(near, function, quantity, "the same by automatic differentiation", got)


def _small_call(examiner: Examiner, function: str) -> Call:
    parameters: dict[str, dict[str, float]] = {
        "star_loss": {"beta": 1.0},
        "quality_focal_loss": {"beta": 2.0},
        "asymmetric_loss": {"gamma_positive": 1.0, "gamma_negative": 4.0, "clip": 0.05},
        "heatmap_focal_loss": {"beta": 4.0},
    }
    size = common_size("loss" if function == "loss_from_labels" else function, examiner.dtype)
    if function == ROWS:
        return Call(examiner.random((size, 20), seed=21)[0], np.arange(size) * 2, alpha=None, function=ROWS)
    logits, targets = examiner.random(32 if function == "loss_from_labels" else size, seed=21, spread=3.0)
    if function == "loss_from_labels":
        return Call(logits.reshape(8, 4), np.arange(8) % 5 - 1, function=function)
    if function == "loss_from_probabilities":
        logits = examiner.array(1.0 / (1.0 + np.exp(-logits.astype(np.float64))))
    return Call(logits, targets, function=function, parameters=parameters.get(function, {}))
