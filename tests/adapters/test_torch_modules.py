"""Layouts, memory, modules, mixed precision, checkpointing and meta tensors."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from focal_ref import loss, value_and_grad
from focal_ref.adapters._torch_compute import numpy_view

from ..comparison import assert_within, expected, some_logits
from .torch_comparison import tensor

# Layouts and memory


def test_the_layout_of_a_tensor_changes_no_bit():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4, 6, 5, 3, generator=generator) * 6
    targets = torch.rand(4, 6, 5, 3, generator=generator) < 0.5
    wanted, total = value_and_grad(logits, targets), loss(logits, targets, reduction="sum")
    layouts = {
        "channels last": lambda array: array.contiguous(memory_format=torch.channels_last),
        "transposed": lambda array: array.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        "every other": lambda array: array.repeat_interleave(2, dim=3)[..., ::2],
        "with an offset": lambda array: torch.cat([array[:1], array])[1:],
    }
    for name, layout in layouts.items():
        x, t = layout(logits), layout(targets)
        for found, right in zip(value_and_grad(x, t), wanted, strict=True):
            assert torch.equal(found, right), name
        assert torch.equal(loss(x, t, reduction="sum"), total), name
        leaf = x.detach().requires_grad_()
        loss(leaf, t, reduction="sum").backward()
        assert torch.equal(leaf.grad, wanted[1]), name


def test_expanded_tensors_and_tensors_of_no_dimensions_are_taken():
    logits, targets = torch.tensor([[0.5], [-2.0]]), torch.tensor([1, 0, 1])
    found = loss(logits.expand(2, 3), targets.expand(2, 3))
    assert torch.equal(found, loss(logits.expand(2, 3).contiguous(), targets.expand(2, 3).contiguous()))
    leaf = torch.tensor([[0.5], [-2.0]], requires_grad=True)
    loss(leaf.expand(2, 3), targets.expand(2, 3), reduction="sum").backward()
    wanted = value_and_grad(logits.expand(2, 3), targets.expand(2, 3))[1].sum(dim=1, keepdim=True)
    torch.testing.assert_close(leaf.grad, wanted)
    assert loss(torch.tensor(0.5), torch.tensor(1)).shape == ()


def test_views_of_complex_and_negated_numbers_are_read_as_the_numbers_that_they_are():
    pair = torch.tensor([1.0 + 2.0j, -0.5 + 0.25j])
    negated = pair.conj().imag
    assert negated.is_neg()
    assert torch.equal(loss(negated, torch.ones(2)), loss(torch.tensor([-2.0, -0.25]), torch.ones(2)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernels_read_and_write_the_memory_of_tensors(dtype):
    array = torch.zeros(5, 4, dtype=dtype)[:, ::2]
    view = numpy_view(array)
    assert view.ctypes.data == array.data_ptr()
    view[...] = 1
    assert torch.all(array == 1)


MEMORY = """
import resource, sys
import torch, focal_ref
kind = sys.argv[1]
for size in (10, 1 << 24):
    logits = torch.linspace(-9.0, 9.0, size, requires_grad=kind.startswith("backward"))
    targets = torch.ones(size, dtype=getattr(torch, kind.rpartition(" ")[2]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    value = focal_ref.loss(logits, targets, reduction="sum")
    if kind.startswith("backward"):
        value.backward()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux only")
@pytest.mark.parametrize(("kind", "mebibytes"), [("forward bool", 12), ("backward bool", 76), ("forward float32", 12)])
def test_a_sum_needs_no_memory_of_the_size_of_its_input_but_for_the_gradient(kind, mebibytes):
    # 2^24 float32 logits are 64 MiB.
    finished = subprocess.run(
        [sys.executable, "-c", MEMORY, kind], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) / 1024 <= mebibytes


def test_no_input_is_written_to(targets_of):
    logits, targets = tensor(some_logits("float32", 60)), tensor(targets_of(60))
    before = logits.clone(), targets.clone()
    leaf = logits.requires_grad_()
    loss(leaf, targets, reduction="sum").backward()
    assert torch.equal(logits, before[0])
    assert torch.equal(targets, before[1])


# Modules, mixed precision, checkpointing


class Head(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(8, 3)
        self.register_buffer("alpha", torch.tensor([0.25, 0.5, 0.75]))

    def forward(self, features, targets, reduction="mean"):
        return loss(self.linear(features), targets, alpha=self.alpha, reduction=reduction)


def some_batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(16, 8, generator=generator), torch.rand(16, 3, generator=generator) < 0.3


def test_training_lowers_the_loss():
    head, (features, targets) = Head(), some_batch()
    optimizer = torch.optim.SGD(head.parameters(), lr=2.0)
    values = []
    for _ in range(30):
        optimizer.zero_grad()
        value = head(features, targets)
        value.backward()
        optimizer.step()
        values.append(float(value.detach()))
    assert values[-1] < 0.6 * values[0]


def test_training_under_autocast_uses_bfloat16_logits_and_a_float32_loss():
    head, (features, targets) = Head(), some_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = head.linear(features)
        assert logits.dtype == torch.bfloat16
        value = loss(logits, targets, reduction="mean")
    assert value.dtype == torch.float32
    logits.retain_grad()
    value.backward()
    assert logits.grad.dtype == torch.bfloat16
    wanted = expected(numpy_view(logits.detach()), targets.numpy(), weights=np.full((16, 3), 1 / 48, np.float64))[
        "gradient"
    ]
    assert_within(numpy_view(logits.grad), wanted, 0.501)
    assert all(torch.all(torch.isfinite(parameter.grad)) for parameter in head.parameters())


def test_a_copied_module_has_the_same_loss_and_gradient():
    head, (features, targets) = Head(), some_batch()
    other = copy.deepcopy(head)
    for module in (head, other):
        module(features, targets).backward()
    assert torch.equal(head.linear.weight.grad, other.linear.weight.grad)


def test_gradients_of_every_sample_come_through_functional_call():
    head, (features, targets) = Head(), some_batch()
    parameters = {name: value.detach() for name, value in head.named_parameters()}

    def one(weights, feature, target):
        return functional_call(head, weights, (feature[None], target[None], "sum"))

    per_sample = vmap(grad(one), in_dims=(None, 0, 0))(parameters, features, targets)
    head(features, targets, "sum").backward()
    torch.testing.assert_close(per_sample["linear.weight"].sum(0), head.linear.weight.grad)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpointing_changes_no_bit_of_the_gradient(reentrant):
    (features, targets), plain = some_batch(), Head()
    plain(features, targets).backward()
    head = Head()
    features.requires_grad_()  # Reentrant checkpointing needs an input that requires grad.
    checkpoint(head, features, targets, use_reentrant=reentrant).backward()
    assert torch.equal(head.linear.weight.grad, plain.linear.weight.grad)


def test_a_parameter_is_a_tensor_of_logits():
    parameter = torch.nn.Parameter(torch.zeros(3))
    loss(parameter, torch.ones(3), alpha=None, reduction="sum").backward()
    np.testing.assert_allclose(parameter.grad.numpy(), -0.2982867951399863, rtol=1e-7)


def test_meta_tensors_give_meta_tensors():
    leaf, targets = torch.empty(3, 2, device="meta", requires_grad=True), torch.empty(3, 2, device="meta")
    assert loss(leaf, targets).shape == (3, 2)
    value = loss(leaf, targets, reduction="mean")
    assert (value.device.type, value.shape, value.dtype) == ("meta", (), torch.float32)
    value.backward()
    assert leaf.grad.shape == (3, 2)
    assert value_and_grad(leaf, targets)[1].device.type == "meta"
