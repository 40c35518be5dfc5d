"""Real trainings of XGBoost and LightGBM on imbalanced data of scikit-learn's, against log loss."""

import lightgbm
import numpy as np
import pytest
import xgboost
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

import focal_ref
from focal_ref.boosting import lightgbm_objective, starting_score, xgboost_objective

ROUNDS = 30
XGBOOST = {"max_depth": 3, "eta": 0.3, "seed": 0, "nthread": 1}
LIGHTGBM = {"max_depth": 3, "learning_rate": 0.3, "seed": 0, "num_threads": 1, "verbosity": -1, "deterministic": True}


@pytest.fixture(scope="module")
def rare_digit():
    """One digit against the nine others, two thirds of its examples left out: about 1 in 29 is positive."""
    images, digits = load_digits(return_X_y=True)
    kept = np.flatnonzero((digits != 8) | (np.arange(digits.size) % 3 == 0))
    labels = (digits[kept] == 8).astype(np.int64)
    assert 0.02 < labels.mean() < 0.05
    return train_test_split(images[kept], labels, test_size=0.4, random_state=0, stratify=labels)


@pytest.fixture(scope="module")
def rare_classes():
    """Ten digits, those from 5 on three times as rare as the others."""
    images, digits = load_digits(return_X_y=True)
    kept = np.flatnonzero((digits < 5) | (np.arange(digits.size) % 3 == 0))
    return train_test_split(images[kept], digits[kept], test_size=0.4, random_state=0, stratify=digits[kept])


def mean_loss(scores, labels):
    return float(focal_ref.loss(np.asarray(scores, np.float64), labels, alpha=None, reduction="mean"))


def test_xgboost_trains_a_rare_class_as_well_as_with_log_loss(rare_digit):
    train_x, test_x, train_y, test_y = rare_digit
    start = starting_score(train_y)
    train = xgboost.DMatrix(train_x, label=train_y, base_margin=np.full(train_y.size, start))
    test = xgboost.DMatrix(test_x, label=test_y, base_margin=np.full(test_y.size, start))
    focal = xgboost.train(XGBOOST, train, ROUNDS, obj=xgboost_objective())
    log_loss = xgboost.train({**XGBOOST, "objective": "binary:logistic"}, train, ROUNDS)
    scores = focal.predict(test, output_margin=True)
    assert np.isfinite(scores).all()
    assert mean_loss(scores, test_y) < 0.2 * mean_loss(np.full(test_y.size, start), test_y)
    precision = average_precision_score(test_y, scores)
    assert precision > average_precision_score(test_y, log_loss.predict(test)) - 0.05
    assert precision > 0.8


def test_lightgbm_trains_a_rare_class_as_well_as_with_log_loss(rare_digit):
    train_x, test_x, train_y, test_y = rare_digit
    start = starting_score(train_y)
    train = lightgbm.Dataset(train_x, label=train_y, init_score=np.full(train_y.size, start), free_raw_data=False)
    focal = lightgbm.train({**LIGHTGBM, "objective": lightgbm_objective()}, train, ROUNDS)
    plain = lightgbm.Dataset(train_x, label=train_y)
    log_loss = lightgbm.train({**LIGHTGBM, "objective": "binary"}, plain, ROUNDS)
    # Predictions leave the starting score out.
    scores = focal.predict(test_x) + start
    assert np.isfinite(scores).all()
    assert mean_loss(scores, test_y) < 0.2 * mean_loss(np.full(test_y.size, start), test_y)
    precision = average_precision_score(test_y, scores)
    assert precision > average_precision_score(test_y, log_loss.predict(test_x)) - 0.05
    assert precision > 0.8


def test_without_focusing_xgboost_grows_the_trees_of_its_own_log_loss(rare_digit):
    train_x, test_x, train_y, _ = rare_digit
    train, test = xgboost.DMatrix(train_x, label=train_y), xgboost.DMatrix(test_x)
    ours = xgboost.train({**XGBOOST, "base_score": 0.0}, train, 10, obj=xgboost_objective(gamma=0.0))
    own = xgboost.train({**XGBOOST, "objective": "binary:logistic", "base_score": 0.5}, train, 10)
    np.testing.assert_allclose(
        ours.predict(test, output_margin=True), own.predict(test, output_margin=True), rtol=1e-3, atol=1e-3
    )


def test_sample_weights_count_like_repeated_rows_in_xgboost(rare_digit):
    train_x, test_x, train_y, _ = rare_digit
    count = np.where(train_y == 1, 3, 1)
    weighted = xgboost.DMatrix(train_x, label=train_y, weight=count)
    repeated = xgboost.DMatrix(np.repeat(train_x, count, axis=0), label=np.repeat(train_y, count))
    options = {**XGBOOST, "tree_method": "exact", "base_score": 0.0}
    first, second = (xgboost.train(options, data, 5, obj=xgboost_objective()) for data in (weighted, repeated))
    test = xgboost.DMatrix(test_x)
    np.testing.assert_allclose(first.predict(test), second.predict(test), rtol=1e-3, atol=1e-4)


def test_xgboost_trains_many_classes(rare_classes):
    train_x, test_x, train_y, test_y = rare_classes
    train, test = xgboost.DMatrix(train_x, label=train_y), xgboost.DMatrix(test_x)
    options = {**XGBOOST, "num_class": 10}
    focal = xgboost.train(options, train, ROUNDS, obj=xgboost_objective(num_class=10))
    log_loss = xgboost.train({**options, "objective": "multi:softprob"}, train, ROUNDS)
    scores = focal.predict(test, output_margin=True)
    ours = balanced_accuracy_score(test_y, scores.argmax(axis=1))
    assert ours > balanced_accuracy_score(test_y, log_loss.predict(test).argmax(axis=1)) - 0.03
    assert ours > 0.85


def test_lightgbm_trains_many_classes(rare_classes):
    train_x, test_x, train_y, test_y = rare_classes
    objective = lightgbm_objective(num_class=10)
    options = {**LIGHTGBM, "num_class": 10}
    focal = lightgbm.train({**options, "objective": objective}, lightgbm.Dataset(train_x, label=train_y), ROUNDS)
    log_loss = lightgbm.train({**options, "objective": "multiclass"}, lightgbm.Dataset(train_x, label=train_y), ROUNDS)
    ours = balanced_accuracy_score(test_y, focal.predict(test_x).argmax(axis=1))
    assert ours > balanced_accuracy_score(test_y, log_loss.predict(test_x).argmax(axis=1)) - 0.03
    assert ours > 0.85


def test_the_estimators_of_both_libraries_take_the_objectives(rare_digit):
    train_x, test_x, train_y, test_y = rare_digit
    weights = np.where(train_y == 1, 5.0, 1.0)
    forest = xgboost.XGBRegressor(objective=xgboost_objective(), n_estimators=ROUNDS, max_depth=3, n_jobs=1)
    forest.fit(train_x, train_y, sample_weight=weights)
    assert average_precision_score(test_y, forest.predict(test_x)) > 0.8
    leaves = lightgbm.LGBMRegressor(
        objective=lightgbm_objective(), n_estimators=ROUNDS, learning_rate=0.3, max_depth=3, n_jobs=1, verbosity=-1
    )
    leaves.fit(train_x, train_y, sample_weight=weights)
    assert average_precision_score(test_y, leaves.predict(test_x)) > 0.8
