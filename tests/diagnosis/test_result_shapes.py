"""Results of another shape than the logits' are found, although their numbers are compared all the same."""

import pytest
import torch

from focal_ref.conformance.diagnosis import Diagnosis
from focal_ref.conformance.gate import items_of, run_item
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets.python import profile_target


def formula(inputs, targets, alpha, gamma):
    p = torch.sigmoid(inputs)
    ce = torch.nn.functional.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = ce * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    return (alpha * targets + (1 - alpha) * (1 - targets)) * loss if alpha >= 0 else loss


def same_shape(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = formula(inputs, targets, alpha, gamma)
    return {"none": loss, "sum": loss.sum(), "mean": loss.mean()}[reduction]


def squeezed(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = same_shape(inputs, targets, alpha, gamma, reduction)
    return loss.squeeze()


def flattened(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    loss = same_shape(inputs, targets, alpha, gamma, reduction)
    return loss.flatten() if reduction == "none" else loss


def outcome(name, requirement, *, diagnosed=False):
    profile = load_profile("torchvision")
    target = profile_target(profile, f"{__name__}:{name}")
    item = next(item for item in items_of(profile) if item.name == requirement and item.dtype == "float64")
    return run_item(item, target, "", diagnosis=Diagnosis(target) if diagnosed else None)


@pytest.mark.parametrize(("name", "passes"), [("same_shape", True), ("squeezed", False), ("flattened", False)])
def test_another_shape_is_found_by_the_requirement_of_shapes(name, passes):
    result = outcome(name, "FL-SHP-001")
    assert result.passed == passes
    assert passes or "  case      shape (" in result.text


@pytest.mark.parametrize("name", ["same_shape", "squeezed", "flattened"])
def test_numbers_are_compared_whatever_their_shape(name):
    assert outcome(name, "FL-VAL-001").passed


def test_the_cause_of_lost_axes_is_named():
    causes = outcome("squeezed", "FL-SHP-001", diagnosed=True).causes
    assert [cause["mutant"] for cause in causes][:1] == ["squeezed"]
