"""PyTorch: NumPy's bits, and gradients by autograd that are rounded once."""

import numpy as np
import pytest
import torch

from focal_ref import loss, value_and_grad
from focal_ref.adapters._torch_compute import numpy_view
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import DTYPES, assert_within, expected, some_logits, some_targets
from .torch_comparison import arrays_to_tensors, assert_bits_of, every_reduction, gradient_of, tensor

GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0)

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Every gamma in float32; in other formats one for each kind of kernel that the other tests compile as well.
dtypes_and_gammas = pytest.mark.parametrize(
    ("dtype", "gamma"),
    [(dtype, gamma) for dtype in DTYPES for gamma in GAMMAS if dtype == "float32" or gamma in (0.5, 2.0)],
)


# The same bits as NumPy


@dtypes_and_gammas
def test_values_and_gradients_have_the_bits_that_numpy_gives(dtype, targets_of, gamma):
    logits, targets = some_logits(dtype, 500), targets_of(500)
    value, gradient = value_and_grad(logits, targets, gamma=gamma)
    for found, wanted in zip(
        value_and_grad(tensor(logits), tensor(targets), gamma=gamma), (value, gradient), strict=True
    ):
        assert_bits_of(found, wanted)
    assert_bits_of(loss(tensor(logits), tensor(targets), gamma=gamma), value)
    assert_bits_of(gradient_of(logits, targets, gamma=gamma), gradient)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_arrays_of_parameters_give_the_bits_that_numpy_gives(dtype, targets_of, array_settings):
    logits, settings = array_settings(dtype)
    targets = targets_of(120).reshape(20, 6)
    value, gradient = value_and_grad(logits, targets, **settings)
    assert_bits_of(loss(tensor(logits), tensor(targets), **arrays_to_tensors(settings)), value)
    assert_bits_of(gradient_of(logits, targets, **settings), gradient)


@every_dtype
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_sums_and_means_have_the_bits_that_numpy_gives(dtype, targets_of, reduction):
    logits, targets = some_logits(dtype, 70_028)[28:], targets_of(70_028)[28:]
    found = loss(tensor(logits), tensor(targets), reduction=reduction)
    assert_bits_of(found, np.asarray(loss(logits, targets, reduction=reduction)))
    assert found.dtype == (torch.float64 if dtype == "float64" else torch.float32)


def test_the_normalizer_may_be_a_tensor():
    logits, targets = some_logits("float32", 100)[28:], some_targets(100)[28:]
    wanted = np.asarray(loss(logits, targets, reduction="sum", normalizer=7))
    for normalizer in (7, torch.tensor(7), torch.tensor(7.0), torch.tensor(7.0, dtype=torch.float64), np.float32(7)):
        assert_bits_of(loss(tensor(logits), tensor(targets), reduction="sum", normalizer=normalizer), wanted)


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_both_precisions_have_the_bits_that_numpy_gives(precision):
    logits, targets = some_logits("float32", 500), some_targets(500)
    value, gradient = value_and_grad(logits, targets, precision=precision)
    assert_bits_of(loss(tensor(logits), tensor(targets), precision=precision), value)
    assert_bits_of(gradient_of(logits, targets, precision=precision), gradient)


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float64])
def test_targets_of_any_dtype_are_taken(kind):
    logits, targets = some_logits("float32", 200), some_targets(200)
    assert_bits_of(loss(tensor(logits), tensor(targets).to(kind)), loss(logits, targets))


def test_numpy_arrays_and_lists_are_taken_as_targets_and_parameters():
    logits = torch.tensor([0.5, -2.0, 3.0])
    wanted = loss(logits, torch.tensor([1, 0, 1]), alpha=torch.tensor([0.5, 0.25, 1.0]))
    assert torch.equal(loss(logits, [1, 0, 1], alpha=np.array([0.5, 0.25, 1.0])), wanted)
    read_only = np.broadcast_to(np.array([1.0]), (3,))
    assert loss(logits, read_only).shape == (3,)
    assert torch.equal(loss(logits, np.array([1, 0, 1])[::-1]), loss(logits, torch.tensor([1, 0, 1])))


# Gradients in critical places


@dtypes_and_gammas
def test_gradients_at_zero_saturation_and_infinity_are_the_exact_ones(dtype, gamma):
    largest = 6e4 if dtype == "float16" else 3e38
    margins = np.array([0.0, -0.0, 1e-7, 20, -20, 90, -90, 110, -110, 720, -720, largest, -largest, np.inf, -np.inf])
    for target, sign in ((True, 1.0), (False, -1.0)):
        logits, targets = (sign * margins).astype(DTYPES[dtype]), np.full(margins.size, target)
        found = numpy_view(gradient_of(logits, targets, gamma=gamma))
        wanted = expected(logits, targets, gamma=gamma)["gradient"]
        assert_within(found, wanted, budget("exact", FORMATS[dtype], gamma, weighted=True))
        assert not np.any(np.isnan(found.astype(np.float64)))


@pytest.mark.parametrize("gamma", GAMMAS)
def test_second_derivatives_at_zero_saturation_and_infinity_are_finite_and_within_the_bound(gamma):
    margins = np.array([0.0, 1e-7, 5, -5, 20, -20, 700, -700, 1e300, -1e300, np.inf, -np.inf])
    leaf, targets = tensor(margins).requires_grad_(), torch.ones(12, dtype=torch.bool)
    first = torch.autograd.grad(loss(leaf, targets, gamma=gamma, reduction="sum"), leaf, create_graph=True)[0]
    (second,) = torch.autograd.grad(first.sum(), leaf)
    wanted = expected(margins, np.ones(12), gamma=gamma)["second_derivative"]
    assert_within(second.numpy(), wanted, budget("exact", FORMATS["float64"], gamma, weighted=True))


def test_nan_gives_nan_in_its_element_of_the_gradient_only():
    gradient = gradient_of(np.array([0.0, np.nan, 0.0]), np.array([1, 1, 0]))
    assert torch.isnan(gradient).tolist() == [False, True, False]


def test_an_element_of_weight_zero_has_no_gradient_even_where_its_loss_is_infinite():
    logits, targets = np.array([np.inf, -np.inf, -np.inf]), np.array([0, 1, 1])
    assert gradient_of(logits, targets, weights=np.array([0.0, 0.0, 1.0])).tolist() == [0.0, 0.0, -0.25]
    assert gradient_of(logits, targets, alpha=0.0).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(0,), (3, 0)])
@every_reduction
def test_an_empty_loss_has_an_empty_gradient(shape, reduction):
    leaf = torch.empty(shape, requires_grad=True)
    value = loss(leaf, torch.empty(shape), reduction=reduction)
    value.sum().backward()
    assert value.sum() == 0.0
    assert leaf.grad.shape == shape


# What comes from above


def test_the_upstream_gradient_is_multiplied_before_the_one_rounding(targets_of):
    logits, targets = some_logits("float16", 400)[28:], targets_of(400)[28:]
    upstream = np.random.default_rng(7).uniform(0.1, 3.0, 372).astype(np.float16)
    found = gradient_of(logits, targets, upstream=tensor(upstream))
    wanted = expected(logits, targets, weights=upstream)["gradient"]
    assert_within(numpy_view(found), wanted, 0.501)


@pytest.mark.parametrize("make", [
    lambda: torch.tensor(0.5).expand(4, 3),
    lambda: torch.arange(3.0).expand(4, 3),
    lambda: torch.arange(4.0)[:, None].expand(4, 3),
    lambda: torch.arange(12.0).reshape(3, 4).T,
    lambda: torch.zeros(4, 3),
], ids=["one number", "one row", "one column", "transposed", "zero"])  # fmt: skip
def test_an_upstream_gradient_of_any_layout_is_taken(make):
    logits, targets = np.linspace(-4, 4, 12, dtype=np.float32).reshape(4, 3), np.eye(4, 3, dtype=bool)
    found = gradient_of(logits, targets, upstream=make())
    wanted = expected(logits, targets, weights=make().numpy())["gradient"]
    assert_within(found.numpy(), wanted, 0.501)


def test_the_gradient_of_a_mean_is_rounded_once():
    logits, targets = some_logits("float32", 103)[28:], some_targets(103)[28:]
    found = gradient_of(logits, targets, reduction="mean")
    # The upstream gradient 1/75 is a float64 number, as the sum is.
    wanted = expected(logits, targets, weights=np.full(75, 1 / 75))["gradient"]
    assert_within(found.numpy(), wanted, 0.501)


def test_gradients_that_float16_would_round_to_zero_survive_when_the_loss_is_scaled():
    # What GradScaler does: the sum in float32, scaled by 2^16, sent back to float16 logits.
    logits, targets = np.linspace(3.0, 8.0, 50).astype(np.float16), np.ones(50, bool)
    leaf = tensor(logits).requires_grad_()
    (loss(leaf, tensor(targets), reduction="sum") * 65536.0).backward()
    wanted = expected(logits, targets, weights=np.full(50, 65536.0))["gradient"]
    assert_within(numpy_view(leaf.grad), wanted, 0.501)
    assert torch.all(leaf.grad != 0)
    assert np.any(value_and_grad(logits, targets)[1] == 0)


def test_the_graph_may_be_walked_twice_when_it_is_retained():
    leaf, targets = torch.linspace(-3, 3, 7, requires_grad=True), torch.arange(7) % 2
    value = loss(leaf, targets, reduction="sum")
    value.backward(retain_graph=True)
    first = leaf.grad.clone()
    value.backward()
    assert torch.equal(leaf.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        value.backward()


@every_reduction
def test_logits_that_change_before_the_backward_are_an_error(reduction):
    leaf = torch.linspace(-3, 3, 7, requires_grad=True)
    logits = leaf * 1.0
    value = loss(logits, torch.ones(7), reduction=reduction)
    logits.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        value.sum().backward()


def test_targets_and_parameters_that_change_before_the_backward_are_an_error_too():
    for name in ("targets", "alpha", "gamma", "weights"):
        leaf = torch.linspace(-3, 3, 7, requires_grad=True)
        settings = {"targets": torch.ones(7), "alpha": torch.full((7,), 0.5), "gamma": torch.ones(7)}
        settings["weights"] = torch.ones(7)
        changed, targets = settings[name], settings.pop("targets")
        value = loss(leaf, targets, **settings)
        changed.mul_(0.5)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            value.sum().backward()


def test_nothing_is_recorded_without_need():
    leaf, targets = torch.zeros(3, requires_grad=True), torch.ones(3)
    assert not any(result.requires_grad for result in value_and_grad(leaf, targets))
    assert not loss(leaf.detach(), targets).requires_grad
    with torch.no_grad():
        assert not loss(leaf, targets, reduction="sum").requires_grad
    with torch.inference_mode():
        value = loss(leaf, targets, reduction="sum")
        assert value.is_inference()
        assert value_and_grad(torch.zeros(3), torch.ones(3))[0].is_inference()
    assert loss(leaf, targets).requires_grad


# Invalid data


def test_invalid_targets_are_refused_on_the_cpu_in_eager_mode_with_logits_that_require_grad_too():
    leaf = torch.zeros(2, 2, requires_grad=True)
    with pytest.raises(ValueError, match=r"^targets: got 2 at position \(1, 0\); it is 0 or 1"):
        loss(leaf, torch.tensor([[0, 1], [2, 1]]), reduction="sum")
