"""Numbers that several adapters are compared on."""

import numpy as np
import pytest

from ..comparison import some_logits, some_soft_targets, some_targets


@pytest.fixture(params=["hard", "soft"])
def targets_of(request):
    """A function that makes so many targets: booleans, or float32 numbers in [0, 1]."""
    return {"hard": some_targets, "soft": some_soft_targets}[request.param]


@pytest.fixture
def array_settings():
    """Logits of shape (20, 6) in a dtype, and arrays of parameters that broadcast to them in different ways."""

    def build(dtype):
        generator = np.random.default_rng(3)
        logits = some_logits(dtype, 148)[28:].reshape(20, 6)
        return logits, {
            "alpha": generator.random(6),
            "gamma": generator.choice([0.0, 0.25, 1.5, 2.0, 3.7], (20, 1)),
            "weights": generator.uniform(0.0, 5.0, (20, 6)),
        }

    return build
