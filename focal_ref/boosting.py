"""Focal-loss objectives for gradient boosting: XGBoost and LightGBM, binary and multi-class.

Boosting takes a Newton step a leaf, ``-sum(gradient) / (sum(Hessian) + lambda)``. The gradient here is exact. The
Hessian of the focal loss is negative for hard examples (margin below -2.79 at gamma = 2), where a Newton step would
walk away from the minimum, so that what the objectives hand over by default is a positive upper bound of it. With the
margin s, ``p = sigmoid(s)``, ``q = 1 - p`` and ``c = softplus(-s)``,

    exact   alpha_t q^gamma p (gamma^2 p c - gamma q c + (2 gamma + 1) q)
    bound   alpha_t q^gamma p (gamma^2 p c             + (2 gamma + 1) q)

which leaves out the one negative term. At gamma = 0 both are the ``p q`` of log loss; for easy examples they agree to
first order. A larger Hessian makes a step shorter, never its direction wrong.

For a softmax the diagonal of the row's Hessian is bounded in the same way: with the label's ``A = -d FL / ds`` and the
other classes' shares ``r_j = p_j / (1 - p_label)``, ``bound`` at the label and ``bound r_j^2 + A r_j (1 - r_j)`` at any
other class.

Neither library applies sample weights to the results of a custom objective; these objectives do.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from focal_ref._arguments import check_choice
from focal_ref._formulas import array_primitives, hard_forms
from focal_ref.derivatives import second_derivative, value_and_grad
from focal_ref.losses import loss
from focal_ref.prior import prior_bias
from focal_ref.softmax import softmax_loss

__all__ = ["Objective", "lightgbm_objective", "starting_score", "xgboost_objective"]

Floats = NDArray[np.float64]
Hessian = Literal["bound", "exact"]

SMALLEST_HESSIAN = 1e-16
"""Bounds are at least this, as log loss in XGBoost: a leaf of easy examples alone has no Hessian of zero."""


@dataclass(frozen=True)
class Objective:
    """A focal-loss objective, as both libraries call it; made by `xgboost_objective` and `lightgbm_objective`.

    Attributes
    ----------
    num_class
        Number of classes of a softmax, or None for binary labels.
    alpha
        As in `focal_ref.loss`, for a softmax as in `focal_ref.softmax_loss`.
    gamma
        Exponent of the modulating factor.
    hessian
        "bound" or "exact".
    """

    num_class: int | None
    alpha: Any
    gamma: float
    hessian: Hessian

    def __call__(self, first: Any, second: Any, sample_weight: Any = None) -> tuple[Floats, Floats]:
        """Gradient and Hessian of each raw score.

        Parameters
        ----------
        first, second
            Scores and the training set (anything with ``get_label`` and ``get_weight``), as the libraries' own
            training functions call it; or labels and scores, as their scikit-learn estimators do.
        sample_weight : array, optional
            Weights of the rows; those of a training set are read from it.

        Returns
        -------
        gradient, hessian : array
            float64, of the scores' shape: (N,), or (N, num_class).
        """
        if hasattr(second, "get_label"):
            scores, labels = np.asarray(first, dtype=np.float64), np.asarray(second.get_label())
            sample_weight = second.get_weight()
        else:
            labels, scores = np.asarray(first), np.asarray(second, dtype=np.float64)
        weights = _weights(sample_weight, labels)
        if self.num_class is None:
            return self._binary(scores, _classes(labels, 2), weights)
        return self._multiclass(scores, _classes(labels, self.num_class), weights, self.num_class)

    def _binary(self, scores: Floats, labels: NDArray[np.int64], weights: Floats | None) -> tuple[Floats, Floats]:
        if scores.shape != labels.shape:
            raise ValueError(
                f"scores: got shape {scores.shape}, labels have shape {labels.shape}; for more than two classes pass "
                "num_class to the objective"
            )
        given: dict[str, Any] = {"alpha": self.alpha, "gamma": self.gamma, "weights": weights}
        _, gradient = value_and_grad(scores, labels, function=loss, **given)
        if self.hessian == "exact":
            return gradient, second_derivative(scores, labels, function=loss, **given)
        class_weight: Any = 1.0
        if self.alpha is not None:
            class_weight = np.where(labels == 1, self.alpha, 1.0 - self.alpha)
        bound, _ = self._margin_bound(np.where(labels == 1, scores, -scores))
        return gradient, _positive(class_weight * bound, weights)

    def _multiclass(
        self, scores: Floats, labels: NDArray[np.int64], weights: Floats | None, num_class: int
    ) -> tuple[Floats, Floats]:
        rows = (labels.size, num_class)
        if scores.shape != rows:
            raise ValueError(f"scores: got shape {scores.shape}; {labels.size} rows of num_class scores are {rows}")
        given: dict[str, Any] = {"alpha": self.alpha, "gamma": self.gamma, "weights": weights}
        _, gradient = value_and_grad(scores, labels, function=softmax_loss, **given)
        if self.hessian == "exact":
            return gradient, second_derivative(scores, labels, function=softmax_loss, **given)
        label = np.arange(num_class) == labels[:, np.newaxis]
        others = np.where(label, -np.inf, scores)
        highest = others.max(axis=1, keepdims=True)
        with np.errstate(under="ignore"):
            parts = np.exp(others - highest)
            total = parts.sum(axis=1, keepdims=True)
            margin = scores[label][:, np.newaxis] - (highest + np.log(total))
            share = parts / total
            at_label, slope = self._margin_bound(margin)
            diagonal = np.where(label, at_label, at_label * share**2 + slope * share * (1.0 - share))
        class_weight = 1.0 if self.alpha is None else np.asarray(self.alpha)[labels][:, np.newaxis]
        return gradient, _positive(class_weight * diagonal, None if weights is None else weights[:, np.newaxis])

    def _margin_bound(self, margin: Floats) -> tuple[Floats, Floats]:
        """The bound of the second derivative, and minus the first, with respect to the margin."""
        forms = hard_forms(array_primitives(np, margin.dtype))
        with np.errstate(under="ignore"):
            _, slope = forms.value_and_gradient(margin, np.float64(self.gamma), 0.0)
            e = np.exp(-np.abs(margin))
            easy = margin >= 0
            q = np.where(easy, e, 1.0) / (1.0 + e)
            p = np.where(easy, 1.0, e) / (1.0 + e)
            c = np.maximum(-margin, 0.0) + np.log1p(e)
            bound = q**self.gamma * p * (self.gamma**2 * (p * c) + (2.0 * self.gamma + 1.0) * q)
        return bound, -slope


def xgboost_objective(
    *,
    num_class: int | None = None,
    alpha: ArrayLike | None = None,
    gamma: float = 2.0,
    hessian: Hessian = "bound",
) -> Objective:
    r"""Focal loss as an objective of XGBoost.

    Parameters
    ----------
    num_class : int, optional
        Number of classes: the objective is then the focal loss of a softmax (`focal_ref.softmax_loss`) and labels are
        0 to ``num_class - 1``; pass the same number among XGBoost's parameters. Without it labels are 0 and 1
        (`focal_ref.loss`).
    alpha : float or array of shape (num_class,), optional
        Binary: weight of positives in [0, 1], negatives weigh ``1 - alpha``. Multi-class: weight of each class. None
        weighs with 1.
    gamma : float, default 2.0
        Exponent of the modulating factor, finite and >= 0; 0 trains log loss.
    hessian : {"bound", "exact"}, default "bound"
        A positive upper bound of the second derivative, or the second derivative itself, which is negative for hard
        examples and then turns Newton's step around.

    Returns
    -------
    Objective
        To pass as ``obj`` to ``xgboost.train`` or as ``objective`` to its scikit-learn estimators. Predictions are raw
        scores: apply a sigmoid (or softmax) to them.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; at the call, for labels that are no class.

    See Also
    --------
    starting_score : scores to begin with, as ``base_margin`` or ``base_score``.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.boosting import xgboost_objective
    >>> objective = xgboost_objective(gamma=2.0)
    >>> gradient, hessian = objective(np.array([0, 1]), np.array([37.0, -37.0]))
    >>> gradient
    array([ 1., -1.])
    >>> bool((hessian > 0).all())
    True
    """
    return _objective(num_class, alpha, gamma, hessian)


def lightgbm_objective(
    *,
    num_class: int | None = None,
    alpha: ArrayLike | None = None,
    gamma: float = 2.0,
    hessian: Hessian = "bound",
) -> Objective:
    """Focal loss as an objective of LightGBM.

    Parameters
    ----------
    num_class, alpha, gamma, hessian
        As in `xgboost_objective`.

    Returns
    -------
    Objective
        To pass as the parameter ``objective`` of ``lightgbm.train`` or of its scikit-learn estimators. Predictions are
        raw scores: apply a sigmoid (or softmax) to them.

    Raises
    ------
    ValueError, TypeError
        As `xgboost_objective`.

    See Also
    --------
    starting_score : scores to begin with, as ``init_score``; LightGBM starts a custom objective at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from focal_ref.boosting import lightgbm_objective
    >>> objective = lightgbm_objective(num_class=3)
    >>> gradient, _ = objective(np.array([2]), np.zeros((1, 3)))
    >>> gradient.round(6)
    array([[ 0.310906,  0.310906, -0.621811]])
    """
    return _objective(num_class, alpha, gamma, hessian)


def starting_score(labels: ArrayLike, *, sample_weight: ArrayLike | None = None, num_class: int | None = None) -> Any:
    r"""The score that predicts the prior: where boosting should begin when one class is rare.

    Parameters
    ----------
    labels : array
        0 and 1, or with `num_class` integers 0 to ``num_class - 1``. Every class must occur.
    sample_weight : array, optional
        Weights of the rows.
    num_class : int, optional
        Number of classes of a softmax.

    Returns
    -------
    float or array of shape (num_class,)
        :math:`-\log((1 - \pi) / \pi)` with the share :math:`\pi` of positives (`focal_ref.prior_bias`), or the
        logarithm of each class's share.

    Raises
    ------
    ValueError
        If a class does not occur.

    Examples
    --------
    >>> from focal_ref.boosting import starting_score
    >>> round(starting_score([0] * 99 + [1]), 12)
    -4.595119850135
    """
    classes = _classes(np.asarray(labels), num_class or 2)
    weights = _weights(sample_weight, classes)
    counts = np.bincount(classes, weights=weights, minlength=num_class or 2)
    if not np.all(counts > 0):
        raise ValueError(f"labels: class {int(np.argmin(counts > 0))} does not occur, so that its prior is 0")
    share = counts / math.fsum(counts)
    return prior_bias(float(share[1])) if num_class is None else np.log(share)


def _objective(num_class: Any, alpha: Any, gamma: Any, hessian: Any) -> Objective:
    check_choice("hessian", hessian, get_args(Hessian))
    if num_class is not None and (isinstance(num_class, bool) or not isinstance(num_class, int) or num_class < 2):
        raise ValueError(f"num_class: got {num_class!r}; it is None for binary labels, or an integer >= 2")
    if num_class is not None and alpha is not None:
        alpha = tuple(float(weight) for weight in np.atleast_1d(np.asarray(alpha, dtype=np.float64)))
    objective = Objective(num_class, alpha, gamma, hessian)
    # One row says whether alpha and gamma are in range, with the texts of the losses.
    objective(np.zeros(1, dtype=np.int64), np.zeros(1 if num_class is None else (1, num_class)))
    return objective


def _classes(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Labels, which the libraries keep as floats, as integers."""
    if labels.ndim != 1:
        raise ValueError(f"labels: got shape {labels.shape}; they have one dimension")
    with np.errstate(invalid="ignore"):
        valid = (labels >= 0) & (labels < count) & (labels == np.floor(labels))
    if not np.all(valid):
        first = int(np.argmin(valid))
        raise ValueError(f"labels: got {float(labels[first])!r} at position ({first},); they are 0 to {count - 1}")
    return labels.astype(np.int64)


def _weights(sample_weight: Any, labels: NDArray[Any]) -> Floats | None:
    if sample_weight is None or np.size(sample_weight) == 0:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != labels.shape:
        raise ValueError(f"sample_weight: got shape {weights.shape}, labels have shape {labels.shape}")
    return weights


def _positive(bound: Floats, weights: Floats | None) -> Floats:
    floored = np.maximum(bound, SMALLEST_HESSIAN)
    return floored if weights is None else floored * weights
