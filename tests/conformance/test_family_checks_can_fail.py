"""Every check of the losses beside the focal loss finds the fault that it is there for, and passes without it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import focal_ref
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.functions import CAPABILITY_OF
from focal_ref.conformance.targets.libraries import PlainLibrary

from . import faults
from .faults import Fault, by_value, on_labels, target_with

BY_FUNCTION = {*CAPABILITY_OF.values(), "parameter_derivatives", "derivative_functions"}
"""Capabilities of the functions beside the focal loss."""

SOFTMAX, STAR = focal_ref.softmax_loss, focal_ref.star_loss
QUALITY, VARIFOCAL = focal_ref.quality_focal_loss, focal_ref.varifocal_loss
ASYMMETRIC, HEATMAP = focal_ref.asymmetric_loss, focal_ref.heatmap_focal_loss
PROBABILITIES = focal_ref.loss_from_probabilities
EXPONENTS = ("gamma_positive", "gamma_negative")

FAULTS = {
    "FL-LAB-001": on_labels(lambda x, label: np.where(label > 0, label - 1, label)),
    "FL-LAB-002": on_labels(lambda x, label: np.where(label == -1, x.shape[-1] - 1, label)),
    "FL-LAB-003": by_value("loss_from_labels", faults.masked_by_multiplication),
    "FL-LAB-004": on_labels(lambda x, label: np.clip(label, -2, x.shape[-1] - 1).astype(np.int64)),
    "FL-LAB-005": on_labels(lambda x, label: np.maximum(label, 1) if label.dtype.kind == "u" else label),
    "FL-LAB-006": by_value("loss_from_labels", faults.alpha_of_the_label),
    "FL-LAB-007": by_value("loss_from_labels", faults.anything),
    "FL-SMX-001": by_value("softmax_loss", faults.one_versus_rest),
    "FL-SMX-002": {"function": "softmax_loss", "gradient": faults.one_versus_rest_gradient},
    "FL-SMX-003": {"function": "softmax_loss", "second": faults.diagonal_of_cross_entropy},
    "FL-SMX-004": {"function": "softmax_loss", "gradient": faults.one_versus_rest_gradient},
    "FL-SMX-005": by_value("softmax_loss", faults.without_shift),
    "FL-SMX-006": by_value("softmax_loss", faults.half_temperature),
    "FL-SMX-007": on_labels(lambda x, label: np.where(label == -2, x.shape[-1] - 1, label), SOFTMAX),
    "FL-SMX-008": by_value("softmax_loss", faults.last_axis),
    "FL-SMX-009": by_value("softmax_loss", faults.shares_of_all),
    "FL-SMX-010": by_value("softmax_loss", faults.largest_share),
    "FL-SMX-011": by_value("softmax_loss", faults.weight_inside),
    "FL-SMX-012": by_value("softmax_loss", faults.in_the_format),
    "FL-SMX-013": by_value("softmax_loss", faults.nan_at_infinity),
    "FL-SMX-014": on_labels(lambda x, label: np.clip(label, 0, x.shape[-1] - 1).astype(np.int64), SOFTMAX),
    "FL-STAR-001": by_value("star_loss", faults.no_beta),
    "FL-STAR-002": {"function": "star_loss", "gradient": faults.uncancelled_gamma},
    "FL-STAR-003": {"function": "star_loss", "second": faults.doubled(STAR)},
    "FL-STAR-004": by_value("star_loss", faults.any_gamma),
    "FL-STAR-005": by_value("star_loss", faults.thresholded),
    "FL-REL-001": by_value("quality_focal_loss", faults.distance_outside),
    "FL-REL-002": {"function": "quality_focal_loss", "gradient": faults.detached_distance},
    "FL-REL-003": {"function": "quality_focal_loss", "second": faults.detached_curvature},
    "FL-REL-004": {"function": "quality_focal_loss", "gradient": faults.power_of_nothing},
    "FL-REL-005": by_value("varifocal_loss", faults.focal_positives),
    "FL-REL-006": {"function": "varifocal_loss", "gradient": faults.detached_negatives},
    "FL-REL-007": {"function": "varifocal_loss", "second": faults.unweighted_positives},
    "FL-REL-008": by_value("asymmetric_loss", faults.exchanged(ASYMMETRIC, *EXPONENTS)),
    "FL-REL-009": {"function": "asymmetric_loss", "gradient": faults.constant_factor},
    "FL-REL-010": {"function": "asymmetric_loss", "second": faults.doubled(ASYMMETRIC)},
    "FL-REL-011": {"function": "asymmetric_loss", "gradient": faults.leak_below_the_clip},
    "FL-REL-012": by_value("heatmap_focal_loss", faults.exchanged(HEATMAP, "gamma", "beta")),
    "FL-REL-013": {"function": "heatmap_focal_loss", "gradient": faults.clamped},
    "FL-REL-014": {"function": "heatmap_focal_loss", "second": faults.doubled(HEATMAP)},
    "FL-VAL-013": by_value("loss_from_probabilities", faults.with_epsilon),
    "FL-EXT-008": by_value("loss_from_probabilities", faults.with_epsilon),
    "FL-SHP-008": by_value("loss_from_probabilities", faults.any_number),
    "FL-SHP-009": by_value("asymmetric_loss", faults.anything),
    "FL-GRAD-008": {"function": "loss_from_probabilities", "gradient": faults.by_the_logit},
    "FL-GRAD-009": {"function": "loss_from_probabilities", "second": faults.doubled(PROBABILITIES)},
    "FL-GRAD-010": {"function": "loss", "partials": faults.scaled_partial(focal_ref.loss, "gamma", -1)},
    "FL-GRAD-011": {"function": "loss", "partials": faults.without_class_weight},
    "FL-GRAD-012": {
        "function": "loss_from_probabilities",
        "partials": faults.scaled_partial(PROBABILITIES, "gamma", -1),
    },
    "FL-GRAD-013": {"function": "softmax_loss", "partials": faults.scaled_partial(SOFTMAX, "gamma", 2)},
    "FL-GRAD-014": {"function": "star_loss", "partials": faults.beta_not_divided},
    "FL-GRAD-015": {"function": "quality_focal_loss", "partials": faults.scaled_partial(QUALITY, "beta", -1)},
    "FL-GRAD-016": {"function": "varifocal_loss", "partials": faults.alpha_on_positives},
    "FL-GRAD-017": {
        "function": "asymmetric_loss",
        "partials": faults.exchanged_partials(ASYMMETRIC, *EXPONENTS),
    },
    "FL-GRAD-018": {
        "function": "heatmap_focal_loss",
        "partials": faults.exchanged_partials(HEATMAP, "gamma", "beta"),
    },
    "FL-GRAD-020": {"function": "loss", "partials": faults.nan_at_saturation},
    "FL-RED-007": by_value("loss_from_labels", faults.mean_of_everything),
    "FL-RED-008": by_value("loss_from_labels", faults.nothing_over_nothing),
    "FL-RED-009": by_value("loss", faults.added_one_by_one),
}

TRANSFORMS = ("FL-GRAD-019", "FL-GRAD-021", "FL-XFM-005", "FL-XFM-006", "FL-XFM-007")
"""Requirements of automatic differentiation and transforms, whose faults are those of a library below."""


def item_of(identifier):
    return Item(identifier, "" if requirements()[identifier].dtypes == "once" else "float32")


@cache
def passes_without_fault(identifier):
    return run_item(item_of(identifier), target_with(None), "pytest conformance").passed


def test_every_requirement_beside_those_of_the_focal_loss_has_a_fault():
    needed = {name for name, requirement in requirements().items() if BY_FUNCTION & set(requirement.needs)}
    others = {"FL-RED-007", "FL-RED-008", "FL-RED-009", "FL-SHP-009", "FL-XFM-005"}
    # Of a softmax whose alpha is one number, which this project's own is not: tests/conventions.
    assert (needed | others) - {"FL-SMX-015"} == {*FAULTS, *TRANSFORMS}


@pytest.mark.parametrize("identifier", FAULTS)
def test_a_fault_is_found_by_the_requirement_that_names_it(identifier):
    assert passes_without_fault(identifier)
    result = run_item(item_of(identifier), target_with(Fault(**FAULTS[identifier])), "pytest conformance")
    assert result.comparisons > 0
    assert not result.passed
    # Found by comparing, not because the faulty code broke down.
    assert all("Error: " not in finding["got"] for finding in result.findings), result.text


def unreduced(keywords):
    return {name: value for name, value in keywords.items() if name not in ("reduction", "normalizer")}


class Differentiating(PlainLibrary):
    """A stand-in for automatic differentiation and transforms: this project's functions, and one fault."""

    def __init__(self, fault=None):
        super().__init__("numpy", None, "")
        self.fault = fault

    def value_and_gradient(self, function, logits, targets, keywords, upstream):
        value, gradient = focal_ref.value_and_grad(logits, targets, function=function, **unreduced(keywords))
        return value, -gradient if self.fault == "sign" else gradient

    def second_derivative(self, function, logits, targets, keywords):
        return focal_ref.second_derivative(logits, targets, function=function, **unreduced(keywords))

    def hessian(self, function, logits, targets, keywords):
        diagonal = focal_ref.second_derivative(logits, targets, function=function, **unreduced(keywords))
        return diagonal[..., np.newaxis] * np.eye(logits.shape[-1], dtype=logits.dtype)

    def parameter_gradient(self, function, name, logits, targets, keywords, leaf):
        reduction, keywords = keywords.get("reduction", "none"), unreduced(keywords)
        if name != "targets":
            keywords |= {name: leaf if np.ndim(leaf) else float(leaf)}
        each = focal_ref.parameter_gradients(logits, targets, function=function, **keywords)[name].astype(np.float64)
        if reduction == "none":
            return each.astype(logits.dtype)
        result = each.sum(axis=0) if np.ndim(leaf) else each.sum()
        return np.asarray(result / (each.size if self.fault == "mean" else 1)).astype(logits.dtype)

    def row_parameter_gradient(self, function, name, logits, targets, keywords, leaf):
        return self.parameter_gradient(function, name, logits, targets, keywords, leaf)

    def mapped(self, function, logits, targets, keywords):
        if self.fault == "first sample":
            keywords = {name: value[:1] if np.ndim(value) else value for name, value in keywords.items()}
        return focal_ref.value_and_grad(logits, targets, function=function, **unreduced(keywords))

    def compiled(self, function, logits, targets, keywords):
        if self.fault == "frozen codes":
            targets = np.where(targets < 0, 0, targets)
        return focal_ref.value_and_grad(logits, targets, function=function, **unreduced(keywords))


def run_with(identifier, library_fault):
    profile = load_profile("numpy")
    more = {"autodiff", "vmap", "compile", "derivative_functions"}
    profile = replace(profile, capabilities=profile.capabilities | more)
    target = target_with(None, Differentiating(library_fault), profile)
    return run_item(item_of(identifier), target, "pytest conformance")


@pytest.mark.parametrize(
    ("identifier", "fault"),
    [
        ("FL-GRAD-019", "mean"),
        ("FL-GRAD-021", "sign"),
        ("FL-XFM-005", "first sample"),
        ("FL-XFM-006", "frozen codes"),
        ("FL-XFM-007", "frozen codes"),
    ],
)
def test_a_fault_of_a_transform_is_found(identifier, fault):
    right, wrong = run_with(identifier, None), run_with(identifier, fault)
    assert right.passed, right.text
    assert wrong.comparisons > 0
    assert not wrong.passed
