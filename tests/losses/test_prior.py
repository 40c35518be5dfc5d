"""`prior_bias`: the bias for which every anchor starts at a given foreground probability."""

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from focal_ref import loss, prior_bias


def exact_bias(pi):
    with mp.workdps(60):
        return -mp.log((1 - mpf(pi)) / mpf(pi))


def test_the_papers_prior_of_a_hundredth_is_minus_log_99():
    # -log 99; float(0.01) is 0.01 to within 2e-19, which moves the bias by 2e-17.
    assert math.isclose(prior_bias(0.01), -4.595119850134590, rel_tol=4e-16)


def test_even_chances_need_no_bias():
    assert prior_bias(0.5) == 0.0


@pytest.mark.parametrize("pi", [5e-324, 1e-320, 1e-300, 1e-17, 1e-6, 0.01, 0.1, 0.25, 0.75, 0.9, 0.99, 1 - 2.0**-53])
def test_the_bias_is_right_for_every_probability(pi):
    assert math.isclose(prior_bias(pi), float(exact_bias(pi)), rel_tol=4e-16)


@pytest.mark.parametrize("offset", [2.0**-10, -(2.0**-10), 2.0**-30, -(2.0**-30), 2.0**-53])
def test_next_to_one_half_the_bias_is_right_in_absolute_terms(offset):
    # log(pi) and log(1 - pi) are about 0.69 there: each rounds by 2^-54.
    assert abs(mpf(prior_bias(0.5 + offset)) - exact_bias(0.5 + offset)) <= 2.0**-52


@pytest.mark.parametrize("pi", [0.001, 0.01, 0.3, 0.99])
def test_the_sigmoid_of_the_bias_is_the_prior(pi):
    assert math.isclose(1.0 / (1.0 + math.exp(-prior_bias(pi))), pi, rel_tol=1e-14)


def test_a_head_that_starts_at_the_prior_pays_minus_log_of_it():
    bias = np.array([prior_bias(0.01)])
    assert math.isclose(loss(bias, np.array([1]), alpha=None, gamma=0)[0], -math.log(0.01), rel_tol=1e-14)


def test_the_result_is_a_python_float_for_numpy_scalars_too():
    for pi in (0.25, np.float64(0.25), np.float32(0.25)):
        assert type(prior_bias(pi)) is float
        assert math.isclose(prior_bias(pi), -math.log(3), rel_tol=4e-16)


@pytest.mark.parametrize("pi", [0, 1, 0.0, 1.0, -0.01, 1.01, math.nan, math.inf, -math.inf])
def test_what_is_not_strictly_between_0_and_1_is_refused(pi):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole text is compared
        prior_bias(pi)
    assert str(raised.value) == f"pi: got {pi!r}; a probability strictly between 0 and 1"
