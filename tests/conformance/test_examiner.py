"""What an examiner accepts, and what it remembers of what it does not."""

from dataclasses import replace

import numpy as np
import pytest

from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import backend_target


def examiner_of(dtype="float32", *, tier="exact", **conventions):
    target = backend_target("numpy", None)
    profile = target.profile
    target.profile = replace(
        profile, conventions={**profile.conventions, **conventions}, tiers={**profile.tiers, dtype: tier}
    )
    return Examiner(target, requirements()["FL-VAL-001"], dtype)


# The loss of a positive is nearly e^(-(gamma + 1) s): at 88, 87 and 86.6 it is 0.5, 1.4 and 2.1 times 2^-126.
@pytest.mark.parametrize(
    ("tier", "gamma", "logit", "accepted"),
    [
        ("standard", 0.0, 88.0, True),
        ("standard", 0.0, 87.0, False),
        ("standard", 1.0, 43.5, True),
        ("standard", 1.0, 43.3, False),
        ("exact", 1.0, 44.0, True),
        ("exact", 1.0, 43.5, False),
    ],
)
def test_a_flushed_result_may_vanish_with_the_terms_of_which_it_is_made(tier, gamma, logit, accepted):
    examiner = examiner_of(tier=tier, subnormals="flushed")
    call = Call(np.float32([logit]), np.float32([1.0]), None, gamma)
    examiner.agree("value", call, np.float32([0.0]), "tiny")
    assert (not examiner.findings) == accepted
