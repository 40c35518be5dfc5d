"""A quality focal loss whose predictions are probabilities."""

import numpy as np
import pytest

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import parse_profile
from focal_ref.conformance.targets.libraries import LIBRARIES
from focal_ref.conformance.targets.python import PythonTarget

PROFILE = """
[profile]
name = "mine"
description = "a quality focal loss of probabilities"
package = "my-package"
library = "numpy"

[signature]
function = "my_package:loss"
beta = "beta"

[conventions]
formula = "quality"
prediction = "probabilities"
multi_class = "sigmoid"
alpha = "none"
alpha_off = "none"
soft_targets = "formula"
clipping = "none"
epsilon = 0
mean = "unsupported"
sum = "unsupported"
background = "none"
ignore = "none"
gradient = "none"
subnormals = "kept"

[claims]
capabilities = []

[claims.dtypes]
float64 = "standard"
"""


def right(p, targets, *, beta):
    return np.abs(targets - p) ** beta * -(targets * np.log(p) + (1 - targets) * np.log1p(-p))


@pytest.mark.parametrize(
    ("function", "passes"),
    [(right, True), (lambda p, targets, *, beta: right(p, targets, beta=beta) + 1e-9, False)],
    ids=["right", "an epsilon added"],
)
def test_nothing_is_lost_where_the_probability_is_the_quality(function, passes):
    target = PythonTarget("mine", function, parse_profile(PROFILE, "mine.toml"), LIBRARIES["numpy"]("numpy", None, ""))
    result = run_item(Item("FL-REL-004", "float64"), target, "")
    assert result.comparisons > 0
    assert result.passed == passes
