"""PyTorch: derivatives with respect to what is not a logit, and a gamma that trains."""

import itertools
import subprocess
import sys

import mpmath
import numpy as np
import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jvp

from focal_ref import (
    IGNORE,
    asymmetric_loss,
    heatmap_focal_loss,
    loss,
    loss_from_labels,
    parameter_gradients,
    quality_focal_loss,
    softmax_loss,
    star_loss,
    varifocal_loss,
)

from .torch_comparison import every_reduction, forward_mode

LOGITS = (-2.0, 0.5, 3.0, -0.25)
TARGETS = (1, 0, 1, 1)


def exact_gamma_slope(gamma, logits=LOGITS, targets=TARGETS):
    """The derivative of the sum of the losses with respect to gamma, by mpmath."""
    total = mpmath.mpf(0)
    with mpmath.workdps(40):
        for logit, target in zip(logits, targets, strict=True):
            p = 1 / (1 + mpmath.exp(-mpmath.mpf(logit)))
            p, weight = (p, 0.25) if target else (1 - p, 0.75)
            total += weight * (1 - p) ** mpmath.mpf(gamma) * mpmath.log(1 - p) * -mpmath.log(p)
    return total


def gamma_of(value=2.0, dtype=torch.float64):
    return torch.tensor(value, dtype=dtype, requires_grad=True)


# Shapes and dtypes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("logits_dtype", [torch.float64, torch.bfloat16])
def test_the_gradient_of_a_number_is_rounded_once_to_its_own_dtype(dtype, logits_dtype):
    gamma = gamma_of(1.5, dtype)
    loss(torch.tensor(LOGITS, dtype=logits_dtype), torch.tensor(TARGETS), gamma=gamma, reduction="sum").backward()
    wanted = torch.tensor(float(exact_gamma_slope(1.5)), dtype=torch.float64)
    assert gamma.grad.dtype == dtype
    torch.testing.assert_close(gamma.grad.double(), wanted.to(dtype).double(), rtol=1e-14, atol=0.0)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (5, 1), (1, 6), (5, 6), (1, 1)])
@pytest.mark.parametrize("name", ["alpha", "gamma", "weights"])
def test_the_gradient_of_an_array_is_summed_to_its_shape(shape, name):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 6, generator=generator, dtype=torch.float64) * 4
    targets = torch.rand(5, 6, generator=generator) < 0.5
    array = torch.rand(shape, generator=generator, dtype=torch.float64).requires_grad_()
    loss(logits, targets, reduction="sum", **{name: array}).backward()
    assert array.grad.shape == shape
    for index in np.ndindex(shape):
        # Finite differences of a loss that is linear in alpha and weights; for gamma of the middle's accuracy.
        step = 1e-5
        ends = []
        for sign in (1, -1):
            moved = array.detach().clone()
            moved[index] += sign * step
            ends.append(float(loss(logits, targets, reduction="sum", **{name: moved})))
        np.testing.assert_allclose(float(array.grad[index]), (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_sums_over_many_elements_are_the_same_for_any_number_of_threads_and_in_any_layout():
    logits = torch.linspace(-9.0, 9.0, 70_000).reshape(700, 100)
    targets = torch.arange(70_000).reshape(700, 100) % 3 == 0
    found = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            for create_graph in (False, True):
                for layout in (lambda x: x, lambda x: x.T.contiguous().T):
                    gamma, alpha = gamma_of(), torch.full((100,), 0.25, requires_grad=True)
                    for settings in ({"gamma": gamma}, {"alpha": alpha}):
                        total = loss(layout(logits), targets, reduction="sum", **settings)
                        (slope,) = torch.autograd.grad(total, list(settings.values()), create_graph=create_graph)
                        found.append(slope.detach())
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(slope, found[0]) for slope in found[::2])
    assert all(torch.equal(slope, found[1]) for slope in found[1::2])


def test_large_sums_to_an_array_agree_with_the_sum_of_the_derivatives_themselves():
    logits = torch.linspace(-9.0, 9.0, 600_000, dtype=torch.float64).reshape(6000, 100)
    labels = torch.arange(6000) % 101 - 1
    alpha = torch.full((100,), 0.25, dtype=torch.float64, requires_grad=True)
    loss_from_labels(logits, labels, alpha=alpha, reduction="sum").backward()
    slopes = parameter_gradients(logits, labels, function=loss_from_labels, alpha=alpha)["alpha"]
    torch.testing.assert_close(alpha.grad, slopes.sum(0), rtol=1e-12, atol=1e-12)


def test_a_gradient_that_float16_would_round_to_zero_survives_when_the_loss_is_scaled():
    for scale, survives in ((1.0, False), (65536.0, True)):
        gamma = gamma_of(2.0, torch.float16)
        (loss(torch.tensor([6.0]), torch.tensor([1]), gamma=gamma, reduction="sum") * scale).backward()
        wanted = np.float16(float(scale * exact_gamma_slope(2.0, [6.0], [1])))
        assert float(gamma.grad) == wanted
        assert (wanted != 0.0) == survives


def test_the_normalizer_may_be_trained():
    normalizer = torch.tensor(3.0, requires_grad=True)
    leaf = torch.tensor(LOGITS, requires_grad=True)
    total = loss(leaf, torch.tensor(TARGETS), reduction="sum")
    loss(leaf, torch.tensor(TARGETS), reduction="sum", normalizer=normalizer).backward()
    np.testing.assert_allclose(float(normalizer.grad), -float(total.detach()) / 9.0, rtol=1e-6)


def test_soft_targets_of_a_teacher_have_gradients_also_where_they_are_hard():
    teacher = torch.tensor([0.0, 1.0, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    hard = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    logits = torch.tensor(LOGITS, dtype=torch.float64)
    loss(logits, teacher, reduction="sum").backward()
    loss(logits[:2], hard, reduction="sum").backward()

    def exact(x, t):
        with mpmath.workdps(40):
            p = 1 / (1 + mpmath.exp(-mpmath.mpf(x)))

            def value(t):
                ce = -t * mpmath.log(p) - (1 - t) * mpmath.log(1 - p)
                return (t / 4 + 3 * (1 - t) / 4) * (p * (1 - t) + (1 - p) * t) ** 2 * ce

            return float(mpmath.diff(value, t))

    wanted = [exact(x, t) for x, t in zip(LOGITS, teacher.tolist(), strict=True)]
    np.testing.assert_allclose(teacher.grad.numpy(), wanted, rtol=1e-13)
    np.testing.assert_allclose(hard.grad.numpy(), wanted[:2], rtol=1e-13)


# Training


class Focal(torch.nn.Module):
    def __init__(self, gamma):
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.tensor(gamma))

    def forward(self, logits, targets):
        return loss(logits, targets, gamma=self.gamma, reduction="sum")


def test_one_step_moves_gamma_against_its_derivative():
    criterion = Focal(2.0)
    optimizer = torch.optim.SGD(criterion.parameters(), lr=0.5)
    criterion(torch.tensor(LOGITS), torch.tensor(TARGETS)).backward()
    optimizer.step()
    np.testing.assert_allclose(float(criterion.gamma.detach()), 2.0 - 0.5 * float(exact_gamma_slope(2.0)), rtol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_training_gamma_lowers_the_loss_at_every_step(name):
    criterion = Focal(1.0)
    optimizer = getattr(torch.optim, name)(criterion.parameters(), lr=0.3)
    values = []
    for _ in range(5):
        optimizer.zero_grad()
        value = criterion(torch.tensor(LOGITS), torch.tensor(TARGETS))
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert all(later < earlier for earlier, later in itertools.pairwise(values))
    # The loss falls with gamma: the modulating factor is below 1.
    assert float(criterion.gamma.detach()) > 1.0


# What has no derivative


@pytest.mark.parametrize("name", ["gamma", "alpha", "weights", "targets"])
def test_a_mixed_second_derivative_is_refused_with_what_to_do(name):
    settings = {name: torch.full((4,), 0.5, dtype=torch.float64, requires_grad=True)}
    other, targets = settings[name], settings.pop("targets", torch.tensor(TARGETS))
    leaf = torch.tensor(LOGITS, dtype=torch.float64, requires_grad=True)
    total = loss(leaf, targets, reduction="sum", **settings)
    in_logits, in_other = torch.autograd.grad(total, [leaf, other], create_graph=True)
    text = rf"second derivatives exist in the logits alone.*pass {name}\.detach\(\) to the loss that is differentiated"
    for first, variable in ((in_logits, other), (in_other, leaf), (in_other, other)):
        with pytest.raises(RuntimeError, match=text):
            torch.autograd.grad(first.sum(), variable, retain_graph=True)
    with pytest.raises(RuntimeError, match=text):
        in_logits.sum().backward(retain_graph=True)
    # The second derivative in the logits is there all the same.
    (second,) = torch.autograd.grad(in_logits.sum(), leaf)
    assert torch.all(torch.isfinite(second))


@forward_mode
def test_a_mixed_second_derivative_is_refused_in_forward_mode_too():
    targets, logits, gamma = torch.tensor(TARGETS), torch.tensor(LOGITS), torch.tensor(2.0)

    def total(x, g):
        return loss(x, targets, gamma=g, reduction="sum")

    ways = (
        lambda g: grad(total)(logits, g).sum(),
        lambda g: jvp(lambda x: total(x, g), (logits,), (torch.ones(4),))[1],
    )
    for way in ways:
        for transform in (grad, jacfwd):
            with pytest.raises(RuntimeError, match="second derivatives exist in the logits alone"):
                transform(way)(gamma)
    # First derivatives with respect to both at once are no such thing.
    _, tangent = jvp(total, (logits, gamma), (torch.ones(4), torch.tensor(1.0)))
    in_logits, in_gamma = grad(total, argnums=(0, 1))(logits, gamma)
    torch.testing.assert_close(tangent, in_logits.sum() + in_gamma)


def test_what_multiplies_a_derivative_with_respect_to_gamma_may_be_differentiated():
    gamma, scale = gamma_of(), torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    logits, targets = torch.tensor(LOGITS, dtype=torch.float64), torch.tensor(TARGETS)
    (slope,) = torch.autograd.grad((scale * loss(logits, targets, gamma=gamma)).sum(), gamma, create_graph=True)
    (found,) = torch.autograd.grad(slope, scale)
    wanted = parameter_gradients(logits, targets, gamma=gamma)["gamma"]
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0.0)


@forward_mode
def test_targets_that_are_classes_have_no_derivative():
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    text = r"^targets: got a tensor that requires grad; .*pass targets\.detach\(\)$"
    with pytest.raises(TypeError, match=text):
        loss(torch.tensor(LOGITS), signs.clone().requires_grad_(), encoding="signed")
    with pytest.raises(TypeError, match=text):
        star_loss(torch.tensor(LOGITS), (signs > 0).float().requires_grad_())
    for reduction in ("none", "sum"):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(signs, torch.ones(4))
            with pytest.raises(TypeError, match=r"^targets: got a tangent"):
                loss(torch.tensor(LOGITS), dual, encoding="signed", reduction=reduction)


# Nothing but zeros


@every_reduction
@pytest.mark.parametrize("function", [loss_from_labels, softmax_loss])
def test_labels_that_are_all_ignored_give_zeros_for_every_gradient(function, reduction):
    leaf = torch.tensor([[float("nan"), 1.0], [float("inf"), float("inf")]], requires_grad=True)
    settings = {"gamma": gamma_of(), "alpha": torch.tensor([0.5, 0.25], requires_grad=True)}
    settings["weights"] = torch.ones((2,) if function is softmax_loss else (2, 1), requires_grad=True)
    value = function(leaf, torch.full((2,), IGNORE), reduction=reduction, **settings)
    assert torch.all(value == 0.0)
    for argument, found in zip(
        (leaf, *settings.values()), torch.autograd.grad(value.sum(), [leaf, *settings.values()]), strict=True
    ):
        assert found.shape == argument.shape
        assert torch.all(found == 0.0)


@pytest.mark.parametrize(("function", "names"), [
    (loss, ("gamma",)),
    (quality_focal_loss, ("beta",)),
    (varifocal_loss, ("gamma",)),
    (asymmetric_loss, ("gamma_positive", "gamma_negative")),
    (heatmap_focal_loss, ("gamma", "beta")),
], ids=lambda value: getattr(value, "__name__", ""))  # fmt: skip
def test_no_derivative_is_nan_for_finite_logits(function, names):
    sides = torch.tensor([0.0, 1e-300, 1e-7, 30.0, 40.0, 88.5, 110.0, 700.0, 746.0, 1e4, 1e300], dtype=torch.float64)
    logits = torch.cat([sides, -sides]).repeat(5)
    targets = torch.tensor([0.0, 1.0, 0.5, 1e-300, 1 - 2.0**-53], dtype=torch.float64).repeat_interleave(22)
    for exponent in (0.0, 0.5, 2.0, 40.0, 1e300):
        inputs = [array.clone().requires_grad_() for array in (logits, targets)]
        numbers = {name: gamma_of(exponent) for name in names}
        inputs += numbers.values()
        found = torch.autograd.grad(function(*inputs[:2], **numbers).sum(), inputs, create_graph=True)
        (second,) = torch.autograd.grad(found[0].sum(), inputs[0])
        assert not any(torch.any(torch.isnan(derivative)) for derivative in (*found, second))


# Memory

MEMORY = """
import resource, sys
import torch, focal_ref

function = getattr(focal_ref, sys.argv[1])

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

for rows in (10, 20_000):
    logits = torch.linspace(-9.0, 9.0, rows * 500).reshape(rows, 500)
    labels = torch.arange(rows) % 500
    gamma = torch.tensor(2.0, requires_grad=True)
    before = peak()
    function(logits, labels, gamma=gamma, reduction="sum").backward()
    with_gamma = peak() - before
    results = focal_ref.value_and_grad(logits, labels, function=function)
    with_results = peak() - before - sum(array.numel() * array.itemsize for array in results) / 2**20
print(with_gamma, with_results)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize("function", ["loss_from_labels", "softmax_loss"])
def test_labels_of_many_classes_need_the_memory_of_the_results_and_a_few_mebibytes(function):
    # One-hot float32 targets alone would be 38 MiB, and each intermediate float64 array 76 MiB.
    finished = subprocess.run(
        [sys.executable, "-c", MEMORY, function], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert all(float(mebibytes) <= 16.0 for mebibytes in finished.stdout.split())
