"""Right implementations of many conventions, in float64 and rounded once: whatever is declared, nothing is found."""

import numpy as np
import pytest

from focal_ref.conformance.gate import SELF_CHECK, items_of, run_item
from focal_ref.conformance.profiles import load_profile, profile_from
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

FOCAL = dict(load_profile("optax").conventions) | {
    **{"gradient": "none", "subnormals": "kept", "soft_targets": "unsupported"},
    **{"mean": "elements", "sum": "elements"},
}


def logits_space(x):
    """p, 1 - p and their logarithms."""
    log_p, log_q = -np.logaddexp(0.0, -x), -np.logaddexp(0.0, x)
    return np.exp(log_p), np.exp(log_q), log_p, log_q


def probability_space(p):
    return p, 1.0 - p, np.log(p), np.log1p(-p)


def clip(parts, conventions):
    """Probabilities as the loss has them, and logarithms as the cross entropy has them."""
    p, q, log_p, log_q = parts
    epsilon, how = conventions["epsilon"], conventions["clipping"]
    low, high = np.log(epsilon) if epsilon else -np.inf, np.log1p(-epsilon)
    if how == "added":
        return p, q, np.log(p + epsilon), np.log(q + epsilon)
    if how == "logarithm":
        return p, q, np.maximum(log_p, low), np.maximum(log_q, low)
    if how in ("cross-entropy", "probability"):
        log_p, log_q = np.clip(log_p, low, high), np.clip(log_q, low, high)
    return (np.exp(log_p), np.exp(log_q), log_p, log_q) if how == "probability" else (p, q, log_p, log_q)


def weighted(t, alpha, meaning):
    if alpha is None or meaning == "none":
        return 1.0
    return {
        "pos/1-pos": alpha * t + (1 - alpha) * (1 - t),
        "pos-only": alpha * t + (1 - t),
        "neg-only": t + alpha * (1 - t),
        "uniform": alpha,
    }[meaning]


def times(factor, logarithm):
    """A vanishing factor wins over an infinite logarithm."""
    return np.where(factor == 0, 0.0, factor * np.where(factor == 0, 0.0, logarithm)) + 0.0 * np.isnan(logarithm)


def elementwise(conventions):
    """The elementwise loss of these conventions."""

    def value(x, t, alpha, gamma, beta, gamma_positive, gamma_negative, clip_at):
        p, q, log_p, log_q = clip(
            logits_space(x) if conventions["prediction"] == "logits" else probability_space(x), conventions
        )
        formula, rule = conventions["formula"], conventions["soft_targets"]
        positive, negative = times(q**gamma, -log_p), times(p**gamma, -log_q)
        if formula == "star":
            return weighted(t, alpha, conventions["alpha"]) * np.logaddexp(0, -(gamma * (2 * t - 1) * x + beta)) / gamma
        ce = times(t, -log_p) + times(1 - t, -log_q)
        if formula == "quality":
            distance = np.where(t == 1, q, np.where(t == 0, p, np.abs(t * q - (1 - t) * p)))
            return times(distance**beta, ce)
        if formula == "varifocal":
            return np.where(t > 0, times(t, ce), alpha * negative)
        if formula == "heatmap":
            return np.where(t == 1, positive, (1 - t) ** beta * negative)
        if formula == "asymmetric":
            m = np.maximum(p - clip_at, 0.0)
            log_rest = log_q if clip_at == 0 else np.log(q + clip_at)
            below = times(np.where(p <= clip_at, 0.0, m**gamma_negative), -log_rest)
            return times(t, times(q**gamma_positive, -log_p)) + times(1 - t, below)
        hard = np.where(t == 1, positive, negative)
        if rule == "distance":
            soft = times(np.abs(t * q - (1 - t) * p) ** gamma, ce)
        else:
            soft = times((p * (1 - t) + q * t) ** gamma, ce)
        weight = weighted(t, alpha, conventions["alpha"])
        if rule == "mixture":
            return times(t, positive * weighted(1.0, alpha, conventions["alpha"])) + times(
                1 - t, negative * weighted(0.0, alpha, conventions["alpha"])
            )
        return weight * np.where((t == 0) | (t == 1), hard, soft)

    def function(x, t, *, alpha=None, gamma=2.0, reduction="none", **others):
        if x.shape != t.shape or reduction not in ("none", "mean", "sum"):
            raise ValueError("shapes, or an unknown reduction")
        names = {"beta": 0.0, "gamma_positive": 0.0, "gamma_negative": 0.0, "clip": 0.0} | others
        with np.errstate(all="ignore"):
            wide = np.float64(x), np.float64(t)
            result = value(*wide, alpha, gamma, *names.values())
            total = result.sum()
            if reduction == "sum":
                return np.float32(total)
            if reduction == "mean":
                positives = max(1, int((t == 1).sum()))
                count = {"elements": t.size, "positives": positives}[conventions["mean"]]
                return np.float32(total / max(count, 1))
            return result.astype(x.dtype)

    return function


def softmax(conventions):
    """The softmax loss of labels with these conventions."""

    def function(z, labels, *, alpha=None, gamma=2.0, reduction="none"):
        if labels.shape != z.shape[:-1] or reduction not in ("none", "mean", "sum"):
            raise ValueError("shapes, or an unknown reduction")
        with np.errstate(all="ignore"):
            wide = np.float64(z)
            chosen = np.arange(z.shape[-1]) == np.where(labels < 0, 0, labels)[..., np.newaxis]
            # The odds of the other classes.
            own = np.max(np.where(chosen, wide, -np.inf), axis=-1, keepdims=True)
            others = np.where(chosen, -np.inf, wide - own)
            odds = np.logaddexp.reduce(others, axis=-1)
            odds = np.where(np.isinf(own[..., 0]) & (own[..., 0] < 0), np.inf, odds)
            odds = np.where(np.isposinf(own[..., 0]), -np.inf, odds)
            odds = np.where(np.isnan(wide).any(-1), np.nan, odds)
            _, q, log_p, _ = clip(logits_space(-odds), conventions)
            if conventions["clipping"] != "probability":
                q = np.exp(-np.logaddexp(0.0, -odds))
            weight = 1.0
            if alpha is not None:
                rest = {"uniform": alpha, "first/rest": np.where(labels == 0, 1 - alpha, alpha)}
                weight = rest[conventions["alpha"]]
            ignored = labels == conventions["ignore"] if conventions["ignore"] != "none" else labels < 0
            result = np.where(ignored, 0.0, weight * times(q**gamma, -log_p))
            if reduction != "none":
                counted = max(1, int((~ignored).sum()))
                return np.float32(result.sum() / (counted if reduction == "mean" else 1))
            return result.astype(z.dtype)

    return function


CLIPPED = {"epsilon": 1e-6}
CASES = {
    "pos-only, mixture": {"alpha": "pos-only", "soft_targets": "mixture"},
    "neg-only, blended": {"alpha": "neg-only", "soft_targets": "blended", "mean": "positives"},
    "uniform, distance": {"alpha": "uniform", "soft_targets": "distance", "alpha_off": "1"},
    "no alpha": {"alpha": "none", "soft_targets": "blended"},
    "alpha that is always on": {"alpha_off": "unsupported"},
    "cross-entropy clipped": {"clipping": "cross-entropy", "soft_targets": "blended", **CLIPPED},
    "probability clipped": {"clipping": "probability", "soft_targets": "mixture", **CLIPPED},
    "logarithm clipped": {"clipping": "logarithm", **CLIPPED},
    "added": {"clipping": "added", **CLIPPED},
    "probabilities": {"prediction": "probabilities", "soft_targets": "blended"},
    "probabilities clipped": {"prediction": "probabilities", "clipping": "logarithm", **CLIPPED},
    "star": {"formula": "star", "alpha": "uniform", "alpha_off": "1"},
    "quality": {"formula": "quality", "alpha": "none", "soft_targets": "formula"},
    "varifocal": {"formula": "varifocal", "alpha": "neg-only", "alpha_off": "1", "soft_targets": "formula"},
    "asymmetric": {"formula": "asymmetric", "alpha": "none", "soft_targets": "formula"},
    "heatmap": {"formula": "heatmap", "alpha": "none", "soft_targets": "formula"},
    "heatmap of probabilities": {
        **{"formula": "heatmap", "alpha": "none", "soft_targets": "formula"},
        **{"prediction": "probabilities", "clipping": "added", "epsilon": 1e-12},
    },
    "softmax, uniform": {"multi_class": "softmax", "alpha": "uniform", "mean": "rows"},
    "softmax, first/rest, ignored": {"multi_class": "softmax", "alpha": "first/rest", "mean": "valid", "ignore": 255},
    "softmax clipped": {
        **{"multi_class": "softmax", "alpha": "uniform", "mean": "rows"},
        **{"clipping": "probability", **CLIPPED},
    },
}
HYPER = {
    "focal": ("alpha", "gamma"),
    "star": ("alpha", "gamma", "beta"),
    "quality": ("beta",),
    "varifocal": ("alpha", "gamma"),
    "asymmetric": ("gamma_positive", "gamma_negative", "clip"),
    "heatmap": ("gamma", "beta"),
}
LONG = ("FL-RED-009", "FL-SMX-012")


def target_of(declared, real=None):
    conventions = FOCAL | declared
    rows = conventions["multi_class"] == "softmax"
    names = [name for name in HYPER[conventions["formula"]] if (name, conventions["alpha"]) != ("alpha", "none")]
    names.append("reduction")
    clipped = conventions["clipping"] != "none"
    document = {
        "profile": {"name": "mine", "description": "", "package": "mine", "library": "numpy"},
        "signature": {
            "function": "mine:loss",
            **{name: name for name in names},
            **({"targets": "labels"} if rows else {}),
        },
        "conventions": conventions,
        "claims": {"dtypes": {"float32": "clipped" if clipped else "standard"}, "capabilities": []},
    }
    function = (softmax if rows else elementwise)(FOCAL | (declared if real is None else real))
    return PythonTarget("mine", function, profile_from(document, "mine.toml"), PlainLibrary("numpy", None, ""))


@pytest.mark.parametrize("name", CASES)
def test_what_is_declared_and_right_passes_everything(name):
    target = target_of(CASES[name])
    # What declarations are asked is the subject of tests/inference.
    items = [item for item in items_of(target.profile) if item.name not in (SELF_CHECK, *LONG)]
    items = [item for item in items if not item.name.startswith("FL-DECL")]
    if CASES[name].get("soft_targets") == "distance":
        # Its truth takes longest: every order of magnitude of the logits is left to the others.
        items = [item for item in items if item.name not in ("FL-EXT-004", "FL-RED-001")]
    results = [run_item(item, target, "pytest conformance") for item in items]
    assert len(results) >= 12
    assert not [result.text for result in results if not result.passed]
