"""What belongs to results and what to logits: Hessians times a direction, weights of rows, and their shapes."""

import jax
import numpy as np
import pytest
from array_api_compat import numpy as numpy_namespace
from mpmath import mp, mpf

import focal_ref
from focal_ref._evaluate import (
    evaluate,
    evaluate_curvature,
    evaluate_partial,
    evaluate_second,
    over_logits,
    over_results,
)
from focal_ref._evaluate.resolve import device_of
from focal_ref._parameters import Parameters

ROW = [0.5, -1.25, 2.0]
GAMMA = 2.5


def softmax_loss(*logits):
    """As printed, for label 1."""
    p = mp.exp(logits[1]) / mp.fsum(mp.exp(z) for z in logits)
    return -((1 - p) ** GAMMA) * mp.log(p)


def binary_loss(logit):
    p = 1 / (1 + mp.exp(-logit))
    return -((1 - p) ** GAMMA) * mp.log(p)


def second(function, point, i, j):
    orders = [0] * len(point)
    orders[i] += 1
    orders[j] += 1
    with mp.workdps(60):
        return mp.diff(function, tuple(map(mpf, point)), tuple(orders))


def test_the_hessian_of_a_row_times_a_direction_has_the_derivatives_in_two_classes():
    parameters = Parameters(alpha=None, gamma=GAMMA, encoding="labels", form="softmax")
    logits, labels = np.array([ROW, ROW]), np.array([1, 1])
    direction = np.array([[1.0, 0.0, 0.0], [0.25, -2.0, 1.0]])
    got = evaluate_curvature(numpy_namespace, logits, labels, parameters, direction)
    hessian = np.array([[float(second(softmax_loss, ROW, i, j)) for j in range(3)] for i in range(3)])
    np.testing.assert_allclose(got, direction @ hessian, rtol=1e-13, atol=1e-15)
    diagonal = evaluate_second(numpy_namespace, logits, labels, parameters)
    np.testing.assert_allclose(diagonal[0], np.diag(hessian), rtol=1e-13)


@pytest.mark.parametrize("form", ["focal", "star"])
def test_the_hessian_of_a_loss_of_one_logit_is_its_second_derivative(form):
    parameters = Parameters(alpha=None, gamma=GAMMA, form=form, beta=1.0 if form == "star" else None)
    logits, direction = np.array(ROW), np.array([2.0, -0.5, 0.0])
    got = evaluate_curvature(numpy_namespace, logits, np.ones(3), parameters, direction)
    if form == "focal":
        with mp.workdps(60):
            expected = [float(mp.diff(binary_loss, mpf(x), 2)) * v for x, v in zip(ROW, direction, strict=True)]
    else:
        # FL* is CE(gamma x + beta) / gamma: its second derivative is gamma p q.
        p = 1.0 / (1.0 + np.exp(-(GAMMA * logits + 1.0)))
        expected = GAMMA * p * (1.0 - p) * direction
    np.testing.assert_allclose(got, expected, rtol=1e-13)


def test_weights_belong_to_rows_of_a_softmax_and_to_logits_of_other_losses():
    rows = Parameters(alpha=None, gamma=GAMMA, encoding="labels", form="softmax")
    focal = Parameters(alpha=None, gamma=GAMMA)
    results = np.array([2.0, 3.0])
    assert over_logits(rows, results).tolist() == [[2.0], [3.0]]
    assert over_logits(focal, results) is results
    derivatives = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    assert over_results(numpy_namespace, rows, derivatives).tolist() == [7.0, 56.0]
    assert over_results(numpy_namespace, focal, derivatives) is derivatives


def test_the_derivative_in_a_weight_is_the_loss_without_it():
    logits, labels, weights = np.array([ROW, ROW]), np.array([1, 1]), np.array([0.5, 3.0])
    rows = Parameters(alpha=None, gamma=GAMMA, encoding="labels", form="softmax", weights=weights)
    with mp.workdps(40):
        expected = float(softmax_loss(*map(mpf, ROW)))
        expected_binary = [float(binary_loss(mpf(x))) for x in ROW]
    got = evaluate_partial(numpy_namespace, "weights", logits, labels, rows)
    np.testing.assert_allclose(got, [expected, expected], rtol=1e-14)
    focal = Parameters(alpha=None, gamma=GAMMA, weights=np.array([0.5, 3.0, 0.0]))
    got = evaluate_partial(numpy_namespace, "weights", np.array(ROW), np.ones(3), focal)
    np.testing.assert_allclose(got, expected_binary, rtol=1e-14)


def test_unless_it_is_said_no_result_is_prepared_for_a_narrower_format():
    # Between -30 and -60 the loss is |x| + e^x: a value for a narrower format lies beside it, to be rounded once.
    logits, parameters = np.linspace(-60.0, -31.0, 50), Parameters(alpha=None, gamma=0.0)
    value = evaluate(numpy_namespace, logits, np.ones(50), parameters).value
    kept = evaluate(numpy_namespace, logits, np.ones(50), parameters, narrowed=False).value
    narrowed = evaluate(numpy_namespace, logits, np.ones(50), parameters, narrowed=True).value
    assert value.tobytes() == kept.tobytes() != narrowed.tobytes()
    np.testing.assert_allclose(value, -logits + np.exp(logits), rtol=2e-16)
    of_weights = evaluate_partial(numpy_namespace, "weights", logits, np.ones(50), parameters)
    np.testing.assert_allclose(of_weights, -logits + np.exp(logits), rtol=2e-16)


def test_zero_and_one_are_probabilities_and_what_lies_beyond_them_is_refused():
    p, targets = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 1, 1, 0])
    assert focal_ref.loss_from_probabilities(p, targets).tolist() == [0.0, 0.0, np.inf, np.inf]
    parameters = Parameters(form="probability")
    beyond = np.array([-5e-324, np.nextafter(1.0, 2.0), np.nan])
    with np.errstate(invalid="ignore"):
        assert np.isnan(evaluate(numpy_namespace, beyond, np.zeros(3), parameters).value).all()
        found = evaluate(numpy_namespace, p, targets.astype(float), parameters).value
    assert found.tolist() == [0.0, 0.0, np.inf, np.inf]


@pytest.mark.parametrize(
    ("p", "target", "alpha", "gamma"),
    [(0.0, 0.3, 0.25, 2.0), (0.0, 0.9, 0.01, 0.0), (1.0, 0.3, 0.25, 2.0), (1.0, 0.1, 0.99, 0.0), (0.0, 0.9, 0.99, 0.5)],
)
def test_at_a_certain_probability_the_weighted_slope_in_the_target_is_infinite_as_its_larger_term(
    p, target, alpha, gamma
):
    # With w = alpha t + (1 - alpha)(1 - t) the loss tends to w t^(gamma+1) times -log p, or to w (1 - t)^(gamma+1)
    # times -log(1 - p): the derivative of the factor in t has the sign.
    def factor(t):
        return (alpha * t + (1 - alpha) * (1 - t)) * (t if p == 0.0 else 1 - t) ** (gamma + 1)

    parameters = Parameters(alpha=alpha, gamma=gamma, form="probability")
    with np.errstate(all="ignore"):
        got = evaluate_partial(numpy_namespace, "targets", np.array([p]), np.array([target]), parameters)
    assert got[0] == float(mp.sign(mp.diff(factor, target))) * np.inf


def test_rows_may_have_several_axes():
    logits, labels = np.array([[ROW, ROW[::-1]], [ROW[::-1], ROW]]), np.array([[1, 1], [1, 1]])
    rows = Parameters(alpha=None, gamma=GAMMA, encoding="labels", form="softmax", weights=np.ones((2, 2)))
    with mp.workdps(40):
        expected = float(softmax_loss(*map(mpf, ROW)))
    got = evaluate_partial(numpy_namespace, "weights", logits, labels, rows)
    np.testing.assert_allclose(got, np.full((2, 2), expected), rtol=1e-14)


@pytest.mark.parametrize(("alpha", "first"), [([1.0, 1.0, 1.0], np.inf), ([0.0, 1.0, 1.0], 0.0)])
def test_a_class_of_no_probability_has_an_infinite_slope_unless_its_weight_is_zero(alpha, first):
    # dL / dt_k = alpha_k (1 - p_k)^gamma (-log p_k), with p = (0, 1/2, 1/2); the weight of a row multiplies it.
    logits, targets = np.array([[-np.inf, 1.0, 1.0]]), np.array([[0.0, 0.5, 0.5]])
    soft = Parameters(alpha=np.array(alpha), gamma=2.0, form="softmax", weights=np.array([3.0]))
    with np.errstate(all="ignore"):
        slope = evaluate_partial(numpy_namespace, "targets", logits, targets, soft)
        of_alpha = evaluate_partial(numpy_namespace, "alpha", logits, targets, soft)
    np.testing.assert_allclose(slope, [[first, 0.75 * np.log(2.0), 0.75 * np.log(2.0)]], rtol=1e-14)
    np.testing.assert_allclose(of_alpha, [[0.0, 0.375 * np.log(2.0), 0.375 * np.log(2.0)]], rtol=1e-14)


def test_constants_are_placed_beside_the_array_but_by_jax_itself_which_has_no_device_under_a_trace():
    asked = []
    jax.eval_shape(lambda array: asked.append(device_of(array)) or array, jax.numpy.zeros(2))
    assert [*asked, device_of(jax.numpy.zeros(2))] == [None, None]
    assert device_of(np.zeros(2)) == "cpu"


@pytest.mark.parametrize("logit", [1e5, 1e250, 1e300, -1e300])
def test_the_weighted_slope_in_the_target_of_a_huge_logit_is_in_proportion_to_it(logit):
    # From the side of the logit the loss is w B^(3/2) |x| with B = 1/2 and w = t / 4 + 3 (1 - t) / 4, w = 1/2.
    parameters = Parameters(alpha=0.25, gamma=0.5)
    got = evaluate_partial(numpy_namespace, "targets", np.array([logit]), np.array([0.5]), parameters)
    slope = -0.5 * mp.mpf(0.5) ** 1.5 - mp.sign(logit) * 0.5 * 1.5 * mp.sqrt(0.5)
    np.testing.assert_allclose(got, [float(slope) * abs(logit)], rtol=1e-13)


def test_derivatives_in_alpha_and_targets_are_weighed():
    weights, logits = np.array([0.5, 3.0, 0.0]), np.array(ROW)
    parameters = Parameters(alpha=0.25, gamma=GAMMA, weights=weights)
    with mp.workdps(40):
        expected = [float(binary_loss(mpf(x))) * w for x, w in zip(ROW, weights, strict=True)]
    got = evaluate_partial(numpy_namespace, "alpha", logits, np.ones(3), parameters)
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    # Without gamma the loss is t log(1 + e^-x) + (1 - t) log(1 + e^x), whose derivative in t is -x.
    plain = Parameters(alpha=None, gamma=0.0, weights=weights)
    got = evaluate_partial(numpy_namespace, "targets", logits, np.full(3, 0.5), plain)
    np.testing.assert_allclose(got, -weights * logits, rtol=1e-15)


def test_an_exponent_beyond_float32_leaves_nothing_of_the_loss_and_is_not_nan():
    parameters = Parameters(alpha=None, gamma=np.array([1e39, 1e300, 0.0]))
    logits = np.float32([0.5, -40.0, 0.0])
    with np.errstate(all="ignore"):
        found = evaluate(numpy_namespace, logits, np.ones(3, bool), parameters)
    # At -40, 1 - p_t is 1 - 4e-18, whose power is exp(-4e282).
    np.testing.assert_allclose(found.value, [0.0, 0.0, np.log(2.0)], rtol=1e-6)
    np.testing.assert_array_equal(found.gradient[:2], [0.0, 0.0])
