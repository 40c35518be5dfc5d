"""EXT: infinities, NaN, saturation, subnormal numbers."""

from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.values import is_huge, ordinary
from focal_ref.conformance.conventions.calls import expected, probabilities_of
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Call
from focal_ref.conformance.vectors import Group


def _weighs(group: Group) -> bool:
    """Whether both classes have a weight above zero; zero weights have a requirement of their own."""
    return group.alpha not in (0.0, 1.0)


def _infinite(group: Group, logits: Any) -> Any:
    return np.isinf(logits.astype(np.float64)) & _weighs(group)


def _finite(group: Group, logits: Any) -> Any:
    return np.isfinite(logits.astype(np.float64)) & _weighs(group)


@check("FL-EXT-001")
def infinite_logits(examiner: Examiner) -> None:
    examiner.vectors(["extremes"], "value", _infinite)


@check("FL-EXT-002")
def derivative_at_infinity(examiner: Examiner) -> None:
    examiner.vectors(["extremes"], "gradient", _infinite)


@check("FL-EXT-003")
def nan_logits(examiner: Examiner) -> None:
    clean = examiner.sample((33, 4) if examiner.of_rows else 33, seed=3)
    spoilt = replace(clean, logits=clean.logits.copy())
    others = ~np.isin(np.arange(33), (0, 16, 32))
    spoilt.logits[~others] = np.nan
    for quantity in examiner.quantities:
        plain = examiner.run(quantity, clean, "without NaN")
        got = examiner.run(quantity, spoilt, "with NaN")
        if got is not None and plain is not None:
            examiner.true(bool(np.all(np.isnan(got[~others]))), "NaN logits", quantity, "nan", got[~others])
            inputs = {} if examiner.of_rows else {"logit": clean.logits[others]}
            examiner.same_bits("beside NaN logits", quantity, got[others], plain[others], inputs)


@check("FL-EXT-004")
def huge_and_subnormal(examiner: Examiner) -> None:
    for quantity in examiner.quantities:
        examiner.vectors(["extremes"], quantity, _finite)
        examiner.vectors(["hard"], quantity, lambda group, logits: ~ordinary(group, logits) & (not is_huge(group)))
    # Every order of magnitude that the format has.
    format = examiner.format
    exponents = np.arange(format.minimum_ulp_exponent, format.maximum_exponent + 1)
    logits = np.ldexp(np.where(exponents % 2 == 0, 1.0, -1.0), exponents)
    for gamma in (0.0, 0.5, 2.0):
        for target in (0.0, 1.0):
            call = Call(examiner.array(logits), examiner.array(np.full(logits.shape, target)), gamma=gamma)
            examiner.compare("value", call, f"powers of two/gamma={gamma}/target={target:g}")
            if examiner.claims("gradient"):
                examiner.compare("gradient", call, f"powers of two/gamma={gamma}/target={target:g}")


@check("FL-EXT-005")
def zero_weight(examiner: Examiner) -> None:
    logits = examiner.array([np.inf, -np.inf, 1e4, -1e4, 0.0, 3.0, -3.0])
    ones, zeros = examiner.array(np.ones(logits.shape)), examiner.array(np.zeros(logits.shape))
    quantities = examiner.quantities
    for gamma in (0.0, 0.5, 2.0):
        calls = {
            "alpha=0, positives": Call(logits, ones, alpha=0.0, gamma=gamma),
            "alpha=1, negatives": Call(logits, zeros, alpha=1.0, gamma=gamma),
        }
        if examiner.claims("array_parameters"):
            calls["weights=0, positives"] = Call(logits, ones, gamma=gamma, weights=np.zeros(7))
            calls["weights=0, negatives"] = Call(logits, zeros, gamma=gamma, weights=np.zeros(7))
        for name, call in calls.items():
            for quantity in quantities:
                got = examiner.run(quantity, call, name)
                if got is not None:
                    examiner.true(bool(np.all(got == 0)), f"{name}/gamma={gamma}", quantity, "0 everywhere", got)


@check("FL-EXT-007")
def huge_gamma(examiner: Examiner) -> None:
    for quantity in examiner.quantities:
        examiner.vectors(["gamma", "hard"], quantity, lambda group, logits: is_huge(group))


@check("FL-EXT-009")
def hard_elements(examiner: Examiner) -> None:
    margins = np.array([10.0, 12.0, 17.0, 20.0, 30.0, 60.0, 90.0, 500.0])
    profile = examiner.target.profile
    call = examiner.sample((16, 3) if examiner.of_rows else 16, seed=9)
    if examiner.of_rows:
        of_class = np.equal.outer(call.targets, np.arange(3))
        logits = examiner.array(np.where(of_class, -np.tile(margins, 2)[:, np.newaxis], 0.0))
    else:
        logits = examiner.array(np.concatenate([-margins, margins]))
        targets = examiner.array(np.repeat([1.0, 0.0], margins.size))
        call = replace(call, logits=logits, targets=targets)
        if profile.conventions["prediction"] == "probabilities":
            logits = probabilities_of(logits)
    call = replace(call, logits=logits)
    plain = replace(profile, conventions={**profile.conventions, "clipping": "none", "epsilon": 0})
    exact = expected(call, plain, examiner.format)
    # Held to the formula that nothing clips, with the budget that comes with it.
    examiner.relative = profile.conventions["clipping"] != "none"
    for quantity in examiner.quantities:
        got = examiner.run(quantity, call, "badly wrong elements")
        if got is not None:
            examiner.agree(quantity, call, got, "badly wrong elements", exact[quantity])


@check("FL-EXT-006")
def every_logit(examiner: Examiner) -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    logits = bits.view(examiner.format.dtype)
    for gamma in (0.0, 0.5, 1.0, 2.0, 5.0):
        for target in (0.0, 1.0):
            call = Call(logits, examiner.array(np.full(logits.shape, target)), gamma=gamma)
            for quantity in ("value", "gradient"):
                examiner.compare(quantity, call, f"all logits/gamma={gamma}/target={target:g}")
