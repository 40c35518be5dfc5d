"""Losses in NumPy as people write them, each with a signature and conventions of its own."""

import numpy as np


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def blended(logits, targets, alpha=0.25, gamma=2.0, reduction="none"):
    p = _sigmoid(logits)
    p_t = p * targets + (1 - p) * (1 - targets)
    entropy = -targets * np.log(p) - (1 - targets) * np.log(1 - p)
    each = (1 - p_t) ** gamma * entropy
    if alpha >= 0:
        each = each * (alpha * targets + (1 - alpha) * (1 - targets))
    return {"none": lambda: each, "mean": each.mean, "sum": each.sum}[reduction]()


def of_probabilities(y_true, y_pred, *, balance=0.25, focusing=2.0, epsilon=1e-6):
    p = np.clip(y_pred, epsilon, 1 - epsilon)
    positive = -balance * y_true * (1 - p) ** focusing * np.log(p)
    return positive - (1 - y_true) * p**focusing * np.log(1 - p)


def total_over_positives(predictions, gt):
    """A number alone, with the paper's constants inside."""
    p = _sigmoid(predictions)
    each = np.where(gt == 1, -0.25 * (1 - p) ** 2 * np.log(p), -0.75 * p**2 * np.log(1 - p))
    return (each.sum() / max(1, np.count_nonzero(gt == 1))).astype(predictions.dtype)


def plain_total(x, y, g=1.5):
    p = _sigmoid(x)
    return np.sum(np.where(y == 1, -((1 - p) ** g) * np.log(p), -(p**g) * np.log(1 - p)))


def quality(scores, iou_targets, beta=2.0):
    p = _sigmoid(scores)
    entropy = -iou_targets * np.log(p) - (1 - iou_targets) * np.log(1 - p)
    return np.abs(iou_targets - p) ** beta * entropy


def varifocal(pred, target, alpha=0.75, gamma=2.0):
    p = _sigmoid(pred)
    entropy = -target * np.log(p) - (1 - target) * np.log(1 - p)
    return np.where(target > 0, target, alpha * p**gamma) * entropy


def asymmetric(x, y, gamma_neg=4, gamma_pos=1, clip=0.05):
    p = _sigmoid(x)
    shifted = np.maximum(p - clip, 0)
    return -y * (1 - p) ** gamma_pos * np.log(p) - (1 - y) * shifted**gamma_neg * np.log(1 - shifted)


def alternate(inputs, labels, shape=2.0, shift=0.0, alpha=None):
    """The paper's FL*, whose gamma has a name that nobody knows."""
    margin = shape * (2 * labels - 1) * inputs + shift
    each = np.log1p(np.exp(-margin)) / shape
    return each if alpha is None else each * np.where(labels == 1, alpha, 1 - alpha)


def rows_of_one_hot(output, onehot, alpha=1.0, gamma=2.0):
    """A softmax with one weight for everything."""
    shifted = output - output.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return alpha * (-onehot * (1 - np.exp(log_p)) ** gamma * log_p).sum(axis=-1)


def labels_of_rows(logits, labels, *, class_weights=None, gamma=2.0, ignore_index=255, reduction="mean"):
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = odds / odds.sum(axis=-1, keepdims=True)
    kept = labels != ignore_index
    safe = np.where(kept, labels, 0)
    p = np.take_along_axis(p, safe[..., np.newaxis], axis=-1)[..., 0]
    weights = np.ones(3, logits.dtype) if class_weights is None else class_weights
    each = np.where(kept, weights[safe] * (1 - p) ** gamma * -np.log(p), 0)
    if reduction == "mean":
        return each.sum() / (weights[safe] * kept).sum()
    return each.sum() if reduction == "sum" else each


def unnamed(first, second, *, c=2.0, d=0.25):
    """Nothing can be read from these names."""
    p = _sigmoid(second)
    return np.where(first == 1, -d * (1 - p) ** c * np.log(p), -(1 - d) * p**c * np.log(1 - p))


def cubed_logarithm(logits, targets, gamma=2.0):
    """What nobody calls a focal loss."""
    p = _sigmoid(logits)
    return np.where(targets == 1, (1 - p) ** gamma * np.log(p) ** 2, p**gamma * np.log(1 - p) ** 2)


def squared_alpha(logits, targets, alpha=0.25, gamma=2.0):
    p = _sigmoid(logits)
    each = np.where(targets == 1, -((1 - p) ** gamma) * np.log(p), -(p**gamma) * np.log(1 - p))
    return each * np.where(targets == 1, alpha**2, (1 - alpha) ** 2)


def added_epsilon(logits, targets, gamma=2.0, eps=1e-6):
    p = _sigmoid(logits)
    return -targets * (1 - p) ** gamma * np.log(p + eps) - (1 - targets) * p**gamma * np.log(1 - p + eps)


def multiplied_gamma(logits, targets, gamma=2.0):
    p = _sigmoid(logits)
    return -gamma * np.where(targets == 1, (1 - p) * np.log(p), p * np.log(1 - p))


def base_ten(logits, targets, gamma=2.0):
    p = _sigmoid(logits)
    return -np.where(targets == 1, (1 - p) ** gamma * np.log10(p), p**gamma * np.log10(1 - p))


def signed(x, y, gamma=2.0):
    margin = x * y
    return (1 - _sigmoid(margin)) ** gamma * np.log1p(np.exp(-margin))


def integers_alone(x, y, gamma=2.0):
    if y.dtype.kind not in "iu":
        raise TypeError("labels are integers")
    p = _sigmoid(x)
    return np.where(y == 1, -((1 - p) ** gamma) * np.log(p), -(p**gamma) * np.log(1 - p))


def with_gradient(x, y, gamma=2.0):
    sign = 2 * y - 1
    p = _sigmoid(sign * x)
    return -((1 - p) ** gamma) * np.log(p), sign * (1 - p) ** gamma * (gamma * p * np.log(p) + p - 1)


def with_probabilities(x, y, gamma=2.0):
    """What comes second is no gradient."""
    p = _sigmoid(x)
    return -np.where(y == 1, (1 - p) ** gamma * np.log(p), p**gamma * np.log(1 - p)), p


def apart(x, y, gamma=2.0, reduction="none"):
    each = with_gradient(x, y, gamma)[0]
    return each.sum() if reduction == "sum" else each


def apart_gradient(x, y, gamma=2.0):
    return with_gradient(x, y, gamma)[1]


def apart_gradient_wrong(x, y, gamma=2.0):
    return -with_gradient(x, y, gamma)[1]


def visible_epsilon(scores, truth, tau=2.0, smooth=1e-4):
    """In float64 its epsilon shows in every loss."""
    p = _sigmoid(scores)
    return -truth * (1 - p) ** tau * np.log(p + smooth) - (1 - truth) * p**tau * np.log(1 - p + smooth)


def by_positives(scores, truth, tau=2.0, reduce_by="pos"):
    each = blended(scores, truth, -1, tau)
    return each.sum() / max(1, (truth == 1).sum()) if reduce_by == "pos" else each


def flagged_rows(onehot, raw, gamma=2, average=True):
    each = rows_of_one_hot(raw, onehot, 1.0, gamma)
    return each.mean() if average else each


def mean_of_valid_rows(logits, labels, gamma=2.0, void=255):
    each = labels_of_rows(logits, labels, gamma=gamma, ignore_index=void, reduction="none")
    with np.errstate(invalid="ignore"):
        return each.sum() / (labels != void).sum()


def rows_of_probabilities(probabilities, labels, gamma=2.0):
    p = np.take_along_axis(probabilities, labels[..., np.newaxis], axis=-1)[..., 0]
    return -((1 - p) ** gamma) * np.log(p)


def one_number_of_rows(logits, labels, gamma=2.0):
    return np.mean(labels_of_rows(logits, labels, gamma=gamma, reduction="none"))


def blended_asymmetric(x, y, gamma_neg=4, gamma_pos=1, clip=0.05, eps=1e-8):
    p = _sigmoid(x)
    rest = np.minimum(1 - p + clip, 1)
    entropy = -y * np.log(np.maximum(p, eps)) - (1 - y) * np.log(np.maximum(rest, eps))
    return entropy * (1 - p * y - rest * (1 - y)) ** (gamma_pos * y + gamma_neg * (1 - y))


def over_boxes(inputs, targets, num_boxes, alpha=0.25, gamma=2):
    return blended(inputs, targets, alpha, gamma).mean(1).sum() / num_boxes


def totals_of_rows(logits, targets, gamma=2.0):
    return blended(logits, targets, -1, gamma).sum(axis=-1)


def always_raises(logits, targets):
    raise RuntimeError("there is no GPU")


def one_argument(logits):
    return logits


class Callable:
    """A class without any framework."""

    def __init__(self, focus=2.0, balance=0.25):
        self.focus, self.balance = focus, balance

    def __call__(self, y_pred, y_true):
        return blended(y_pred, y_true, self.balance, self.focus)
