"""The softmax of rows with a label: losses, gradients and sums as on the CPU."""

import pytest
import torch

import focal_ref
from focal_ref._parameters import Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters import _torch_triton_softmax as kernel

pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow|divide by zero):RuntimeWarning")

FORMATS = [torch.float32, torch.float16, torch.bfloat16]


def parameters_of(gamma, **more):
    return Parameters(gamma=gamma, encoding="labels", form="softmax", **{"alpha": None} | more)


def arguments(rows, classes, dtype):
    generator = torch.Generator().manual_seed(rows * classes)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64) * 9
    labels = torch.randint(0, classes, (rows,), generator=generator)
    if classes > 2 and rows > 10:
        logits[0, 1] = float("inf")
        logits[1, :2] = float("inf")
        logits[2, 2] = float("nan")
        logits[3] = float("-inf")
        logits[4] = 1.0
        logits[5] *= 100
        logits[6, labels[6]] = 300.0
        labels[7:10] = torch.tensor([-2, -1, classes])
    return logits.to(dtype), labels


@pytest.mark.parametrize(
    ("rows", "classes", "dtype", "gamma"),
    [
        *((rows, classes, torch.float32, 2.0) for rows, classes in ((5, 1), (5, 2), (37, 80), (12, 1500))),
        *((33, 3, dtype, gamma) for dtype in FORMATS for gamma in (0.0, 1.0, 2.0)),
    ],
    ids=str,
)
def test_losses_and_gradients_have_the_bits_of_the_cpu(dtype, gamma, rows, classes, same_bits):
    logits, labels = arguments(rows, classes, dtype)
    generator = torch.Generator().manual_seed(1)
    alpha, weights = (
        torch.rand(classes, generator=generator, dtype=torch.float64),
        torch.rand(rows, generator=generator),
    )
    for more in ({}, {"alpha": alpha}, {"weights": weights}, {"alpha": alpha, "weights": weights}):
        parameters = parameters_of(gamma, **more)
        assert kernel.fits(logits, labels, parameters)
        value, gradient = torch.empty(rows, dtype=dtype), torch.empty_like(logits)
        kernel.run(logits, labels, parameters, value=value, gradient=gradient)
        expected_value, expected_gradient = compute.value_and_gradient(logits, labels, parameters)
        same_bits(value, expected_value)
        same_bits(gradient, expected_gradient)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_float64_differs_from_the_cpu_by_the_order_of_a_sum_alone(gamma):
    logits, labels = arguments(40, 80, torch.float64)
    value, gradient = torch.empty(40, dtype=torch.float64), torch.empty_like(logits)
    kernel.run(logits, labels, parameters_of(gamma), value=value, gradient=gradient)
    expected_value, expected_gradient = compute.value_and_gradient(logits, labels, parameters_of(gamma))
    # Sixteen units in the last place, the bound of the softmax in float64.
    torch.testing.assert_close(value, expected_value, rtol=16 * 2.0**-52, atol=0, equal_nan=True)
    torch.testing.assert_close(gradient, expected_gradient, rtol=16 * 2.0**-52, atol=1e-307, equal_nan=True)


@pytest.mark.parametrize("dtype", FORMATS, ids=str)
def test_strided_logits_labels_and_outputs(dtype, same_bits):
    logits, labels = arguments(60, 24, dtype)
    expected = compute.value_and_gradient(logits, labels, parameters_of(2.0))
    spread = torch.empty(24, 60, dtype=dtype).mT.copy_(logits)
    far_labels = torch.stack([labels, labels], 1)[:, 0]
    value, gradient = torch.empty(120, dtype=dtype)[::2], torch.empty(24, 60, dtype=dtype).mT
    kernel.run(spread, far_labels, parameters_of(2.0), value=value, gradient=gradient)
    same_bits(value, expected[0])
    same_bits(gradient, expected[1])


@pytest.mark.parametrize("upstream", [0.3, torch.tensor(0.3), torch.linspace(-1, 1, 37)], ids=["number", "one", "rows"])
def test_what_comes_from_above_multiplies_the_rows(upstream, same_bits):
    logits, labels = arguments(37, 80, torch.float32)
    gradient = torch.empty_like(logits)
    kernel.run(logits, labels, parameters_of(2.0), gradient=gradient, upstream=upstream)
    factor = torch.as_tensor(upstream, dtype=torch.float64)
    expected = compute.gradient(
        "logits",
        logits,
        labels,
        parameters_of(2.0),
        factor.unsqueeze(-1) if factor.ndim else factor,
        logits.shape,
        torch.float32,
    )
    same_bits(gradient, expected)


def test_training_with_a_class_weight_goes_through_the_kernel(routed):
    logits, labels = arguments(15, 5, torch.float64)
    logits = logits[11:].clone().requires_grad_()
    alpha = torch.linspace(0.1, 1, 5, dtype=torch.float64)

    def total(given):
        return focal_ref.softmax_loss(given, labels[11:], alpha=alpha, gamma=2.0, reduction="sum")

    assert torch.autograd.gradcheck(total, (logits,))
    assert routed.taken > 0
    assert routed.left == 0


def test_an_alpha_out_of_range_makes_every_row_nan():
    logits, labels = arguments(30, 5, torch.float32)
    alpha = torch.tensor([0.1, 0.2, -1.0, 0.3, 0.4], dtype=torch.float64)
    value = torch.empty(30)
    kernel.run(logits, labels, parameters_of(2.0, alpha=alpha), value=value)
    counted = labels != -2
    assert value[counted].isnan().all()
    assert (value[~counted] == 0).all()


def test_calls_that_do_not_fit_are_left_to_the_formulas():
    logits, labels = arguments(4, 3, torch.float32)
    assert kernel.fits(logits, labels, parameters_of(2.0))
    assert not kernel.fits(logits, labels, parameters_of(1.5))
    assert not kernel.fits(logits, labels, parameters_of(2.0, alpha=torch.ones(4, 3)))
    assert not kernel.fits(logits[:, :0], labels, parameters_of(2.0))
    assert not kernel.fits(logits, logits, Parameters(gamma=2.0, alpha=None, encoding="binary", form="softmax"))
