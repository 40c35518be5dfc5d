"""`sigmoid_focal_loss` in place of torchvision's: its signature and numbers, and a RetinaNet head that trains on it."""

import importlib.util
import inspect
import math
import sys
import types
from pathlib import Path

import pytest
import torch

from focal_ref.integrations.torchvision import sigmoid_focal_loss

from .paper import focal

LOGITS = torch.linspace(-6.0, 6.0, 60).reshape(12, 5)
TARGETS = (torch.arange(60).reshape(12, 5) % 4 == 1).to(torch.float32)
# Of float32 arithmetic in the composition that torchvision has, at |x| <= 6.
ROUNDING = 2e-4


def gradient(function, logits, targets, **settings):
    leaf = logits.clone().requires_grad_()
    function(leaf, targets, **settings).sum().backward()
    return leaf.grad


@pytest.fixture(scope="module")
def theirs():
    """The function of torchvision, from its source: the compiled part asks for the PyTorch that it came with."""
    found = importlib.util.find_spec("torchvision")
    assert found is not None, "torchvision is among the packages of the extra 'test'"
    # The one name that the source takes from its package.
    package, utils = types.ModuleType("stand_in"), types.ModuleType("stand_in.utils")
    package.__path__ = []
    utils._log_api_usage_once = lambda function: None
    path = Path(found.submodule_search_locations[0], "ops", "focal_loss.py")
    spec = importlib.util.spec_from_file_location("stand_in.ops.focal_loss", path)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "stand_in", package)
        patch.setitem(sys.modules, "stand_in.utils", utils)
        spec.loader.exec_module(module)
    return module.sigmoid_focal_loss


# The signature that torchvision 0.28 documents


def test_names_order_and_defaults_are_those_of_torchvision():
    parameters = inspect.signature(sigmoid_focal_loss).parameters.values()
    assert [(parameter.name, parameter.default) for parameter in parameters] == [
        ("inputs", inspect.Parameter.empty),
        ("targets", inspect.Parameter.empty),
        ("alpha", 0.25),
        ("gamma", 2),
        ("reduction", "none"),
    ]
    assert {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_OR_KEYWORD}


def test_the_signature_is_that_of_the_torchvision_that_is_installed(theirs):
    assert inspect.signature(sigmoid_focal_loss) == inspect.signature(theirs)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("alpha", [0.25, 0, 1, -1])
def test_ordinary_inputs_give_the_numbers_of_torchvision(theirs, alpha, reduction):
    arguments = (LOGITS, TARGETS, alpha, 2.0, reduction)
    torch.testing.assert_close(sigmoid_focal_loss(*arguments), theirs(*arguments), rtol=ROUNDING, atol=1e-9)
    settings = {"alpha": alpha, "reduction": reduction}
    found, expected = (gradient(function, LOGITS, TARGETS, **settings) for function in (sigmoid_focal_loss, theirs))
    torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=1e-8)


# What the paper prints, and torchvision computes


@pytest.mark.parametrize("gamma", [0, 0.5, 2, 3.5])
@pytest.mark.parametrize("alpha", [0.25, 0, 1, -1])
def test_values_and_gradients_are_those_of_the_formula(alpha, gamma):
    weighting = None if alpha == -1 else alpha
    found = sigmoid_focal_loss(LOGITS, TARGETS, alpha, gamma)
    expected = focal(LOGITS, TARGETS, alpha=weighting, gamma=gamma)
    torch.testing.assert_close(found.to(torch.float64), expected, rtol=1e-7, atol=0.0)
    found = gradient(sigmoid_focal_loss, LOGITS, TARGETS, alpha=alpha, gamma=gamma)
    expected = gradient(focal, LOGITS, TARGETS, alpha=weighting, gamma=gamma)
    torch.testing.assert_close(found, expected, rtol=2e-7, atol=0.0)


def test_soft_targets_blend():
    targets = torch.linspace(0.0, 1.0, 60).reshape(12, 5)
    found = sigmoid_focal_loss(LOGITS.double(), targets)
    torch.testing.assert_close(found, focal(LOGITS, targets), rtol=1e-11, atol=0.0)


def test_reductions_are_sum_and_mean_over_all_elements():
    expected = focal(LOGITS, TARGETS).sum()
    found = sigmoid_focal_loss(LOGITS.double(), TARGETS, reduction="sum")
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0.0)
    found = sigmoid_focal_loss(LOGITS.double(), TARGETS, reduction="mean")
    torch.testing.assert_close(found, expected / 60, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("reduction", ["average", "None", None])
def test_an_unknown_reduction_is_refused(reduction):
    with pytest.raises(ValueError, match=rf"^reduction: got {reduction!r}; allowed are 'none', 'sum', 'mean'"):
        sigmoid_focal_loss(LOGITS, TARGETS, reduction=reduction)


@pytest.mark.parametrize("alpha", [-0.5, 1.5, -2, math.nan])
def test_an_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ValueError, match=rf"^alpha: got {alpha!r}; it is in \[0, 1\], or -1 for no weighting$"):
        sigmoid_focal_loss(LOGITS, TARGETS, alpha=alpha)


# What differs, as documented


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.uint8])
def test_integer_and_bool_targets_are_taken(dtype):
    assert torch.equal(sigmoid_focal_loss(LOGITS, TARGETS.to(dtype)), sigmoid_focal_loss(LOGITS, TARGETS))


def test_the_mean_of_nothing_is_zero_with_a_gradient():
    logits = torch.zeros(0, 5, requires_grad=True)
    value = sigmoid_focal_loss(logits, torch.zeros(0, 5), reduction="mean")
    value.backward()
    assert value.item() == 0.0
    assert logits.grad.shape == (0, 5)


@pytest.mark.parametrize("gamma", [0.25, 0.5, 2])
def test_gradients_are_finite_where_the_sigmoid_saturates(gamma):
    logits = torch.tensor([200.0, -200.0, 200.0, -200.0])
    targets = torch.tensor([1.0, 0.0, 0.0, 1.0])
    # Easy ones have none left in float32; of hard ones it is alpha_t, for negatives 1 - alpha.
    assert gradient(sigmoid_focal_loss, logits, targets, gamma=gamma).tolist() == [0.0, 0.0, 0.75, -0.25]


def test_torchvision_has_no_gradient_there(theirs):
    logits, targets = torch.tensor([200.0]), torch.tensor([1.0])
    assert torch.isnan(gradient(theirs, logits, targets, gamma=0.5)).item()
    assert torch.isnan(theirs(torch.zeros(0), torch.zeros(0), reduction="mean")).item()


# A training step in the style of its RetinaNet


class Head(torch.nn.Module):
    """Class logits of shape (N, anchors, classes) from features, with the prior of the paper."""

    def __init__(self, channels=4, anchors=3, classes=5):
        super().__init__()
        self.classes = classes
        self.conv = torch.nn.Conv2d(channels, anchors * classes, 3, padding=1)
        torch.nn.init.normal_(self.conv.weight, std=0.01)
        torch.nn.init.constant_(self.conv.bias, -math.log((1 - 0.01) / 0.01))

    def forward(self, features):
        return self.conv(features).permute(0, 2, 3, 1).reshape(len(features), -1, self.classes)


BELOW_LOW_THRESHOLD, BETWEEN_THRESHOLDS = -1, -2


def classification_loss(labels, logits, matched):
    """Sum of an image's losses over its foreground anchors' number, averaged over images."""
    losses = []
    for labels_of_image, logits_of_image, matched_of_image in zip(labels, logits, matched, strict=True):
        foreground = matched_of_image >= 0
        targets = torch.zeros_like(logits_of_image)
        targets[foreground, labels_of_image[matched_of_image[foreground]]] = 1.0
        valid = matched_of_image != BETWEEN_THRESHOLDS
        total = sigmoid_focal_loss(logits_of_image[valid], targets[valid], reduction="sum")
        losses.append(total / max(1, int(foreground.sum())))
    return sum(losses) / len(labels)


@pytest.mark.parametrize("autocast", [False, True])
def test_a_head_of_retinanet_trains_on_it(autocast):
    torch.manual_seed(0)
    head, features = Head(), torch.randn(2, 4, 4, 4)
    labels = [torch.tensor([1, 4]), torch.zeros(0, dtype=torch.int64)]
    # 48 anchors an image; the second image has no box.
    matched = [torch.full((48,), BELOW_LOW_THRESHOLD) for _ in labels]
    matched[0][:6] = torch.tensor([0, 0, 1, 1, BETWEEN_THRESHOLDS, BETWEEN_THRESHOLDS])
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = head(features)
            value = classification_loss(labels, logits, matched)
        value.backward()
        optimizer.step()
        losses.append(value.item())
    assert (logits.dtype, value.dtype) == (torch.bfloat16 if autocast else torch.float32, torch.float32)
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())
    # Four positives at p = 0.01 over 4, and about nothing of the negatives: 0.25 * 0.99^2 * log(100), halved.
    assert losses[0] == pytest.approx(0.5 * 0.25 * 0.99**2 * math.log(100), rel=0.05)
    assert losses[-1] < 0.5 * losses[0]
