"""What docs/reports/keras.md proposes for keras/src/losses/losses.py."""

import math

import keras
import ml_dtypes
from keras import backend, ops


def binary_focal_crossentropy(
    y_true,
    y_pred,
    apply_class_balancing=False,
    alpha=0.25,
    gamma=2.0,
    from_logits=False,
    label_smoothing=0.0,
    axis=-1,
):
    """Arguments and result of ``keras.losses.binary_focal_crossentropy``."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)

    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing

    if from_logits:
        negative = y_true < 0.5
        margin = ops.where(negative, -y_pred, y_pred)
        # How much of the target belongs to the other class: nothing, but for soft targets.
        other = ops.where(negative, y_true, 1.0 - y_true)
        # Finite, for 0 * inf.
        bce = other * ops.nan_to_num(margin) - ops.log_sigmoid(margin)
        # The derivative of x ** gamma, gamma < 1, is infinite at 0: 1 - p_t stays above the smallest normal number.
        limit = -math.log(_smallest_normal(y_pred)) - 0.5
        one_minus_p_t = (1.0 - 2.0 * other) * ops.sigmoid(-ops.clip(margin, -limit, limit)) + other
    else:
        y_pred = ops.clip(y_pred, backend.epsilon(), 1.0 - backend.epsilon())
        bce = ops.binary_crossentropy(target=y_true, output=y_pred, from_logits=False)
        one_minus_p_t = y_true * (1.0 - y_pred) + (1.0 - y_true) * y_pred

    focal_bce = ops.power(one_minus_p_t, gamma) * bce

    if apply_class_balancing:
        weight = y_true * alpha + (1 - y_true) * (1 - alpha)
        focal_bce = weight * focal_bce

    return ops.mean(focal_bce, axis=axis)


def categorical_focal_crossentropy(
    y_true, y_pred, alpha=0.25, gamma=2.0, from_logits=False, label_smoothing=0.0, axis=-1
):
    """Arguments and result of ``keras.losses.categorical_focal_crossentropy``."""
    if not from_logits:
        return keras.losses.categorical_focal_crossentropy(y_true, y_pred, alpha, gamma, False, label_smoothing, axis)
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)

    if label_smoothing:
        num_classes = ops.cast(ops.shape(y_true)[-1], y_pred.dtype)
        y_true = y_true * (1.0 - label_smoothing) + (label_smoothing / num_classes)

    log_p = ops.log_softmax(y_pred, axis=axis)
    # A logit of -inf masks its class: 0 * inf would be NaN.
    cce = ops.where(y_true == 0.0, 0.0, -y_true * log_p)
    one_minus_p = ops.maximum(-ops.expm1(log_p), _smallest_normal(y_pred))
    return ops.sum(ops.multiply(ops.power(one_minus_p, gamma), alpha) * cce, axis=axis)


def _smallest_normal(x):
    return float(ml_dtypes.finfo(backend.standardize_dtype(x.dtype)).smallest_normal)


class BinaryFocalCrossentropy(keras.losses.BinaryFocalCrossentropy):
    """``keras.losses.BinaryFocalCrossentropy`` of the function above."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.fn = binary_focal_crossentropy


class CategoricalFocalCrossentropy(keras.losses.CategoricalFocalCrossentropy):
    """``keras.losses.CategoricalFocalCrossentropy`` of the function above."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.fn = categorical_focal_crossentropy
