"""Sums and their gradients: the bits of the sums on the CPU, and what autograd makes of them."""

import math

import pytest
import torch

import focal_ref
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref._parameters import Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters import _torch_triton as kernel

pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow|divide by zero):RuntimeWarning")

PARAMETERS = Parameters(alpha=0.25, gamma=2.0, encoding="binary")


def arguments(size, dtype=torch.float32):
    generator = torch.Generator().manual_seed(size)
    logits = torch.randn(size, generator=generator, dtype=torch.float64) * 6
    return logits.to(dtype), torch.rand(size, generator=generator) < 0.3


# Of fewer than 32,768 elements the CPU sums in blocks; the last size makes more than two runs and a part of a piece.
@pytest.mark.parametrize(
    ("size", "dtype"),
    [(32769, torch.float32), (131072, torch.float32), (300001, torch.float32), (50001, torch.float64)],
)
def test_sums_have_the_bits_of_those_on_the_cpu(size, dtype):
    if not has_fused_multiply_add():
        pytest.skip("this processor rounds products before it adds")
    logits, targets = arguments(size, dtype)
    result = kernel.total(logits, targets, PARAMETERS)
    assert result.dtype == torch.float64
    assert result.shape == ()
    assert result.item() == compute.total(logits, targets, PARAMETERS).item()


@pytest.mark.parametrize("size", [0, 1, 2, 2047, 2048, 2049])
def test_sums_of_any_size_are_those_of_exact_addition(size):
    logits, targets = arguments(size)
    terms = compute.loss(logits, targets, PARAMETERS, torch.float64)
    exact = math.fsum(terms.tolist())
    # Terms are positive: halving errs by half a unit a level.
    assert kernel.total(logits, targets, PARAMETERS).item() == pytest.approx(exact, rel=20 * 2.0**-53, abs=0)


@pytest.mark.parametrize("size", [3, 17, 4096, 9999])
def test_float64_terms_are_added_by_halving(size):
    terms = torch.rand(size, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert kernel.added_up(terms).item() == pytest.approx(math.fsum(terms.tolist()), rel=16 * 2.0**-53, abs=0)


def test_a_sum_and_its_gradient_come_from_one_pass(routed, same_bits):
    logits, targets = arguments(5000)
    total, gradient = focal_ref.value_and_grad(logits, targets, alpha=0.25, reduction="sum", normalizer=7.0)
    assert (routed.taken, routed.left) == (1, 0)
    expected = torch.empty_like(logits)
    kernel.run(logits, targets, PARAMETERS, gradient=expected, upstream=1 / 7.0)
    same_bits(gradient, expected)
    assert total.item() == pytest.approx(compute.total(logits, targets, PARAMETERS).item() / 7, rel=1e-6)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_backward_recomputes_the_gradient_from_the_logits(reduction, routed, same_bits):
    logits, targets = arguments(5000)
    logits.requires_grad_()
    loss = focal_ref.loss(logits, targets, alpha=0.25, reduction=reduction)
    loss.backward()
    assert (routed.taken, routed.left) == (2, 0)
    expected = torch.empty_like(logits)
    factor = 1.0 if reduction == "sum" else 1 / 5000
    kernel.run(logits.detach(), targets, PARAMETERS, gradient=expected, upstream=factor)
    same_bits(logits.grad, expected)


def test_elementwise_losses_differentiate_twice(routed):
    logits, targets = arguments(8, torch.float64)
    logits.requires_grad_()
    # Second derivatives of autograd take the formulas; they are checked against differences of the kernel's gradient.
    assert torch.autograd.gradgradcheck(lambda x: focal_ref.loss(x, targets), (logits,))
    assert torch.autograd.gradcheck(lambda x: focal_ref.loss(x, targets), (logits,))
    assert routed.taken > 0


def test_labels_under_autocast_and_gradient_scaling_train(routed):
    torch.manual_seed(0)
    model = torch.nn.Linear(16, 10)
    inputs, labels = torch.randn(30, 16), torch.randint(-2, 10, (30,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler("cpu")
    history = []
    for _ in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = focal_ref.loss_from_labels(model(inputs), labels, reduction="mean")
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        history.append(loss.item())
    assert routed.taken == 10
    assert history == sorted(history, reverse=True)
