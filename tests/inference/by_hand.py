"""Losses of every convention in NumPy, written down in probability space, and profiles that say so or not."""

import numpy as np

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import profile_from
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

FOCAL = {
    "formula": "focal",
    "prediction": "logits",
    "multi_class": "sigmoid",
    "alpha": "pos/1-pos",
    "alpha_off": "none",
    "soft_targets": "blended",
    "clipping": "none",
    "epsilon": 0,
    "mean": "elements",
    "sum": "elements",
    "background": "none",
    "ignore": "none",
    "gradient": "none",
    "subnormals": "kept",
}
SOFTMAX = {**FOCAL, "multi_class": "softmax", "alpha": "class-vector", "soft_targets": "unsupported"}
LABELS = {**FOCAL, "soft_targets": "unsupported", "background": -1, "ignore": -2, "mean": "valid"}
OF_FORMULA = {
    "focal": FOCAL,
    "star": {**FOCAL, "formula": "star", "soft_targets": "unsupported"},
    **{
        name: {**FOCAL, "formula": name, "alpha": "none", "soft_targets": "formula"}
        for name in ("quality", "asymmetric", "heatmap")
    },
    "varifocal": {**FOCAL, "formula": "varifocal", "alpha": "neg-only", "soft_targets": "formula"},
}
PARAMETERS = {
    "focal": ("alpha", "gamma"),
    "star": ("alpha", "gamma", "beta"),
    "quality": ("beta",),
    "varifocal": ("alpha", "gamma"),
    "asymmetric": ("gamma_positive", "gamma_negative", "clip"),
    "heatmap": ("gamma", "beta"),
}
OFF_NUMBERS = {"none": None, "-1": -1, "0": 0, "1": 1}
USED = object()


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    odds = np.exp(x - x.max(axis=-1, keepdims=True))
    return odds / odds.sum(axis=-1, keepdims=True)


def loss_with(true):
    """A function that really has these conventions, whatever a profile of it says."""
    inside_alpha = np.array([0.2, 0.5, 0.35]) if true["alpha"] == "class-vector" else 0.25

    def loss(
        x,
        y,
        *,
        alpha=inside_alpha,
        gamma=2.0,
        beta=None,
        gamma_positive=1.0,
        clip=0.05,
        reduction="none",
        balanced=True,
    ):
        formula = true["formula"]
        rows = true["multi_class"] == "softmax"
        y, ignored = targets_of(true, x, y)
        weights, weighed = weights_of(true, alpha, balanced, y, rows), formula in ("focal", "star")
        p = x if true["prediction"] == "probabilities" else softmax(x) if rows else sigmoid(x)
        inside = np.clip(p, true["epsilon"], 1 - true["epsilon"])
        p = inside if true["clipping"] == "probability" else p
        if formula == "focal" and not np.isin(y, (0, 1)).all() and true["soft_targets"] == "unsupported":
            raise ValueError("targets are 0 or 1")
        with np.errstate(all="ignore"):
            positive, negative = (-np.log(one) for one in logarithms_of(true, p, inside))
            entropy = np.where(y == 1, positive, np.where(y == 0, negative, y * positive + (1 - y) * negative))
            if rows:
                hit = (y * p).sum(axis=-1)
                each = (1 - hit) ** gamma * np.where(y == 1, positive, 0).sum(axis=-1)
            elif formula == "focal" and true["soft_targets"] == "mixture":
                each = y * (1 - p) ** gamma * positive + (1 - y) * p**gamma * negative
                share = {"pos/1-pos": (alpha, 1 - alpha)} if alpha is not None else {}
                first, second = share.get(true["alpha"], (1, 1)) if weights is not None else (1, 1)
                each = y * first * (1 - p) ** gamma * positive + (1 - y) * second * p**gamma * negative
                weighed = False
            elif formula == "focal":
                soft = true["soft_targets"] == "distance"
                each = (np.abs(y - p) if soft else 1 - p * y - (1 - p) * (1 - y)) ** gamma * entropy
            elif formula == "star":
                each = np.log1p(np.exp(-(gamma * (2 * y - 1) * x + (beta or 0)))) / gamma
            elif formula == "quality":
                each = np.abs(y - p) ** gamma * entropy
            elif formula == "varifocal":
                each = np.where(y > 0, y * entropy, (0.75 if alpha is None else alpha) * p**gamma * negative)
            elif formula == "asymmetric":
                shifted = np.maximum(p - clip, 0)
                each = y * (1 - p) ** gamma_positive * positive
                each = each - (1 - y) * shifted**gamma * np.log(1 - shifted)
            else:
                far = (1 - y) ** (4 if beta is None else beta) * p**gamma * negative
                each = np.where(y == 1, (1 - p) ** gamma * positive, far)
            each = np.where(weights == 1, each, each * weights) if weighed and weights is not None else each
        each = np.where(ignored if rows else ignored[..., np.newaxis], 0, each) if ignored is not None else each
        if true["subnormals"] == "flushed":
            each = np.where(np.abs(each) < np.finfo(x.dtype).tiny, 0, each)
        return reduced(true, each.astype(x.dtype), x, y, ignored, weights, reduction)

    return loss


def logarithms_of(true, p, inside):
    """What the logarithms are taken of."""
    if true["clipping"] == "added":
        return p + true["epsilon"], 1 - p + true["epsilon"]
    if true["clipping"] == "logarithm":
        return np.maximum(p, true["epsilon"]), np.maximum(1 - p, true["epsilon"])
    return inside, 1 - inside


def targets_of(true, x, y):
    """Dense targets, and which rows are ignored."""
    if y.ndim == x.ndim:
        return y, None
    classes = x.shape[-1]
    background = classes if true["background"] == "classes" else true["background"]
    known = (y >= 0) & (y < classes)
    for code in (background, true["ignore"]):
        known = known | (y == code)
    if not known.all():
        raise ValueError("labels: no such class")
    return np.equal.outer(y, np.arange(classes)).astype(x.dtype), y == true["ignore"]


def weights_of(true, alpha, balanced, y, rows):
    """alpha_t, or None where weighting is off."""
    off = true["alpha_off"]
    kind = true["alpha"]
    if (off == "flag" and not balanced) or (off in OFF_NUMBERS and np.ndim(alpha) == 0 and alpha == OFF_NUMBERS[off]):
        return None
    if kind == "none":
        return None
    if alpha is None or (np.ndim(alpha) == 0 and alpha < 0):
        raise TypeError("alpha is a number from 0 to 1")
    if rows:
        label = y.argmax(axis=-1)
        if kind == "class-vector":
            return np.asarray(alpha)[label]
        if np.ndim(alpha):
            raise TypeError("alpha is a number")
        return {"uniform": alpha * np.ones(label.shape), "first/rest": np.where(label == 0, 1 - alpha, alpha)}[kind]
    return {
        "pos/1-pos": alpha * y + (1 - alpha) * (1 - y),
        "pos-only": alpha * y + 1 - y,
        "neg-only": y + alpha * (1 - y),
        "uniform": alpha * np.ones(y.shape),
    }[kind]


def reduced(true, each, x, y, ignored, weights, reduction):
    if reduction == "none":
        return each
    if true[reduction] == "unsupported":
        raise ValueError(f"reduction: got {reduction!r}")
    if reduction == "sum":
        return each.sum() / (2 if true["sum"] == "halved" else 1)
    counted = np.ones(x.shape[:-1], bool) if ignored is None else ~ignored
    rows = true["multi_class"] == "softmax"
    weights = np.ones(each.shape) if weights is None else np.broadcast_to(weights, each.shape)
    divisor = {
        "elements": x.size,
        "rows": x.size / x.shape[-1],
        "valid": counted.sum() * (1 if rows else x.shape[-1]),
        "positives": max(1, y[counted].sum()),
        "weights": weights[counted].sum(),
    }[true["mean"]]
    return (each.sum() / divisor).astype(x.dtype)


def profile_with(declared, dtypes=("float64", "float32"), **signature):
    """A profile that declares conventions; arguments of the function have their canonical names."""
    named = PARAMETERS[declared["formula"]]
    # The exponent is called gamma, whichever formula it belongs to.
    exponent = {"quality": {"beta": "gamma"}, "asymmetric": {"gamma_negative": "gamma"}}.get(declared["formula"], {})
    table = {"function": "by_hand:loss", **{name: name for name in named}, **exponent}
    if declared["alpha"] == "none":
        table.pop("alpha", None)
    if (declared["mean"], declared["sum"]) != ("unsupported", "unsupported"):
        table["reduction"] = "reduction"
    if declared["alpha_off"] == "flag":
        table |= {"alpha_off": {"balanced": False}, "alpha_on": {"balanced": True}}
    tier = "standard" if declared["clipping"] == "none" else "clipped"
    document = {
        "profile": {"name": "by-hand", "description": "by hand", "package": "numpy", "library": "numpy"},
        "signature": {**table, **signature},
        "conventions": declared,
        "claims": {"capabilities": [], "dtypes": dict.fromkeys(dtypes, tier)},
    }
    return profile_from(document, "by_hand.toml")


def target_with(true, declared, **signature):
    """A target whose function has some conventions while its profile declares others."""
    profile = profile_with(declared, **signature)
    return PythonTarget("by hand", loss_with(true), profile, PlainLibrary("numpy", None, ""))


def result_of(requirement, target, dtype=""):
    return run_item(Item(requirement, dtype), target, "pytest conformance")
