"""RED: sums, means and the normalizer."""

import math
from dataclasses import replace

import numpy as np

from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.checks import check
from focal_ref.conformance.conventions.calls import absolute_errors
from focal_ref.conformance.conventions.oracle import denominator
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family_comparison import allowed_errors, truth
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.subject import refusal_text
from focal_ref.conformance.targets import ROWS, Array, Call, TargetFault

SIZES = (1, 2, 3, 1000, 70001)
DISTINCT = 503
EASY = 60.0
"""A margin at which the loss of gamma = 2 underflows, but in float64."""

BLOCK, COPIES = 100_003, 100
"""Ten million elements of which a hundred thousand differ; no power of two divides the block."""


@check("FL-RED-001")
def sums(examiner: Examiner) -> None:
    for size in SIZES:
        call, terms = _long_call(examiner, size)
        _compare_reduced(examiner, replace(call, reduction="sum"), 1.0, f"sum of {size}", terms)


@check("FL-RED-002")
def means(examiner: Examiner) -> None:
    elements, rows = ((1,), (7,), (6, 5), (2, 3, 5, 4)), ((1, 4), (7, 3), (6, 5), (2, 3, 4))
    for shape in rows if examiner.of_rows else elements:
        call = examiner.sample(shape, seed=len(shape), reduction="mean")
        divisor = denominator(call, examiner.target.profile.conventions)
        _compare_reduced(examiner, call, divisor, f"mean over {shape}")
    if not examiner.of_rows and examiner.target.profile.conventions["prediction"] == "logits":
        # Easy elements whose losses are 0 count as well.
        call = examiner.sample((7,), seed=9, reduction="mean")
        positive = call.targets.astype(np.float64) > 0.5
        easy = np.where(np.arange(7) < 4, np.where(positive, EASY, -EASY), call.logits.astype(np.float64))
        call = replace(call, logits=examiner.array(easy))
        divisor = denominator(call, examiner.target.profile.conventions)
        _compare_reduced(examiner, call, divisor, "mean over (7,), four of them easy")
        if examiner.target.profile.conventions["mean"] == "positives":
            nothing = replace(call, targets=np.zeros_like(call.targets))
            _compare_reduced(examiner, nothing, 1.0, "mean over (7,), no positives")
    if examiner.claims("array_parameters") and examiner.claims("loss"):
        # Weights scale the terms, never the denominator.
        logits, targets = examiner.random((6, 5), seed=5)
        plain = _reduced(examiner, Call(logits, targets, reduction="mean"), "mean")
        halves = np.full((6, 5), 0.5)
        halved = _reduced(examiner, Call(logits, targets, reduction="mean", weights=halves), "mean, weights")
        if plain is not None and halved is not None:
            examiner.true(halved == plain / 2, "weights of 0.5", "mean", f"half of {plain}", halved)


@check("FL-RED-003")
def normalizer(examiner: Examiner) -> None:
    plain = examiner.sample((40, 4), seed=3, reduction="sum")
    positives = max(1.0, float(plain.targets.astype(np.float64).sum()))
    for value in (1.0, 2.0, positives, 7.5):
        _compare_reduced(examiner, replace(plain, normalizer=value), value, f"normalizer {value:g}")
    examiner.refuses("normalizer 0", replace(plain, normalizer=0.0), "normalizer")
    examiner.refuses("normalizer with mean", replace(plain, reduction="mean", normalizer=2.0), "normalizer")


@check("FL-RED-004")
def unknown_reductions(examiner: Examiner) -> None:
    for name in ("avg", "SUM", ""):
        examiner.refuses(f"reduction {name!r}", examiner.sample((4, 3), seed=4, reduction=name))


@check("FL-RED-005")
def empty_input(examiner: Examiner) -> None:
    reductions = ("sum", "mean") if examiner.claims("reduction_sum") else ("mean",)
    for shape in ((0, 4),) if examiner.of_rows else ((0,), (0, 4), (3, 0)):
        for reduction in reductions:
            case = f"{reduction} of shape {shape}"
            got = _reduced(examiner, examiner.sample(shape, seed=5, reduction=reduction), case)
            if got is not None:
                examiner.true(got == 0.0, case, reduction, "0.0", got)


@check("FL-RED-006")
def derivatives_of_reductions(examiner: Examiner) -> None:
    plain = examiner.sample((8, 4), seed=6)
    elementwise = examiner.run("gradient", plain, "elementwise")
    exact = examiner.exact(plain)["gradient"]
    divisors = {"mean": denominator(plain, examiner.target.profile.conventions)}
    if examiner.claims("reduction_sum"):
        divisors["sum"] = 1.0
    for reduction, divisor in divisors.items():
        got = examiner.run("gradient", replace(plain, reduction=reduction), f"gradient of {reduction}")
        if got is None or elementwise is None:
            continue
        expected = (elementwise.astype(np.float64) / divisor).astype(elementwise.dtype)
        normal = np.abs(exact.numbers.astype(np.float64)) > 2.0 ** (examiner.format.minimum_exponent + 6)
        inputs = {"logit": plain.logits[normal]}
        if math.frexp(divisor)[0] == 0.5:
            # Dividing by a power of two rounds nothing but subnormal results.
            examiner.same_bits(f"gradient of {reduction}", "gradient", got[normal], expected[normal], inputs)
        else:
            bound = 4.0 * 2.0 ** (1 - examiner.format.precision)
            wide = got[normal].astype(np.float64), expected[normal].astype(np.float64)
            near = got.shape == expected.shape and np.allclose(*wide, rtol=bound, atol=0.0)
            examiner.true(near, f"gradient of {reduction}", "gradient", f"that of the elements over {divisor:g}", got)


@check("FL-RED-007")
def mean_of_what_counts(examiner: Examiner) -> None:
    labels = np.array([[0, -1, 2, IGNORE], [IGNORE, 4, -1, IGNORE]])
    if not examiner.claims("background"):
        labels = np.where(labels == -1, 1, labels)
    logits, _ = examiner.random((2, 4, 5), seed=7)
    logits[labels == IGNORE] = np.nan
    call = Call(logits, labels, reduction="mean", function="loss_from_labels")
    if examiner.claims("labels"):
        _compare_mean(examiner, call, labels != IGNORE, "labels, four of eight ignored")
    if examiner.claims("softmax"):
        rows = Call(logits, np.abs(labels), None, reduction="mean", function=ROWS)
        rows.targets[labels == IGNORE] = IGNORE
        _compare_mean(examiner, rows, labels != IGNORE, "softmax, four of eight ignored")
    if examiner.claims("array_parameters") and examiner.claims("labels") and examiner.is_widest:
        # Weights scale the terms, never the denominator.
        plain = _reduced(examiner, call, "mean")
        halved = _reduced(examiner, replace(call, weights=np.full((2, 4, 1), 0.5)), "mean, weights")
        if plain is not None and halved is not None:
            examiner.true(halved == plain / 2, "weights of 0.5", "mean", f"half of {plain}", halved)


@check("FL-RED-008")
def nothing_counts(examiner: Examiner) -> None:
    shapes = {
        "loss_from_labels": ((6,), (0,)) if examiner.claims("labels") else (),
        ROWS: ((6,),) if examiner.claims("softmax") else (),
    }
    reductions = ("sum", "mean") if examiner.claims("reduction_sum") else ("mean",)
    for function, some in shapes.items():
        for shape in some:
            logits, _ = examiner.random((*shape, 5), seed=8)
            labels = np.full(shape, IGNORE)
            for reduction in reductions:
                case = f"{function}, {reduction} of {shape[0]} ignored labels"
                call = Call(logits, labels, alpha=None, reduction=reduction, function=function)
                got = _reduced(examiner, call, case)
                if got is not None:
                    examiner.true(got == 0.0, case, reduction, "0.0", got)
                if got is not None and examiner.claims("autodiff") and examiner.claims("gradient"):
                    _no_gradient(examiner, call, case)


def _no_gradient(examiner: Examiner, call: Call, case: str) -> None:
    """Require a gradient of zeros; a constant, which no gradient can be taken of, is none."""
    wanted = f"zeros of shape {call.logits.shape}"
    try:
        gradient = examiner.target.value_and_gradient(call)[1]
    except TargetFault as error:  # a crash is no answer
        examiner.raised("gradient", call, case, error)
    except Exception as error:  # the value is there, and what it is made of is not the logits
        examiner.fail(case, "gradient", wanted, f"no gradient: {refusal_text(error)}")
    else:
        zero = gradient.shape == call.logits.shape and bool(np.all(gradient == 0))
        examiner.true(zero, case, "gradient", wanted, gradient)


@check("FL-RED-009")
def long_sums(examiner: Examiner) -> None:
    if "float32" not in examiner.target.profile.tiers:
        return
    # Easy negatives, as of a detector: a block of known losses, a hundred times.
    inner = type(examiner)(examiner.target, examiner.requirement, "float32")
    generator = np.random.default_rng(9)
    quick = not examiner.target.profile.conventions["epsilon"]
    block, copies = (BLOCK, COPIES) if quick else (DISTINCT, BLOCK * COPIES // DISTINCT)
    logits = inner.array(generator.normal(-4.0, 2.0, block))
    targets = inner.array(generator.random(block) < 0.001)
    terms = inner.exact(Call(logits.astype(np.float64), targets.astype(np.float64)))["value"]
    exact = copies * math.fsum(np.ldexp(terms.high, terms.ulp_exponent).tolist())
    call = Call(np.tile(logits, copies), np.tile(targets, copies), reduction="sum")
    case = f"sum of {call.logits.size}"
    got = inner.run("value", call, case)
    if got is not None:
        absolute = copies * _absolute(inner, Call(logits, targets))
        _compare_number(inner, call, got, exact, case, absolute)
    examiner.absorb(inner)


def _compare_mean(examiner: Examiner, call: Call, counted: Array, case: str) -> None:
    """Compare a mean with the sum of what counts over its number."""
    got = examiner.run("value", call, case)
    if got is not None:
        compare_mean(examiner, call, got, counted, case)


def compare_mean(examiner: Examiner, call: Call, got: Array, counted: Array, case: str) -> None:
    """Compare what a mean gave with the sum of what counts over its number."""
    wide = Call(call.logits[counted].astype(np.float64), call.targets[counted], call.alpha, function=call.function)
    precise = type(examiner)(examiner.target, examiner.requirement, "float64")
    terms = truth(precise, wide, ("value",))["value"].numbers
    profile = examiner.target.profile
    divisor = denominator(wide, profile.conventions) if call.function == profile.function else float(terms.size)
    absolute = _absolute(examiner, replace(wide, logits=wide.logits.astype(call.logits.dtype))) / divisor
    _compare_number(examiner, call, got, math.fsum(terms.reshape(-1).tolist()) / divisor, case, absolute)


def _long_call(examiner: Examiner, size: int) -> tuple[Call, Array]:
    """A call of so many elements or rows and its exact losses, of which few are distinct where each takes its time."""
    if examiner.target.profile.function == "loss" and not examiner.target.profile.conventions["epsilon"]:
        call = examiner.sample(size, seed=size)
        return call, _terms(examiner, call)
    distinct = min(size, DISTINCT)
    block = examiner.sample((distinct, 3) if examiner.of_rows else distinct, seed=size)
    index = np.resize(np.arange(distinct), size)
    return replace(block, logits=block.logits[index], targets=block.targets[index]), _terms(examiner, block)[index]


def _terms(examiner: Examiner, call: Call) -> Array:
    """The exact losses in float64.

    Rounding each costs 2^-53 of it, far below every budget but float64's, where it is half an ulp of the sum at most
    and stands in the budget.
    """
    plain = replace(call, reduction="none", normalizer=None)
    targets = call.targets if examiner.of_rows else call.targets.astype(np.float64)
    wide = replace(plain, logits=call.logits.astype(np.float64), targets=targets)
    return type(examiner)(examiner.target, examiner.requirement, "float64").exact(wide)["value"].numbers


def _absolute(examiner: Examiner, call: Call) -> float:
    """The absolute part of the budget of a sum."""
    count = int(np.prod(call.shape_of("value"), dtype=np.int64))
    errors = absolute_errors(call, examiner.target.profile, examiner.tier, "value", examiner.format, count)
    return math.fsum(errors.tolist())


def _reduced(examiner: Examiner, call: Call, case: str) -> float | None:
    """A reduction as a float, after a check of its shape."""
    got = examiner.run("value", call, case)
    if got is None:
        return None
    if got.shape != ():
        examiner.fail(case, call.reduction, "shape ()", f"shape {got.shape}")
        return None
    return float(got)


def _compare_reduced(examiner: Examiner, call: Call, divisor: float, case: str, terms: Array | None = None) -> None:
    """Compare a sum over the unrounded losses, divided once, with the exact one."""
    got = examiner.run("value", call, case)
    if got is not None:
        compare_sum(examiner, call, got, divisor, case, terms)


def compare_sum(
    examiner: Examiner, call: Call, got: Array, divisor: float, case: str, terms: Array | None = None
) -> None:
    """Compare what a sum gave with the exact one over a divisor."""
    terms = _terms(examiner, call) if terms is None else terms
    exact = math.fsum(terms.reshape(-1).tolist()) / divisor
    _compare_number(examiner, call, got, exact, case, _absolute(examiner, call) / divisor)


def _compare_number(
    examiner: Examiner, call: Call, got: Array, expected: float, case: str, absolute: float = 0.0
) -> None:
    """Compare a sum or mean by the budget of sums; `absolute` is what the claimed tier adds to it."""
    dtype = "float32" if examiner.format.bits == 16 and examiner.tier == "exact" else examiner.dtype
    if got.shape != () or got.dtype.name != dtype:
        examiner.fail(case, call.reduction, f"{dtype} of shape ()", f"{got.dtype.name} of shape {got.shape}")
        return
    format = FORMATS[dtype]
    if call.function == "loss":
        gamma = np.asarray(call.gamma)
        element = float(np.max(budget(examiner.tier, examiner.format, gamma, weighted=True, modulation=0.0)))
    else:
        element = float(np.max(allowed_errors(examiner, call, 1)))
    if examiner.tier == "exact" and examiner.dtype != "float64":
        # Float64 accumulators: one rounding, and the sum's own error far below it.
        allowed = 0.51
    else:
        allowed = element + math.ceil(math.log2(max(2, call.logits.size))) + 3.0
    unit = 2.0 ** max(math.frexp(expected)[1] - format.precision, format.minimum_ulp_exponent)
    allowed += absolute / unit
    error = abs(float(got) - expected) / unit
    examiner.measured(case, call.reduction, expected, got, error, allowed, dtype)
