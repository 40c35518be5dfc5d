"""Losses and derivatives of elements: the bits of the kernels on the CPU, whatever the format, targets and layout."""

import pytest
import torch

import focal_ref
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref._parameters import Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters import _torch_triton as kernel
from focal_ref.conformance import oracle

pytestmark = pytest.mark.filterwarnings("ignore:(invalid value|overflow|divide by zero):RuntimeWarning")

FORMATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
ROWS, CLASSES = 45, 80
"""Two pieces, the second of which is not full."""

FORMATS_AND_GAMMAS = [*((dtype, 2.0) for dtype in FORMATS), *((torch.float32, gamma) for gamma in (0.0, 1.0, 1.5))]
"""Not all pairs: each is a kernel that the CPU compiles."""


def logits_of(dtype, shape=(ROWS, CLASSES), scale=8.0):
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * scale
    special = [float("inf"), float("-inf"), float("nan"), 0.0, -0.0, 1e4, -1e4, 6e-8, 36.8, -700.0, 745.0]
    logits.view(-1)[: len(special)] = torch.tensor(special, dtype=torch.float64)
    return logits.to(dtype)


def parameters_of(gamma, encoding, precision="exact", alpha=0.25):
    return Parameters(alpha=alpha, gamma=gamma, precision=precision, encoding=encoding)


def targets_of(kind, shape=(ROWS, CLASSES)):
    generator = torch.Generator().manual_seed(8)
    hard = torch.rand(shape, generator=generator) < 0.3
    if kind == "labels":
        return torch.randint(-2, shape[-1] + 1, shape[:-1], generator=generator)
    if kind == "signed":
        return hard.to(torch.int8) * 2 - 1
    if kind == "soft":
        return torch.rand(shape, generator=generator, dtype=torch.float64).to(torch.float32)
    return hard if kind == "bool" else hard.to(getattr(torch, kind))


ENCODINGS = {"labels": "labels", "signed": "signed"}


@pytest.mark.parametrize(("dtype", "gamma"), FORMATS_AND_GAMMAS, ids=str)
@pytest.mark.parametrize("kind", ["labels", "bool", "signed"])
def test_hard_targets_give_the_bits_of_the_cpu(dtype, gamma, kind, same_bits):
    if dtype == torch.float64 and not has_fused_multiply_add():
        pytest.skip("this processor rounds products before it adds")
    logits, targets = logits_of(dtype), targets_of(kind)
    parameters = parameters_of(gamma, ENCODINGS.get(kind, "binary"))
    value, gradient, second = (torch.empty_like(logits) for _ in range(3))
    kernel.run(logits, targets, parameters, value=value, gradient=gradient, second=second)
    expected_value, expected_gradient = compute.value_and_gradient(logits, targets, parameters)
    same_bits(value, expected_value)
    same_bits(gradient, expected_gradient)
    # The CPU takes a small array's second derivatives with NumPy's exponential, whose last bit is another.
    if dtype != torch.float64:
        same_bits(second, compute.second(logits, targets, parameters))


@pytest.mark.parametrize("gamma", [2.0, 1.5])
def test_fast_precision_gives_the_bits_of_the_cpu(gamma, same_bits):
    if not has_fused_multiply_add():
        pytest.skip("this processor rounds products before it adds")
    logits, targets = logits_of(torch.float32), targets_of("bool")
    parameters = parameters_of(gamma, "binary", "fast")
    value, gradient = torch.empty_like(logits), torch.empty_like(logits)
    kernel.run(logits, targets, parameters, value=value, gradient=gradient)
    expected_value, expected_gradient = compute.value_and_gradient(logits, targets, parameters)
    same_bits(value, expected_value)
    same_bits(gradient, expected_gradient)


@pytest.mark.parametrize(
    ("dtype", "gamma", "kind"),
    [
        *((torch.float32, 2.0, kind) for kind in ("soft", "float32", "float64", "float16", "bfloat16")),
        *((torch.float32, gamma, "soft") for gamma in (0.0, 1.0)),
        *((dtype, 2.0, "soft") for dtype in (torch.float16, torch.bfloat16)),
    ],
    ids=str,
)
def test_targets_of_floating_point_give_the_bits_of_the_cpu(dtype, gamma, kind, same_bits):
    logits, targets = logits_of(dtype), targets_of(kind)
    if kind == "soft":
        # A piece of hard targets alone, and some that are no targets.
        targets.view(-1)[:2048] = 1.0
        targets.view(-1)[3000:3003] = torch.tensor([float("nan"), -0.5, 1.5])
    parameters = parameters_of(gamma, "binary")
    value, gradient = torch.empty_like(logits), torch.empty_like(logits)
    kernel.run(logits, targets, parameters, value=value, gradient=gradient)
    expected_value, expected_gradient = compute.value_and_gradient(logits, targets, parameters)
    same_bits(value, expected_value)
    same_bits(gradient, expected_gradient)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("gamma", [2.0, 1.5])
def test_every_number_of_16_bits_gives_the_bits_of_the_cpu(dtype, gamma, same_bits):
    logits = torch.arange(-(1 << 15), 1 << 15, dtype=torch.int32).to(torch.int16).view(dtype)
    for positive in (False, True):
        targets = torch.full(logits.shape, positive)
        parameters = parameters_of(gamma, "binary", alpha=None)
        value, gradient = torch.empty_like(logits), torch.empty_like(logits)
        kernel.run(logits, targets, parameters, value=value, gradient=gradient)
        expected_value, expected_gradient = compute.value_and_gradient(logits, targets, parameters)
        same_bits(value, expected_value)
        same_bits(gradient, expected_gradient)


@pytest.mark.parametrize("size", [0, 1, 2, 127, 2047, 2048, 2049, 5001])
def test_every_element_of_any_size_is_written_and_no_other(size, same_bits):
    logits, targets = logits_of(torch.float32, (max(size, 20),))[:size], targets_of("bool", (size,))
    parameters = parameters_of(2.0, "binary")
    buffer = torch.full((size + 64,), 7.0)
    kernel.run(logits, targets, parameters, value=buffer[:size])
    same_bits(buffer[:size], compute.loss(logits, targets, parameters, torch.float32))
    assert (buffer[size:] == 7.0).all()


LAYOUTS = {
    "transposed": lambda tensor: tensor.mT,
    "every second row": lambda tensor: tensor[::2],
    "every third column": lambda tensor: tensor[:, ::3],
    "channels first": lambda tensor: tensor.reshape(5, 9, 8, 10).permute(0, 3, 1, 2),
    "expanded": lambda tensor: tensor[:40, None, :20].expand(40, 3, 20),
    "six axes": lambda tensor: tensor.reshape(5, 3, 3, 4, 5, 4).permute(5, 3, 1, 0, 2, 4),
    "one number": lambda tensor: tensor[3, 7],
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("targets_too", [False, True])
def test_strides_do_not_change_a_bit(layout, targets_too, same_bits):
    logits, targets = logits_of(torch.float32), targets_of("uint8")
    strided = LAYOUTS[layout](logits)
    own_targets = LAYOUTS[layout](targets)
    own_targets = own_targets if targets_too else own_targets.contiguous()
    parameters = parameters_of(2.0, "binary")
    value, gradient = torch.empty(strided.shape), torch.empty(strided.shape)
    kernel.run(strided, own_targets, parameters, value=value, gradient=gradient)
    plain = strided.contiguous(), LAYOUTS[layout](targets).contiguous()
    same_bits(value, compute.loss(*plain, parameters, torch.float32))
    same_bits(gradient, compute.value_and_gradient(*plain, parameters)[1])


def test_strided_outputs_are_written_in_their_layout(same_bits):
    logits, targets = logits_of(torch.float32), targets_of("bool")
    parameters = parameters_of(2.0, "binary")
    value, gradient = torch.empty(CLASSES, ROWS).mT, torch.empty(ROWS, 2 * CLASSES)[:, ::2]
    kernel.run(logits, targets, parameters, value=value, gradient=gradient)
    expected = compute.value_and_gradient(logits, targets, parameters)
    same_bits(value, expected[0])
    same_bits(gradient, expected[1])


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64], ids=str)
def test_labels_of_every_dtype_and_layout_are_read(dtype, same_bits):
    logits = logits_of(torch.float32, (3, 15, CLASSES))
    labels = torch.arange(45).remainder(CLASSES).reshape(15, 3).to(dtype).mT
    if dtype != torch.uint8:
        labels = labels.contiguous()
        labels[0, :3] = torch.tensor([-2, -1, -3], dtype=dtype)
        labels[0, 3] = CLASSES
    parameters = parameters_of(2.0, "labels")
    value = torch.empty_like(logits)
    kernel.run(logits, labels, parameters, value=value)
    same_bits(value, compute.loss(logits, labels, parameters, torch.float32))
    if dtype != torch.uint8:
        assert (value[0, 0] == 0).all()
        assert value[0, 2:4].isnan().all()


UPSTREAM = {
    "a number": lambda shape: 0.37,
    "of shape ()": lambda shape: torch.tensor(0.37, dtype=torch.float64),
    "expanded": lambda shape: torch.tensor(0.37).expand(shape),
    "each its own": lambda shape: torch.linspace(-1, 2, 3600).reshape(shape),
    "a row": lambda shape: torch.linspace(-1, 2, shape[-1], dtype=torch.float64),
    "transposed": lambda shape: torch.linspace(-1, 2, 3600, dtype=torch.bfloat16).reshape(shape[::-1]).mT,
}


@pytest.mark.parametrize("upstream", UPSTREAM)
def test_what_comes_from_above_is_multiplied_before_the_one_rounding(upstream, same_bits):
    logits, targets = logits_of(torch.float16), targets_of("bool")
    factor = UPSTREAM[upstream](logits.shape)
    parameters = parameters_of(2.0, "binary")
    gradient = torch.empty_like(logits)
    kernel.run(logits, targets, parameters, gradient=gradient, upstream=factor)
    tensor = torch.as_tensor(factor, dtype=torch.float64)
    same_bits(gradient, compute.gradient("logits", logits, targets, parameters, tensor, logits.shape, torch.float16))


def test_calls_that_do_not_fit_are_left_to_the_formulas():
    logits, soft = torch.zeros(3, 4), torch.full((3, 4), 0.5)
    hard = torch.zeros(3, 4, dtype=torch.bool)
    assert kernel.fits(logits, hard, parameters_of(1.5, "binary"))
    assert kernel.fits(logits, soft, parameters_of(2.0, "binary"))
    assert not kernel.fits(logits, soft, parameters_of(1.5, "binary"))
    assert not kernel.fits(logits, soft, parameters_of(2.0, "binary"), second=True)
    assert not kernel.fits(logits, hard, parameters_of(torch.tensor(2.0), "binary"))
    assert not kernel.fits(logits, hard, parameters_of(2.0, "binary", alpha=torch.tensor(0.25)))
    assert not kernel.fits(logits, torch.zeros(3, dtype=torch.uint64), parameters_of(2.0, "labels"))
    assert not kernel.fits(logits, hard, Parameters(alpha=None, gamma=2.0, encoding="binary", weights=logits))


def test_losses_are_those_of_the_printed_formula_in_arbitrary_precision(routed):
    logits = torch.tensor([-3.0, 0.5, 12.0, 40.0, -90.0], dtype=torch.float32)
    targets = torch.tensor([1, 0, 1, 1, 0], dtype=torch.int32)
    losses = focal_ref.loss(logits, targets, alpha=0.25, gamma=2.0)
    assert routed.taken == 1
    for loss, logit, target in zip(losses.tolist(), logits.tolist(), targets.tolist(), strict=True):
        exact = float(oracle.loss(logit, target, 0.25, 2.0))
        # Half a unit in the last place of float32, and a little for the float64 in which the two are compared.
        assert loss == pytest.approx(exact, rel=2.0**-24 * 1.0001, abs=2.0**-150)
