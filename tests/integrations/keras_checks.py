"""What holds of the Keras losses on every backend; `test_keras.py` runs this file once for each of them.

Expected numbers are those that the docstrings of Keras 3.15 print for its own losses of the same formulas, or the
formulas themselves in float64.
"""

import doctest
import importlib

import keras
import numpy as np
import pytest

import focal_ref
from focal_ref.integrations.keras import BinaryFocalLoss, CategoricalFocalLoss, SparseCategoricalFocalLoss

# Keras 3.15 reads tensors of PyTorch in a way that NumPy warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

BACKEND = keras.config.backend()

TARGETS = np.array([[0, 1], [0, 0]])
LOGITS = np.array([[-18.6, 0.51], [2.94, -12.8]])
PROBABILITIES = np.array([[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]])
LABELS = np.array([1, 2])

EVERY_LOSS = [BinaryFocalLoss, CategoricalFocalLoss, SparseCategoricalFocalLoss]
every_loss = pytest.mark.parametrize("criterion_type", EVERY_LOSS, ids=lambda criterion: criterion.__name__)


def numbers(tensor):
    return np.asarray(keras.ops.convert_to_numpy(tensor), np.float64)


def gradient(criterion, targets, predictions):
    """Of the loss with respect to the predictions, by the automatic differentiation of the backend."""
    predictions = np.asarray(predictions, np.float32)
    if BACKEND == "jax":
        import jax

        return np.asarray(jax.grad(lambda array: criterion(targets, array))(predictions))
    import torch

    leaf = torch.tensor(predictions, requires_grad=True)
    criterion(targets, leaf).backward()
    return leaf.grad.numpy()


# What Keras prints for its own losses


@pytest.mark.parametrize(
    ("settings", "weights", "printed"),
    [
        ({"gamma": 3, "alpha": None}, None, 0.647),
        ({"gamma": 3}, None, 0.482),
        ({"gamma": 3, "alpha": None}, [0.8, 0.2], 0.133),
        ({"gamma": 3}, [0.8, 0.2], 0.097),
        ({"gamma": 4, "alpha": None, "reduction": "sum"}, None, 1.222),
        ({"gamma": 4, "reduction": "sum"}, None, 0.914),
        ({"gamma": 5, "alpha": None, "reduction": None}, None, [0.0017, 1.1561]),
        ({"gamma": 5, "reduction": None}, None, [0.0004, 0.8670]),
    ],
)
def test_the_binary_loss_is_what_keras_prints(settings, weights, printed):
    found = BinaryFocalLoss(**settings, from_logits=True)(TARGETS, LOGITS, sample_weight=weights)
    np.testing.assert_allclose(numbers(found), printed, atol=5.1e-4 if np.ndim(printed) == 0 else 1e-4)


def test_the_binary_loss_of_one_sample_is_what_keras_prints():
    for alpha, printed in ((None, 0.691), (0.25, 0.51)):
        assert float(BinaryFocalLoss(alpha, from_logits=True)(TARGETS.ravel(), LOGITS.ravel())) == pytest.approx(
            printed, abs=5.1e-4
        )


def test_the_categorical_loss_is_what_keras_prints():
    one_hot = np.eye(3)[LABELS]
    # Keras multiplies all classes by its default of 1/4, and clips the probability 0.
    settings = {"alpha": [0.25] * 3, "from_logits": False}
    printed = [3.2058331e-05, 4.6627346e-01]
    found = CategoricalFocalLoss(**settings, reduction=None)(one_hot, PROBABILITIES)
    np.testing.assert_allclose(numbers(found), printed, rtol=2e-6)
    assert float(CategoricalFocalLoss(**settings)(one_hot, PROBABILITIES)) == pytest.approx(0.23315276, rel=1e-6)
    weighted = CategoricalFocalLoss(**settings)(one_hot, PROBABILITIES, sample_weight=np.array([0.3, 0.7]))
    assert float(weighted) == pytest.approx(0.1632, abs=5.1e-5)
    # The same of labels, and of logits.
    found = SparseCategoricalFocalLoss(**settings, reduction=None)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(numbers(found), printed, rtol=2e-6)
    logits = np.log(PROBABILITIES + 1e-30) + np.array([[3.0], [-5.0]])
    for criterion, targets in ((CategoricalFocalLoss, one_hot), (SparseCategoricalFocalLoss, LABELS)):
        found = criterion(alpha=[0.25] * 3, from_logits=True, reduction=None)(targets, logits)
        np.testing.assert_allclose(numbers(found), printed, rtol=2e-6)


def test_without_gamma_the_sparse_loss_is_the_cross_entropy_that_keras_prints():
    settings = {"gamma": 0, "from_logits": False}
    found = SparseCategoricalFocalLoss(**settings, reduction=None)(LABELS, PROBABILITIES)
    np.testing.assert_allclose(numbers(found), [0.0513, 2.303], atol=5.1e-4)
    assert float(SparseCategoricalFocalLoss(**settings)(LABELS, PROBABILITIES)) == pytest.approx(1.177, abs=5.1e-4)
    weighted = SparseCategoricalFocalLoss(**settings)(LABELS, PROBABILITIES, sample_weight=np.array([0.3, 0.7]))
    assert float(weighted) == pytest.approx(0.814, abs=5.1e-4)


# Beyond what it prints


def test_binary_probabilities_give_the_loss_of_their_logits():
    probabilities = 1 / (1 + np.exp(-np.array([[0.5, -1.0], [2.0, -3.0]])))
    p_t = np.where(TARGETS == 1, probabilities, 1 - probabilities)
    expected = np.where(TARGETS == 1, 0.25, 0.75) * (1 - p_t) ** 2 * -np.log(p_t)
    found = BinaryFocalLoss(from_logits=False)(TARGETS, probabilities)
    assert float(found) == pytest.approx(expected.mean(), rel=1e-6)
    found = BinaryFocalLoss(from_logits=True)(TARGETS, np.array([[0.5, -1.0], [2.0, -3.0]]))
    assert float(found) == pytest.approx(expected.mean(), rel=1e-6)


def test_an_alpha_of_each_output_weighs_its_own():
    logits = np.zeros((1, 2))
    expected = (0.1 + (1 - 0.4)) * 0.25 * np.log(2) / 2
    assert float(BinaryFocalLoss(alpha=[0.1, 0.4], from_logits=True)(np.array([[1, 0]]), logits)) == pytest.approx(
        expected, rel=1e-6
    )


def test_smoothing_moves_targets_towards_the_uniform_ones():
    p = 1 / (1 + np.exp(-1.0))
    t = 0.95
    expected = (p * (1 - t) + (1 - p) * t) ** 2 * -(t * np.log(p) + (1 - t) * np.log(1 - p))
    found = BinaryFocalLoss(alpha=None, label_smoothing=0.1, from_logits=True)(np.array([[1.0]]), np.array([[1.0]]))
    assert float(found) == pytest.approx(expected, rel=1e-6)
    p = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    t = np.array([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3])
    found = CategoricalFocalLoss(label_smoothing=0.1, from_logits=True)(
        np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 2.0]])
    )
    assert float(found) == pytest.approx(np.sum(t * (1 - p) ** 2 * -np.log(p)), rel=1e-6)


def test_classes_may_lie_on_another_axis():
    logits = np.random.default_rng(0).normal(size=(2, 4, 3))
    labels = np.array([[0, 1, 2, 0], [2, 2, 1, 0]])
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    p_y = np.take_along_axis(p, labels[..., None], -1)[..., 0]
    expected = (1 - p_y) ** 2 * -np.log(p_y)
    moved = np.moveaxis(logits, -1, 1)
    found = SparseCategoricalFocalLoss(axis=1, reduction=None, from_logits=True)(labels, moved)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-6)
    one_hot = np.moveaxis(np.eye(3)[labels], -1, 1)
    np.testing.assert_allclose(
        numbers(CategoricalFocalLoss(axis=1, reduction=None, from_logits=True)(one_hot, moved)), expected, rtol=1e-6
    )
    # Labels with an axis of length 1 where the classes lie, as Keras takes them.
    found = SparseCategoricalFocalLoss(reduction=None, from_logits=True)(labels[..., None], logits)
    np.testing.assert_allclose(numbers(found), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shapes", "result"), [([(4,), (4, 1)], (4,)), ([(4, 1), (4,)], (4,)), ([(4, 2, 1), (4, 2)], (4,))]
)
def test_a_last_axis_of_length_one_may_be_left_out(shapes, result):
    targets, logits = np.ones(shapes[0]), np.zeros(shapes[1])
    found = BinaryFocalLoss(reduction=None, from_logits=True)(targets, logits)
    np.testing.assert_allclose(numbers(found), np.full(result, 0.25 * 0.25 * np.log(2)), rtol=1e-6)


def test_other_shapes_are_refused_and_not_broadcast():
    with pytest.raises(ValueError, match=r"targets: got shape \(4, 1\), logits have shape \(4, 3\)"):
        BinaryFocalLoss(from_logits=True)(np.ones((4, 1)), np.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"y_true: got shape \(4,\).*SparseCategoricalFocalLoss"):
        CategoricalFocalLoss(from_logits=True)(np.ones(4), np.zeros((4, 3)))


@pytest.mark.parametrize("settings", [{}, {"ignore_class": 255}])
@pytest.mark.parametrize("from_logits", [True, False])
def test_ignored_labels_have_no_loss_and_are_not_counted_in_the_mean(from_logits, settings):
    labels = np.array([1, settings.get("ignore_class", focal_ref.IGNORE), 2])
    rows = np.array([PROBABILITIES[0], [0.2, 0.3, 0.5], PROBABILITIES[1]])
    predictions = np.log(rows + 1e-30) if from_logits else rows
    criterion = SparseCategoricalFocalLoss(from_logits=from_logits, alpha=[0.25] * 3, **settings)
    assert float(criterion(labels, predictions)) == pytest.approx(0.23315276, rel=1e-6)
    slopes = gradient(criterion, labels, predictions)
    assert np.all(np.isfinite(slopes))
    assert np.all(slopes[1] == 0)
    assert np.all(slopes[2] != 0)


def test_all_labels_ignored_give_zero():
    assert float(SparseCategoricalFocalLoss(from_logits=True)(np.array([-2, -2]), np.zeros((2, 3)))) == 0.0


def test_hard_examples_keep_their_gradient():
    # Keras gives -1.3e-6 for the first: it clips the probability that it computed.
    slopes = gradient(
        BinaryFocalLoss(alpha=None, reduction="sum", from_logits=True),
        np.array([[1], [0], [1]]),
        [[-17.0], [40.0], [200.0]],
    )
    np.testing.assert_allclose(slopes, [[-1.0], [1.0], [0.0]], rtol=2e-6)


def test_a_saturated_softmax_has_a_finite_loss_and_gradient():
    criterion = CategoricalFocalLoss(from_logits=False)
    targets, probabilities = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    # The smallest normal number instead of 0.
    assert float(criterion(targets, probabilities)) == pytest.approx(126 * np.log(2), rel=1e-6)
    assert np.all(np.isfinite(gradient(criterion, targets, probabilities)))


def test_logits_that_are_said_to_be_probabilities_are_not_a_number():
    for logits in ([[2.0, -1.0]], [[2.0, 0.0]], [[0.0, -1.0]]):
        found = CategoricalFocalLoss(from_logits=False)(np.array([[1.0, 0.0]]), np.array(logits))
        assert np.isnan(float(found))


# Training


def model_of(outputs):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(outputs, kernel_initializer="zeros")])


def data_of(criterion_type):
    """Features and targets that a linear model separates."""
    features = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    classes = np.argmax(features, -1)
    if criterion_type is BinaryFocalLoss:
        return features, (features[:, 0] > 0).astype(np.int64), 1
    return features, classes if criterion_type is SparseCategoricalFocalLoss else np.eye(3)[classes], 3


@every_loss
def test_a_model_trains_and_is_saved_with_its_loss(criterion_type, tmp_path):
    features, targets, outputs = data_of(criterion_type)
    model = model_of(outputs)
    model.compile(optimizer=keras.optimizers.Adam(0.1), loss=criterion_type(gamma=1.5, from_logits=True))
    before = model.get_weights()
    weights = np.linspace(0.5, 1.5, 32)
    history = model.fit(features, targets, sample_weight=weights, epochs=4, batch_size=8, shuffle=False, verbose=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    assert all(np.any(old != new) for old, new in zip(before, model.get_weights(), strict=True))

    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    assert type(loaded.loss) is criterion_type
    assert loaded.loss.get_config() == model.loss.get_config()
    found, expected = (one.evaluate(features, targets, verbose=0) for one in (loaded, model))
    assert found == expected


# Configuration


@every_loss
def test_a_configuration_makes_an_equal_loss(criterion_type):
    own = {"ignore_class": 7} if criterion_type is SparseCategoricalFocalLoss else {"label_smoothing": 0.25}
    settings = {
        "alpha": [0.5, 0.25, 1.0],
        "gamma": 1.5,
        "from_logits": False,
        "axis": 1,
        "reduction": "sum",
        "name": "mine",
        "dtype": "float64",
        **own,
    }
    criterion = criterion_type(**settings)
    assert criterion.get_config() == settings
    assert criterion_type.from_config(settings).get_config() == settings
    for restore, store in (
        (keras.saving.deserialize_keras_object, keras.saving.serialize_keras_object),
        (keras.losses.deserialize, keras.losses.serialize),
    ):
        restored = restore(store(criterion))
        assert type(restored) is criterion_type
        assert restored.get_config() == settings


@every_loss
def test_arrays_of_numbers_are_stored_as_plain_lists(criterion_type):
    criterion = criterion_type(alpha=np.array([0.5, 0.25]), gamma=np.float32(2.0))
    config = criterion.get_config()
    assert (config["alpha"], config["gamma"]) == ([0.5, 0.25], 2.0)
    assert (type(config["alpha"]), type(config["gamma"])) == (list, float)


@pytest.mark.parametrize(
    ("criterion_type", "settings", "text"),
    [
        (BinaryFocalLoss, {"alpha": 1.5}, "alpha: got 1.5; it is in [0, 1]"),
        (BinaryFocalLoss, {"gamma": -1.0}, "gamma: got -1.0; it is finite and >= 0"),
        (BinaryFocalLoss, {"label_smoothing": 1.5}, "label_smoothing: got 1.5; it is in [0, 1]"),
        (CategoricalFocalLoss, {"alpha": 0.25}, "alpha: got 0.25; it holds one number a class."),
        (CategoricalFocalLoss, {"alpha": [0.5, -1.0]}, "alpha: got -1.0 at position (1,); it is finite and >= 0"),
        (SparseCategoricalFocalLoss, {"gamma": float("nan")}, "gamma: got nan; it is finite and >= 0"),
    ],
)
def test_numbers_out_of_range_are_refused_at_construction(criterion_type, settings, text):
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the whole text is compared
        criterion_type(**settings)
    assert str(raised.value).startswith(text)


def test_a_dtype_that_cannot_hold_the_labels_is_refused():
    criterion = SparseCategoricalFocalLoss(dtype="bfloat16", from_logits=True)
    with pytest.raises(ValueError, match=r"^dtype: got 'bfloat16', which cannot name 300 classes; pass dtype="):
        criterion(np.zeros(1), np.zeros((1, 300)))
    found = criterion(np.array([256]), np.zeros((1, 257)))
    assert float(found) == pytest.approx((1 - 1 / 257) ** 2 * np.log(257), rel=2**-8)


@every_loss
def test_another_backend_is_refused(criterion_type, monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "tensorflow")
    with pytest.raises(RuntimeError, match=r"^Keras runs on 'tensorflow'; these losses run on 'torch' and 'jax'"):
        criterion_type()


def test_the_examples_of_the_docstrings_print_what_they_say():
    outcome = doctest.testmod(importlib.import_module("focal_ref.integrations.keras"))
    assert (outcome.attempted, outcome.failed) == (12, 0)
