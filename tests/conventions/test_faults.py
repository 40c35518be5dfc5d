"""The requirements and tiers that conventions brought along: each finds what it names, and nothing else."""

import numpy as np
import pytest

import focal_ref
from focal_ref.conformance.accuracy import absolute_budget, budget
from focal_ref.conformance.claims import claimed
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import load_profile, profile_from
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

CONVENTIONS = dict(load_profile("optax").conventions) | {"gradient": "none", "subnormals": "kept"}
SOFTMAX = CONVENTIONS | {"multi_class": "softmax", "soft_targets": "unsupported"}


def target_of(function, conventions, *, capabilities=(), tier="standard", **signature):
    document = {
        "profile": {"name": "mine", "description": "", "package": "mine", "library": "numpy"},
        "signature": {"function": "mine:loss", "alpha": "alpha", "gamma": "gamma", **signature},
        "conventions": conventions,
        "claims": {"dtypes": {"float32": tier}, "capabilities": list(capabilities)},
    }
    return PythonTarget("mine", function, profile_from(document, "mine.toml"), PlainLibrary("numpy", None, ""))


def verdict(requirement, target, dtype="float32"):
    return run_item(Item(requirement, dtype), target, "pytest conformance")


def clipped(logits, targets, *, alpha, gamma, epsilon=1e-7):
    """Probability space with a clip of the cross entropy, each step rounded to the logits' format."""
    one = logits.dtype.type(1)
    with np.errstate(all="ignore"):
        p = one / (one + np.exp(-logits))
        q = np.clip(p, logits.dtype.type(epsilon), one - logits.dtype.type(epsilon))
        ce = -targets * np.log(q) - (one - targets) * np.log(one - q)
        p_t = p * targets + (one - p) * (one - targets)
        weight = (
            one
            if alpha is None
            else logits.dtype.type(alpha) * targets + (one - logits.dtype.type(alpha)) * (one - targets)
        )
        return weight * (one - p_t) ** logits.dtype.type(gamma) * ce


CLIPPED = CONVENTIONS | {"clipping": "cross-entropy", "epsilon": 1e-7}


def test_what_is_clipped_as_declared_passes_in_its_tier_and_loses_its_hard_elements():
    target = target_of(clipped, CLIPPED, tier="clipped", capabilities=["hard_elements"])
    for requirement in ("FL-VAL-001", "FL-VAL-003", "FL-VAL-004", "FL-VAL-005", "FL-VAL-006", "FL-EXT-004"):
        assert verdict(requirement, target).passed, requirement
    assert not verdict("FL-EXT-009", target).passed
    # Who does not ask for it is not told.
    assert not claimed(requirements()["FL-EXT-009"], target_of(clipped, CLIPPED, tier="clipped").profile)


@pytest.mark.parametrize(
    ("conventions", "requirement"),
    [
        (CLIPPED | {"epsilon": 1e-5}, "FL-VAL-001"),
        (CLIPPED | {"epsilon": 1e-9}, "FL-VAL-001"),
        (CLIPPED | {"alpha": "pos-only"}, "FL-VAL-004"),
        (CLIPPED | {"alpha": "uniform"}, "FL-VAL-004"),
        (CLIPPED | {"soft_targets": "mixture"}, "FL-VAL-006"),
        (CLIPPED | {"soft_targets": "distance"}, "FL-VAL-006"),
    ],
)
def test_what_is_declared_otherwise_is_compared_with_the_declared_formula_and_fails(conventions, requirement):
    assert not verdict(requirement, target_of(clipped, conventions, tier="clipped")).passed


def test_a_clip_is_not_accurate_without_being_declared():
    assert not verdict("FL-EXT-004", target_of(clipped, CONVENTIONS, tier="cancellation-limited")).passed
    assert not verdict("FL-EXT-009", target_of(clipped, CONVENTIONS, tier="cancellation-limited")).passed


def subtracting(logits, targets, *, alpha, gamma):
    """Binary cross entropy of torch's form, times a power of 1 - p_t."""
    one = logits.dtype.type(1)
    with np.errstate(all="ignore"):
        log_sigmoid = np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits)))
        ce = (one - targets) * logits - log_sigmoid
        p = one / (one + np.exp(-logits))
        p_t = p * targets + (one - p) * (one - targets)
        weight = one if alpha is None else np.where(targets == 1, alpha, 1 - alpha).astype(logits.dtype)
        return weight * (one - p_t) ** logits.dtype.type(gamma) * ce


HARD = CONVENTIONS | {"soft_targets": "unsupported"}


def test_a_cancellation_limited_loss_passes_but_for_easy_elements():
    target = target_of(subtracting, HARD, tier="cancellation-limited", capabilities=["easy_elements"])
    for requirement in ("FL-VAL-001", "FL-VAL-004", "FL-VAL-005", "FL-EXT-009"):
        assert verdict(requirement, target).passed, requirement
    assert not verdict("FL-VAL-002", target).passed
    plain = target_of(subtracting, HARD, tier="cancellation-limited")
    assert not claimed(requirements()["FL-VAL-002"], plain.profile)
    assert not verdict("FL-VAL-001", target_of(subtracting, HARD, tier="standard")).passed


def test_nan_and_infinity_are_wrong_in_every_tier():
    def spoilt(logits, targets, *, alpha, gamma):
        result = clipped(logits, targets, alpha=alpha, gamma=gamma)
        return np.where(np.abs(logits) > 100, np.nan, result)

    assert not verdict("FL-EXT-004", target_of(spoilt, CLIPPED, tier="clipped")).passed


def softmax_of(weights):
    def function(logits, labels, *, alpha, gamma):
        rows = focal_ref.softmax_loss(logits, labels, gamma=gamma)
        return rows if alpha is None else rows * weights(labels, alpha).astype(rows.dtype)

    return function


MEANINGS = {
    "uniform": lambda labels, alpha: np.full(labels.shape, alpha),
    "first/rest": lambda labels, alpha: np.where(labels == 0, 1 - alpha, alpha),
}


@pytest.mark.parametrize("declared", MEANINGS)
@pytest.mark.parametrize("real", MEANINGS)
def test_one_number_alpha_of_a_softmax_is_what_it_is_declared_to_be(declared, real):
    conventions = SOFTMAX | {"alpha": declared}
    target = target_of(softmax_of(MEANINGS[real]), conventions, targets="labels")
    assert verdict("FL-SMX-001", target).passed
    assert verdict("FL-SMX-015", target).passed == (declared == real)


@pytest.mark.parametrize(("mean", "divisor"), [("elements", 60), ("rows", 20), ("positives", 7)])
def test_a_mean_is_divided_by_what_is_declared(mean, divisor):
    def function(logits, targets, *, alpha, gamma, reduction):
        total = focal_ref.loss(logits, targets, alpha=alpha, gamma=gamma, reduction="sum")
        count = {"elements": targets.size, "rows": targets.size / targets.shape[-1]}
        count["positives"] = max(1, int(targets.sum()))
        return total if reduction == "sum" else (total / np.float32(count["rows"])).astype(np.float32)

    conventions = HARD | {"mean": mean, "sum": "elements"}
    target = target_of(function, conventions, reduction="reduction")
    assert verdict("FL-RED-002", target).passed == (mean == "rows"), divisor


def test_budgets_of_the_tiers():
    float32 = FORMATS["float32"]
    one = np.ones(())
    relative = {tier: float(budget(tier, float32, 2.0, weighted=False)) for tier in ("exact", "tight", "standard")}
    assert relative == {"exact": 0.501, "tight": 14.0, "standard": 24.0}
    for tier in ("cancellation-limited", "clipped"):
        assert float(budget(tier, float32, 2.0, weighted=False)) == relative["standard"]
    unit = 2.0**-24
    value = absolute_budget(float32, "value", size=3 * one, probability=0.5 * one, exponent=2.0, epsilon=None)
    assert float(value) == 4 * unit * 3 * 4
    # A clip at 2^-20: u / p_t twice, never more than at the clip, and either gradient next to it.
    clip = {"size": 0 * one, "exponent": 0.0, "epsilon": 2.0**-20}
    for p, allowed in ((0.5, 8 * unit), (2.0**-20, 4 * unit + 2.0**-3), (2.0**-40, 4 * unit + 2.0**-3)):
        assert float(absolute_budget(float32, "value", probability=p * one, **clip)) == allowed
    for p, allowed in ((2.0**-20, 1.0), (2.0**-19, 1.0), (2.0**-21, 1.0), (2.0**-40, 4 * unit + 2.0**-3)):
        assert float(absolute_budget(float32, "gradient", probability=p * one, **clip)) == allowed


def test_what_is_only_as_accurate_as_its_arithmetic_is_not_exact():
    rounded = target_of(subtracting, HARD, tier="exact")
    assert not verdict("FL-VAL-001", rounded).passed
