"""VAL: the value of the loss."""

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.checks import check
from focal_ref.conformance.documented import load_documented
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array, Call
from focal_ref.conformance.vectors import Group

ORDINARY_LOGIT = 1e4
HUGE_GAMMA = 100.0


def ordinary(group: Group, logits: Array) -> Array:
    """Logits and gammas that training meets; beyond them the requirements of EXT apply."""
    return np.asarray(np.abs(logits.astype(np.float64)) <= ORDINARY_LOGIT) & (not is_huge(group))


def is_huge(group: Group) -> bool:
    """Whether gamma is so large that it needs care of its own."""
    return group.gamma > HUGE_GAMMA


@check("FL-VAL-001")
def hard_targets(examiner: Examiner) -> None:
    examiner.vectors(["grid", "hard", "worst"], "value", ordinary)


@check("FL-VAL-002")
def easy_elements(examiner: Examiner) -> None:
    examiner.relative = True
    examiner.vectors(["saturation"], "value")


@check("FL-VAL-003")
def cross_entropy(examiner: Examiner) -> None:
    def plain(group: Group, logits: object) -> bool:
        return group.gamma == 0 and group.alpha is None

    examiner.vectors(["grid", "saturation", "zero"], "value", plain)


@check("FL-VAL-004")
def alpha(examiner: Examiner) -> None:
    examiner.vectors(["alpha"], "value", lambda group, logits: np.isfinite(logits.astype(np.float64)))


@check("FL-VAL-005")
def any_gamma(examiner: Examiner) -> None:
    examiner.vectors(["gamma"], "value", lambda group, logits: not is_huge(group))


@check("FL-VAL-006")
def soft_targets(examiner: Examiner) -> None:
    compare_soft(examiner, "value")


def compare_soft(examiner: Examiner, quantity: str) -> None:
    """Stored vectors have the blended rule; other rules are computed from the double-double reference."""
    examiner.vectors(["soft"], quantity)
    if examiner.target.profile.conventions["soft_targets"] == "blended":
        return
    logits, targets = np.meshgrid(np.linspace(-30, 30, 41), [0.1, 0.25, 0.3, 0.5, 0.9, 0.999])
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        for weight in (None, 0.25):
            call = Call(examiner.array(logits.ravel()), examiner.array(targets.ravel()), alpha=weight, gamma=gamma)
            examiner.compare(quantity, call, f"mixture/gamma={gamma}/alpha={weight}")


@check("FL-VAL-007")
def documented_numbers(examiner: Examiner) -> None:
    for number in load_documented().numbers:
        if number.quantity not in ("focal_loss", "cross_entropy"):
            continue
        gamma = 0.0 if number.gamma is None else float(number.gamma)
        call = _single(examiner, number.probability, number.target == 1, alpha=number.alpha, gamma=gamma)
        case = f"{number.source}: {number.case}"
        examiner.compare("value", call, case)
        got = examiner.run("value", call, case)
        # The nearest logit in 16 bits is not that of the printed probability.
        as_printed = examiner.possible(call) and examiner.format.bits > 16
        as_printed &= number.alpha is None or examiner.claims("alpha_balanced")
        conventions = examiner.target.profile.conventions
        # What is added inside the logarithm changes every number, and a limit those beyond it.
        as_printed &= conventions["epsilon"] < (1e-6 if conventions["clipping"] == "added" else 1e-3)
        if got is not None and as_printed:
            natural = float(got[0])
            value = natural if number.base is None else natural / math.log(number.base)
            quantity = "value" if number.base is None else f"value / log({number.base})"
            examiner.true(number.agrees(value), case, quantity, f"{number.printed} ({number.how})", value)
    # The prior: at its logit a positive has the cross entropy -log(0.01).
    bias = next(number for number in load_documented().numbers if number.quantity == "prior_bias")
    call = Call(examiner.array([float(bias.exact())]), examiner.array([1.0]), alpha=None, gamma=0.0)
    got = examiner.run("value", call, bias.case)
    exact_enough = examiner.target.profile.conventions["clipping"] == "none" and examiner.format.bits > 16
    if got is not None and examiner.possible(call) and exact_enough:
        expected = -math.log(float(bias.probability))
        near = abs(float(got[0]) - expected) <= 1e-6 * expected
        examiner.true(near, f"{bias.source}: {bias.case}", "cross entropy of a positive", repr(expected), got[0])


@check("FL-VAL-008")
def focusing_factors(examiner: Examiner) -> None:
    for number in load_documented().numbers:
        if number.quantity != "ratio":
            continue
        assert number.gamma is not None
        for positive in (True, False):
            probability = number.probability if positive else 1 - number.probability
            focal = _single(examiner, probability, positive, alpha=None, gamma=float(number.gamma))
            case = f"{number.source}: {number.case}, y = {int(positive)}"
            entropy = examiner.run("value", replace(focal, gamma=0.0), case)
            loss = examiner.run("value", focal, case)
            if entropy is None or loss is None:
                continue
            ratio = float(entropy[0]) / float(loss[0]) if float(loss[0]) else math.inf
            # The rounded logit is no longer that of the printed probability, so both losses are compared with the exact
            # ones at that logit, and the two relative errors add.
            exact_entropy = float(examiner.exact(replace(focal, gamma=0.0))["value"].high[0])
            exact = examiner.exact(focal)["value"]
            allowed = 2.0 * float(
                budget(examiner.tier, examiner.format, np.asarray(focal.gamma), weighted=False, modulation=8.0)
            )
            exponents = examiner.exact(replace(focal, gamma=0.0))["value"].ulp_exponent[0] - exact.ulp_exponent[0]
            expected = exact_entropy / float(exact.high[0]) * 2.0 ** float(exponents)
            tolerance = expected * allowed * 2.0 ** (1 - examiner.format.precision)
            examiner.true(
                abs(ratio - expected) <= tolerance,
                case,
                "cross entropy / loss",
                f"{expected:.12g} +- {tolerance:.3g} at this logit; printed {number.printed} ({number.how})",
                ratio,
            )


@check("FL-VAL-009")
def order_of_examples(examiner: Examiner) -> None:
    for order in load_documented().orders:
        losses = {}
        for example in order.largest_first:
            call = _single(
                examiner, example.probability, example.target == 1, alpha=order.alpha, gamma=float(order.gamma)
            )
            if not examiner.possible(call):
                break
            got = examiner.run("value", call, f"{order.source}: {example.name}")
            if got is None:
                return
            losses[example.name] = float(got[0])
        expected = [example.name for example in order.largest_first]
        if len(losses) < len(expected):
            continue
        strictly = all(losses[larger] > losses[smaller] for larger, smaller in pairwise(expected))
        got_order = [f"{name} ({losses[name]:.4g})" for name in sorted(losses, key=lambda name: -losses[name])]
        case = f"{order.source}, erratum {order.erratum}: alpha = {float(order.alpha)}"
        examiner.true(strictly, case, "order", " > ".join(expected), " > ".join(got_order))


@check("FL-VAL-010")
def signed_targets(examiner: Examiner) -> None:
    logits, targets = examiner.random((16, 4), seed=10)
    for gamma in (0.0, 2.0, 2.5):
        signed = Call(logits, examiner.array(2.0 * targets.astype(np.float64) - 1.0), gamma=gamma, encoding="signed")
        integers = Call(logits, signed.targets.astype(np.int64), gamma=gamma, encoding="signed")
        expected = examiner.run("value", Call(logits, targets, gamma=gamma), "targets 0 and 1")
        for name, call in (("floats", signed), ("integers", integers)):
            got = examiner.run("value", call, f"signed {name}")
            if got is not None and expected is not None:
                examiner.same_bits(f"signed {name}/gamma={gamma}", "value", got, expected, {"logit": logits})


@check("FL-VAL-011")
def array_parameters(examiner: Examiner) -> None:
    logits, targets = examiner.random((16, 8), seed=11)
    # Numbers that every format has, so that no library rounds the parameters themselves.
    alphas = np.array([0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 0.875, 1.0])
    gammas = np.array([[0.0], [0.25], [0.5], [1.0], [1.5], [2.0], [3.0], [5.0]] * 2)
    for quantity in ("value", "gradient"):
        if quantity == "gradient" and not examiner.claims("gradient"):
            continue
        combinations = (("alpha (8,)", alphas, 2.0), ("gamma (16, 1)", 0.25, gammas), ("both", alphas, gammas))
        for name, alpha, gamma in combinations:
            call = Call(logits, targets, alpha=alpha, gamma=gamma)
            got = examiner.run(quantity, call, name)
            if got is None:
                continue
            full = Call(logits, targets, np.broadcast_to(alpha, (16, 8)), np.broadcast_to(gamma, (16, 8)))
            exact = examiner.exact(full)[quantity]
            flat = type(exact)(*(np.asarray(getattr(exact, f)).reshape(-1) for f in exact.__dataclass_fields__))
            examiner.accuracy(quantity, call, got.reshape(-1), flat, [name] * got.size)
        # Powers of two scale a result without rounding it.
        weights = 2.0 ** np.arange(-2, 6).reshape(8)
        plain = examiner.run(quantity, Call(logits, targets), "no weights")
        weighted = examiner.run(quantity, Call(logits, targets, weights=weights), "weights (8,)")
        if plain is not None and weighted is not None:
            smallest = 2.0 ** (examiner.format.minimum_exponent + 8)
            normal = np.abs(plain.astype(np.float64)) > smallest
            scaled = (plain.astype(np.float64) * weights).astype(plain.dtype)
            if examiner.claims("same_bits") and examiner.dtype != "float64":
                examiner.same_bits("weights (8,)", quantity, weighted[normal], scaled[normal])
            else:
                near = np.allclose(
                    weighted[normal].astype(np.float64), scaled[normal].astype(np.float64), rtol=1e-5, atol=0.0
                )
                examiner.true(near, "weights (8,)", quantity, "the weighted result", "another")


@check("FL-VAL-012")
def fast_precision(examiner: Examiner) -> None:
    sets = ["grid", "saturation", "hard", "zero", "gamma", "alpha", "soft", "extremes"]
    for quantity in ("value", "gradient"):
        examiner.vectors(sets, quantity, precision="fast")


def _single(examiner: Examiner, probability: Fraction, positive: bool, *, alpha: Fraction | None, gamma: float) -> Call:
    """One element at the logit of a probability of class 1."""
    p = float(probability)
    logit = math.log(p / (1.0 - p))
    return Call(
        examiner.array([logit]),
        examiner.array([float(positive)]),
        alpha=None if alpha is None else float(alpha),
        gamma=gamma,
    )
