"""The printed formulas of all conventions in plain float64: right to ten digits where nothing cancels or overflows.

Measuring which formula a function follows needs no more than that; how accurate it is, is judged by the suite's oracle.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SOFTMAX_ALPHAS = ("uniform", "class-vector", "first/rest", "none")
"""What alpha can mean for a row, which has a positive class and no negatives."""

SIGMOID_ALPHAS = ("pos/1-pos", "pos-only", "neg-only", "uniform", "class-vector", "none")

WEIGHTED = ("focal", "star")
"""Formulas that alpha weighs; the varifocal loss has an alpha of its own, the others none."""


def has_formula(conventions: Mapping[str, Any]) -> bool:
    """Whether the combination of values is a loss at all."""
    formula, alpha = conventions["formula"], conventions["alpha"]
    if conventions["multi_class"] == "softmax":
        return bool(formula == "focal" and alpha in SOFTMAX_ALPHAS)
    if formula == "varifocal":
        return bool(alpha == "neg-only")
    return bool(alpha == "none" or (formula in WEIGHTED and alpha in SIGMOID_ALPHAS))


def losses(
    predictions: Floats, targets: Floats, conventions: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Floats:
    """The loss of each element, or of each row of a softmax.

    Parameters
    ----------
    predictions
        Logits or probabilities; the classes are the last axis.
    targets
        In the same shape: 0, 1, or between them; of a softmax the share of each class.
    conventions
        formula, prediction, multi_class, alpha, soft_targets, clipping and epsilon.
    parameters
        alpha, gamma, beta, gamma_positive, gamma_negative and clip, as far as the formula has them.
    """
    with np.errstate(all="ignore"):
        log_p, log_q = _logarithms(predictions, conventions)
        if conventions["multi_class"] == "softmax":
            return _rows(log_p, log_q, targets, conventions, parameters)
        return _elements(log_p, log_q, targets, conventions, parameters)


def weights(targets: Floats, conventions: Mapping[str, Any], alpha: Any) -> Floats:
    """The factor alpha_t of each element, or of each row of a softmax."""
    kind = conventions["alpha"]
    softmax = conventions["multi_class"] == "softmax"
    if kind == "none" or alpha is None:
        return np.ones(targets.shape[:-1] if softmax else targets.shape)
    alpha = np.asarray(alpha, dtype=np.float64)
    by_class = np.broadcast_to(alpha, targets.shape)
    if softmax:
        first = np.zeros(targets.shape[-1])
        first[0] = 1.0
        by_class = first * (1.0 - alpha) + (1.0 - first) * alpha if kind == "first/rest" else by_class
        return np.asarray((targets * by_class).sum(axis=-1))
    return np.asarray(
        {
            "pos/1-pos": by_class * targets + (1.0 - by_class) * (1.0 - targets),
            "pos-only": by_class * targets + (1.0 - targets),
            "neg-only": targets + by_class * (1.0 - targets),
        }.get(kind, by_class)
    )


def _logarithms(predictions: Floats, conventions: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """The logarithms of p and 1 - p."""
    x = np.asarray(predictions, dtype=np.float64)
    if conventions["prediction"] == "probabilities":
        return np.log(x), np.log1p(-x)
    if conventions["multi_class"] == "sigmoid":
        return -np.logaddexp(0.0, -x), -np.logaddexp(0.0, x)
    log_p = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
    others = np.where(np.eye(x.shape[-1], dtype=bool), -np.inf, log_p[..., np.newaxis, :])
    return log_p, np.asarray(np.logaddexp.reduce(others, axis=-1))


def _limited(log: Floats, conventions: Mapping[str, Any]) -> Floats:
    """The logarithm of a probability as clipping leaves it."""
    kind, epsilon = conventions["clipping"], conventions["epsilon"]
    if kind == "none":
        return log
    if kind == "logarithm":
        return np.asarray(np.maximum(log, np.log(epsilon)))
    if kind == "added":
        return np.asarray(np.logaddexp(log, np.log(epsilon)))
    return np.asarray(np.clip(log, np.log(epsilon), np.log1p(-epsilon)))


def _power(log_base: Floats, exponent: Any) -> Floats:
    """base^exponent, where 0^0 is 1."""
    exponent = np.asarray(exponent, dtype=np.float64)
    return np.where(exponent == 0, 1.0, np.exp(np.where(exponent == 0, 1.0, exponent) * log_base))


def _product(factor: Floats, log: Floats) -> Floats:
    """-factor log, where 0 times anything is 0."""
    return np.where(factor == 0, 0.0, -factor * log)


def _inside_and_outside(
    log_p: Floats, log_q: Floats, conventions: Mapping[str, Any]
) -> tuple[Floats, Floats, Floats, Floats]:
    """The logarithms of p and 1 - p in the modulating factor, and those in the cross entropy."""
    limited = _limited(log_p, conventions), _limited(log_q, conventions)
    outside = limited if conventions["clipping"] == "probability" else (log_p, log_q)
    return *outside, *limited


def _elements(
    log_p: Floats, log_q: Floats, targets: Floats, conventions: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Floats:
    formula, t = conventions["formula"], targets
    log_p, log_q, ce_p, ce_q = _inside_and_outside(log_p, log_q, conventions)
    entropy = _product(t, ce_p) + _product(1.0 - t, ce_q)
    distance = np.log(np.abs(t * np.exp(log_q) - (1.0 - t) * np.exp(log_p)))
    if formula == "quality":
        return _power(distance, parameters["beta"]) * entropy
    if formula == "varifocal":
        negative = parameters["alpha"] * _power(log_p, parameters["gamma"]) * -ce_q
        return np.where(t > 0, t * entropy, negative)
    if formula == "asymmetric":
        clip = parameters["clip"]
        shifted = np.log(np.maximum(np.exp(log_p) - clip, 0.0)) if clip else log_p
        rest = np.log1p(-np.exp(shifted)) if clip else ce_q
        if clip and conventions["clipping"] != "probability":
            rest = _limited(rest, conventions)
        positive = _product(t * _power(log_q, parameters["gamma_positive"]), ce_p)
        return positive + _product((1.0 - t) * _power(shifted, parameters["gamma_negative"]), rest)
    if formula == "heatmap":
        near = (1.0 - t) ** parameters["beta"]
        return np.where(
            t == 1, _power(log_q, parameters["gamma"]) * -ce_p, near * _power(log_p, parameters["gamma"]) * -ce_q
        )
    weight = weights(t, conventions, parameters.get("alpha"))
    if formula == "star":
        margin = (2.0 * t - 1.0) * (log_p - log_q)
        softplus = np.logaddexp(0.0, -(parameters["gamma"] * margin + parameters["beta"]))
        return np.asarray(weight * softplus / parameters["gamma"])
    gamma = parameters["gamma"]
    rule = conventions["soft_targets"]
    if rule == "mixture":
        ones, zeros = np.ones_like(t), np.zeros_like(t)
        positive = weights(ones, conventions, parameters.get("alpha")) * _power(log_q, gamma)
        negative = weights(zeros, conventions, parameters.get("alpha")) * _power(log_p, gamma)
        return _product(t * positive, ce_p) + _product((1.0 - t) * negative, ce_q)
    if rule == "distance":
        return weight * _power(distance, gamma) * entropy
    rest = np.where(t == 1, log_q, np.where(t == 0, log_p, np.log(t * np.exp(log_q) + (1.0 - t) * np.exp(log_p))))
    return weight * _power(rest, gamma) * entropy


def _rows(
    log_p: Floats, log_q: Floats, targets: Floats, conventions: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Floats:
    log_p, log_q, ce_p, _ = _inside_and_outside(log_p, log_q, conventions)
    gamma, alpha, t = parameters["gamma"], parameters.get("alpha"), targets
    rule = conventions["soft_targets"]
    if rule in ("mixture", "distance"):
        each = np.broadcast_to(np.eye(t.shape[-1]), (*t.shape, t.shape[-1]))
        by_class = weights(each, conventions, alpha)
        base = log_q if rule == "mixture" else np.log(np.abs(t - np.exp(log_p)))
        return np.asarray(_product(t * by_class * _power(base, gamma), ce_p).sum(axis=-1))
    hard = np.where(t == 1, log_q, 0.0).sum(axis=-1)
    blended = np.log(((1.0 - t) * np.exp(log_p) + t * np.exp(log_q)).sum(axis=-1) / 2.0)
    rest = np.where((t == 1).any(axis=-1), hard, blended)
    return np.asarray(weights(t, conventions, alpha) * _power(rest, gamma) * _product(t, ce_p).sum(axis=-1))
