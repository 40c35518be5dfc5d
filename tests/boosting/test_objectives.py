"""Gradients, Hessians, weights and starting scores of the boosting objectives, by the printed formulas in mpmath."""

import pickle

import mpmath
import numpy as np
import pytest

from focal_ref.boosting import lightgbm_objective, starting_score, xgboost_objective

SCORES = np.array([-800.0, -37.5, -20.0, -5.0, -2.7903774805517590, -1.0, 0.0, 0.3, 2.0, 16.0, 37.0, 38.0, 745.0])


def binary_oracle(order, score, label, alpha, gamma):
    with mpmath.workdps(900):
        weight = 1 if alpha is None else mpmath.mpf(alpha) if label else 1 - mpmath.mpf(alpha)

        def loss(x):
            p = 1 / (1 + mpmath.exp(-x))
            p_t = p if label else 1 - p
            return -weight * (1 - p_t) ** mpmath.mpf(gamma) * mpmath.log(p_t)

        return float(mpmath.diff(loss, mpmath.mpf(score), order))


def softmax_oracle(order, scores, label, weight, gamma, index):
    with mpmath.workdps(80):

        def loss(x):
            terms = [mpmath.exp(x if position == index else score) for position, score in enumerate(scores)]
            p = terms[label] / sum(terms)
            return -weight * (1 - p) ** mpmath.mpf(gamma) * mpmath.log(p)

        return float(mpmath.diff(loss, mpmath.mpf(scores[index]), order))


@pytest.mark.parametrize("alpha", [None, 0.25])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_binary_gradient_and_exact_hessian_are_those_of_the_printed_formula(alpha, gamma):
    objective = xgboost_objective(alpha=alpha, gamma=gamma, hessian="exact")
    for label in (0, 1):
        gradient, hessian = objective(np.full(SCORES.size, label), SCORES)
        expected = [binary_oracle(1, score, label, alpha, gamma) for score in SCORES]
        np.testing.assert_allclose(gradient, expected, rtol=1e-14, atol=0)
        expected = [binary_oracle(2, score, label, alpha, gamma) for score in SCORES]
        np.testing.assert_allclose(hessian, expected, rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
def test_the_bound_is_positive_and_not_below_the_exact_hessian(gamma):
    scores = np.linspace(-60.0, 60.0, 2001)
    for label in (0, 1):
        labels = np.full(scores.size, label)
        _, bound = xgboost_objective(alpha=0.3, gamma=gamma)(labels, scores)
        _, exact = xgboost_objective(alpha=0.3, gamma=gamma, hessian="exact")(labels, scores)
        assert (bound > 0).all()
        assert (bound >= exact * (1 - 1e-13)).all()


def test_the_exact_hessian_of_a_hard_example_is_negative_and_its_bound_is_not():
    labels, scores = np.array([1]), np.array([-4.0])
    assert xgboost_objective(hessian="exact")(labels, scores)[1][0] < 0
    assert xgboost_objective()(labels, scores)[1][0] > 0


def test_a_confident_false_positive_has_gradient_one_and_no_nan():
    # y = 0 and x >= 37 is NaN in objectives that subtract a rounded probability from 1.
    for score in (37.0, 38.0, 100.0, 745.0, 1e6):
        gradient, hessian = xgboost_objective()(np.array([0]), np.array([score]))
        np.testing.assert_allclose(gradient, 1.0, rtol=1e-13)
        assert np.isfinite(hessian).all()


def test_an_easy_negative_keeps_its_gradient():
    # Objectives with an epsilon in the logarithm are wrong by a factor of thousands at x = -30.
    gradient, _ = xgboost_objective(gamma=2.0)(np.array([0]), np.array([-30.0]))
    np.testing.assert_allclose(gradient[0], binary_oracle(1, -30.0, 0, None, 2.0), rtol=1e-14)


@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_multiclass_gradient_and_exact_hessian_are_those_of_the_printed_formula(gamma):
    scores = np.array([[0.5, -1.0, 2.0], [3.0, 3.0, -2.0], [-8.0, 1.0, 7.0]])
    labels, weights = np.array([2, 0, 0]), [1.0, 0.5, 2.0]
    objective = lightgbm_objective(num_class=3, alpha=weights, gamma=gamma, hessian="exact")
    gradient, hessian = objective(labels, scores)
    for order, got in ((1, gradient), (2, hessian)):
        expected = [
            [softmax_oracle(order, row, label, weights[label], gamma, index) for index in range(3)]
            for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
        ]
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_multiclass_bounds_are_positive_and_not_below_the_exact_hessian(gamma):
    generator = np.random.default_rng(5)
    scores, labels = generator.normal(0.0, 5.0, (500, 4)), generator.integers(0, 4, 500)
    _, bound = xgboost_objective(num_class=4, gamma=gamma)(labels, scores)
    _, exact = xgboost_objective(num_class=4, gamma=gamma, hessian="exact")(labels, scores)
    assert (bound > 0).all()
    # Where one class has nearly all, the bound is rounded at 1e-11 of itself.
    assert (bound >= exact - 1e-10 * np.abs(exact)).all()


def test_gradients_of_a_row_add_up_to_zero():
    # They do not in objectives that take the one-vs-rest formula for a softmax.
    generator = np.random.default_rng(6)
    scores, labels = generator.normal(0.0, 20.0, (300, 5)), generator.integers(0, 5, 300)
    gradient, _ = lightgbm_objective(num_class=5)(labels, scores)
    np.testing.assert_allclose(gradient.sum(axis=1), 0.0, atol=1e-15)
    assert np.isfinite(gradient).all()


def test_without_focusing_the_objective_is_log_loss():
    gradient, hessian = xgboost_objective(gamma=0.0)(np.array([1, 0]), np.array([0.0, np.log(3.0)]))
    np.testing.assert_allclose(gradient, [-0.5, 0.75], rtol=1e-15)
    np.testing.assert_allclose(hessian, [0.25, 0.1875], rtol=1e-15)


class _TrainingSet:
    def __init__(self, labels, weights):
        self.labels, self.weights = labels, weights

    def get_label(self):
        return self.labels

    def get_weight(self):
        return self.weights


@pytest.mark.parametrize("hessian", ["bound", "exact"])
def test_sample_weights_multiply_gradient_and_hessian_in_both_ways_of_calling(hessian):
    scores, labels = np.array([-3.0, 0.5, 2.0]), np.array([1.0, 0.0, 1.0], dtype=np.float32)
    weights = np.array([2.0, 0.0, 0.5])
    objective = xgboost_objective(hessian=hessian)
    plain = objective(labels, scores)
    for got in (objective(scores, _TrainingSet(labels, weights)), objective(labels, scores, weights)):
        for quantity, unweighted in zip(got, plain, strict=True):
            np.testing.assert_array_equal(quantity, unweighted * weights)
    # An empty array is how XGBoost says that there are none.
    np.testing.assert_array_equal(objective(scores, _TrainingSet(labels, np.empty(0)))[0], plain[0])


def test_an_objective_can_be_pickled_with_its_estimator():
    objective = xgboost_objective(num_class=3, alpha=[1.0, 2.0, 3.0], gamma=1.0)
    assert pickle.loads(pickle.dumps(objective)) == objective


def test_starting_scores_are_those_of_the_prior():
    assert starting_score([0, 0, 0, 1]) == pytest.approx(-np.log(3.0), rel=1e-15)
    assert starting_score([0, 1], sample_weight=[1.0, 3.0]) == pytest.approx(np.log(3.0), rel=1e-15)
    np.testing.assert_allclose(starting_score([0, 1, 1, 2], num_class=3), np.log([0.25, 0.5, 0.25]), rtol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xgboost_objective(gamma=-1.0), r"gamma: got -1.0; it is finite and >= 0"),
        (lambda: xgboost_objective(alpha=2.0), r"alpha: got 2.0; it is in \[0, 1\]"),
        (lambda: xgboost_objective(hessian="fisher"), r"hessian: got 'fisher'; allowed are 'bound', 'exact'"),
        (
            lambda: lightgbm_objective(num_class=1),
            r"num_class: got 1; it is None for binary labels, or an integer >= 2",
        ),
        (lambda: lightgbm_objective(num_class=3, alpha=[1.0, 2.0]), r"alpha: got shape \(2,\); it holds one number a"),
        (
            lambda: xgboost_objective()(np.array([0, 2]), np.zeros(2)),
            r"labels: got 2.0 at position \(1,\); they are 0 to 1",
        ),
        (
            lambda: xgboost_objective()(np.array([0, 1]), np.zeros((2, 3))),
            r"scores: got shape \(2, 3\), labels have shape \(2,\); for more than two classes pass num_class",
        ),
        (
            lambda: xgboost_objective(num_class=3)(np.array([0, 1]), np.zeros(2)),
            r"scores: got shape \(2,\); 2 rows of num_class scores are \(2, 3\)",
        ),
        (
            lambda: xgboost_objective()(np.array([0, 1]), np.zeros(2), np.ones(3)),
            r"sample_weight: got shape \(3,\), labels have shape \(2,\)",
        ),
        (lambda: starting_score([0, 0]), r"labels: class 1 does not occur, so that its prior is 0"),
    ],
)
def test_errors_name_the_argument_its_value_and_what_is_allowed(call, message):
    with pytest.raises(ValueError, match=message):
        call()
