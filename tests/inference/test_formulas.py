"""The formulas by which conventions are recognised agree with the suite's oracle, and no two of them are alike."""

from itertools import combinations, product

import numpy as np
import pytest

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.conventions.oracle import denominator, exact_by_conventions
from focal_ref.conformance.conventions.scope import contradiction, function_of
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.formulas import has_formula, losses, weights
from focal_ref.conformance.inference.losses import LABELS, ONE_HOT, PARAMETERS, PREDICTIONS, SOFT, VECTORS
from focal_ref.conformance.targets import Call

from .by_hand import FOCAL, SOFTMAX

RULES = ("blended", "mixture", "distance", "formula", "unsupported")
CLIPPED = (("none", 0), *((kind, 0.35) for kind in ("cross-entropy", "logarithm", "added", "probability")))


def combinations_with_an_oracle():
    axes = ("formula", "prediction", "multi_class", "alpha")
    for values in product(*(AXES[axis] for axis in axes), RULES, CLIPPED):
        *first, rule, (clipping, epsilon) = values
        own = dict(zip(axes, first, strict=True), soft_targets=rule, clipping=clipping, epsilon=epsilon)
        conventions = {**FOCAL, **own}
        if contradiction(conventions) is None:
            yield conventions


def name_of(conventions):
    keys = ("formula", "prediction", "multi_class", "alpha", "soft_targets", "clipping")
    return " ".join(conventions[key] for key in keys).replace("/", "_")


@pytest.mark.parametrize("conventions", tuple(combinations_with_an_oracle()), ids=name_of)
def test_a_formula_agrees_with_the_oracle(conventions):
    assert has_formula(conventions)
    alpha = VECTORS[0] if conventions["alpha"] == "class-vector" else 0.3
    parameters = {**PARAMETERS[0], "alpha": None if conventions["alpha"] == "none" else alpha}
    function = function_of(conventions)
    soft = conventions["soft_targets"] != "unsupported"
    # Rows of the last classes, of which every element is another case.
    predictions, targets = PREDICTIONS[1:3], (SOFT if soft else ONE_HOT)[1:3]
    own = {name: value for name, value in parameters.items() if name not in ("alpha", "gamma")}
    call = Call(predictions, targets, parameters["alpha"], parameters["gamma"], function=function, parameters=own)
    exact = exact_by_conventions(call, conventions, FORMATS["float64"])["value"].numbers
    np.testing.assert_allclose(losses(predictions, targets, conventions, parameters), exact, rtol=1e-12)


def test_the_numbers_tell_every_two_formulas_apart():
    seen = {}
    for formula, prediction, classes, alpha in product(
        AXES["formula"], AXES["prediction"], AXES["multi_class"], AXES["alpha"]
    ):
        own = {"formula": formula, "prediction": prediction, "multi_class": classes, "alpha": alpha}
        conventions = {**FOCAL, **own, "soft_targets": "mixture"}
        if has_formula(conventions) and alpha != "class-vector":
            result = losses(PREDICTIONS, ONE_HOT, conventions, PARAMETERS[0])
            seen[formula, prediction, classes, alpha] = result.sum(axis=-1) if result.ndim == 2 else result
    # For hard targets these have one formula, when beta is gamma; soft targets tell them apart.
    same = {"quality", "heatmap", "focal"}
    for (one, first), (other, second) in combinations(seen.items(), 2):
        if {one[0], other[0]} <= same and one[0] != other[0]:
            continue
        assert np.max(np.abs(first / second - 1)) > 0.02, (one, other)


@pytest.mark.parametrize("mean", ["elements", "rows", "valid", "positives", "weights"])
@pytest.mark.parametrize("base", [FOCAL, SOFTMAX], ids=["sigmoid", "softmax"])
def test_weights_and_denominators_are_those_of_the_oracle(base, mean):
    softmax = base is SOFTMAX
    alpha = VECTORS[0] if softmax else 0.3
    conventions = {**base, "mean": mean}
    targets = LABELS if softmax else ONE_HOT
    call = Call(PREDICTIONS, targets, alpha, 2.0, function=function_of(conventions))
    expected = {
        "elements": 12,
        "rows": 4,
        "valid": 4 if softmax else 12,
        "positives": 4,
        "weights": weights(ONE_HOT, conventions, alpha).sum(),
    }
    assert denominator(call, conventions) == pytest.approx(expected[mean], rel=1e-14)
