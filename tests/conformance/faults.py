"""Implementations with one fault each: the functions of this project on NumPy arrays, of which one is replaced.

Every fault is one that somebody shipped or is likely to: the requirement that names it has to find it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import focal_ref
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets.functions import Functions, own_functions
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

OWN = own_functions()


@dataclass(frozen=True)
class Fault:
    """What is wrong with one function; what is None is right.

    Attributes
    ----------
    function
        The loss concerned.
    value, gradient, second, partials
        Take what the loss takes; `partials` returns derivatives by name.
    """

    function: str
    value: Callable[..., Any] | None = None
    gradient: Callable[..., Any] | None = None
    second: Callable[..., Any] | None = None
    partials: Callable[..., Any] | None = None


def target_with(fault, library=None, profile=None):
    """The NumPy backend with a fault, or without one for None."""
    own = {} if fault is None else {fault.function: getattr(focal_ref, fault.function)}
    named = dict(OWN.named)
    if fault is not None and fault.value is not None:
        named[fault.function] = fault.value
    # The functions that return derivatives know this project's losses alone.
    real = {named[name]: OWN.named[name] for name in named}

    def value_and_gradient(logits, targets, *, function=focal_ref.loss, **options):
        loss = real.get(function, function)
        value, gradient = OWN.value_and_gradient(logits, targets, function=loss, **options)
        if loss in own.values():
            value = value if fault.value is None else fault.value(logits, targets, **options)
            gradient = gradient if fault.gradient is None else fault.gradient(logits, targets, **options)
        return value, gradient

    def second_derivative(logits, targets, *, function, **options):
        loss = real[function]
        broken = fault is not None and fault.second is not None and loss in own.values()
        right = OWN.second_derivative(logits, targets, function=loss, **options)
        return fault.second(logits, targets, **options) if broken else right

    def parameter_gradients(logits, targets, *, function, **options):
        loss = real[function]
        right = OWN.parameter_gradients(logits, targets, function=loss, **options)
        broken = fault is not None and fault.partials is not None and loss in own.values()
        return {**right, **fault.partials(logits, targets, **options)} if broken else right

    functions = Functions(named, value_and_gradient, second_derivative, parameter_gradients)
    library = library or PlainLibrary("numpy", None, "")
    return PythonTarget(
        "faulty", named["loss"], profile or load_profile("numpy"), library, value_and_gradient, functions
    )


def gradient_of(function, logits, targets, **options):
    return focal_ref.value_and_grad(logits, targets, function=function, **options)[1]


def partial_of(function, name, logits, targets, **options):
    return focal_ref.parameter_gradients(logits, targets, function=function, **options)[name]


def on_labels(change, function=focal_ref.loss_from_labels, **fixed):
    """Value and gradient of a loss whose labels were changed."""

    def value(logits, labels, **options):
        return function(logits, change(logits, labels), **{**options, **fixed})

    def gradient(logits, labels, **options):
        return gradient_of(function, logits, change(logits, labels), **{**options, **fixed})

    return {"function": function.__name__, "value": value, "gradient": gradient}


def by_value(function, value, **more):
    return {"function": function, "value": value, **more}


def sigmoid(logits):
    wide = logits.astype(np.float64)
    return np.exp(-np.logaddexp(0.0, -wide)), np.exp(-np.logaddexp(0.0, wide))


def rounded(numbers, like):
    with np.errstate(all="ignore"):
        return np.asarray(numbers).astype(like.dtype)


# Labels


def masked_by_multiplication(logits, labels, **options):
    kept = (labels != -2)[..., np.newaxis]
    return focal_ref.loss_from_labels(logits, np.where(labels == -2, -1, labels), **options) * kept


def alpha_of_the_label(logits, labels, *, alpha, **options):
    alpha = alpha[labels][..., np.newaxis] if np.ndim(alpha) else alpha
    return focal_ref.loss_from_labels(logits, labels, alpha=alpha, **options)


def mean_of_everything(logits, labels, *, reduction="none", **options):
    if reduction == "none":
        return focal_ref.loss_from_labels(logits, labels, **options)
    total = focal_ref.loss_from_labels(logits, labels, reduction="sum", **options)
    return rounded(total / (logits.size if reduction == "mean" else 1), total)


def nothing_over_nothing(logits, labels, *, reduction="none", **options):
    if reduction == "mean" and not np.any(labels != -2):
        return logits.dtype.type(np.nan)
    return focal_ref.loss_from_labels(logits, labels, reduction=reduction, **options)


# Softmax


def one_versus_rest(logits, labels, **options):
    return focal_ref.loss_from_labels(logits, labels, alpha=None, gamma=options["gamma"]).sum(axis=-1)


def one_versus_rest_gradient(logits, labels, *, alpha, gamma, **options):
    return gradient_of(focal_ref.loss_from_labels, logits, labels, alpha=None, gamma=gamma)


def diagonal_of_cross_entropy(logits, labels, **options):
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    p = odds / odds.sum(axis=-1, keepdims=True)
    return rounded(p * (1 - p), logits)


def without_shift(logits, labels, *, gamma, **options):
    with np.errstate(all="ignore"):
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        p = np.take_along_axis(p, labels[..., np.newaxis], axis=-1)[..., 0]
        return rounded((1 - p) ** gamma * -np.log(p), logits)


def half_temperature(logits, labels, **options):
    return focal_ref.softmax_loss(logits / logits.dtype.type(2), labels, **options)


def last_axis(logits, labels, *, axis, **options):
    return focal_ref.softmax_loss(logits, labels, **options)


def shares_of_all(logits, labels, **options):
    return focal_ref.softmax_loss(logits, labels.astype(np.float64) / logits.shape[-1], **options)


def largest_share(logits, labels, **options):
    return focal_ref.softmax_loss(logits, labels.argmax(axis=-1) if labels.ndim == 2 else labels, **options)


def weight_inside(logits, labels, *, alpha, gamma, **options):
    focal_ref.softmax_loss(logits, labels, alpha=alpha)  # refuses what is no vector of class weights
    entropy = focal_ref.softmax_loss(logits.astype(np.float64), labels, gamma=0.0)
    entropy = entropy * (1.0 if alpha is None else np.asarray(alpha)[labels])
    return rounded((1 - np.exp(-entropy)) ** gamma * entropy, logits)


def in_the_format(logits, labels, *, gamma, **options):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.add.accumulate(np.exp(shifted), axis=-1)[..., -1:])
    log_p = np.take_along_axis(log_p, labels[..., np.newaxis], axis=-1)[..., 0]
    return rounded((1 - np.exp(log_p)) ** logits.dtype.type(gamma) * -log_p, logits)


def nan_at_infinity(logits, labels, **options):
    with np.errstate(invalid="ignore"):
        return focal_ref.softmax_loss(logits, labels, **options) + 0 * logits.sum(axis=-1)


# FL*, the relatives, probabilities


def no_beta(logits, targets, *, beta, **options):
    return focal_ref.star_loss(logits, targets, beta=0.0, **options)


def uncancelled_gamma(logits, targets, *, gamma, **options):
    return gradient_of(focal_ref.star_loss, logits, targets, gamma=gamma, **options) * logits.dtype.type(gamma)


def any_gamma(logits, targets, *, gamma, **options):
    gamma = gamma if 0 < gamma < np.inf else 1e-3
    return focal_ref.star_loss(logits, targets, gamma=gamma, **options)


def thresholded(logits, targets, **options):
    return focal_ref.star_loss(logits, targets > 0.5, **options)


def distance_outside(logits, targets, *, beta):
    p, _ = sigmoid(logits)
    entropy = focal_ref.quality_focal_loss(logits.astype(np.float64), targets, beta=0.0)
    return rounded(np.abs(targets - p) * entropy**beta, logits)


def detached_distance(logits, targets, *, beta):
    p, _ = sigmoid(logits)
    return rounded(np.abs(targets - p) ** beta * (p - targets), logits)


def detached_curvature(logits, targets, *, beta):
    p, q = sigmoid(logits)
    return rounded(np.abs(targets - p) ** beta * p * q, logits)


def power_of_nothing(logits, targets, *, beta):
    right = gradient_of(focal_ref.quality_focal_loss, logits, targets, beta=beta)
    return np.where(sigmoid(logits)[0] == targets, right.dtype.type(np.nan), right)


def focal_positives(logits, targets, *, alpha, gamma):
    right = focal_ref.varifocal_loss(logits, targets, alpha=alpha, gamma=gamma)
    return np.where(targets > 0, rounded(sigmoid(logits)[1] ** gamma, logits) * right, right)


def detached_negatives(logits, targets, *, alpha, gamma):
    right = gradient_of(focal_ref.varifocal_loss, logits, targets, alpha=alpha, gamma=gamma)
    p, _ = sigmoid(logits)
    return np.where(targets > 0, right, rounded(alpha * p**gamma * p, logits))


def unweighted_positives(logits, targets, *, alpha, gamma):
    right = focal_ref.second_derivative(logits, targets, function=focal_ref.varifocal_loss, alpha=alpha, gamma=gamma)
    p, q = sigmoid(logits)
    return np.where(targets > 0, rounded(p * q, logits), right)


def exchanged(function, first, second):
    """A loss two of whose arguments change places."""

    def value(logits, targets, **options):
        swapped = {**options, first: options[second], second: options[first]}
        return function(logits, targets, **swapped)

    return value


def exchanged_partials(function, first, second):
    def partials(logits, targets, **options):
        right = focal_ref.parameter_gradients(logits, targets, function=function, **options)
        return {first: right[second], second: right[first]}

    return partials


def constant_factor(logits, targets, *, gamma_positive, gamma_negative, clip):
    p, q = sigmoid(logits)
    shifted = np.maximum(p - clip, 0.0)
    negative = np.where(shifted > 0, shifted**gamma_negative * p * q / (1 - shifted), 0.0)
    return rounded(-targets * q**gamma_positive * q + (1 - targets) * negative, logits)


def leak_below_the_clip(logits, targets, *, clip, **options):
    right = gradient_of(focal_ref.asymmetric_loss, logits, targets, clip=clip, **options)
    leaking = gradient_of(focal_ref.asymmetric_loss, logits, targets, clip=0.0, **options)
    return np.where(sigmoid(logits)[0] <= clip, leaking, right)


def clamped(logits, targets, **options):
    p, q = sigmoid(logits)
    right = gradient_of(focal_ref.heatmap_focal_loss, logits, targets, **options)
    return np.where(np.minimum(p, q) < 1e-4, right.dtype.type(0), right)


def with_epsilon(probabilities, targets, **options):
    p = rounded(np.clip(probabilities, 1e-7, 1 - 1e-7), probabilities)
    return focal_ref.loss_from_probabilities(p, targets, **options)


def by_the_logit(probabilities, targets, **options):
    right = gradient_of(focal_ref.loss_from_probabilities, probabilities, targets, **options)
    return right * probabilities * (1 - probabilities)


def any_number(probabilities, targets, **options):
    return focal_ref.loss_from_probabilities(np.clip(probabilities, 0, 1), targets, **options)


def anything(logits, targets, **options):
    return np.zeros(logits.shape, logits.dtype)


def doubled(function):
    """Twice the second derivative."""

    def second(logits, targets, **options):
        return 2 * focal_ref.second_derivative(logits, targets, function=function, **options)

    return second


# Derivatives in parameters, sums


def scaled_partial(function, name, factor):
    def partials(logits, targets, **options):
        return {name: partial_of(function, name, logits, targets, **options) * rounded(factor, logits)}

    return partials


def without_class_weight(logits, targets, *, alpha, **options):
    right = focal_ref.parameter_gradients(logits, targets, function=focal_ref.loss, alpha=None, **options)
    return {"targets": right["targets"]} if "targets" in right else {}


def beta_not_divided(logits, targets, *, gamma, **options):
    right = partial_of(focal_ref.star_loss, "beta", logits, targets, gamma=gamma, **options)
    return {"beta": right * rounded(gamma, logits)}


def alpha_on_positives(logits, targets, *, alpha, gamma):
    right = partial_of(focal_ref.varifocal_loss, "alpha", logits, targets, alpha=alpha, gamma=gamma)
    return {"alpha": np.where(targets > 0, logits.dtype.type(1), right)}


def nan_at_saturation(logits, targets, **options):
    right = partial_of(focal_ref.loss, "gamma", logits, targets, **options)
    return {"gamma": np.where(np.abs(logits) > 88, right.dtype.type(np.nan), right)}


def added_one_by_one(logits, targets, *, reduction="none", **options):
    terms = focal_ref.loss(logits, targets, **options)
    return terms if reduction == "none" else np.add.accumulate(terms)[-1]
