"""Integer labels: classes, background, ignored elements, what is refused, and what memory they need."""

import subprocess
import sys

import numpy as np
import pytest

from focal_ref import (
    BACKGROUND,
    IGNORE,
    check_targets,
    loss,
    loss_from_labels,
    parameter_gradients,
    second_derivative,
    softmax_loss,
    value_and_grad,
)

from ..comparison import DTYPES, assert_same_bits, assert_within, expected, expected_sum, some_logits

CLASSES = 5
LABELS = np.array([[0, 4, BACKGROUND], [IGNORE, 2, 2]])
COUNTED = LABELS != IGNORE

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def some(dtype, seed=0):
    return some_logits(dtype, LABELS.size * CLASSES, seed).reshape(*LABELS.shape, CLASSES)


def one_hot(labels, classes=CLASSES):
    return (labels[..., np.newaxis] == np.arange(classes)).astype(np.float64)


@every_dtype
@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_labels_give_the_exact_loss_and_gradient_of_their_one_hot_targets(dtype, gamma):
    logits = some(dtype)
    value, gradient = value_and_grad(logits, LABELS, function=loss_from_labels, gamma=gamma)
    exact = expected(logits, one_hot(LABELS), gamma=gamma)
    bound = 9.0 + 2.0 * gamma if dtype == "float64" else 0.501
    for found, quantity in ((value, "value"), (gradient, "gradient")):
        assert_within(found[COUNTED], exact[quantity][COUNTED], bound)
        assert np.all(found[~COUNTED] == 0)
    assert_same_bits(loss_from_labels(logits, LABELS, gamma=gamma), value)


def test_an_alpha_for_each_class_weighs_its_positives_and_by_the_complement_its_negatives():
    logits = some("float32")
    alpha = np.array([0.0, 0.1, 0.5, 0.75, 1.0])
    exact = expected(logits, one_hot(LABELS), alpha=np.broadcast_to(alpha, logits.shape))
    found = loss_from_labels(logits, LABELS, alpha=alpha)
    assert_within(found[COUNTED], exact["value"][COUNTED], 0.501)


def test_ignored_elements_are_zero_even_where_the_logits_are_nan_or_infinite():
    logits = np.array([[np.nan, np.inf, -np.inf], [0.0, 0.0, 0.0]])
    labels = np.array([IGNORE, 1])
    for found in value_and_grad(logits, labels, function=loss_from_labels):
        assert np.all(found[0] == 0)
        assert np.all(np.isfinite(found[1]))
    assert np.all(second_derivative(logits, labels, function=loss_from_labels)[0] == 0)
    gradients = parameter_gradients(logits, labels, function=loss_from_labels)
    assert all(np.all(gradient[0] == 0) for gradient in gradients.values())
    assert loss_from_labels(logits, labels, reduction="sum") == loss_from_labels(
        logits[1:], labels[1:], reduction="sum"
    )


@every_dtype
def test_the_mean_counts_what_is_not_ignored(dtype):
    logits = some(dtype, seed=4)
    exact = expected_sum(logits[COUNTED], one_hot(LABELS)[COUNTED]) / (np.sum(COUNTED) * CLASSES)
    found = loss_from_labels(logits, LABELS, reduction="mean")
    assert found.dtype == (np.float64 if dtype == "float64" else np.float32)
    np.testing.assert_allclose(float(found), exact, rtol=4e-16 if dtype == "float64" else 6e-8)


@pytest.mark.parametrize("labels", [np.full(4, IGNORE), np.empty(0, np.int64)])
def test_sum_and_mean_of_nothing_are_zero(labels):
    logits = np.full((labels.size, 3), np.nan)
    for reduction in ("sum", "mean"):
        assert loss_from_labels(logits, labels, reduction=reduction) == 0.0
        assert softmax_loss(logits, labels, reduction=reduction) == 0.0


@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_logits_without_rows_or_without_classes_give_results_of_their_shape(shape):
    labels = np.full(shape[0], BACKGROUND)
    assert loss_from_labels(np.zeros(shape), labels).shape == shape
    assert loss_from_labels(np.zeros(shape), labels, reduction="sum") == 0.0


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
def test_labels_of_every_integer_width_are_taken(dtype):
    logits = some_logits("float32", 400).reshape(2, 200)
    labels = np.array([0, 100])
    assert_same_bits(loss_from_labels(logits, labels.astype(dtype)), loss_from_labels(logits, labels))


def test_background_is_a_negative_of_every_class():
    logits = some("float64")
    found = loss_from_labels(logits, np.full(LABELS.shape, BACKGROUND))
    assert_same_bits(found, loss(logits, np.zeros(logits.shape)))


@pytest.mark.parametrize("order", ["C", "F"])
def test_strided_logits_and_labels_give_the_bits_of_contiguous_ones(order):
    logits, labels = np.asarray(some("float32")[:, ::-1], order=order), LABELS[:, ::-1]
    plain = loss_from_labels(np.ascontiguousarray(logits), np.ascontiguousarray(labels))
    assert_same_bits(loss_from_labels(logits, labels), plain)


@pytest.mark.parametrize("label", [-3, CLASSES, 2**31, -(2**31), 2**40])
def test_a_label_that_is_no_class_and_no_code_is_refused_with_its_position(label):
    labels = LABELS.copy()
    labels[1, 2] = label
    with pytest.raises(ValueError, match=r"^labels: ") as raised:
        loss_from_labels(some("float32"), labels)
    assert str(raised.value) == (
        f"labels: got {label} at position (1, 2); it is a class 0..4, or BACKGROUND = -1, IGNORE = -2"
    )


def test_a_softmax_has_no_background():
    with pytest.raises(ValueError, match=r"^labels: ") as raised:
        softmax_loss(np.zeros((2, 3)), np.array([0, BACKGROUND]))
    assert str(raised.value) == "labels: got -1 at position (1,); it is a class 0..2, or IGNORE = -2"


@pytest.mark.parametrize("function", [loss_from_labels, softmax_loss])
@pytest.mark.parametrize("dtype", ["float64", "bool", "uint64", "complex64"])
def test_labels_that_are_no_integers_are_refused(function, dtype):
    with pytest.raises(TypeError, match=r"^labels: got "):
        function(np.zeros((2, 3)), np.zeros(2).astype(dtype))


@pytest.mark.parametrize("shape", [(), (3,), (2, 1), (2, 3, 1), (2, 4)])
def test_labels_of_another_shape_are_refused_with_both_shapes(shape):
    with pytest.raises(ValueError, match=r"^labels: ") as raised:
        loss_from_labels(np.zeros((2, 4)), np.zeros(shape, np.int64))
    assert str(raised.value) == (
        f"labels: got shape {shape}, logits have shape (2, 4); labels have shape (2,), nothing is broadcast"
    )


def test_logits_without_an_axis_of_classes_are_refused():
    with pytest.raises(ValueError, match=r"^logits: got shape \(\); they need an axis of classes$"):
        loss_from_labels(np.zeros(()), np.zeros((), np.int64))


def test_targets_of_every_encoding_are_checked_on_request():
    check_targets(np.array([0.0, 0.5, 1.0]))
    check_targets(np.array([-1, 1]), encoding="signed")
    check_targets(np.array([3, BACKGROUND, IGNORE]), encoding="labels", num_classes=4)
    check_targets(np.array([10**6]), encoding="labels")
    refused = [
        (np.array([0.0, np.nan]), {}, "targets: got nan at position (1,); it is in [0, 1] (encoding='binary')"),
        (np.array([0, 1]), {"encoding": "signed"}, "targets: got 0 at position (0,); it is -1 or +1 "),
        (np.array([4]), {"encoding": "labels", "num_classes": 4}, "targets: got 4 at position (0,); it is a class 0"),
        (
            np.array([-1]),
            {"encoding": "labels", "background": False},
            "targets: got -1 at position (0,); it is a class >= 0, or IGNORE = -2",
        ),
        (np.array([0]), {"encoding": "onehot"}, "encoding: got 'onehot'; allowed are 'binary', 'signed', 'labels'"),
        (np.array([0]), {"num_classes": 3}, "num_classes: got 3 with encoding='binary'; it belongs to encoding="),
    ]
    for targets, options, text in refused:
        with pytest.raises(ValueError, match=r"^\w+: got") as raised:
            check_targets(targets, **options)
        assert str(raised.value).startswith(text)
    with pytest.raises(TypeError, match=r"^targets: got dtype float64 with encoding='labels'; labels are integers$"):
        check_targets(np.array([0.0]), encoding="labels")


def test_no_one_hot_array_is_ever_built():
    # 20000 rows of 500 classes: the logits are 40 MB, one-hot targets of a byte each would be 10 MB.
    program = """
import tracemalloc, numpy as np, focal_ref
logits, labels = np.zeros((20_000, 500), np.float32), np.arange(20_000) % 502 - 2
out = np.empty_like(logits), np.empty_like(logits)
# The first round compiles.
for start in (lambda: None, tracemalloc.start):
    start()
    focal_ref.loss_from_labels(logits, labels, reduction="sum")
    focal_ref.value_and_grad(logits, labels, function=focal_ref.loss_from_labels, out=out)
print(tracemalloc.get_traced_memory()[1])
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert int(finished.stdout) < 1_000_000
