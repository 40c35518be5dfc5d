"""The custom operators, and what torch.compile and torch.export make of the losses."""

import subprocess
import sys

import pytest
import torch

from focal_ref import loss, loss_from_labels, parameter_gradients, second_derivative, softmax_loss, value_and_grad
from focal_ref.adapters import _torch_operators as operators
from focal_ref.adapters._torch_compute import numpy_view

from ..comparison import some_logits, some_soft_targets, some_targets
from .every_loss import CASES
from .torch_comparison import assert_bits_of, every_reduction, tensor


@pytest.fixture
def compiled():
    """torch.compile without a code generator: what is tested is what the graph holds, not Inductor."""
    torch._dynamo.reset()
    yield lambda function, **settings: torch.compile(function, fullgraph=True, backend="aot_eager", **settings)
    torch._dynamo.reset()


def operator_arguments(shape=(4, 3), dtype=torch.float32, **changed):
    generator = torch.Generator().manual_seed(0)
    arguments = {
        "logits": torch.randn(shape, generator=generator).to(dtype).requires_grad_(),
        "targets": torch.rand(shape, generator=generator) < 0.5,
        "alpha": torch.tensor(0.25, dtype=torch.float64),
        "gamma": torch.tensor(2.0, dtype=torch.float64),
        "beta": None,
        "gamma_positive": None,
        "gamma_negative": None,
        "weights": None,
        "form": "focal",
        "encoding": "binary",
        "precision": "exact",
        "clip": 0.0,
    }
    return tuple({**arguments, **changed}.values())


def learnable(*shape, value=0.5):
    return torch.full(shape, value, requires_grad=True)


LABELS = torch.tensor([0, 2, 1, -2])
SAMPLES = {
    "plain": operator_arguments(),
    "bfloat16, no alpha": operator_arguments(dtype=torch.bfloat16, alpha=None),
    "learnable": operator_arguments(
        targets=torch.rand(4, 3).requires_grad_(),
        alpha=learnable(3),
        gamma=learnable(),
        weights=learnable(4, 1),
    ),
    "no dimensions": operator_arguments(shape=()),
    "transposed": operator_arguments(logits=torch.randn(3, 4).T, targets=torch.ones(3, 4).T),
    "labels": operator_arguments(targets=LABELS, encoding="labels"),
    "softmax": operator_arguments(
        targets=LABELS, encoding="labels", form="softmax", alpha=learnable(3), gamma=learnable(), weights=learnable(4)
    ),
    "asymmetric": operator_arguments(
        form="asymmetric", alpha=None, gamma=None, gamma_positive=learnable(), gamma_negative=learnable(3), clip=0.05
    ),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", ["loss", "total"])
def test_the_operators_pass_the_checks_of_torch(name, sample):
    torch.library.opcheck(getattr(operators, name), SAMPLES[sample])


@pytest.mark.parametrize("sample", ["plain", "transposed", "labels", "softmax"])
def test_the_operators_without_derivative_pass_the_checks_of_torch(sample):
    call = [value.detach() if isinstance(value, torch.Tensor) else value for value in SAMPLES[sample]]
    torch.library.opcheck(operators.value_and_grad, call)
    torch.library.opcheck(operators.second_derivative, call)
    results = (4, 1) if sample == "softmax" else (4, 3)
    for name, factor, shape, dtype in (
        ("logits", torch.rand(results), (4, 3), torch.float32),
        ("gamma", torch.tensor(2.0), (), torch.float64),
        ("alpha", torch.rand(results), (3,), torch.bfloat16),
    ):
        torch.library.opcheck(operators.gradient, (*call, name, factor, shape, dtype))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_every_compiled_loss_has_the_bits_of_the_eager_one_and_all_of_its_gradients(compiled, case, reduction):
    names = [*case.numbers, "weights"]

    def function(logits, targets, *values):
        return case.call(logits, targets, reduction=reduction, **dict(zip(names, values, strict=True)))

    results = []
    for run in (function, compiled(function)):
        targets = tensor(case.targets).requires_grad_(case.soft)
        arguments = [tensor(case.logits), *(tensor(case.settings[name]) for name in names)]
        leaves = [argument.requires_grad_() for argument in arguments]
        value = run(leaves[0], targets, *leaves[1:])
        value.sum().backward()
        results.append([value, targets.grad, *(leaf.grad for leaf in leaves)])
    for eager, graph in zip(*results, strict=True):
        assert eager is graph is None or torch.equal(eager, graph)


@pytest.mark.parametrize("name", ["loss", "labels", "softmax"])
def test_compiled_derivatives_have_the_bits_of_the_eager_ones(compiled, name):
    case = CASES[name]
    settings = {key: tensor(value) for key, value in case.numbers.items()} | {"function": case.function}

    def function(logits, targets):
        value, gradient = value_and_grad(logits, targets, **settings)
        slopes = parameter_gradients(logits, targets, **settings)
        return value, gradient, second_derivative(logits, targets, **settings), *slopes.values()

    call = tensor(case.logits), tensor(case.targets)
    for eager, graph in zip(function(*call), compiled(function)(*call), strict=True):
        assert torch.equal(eager, graph)


def test_a_learnable_gamma_trains_in_a_compiled_step(compiled):
    logits, targets = torch.linspace(-3, 3, 12), torch.arange(12) % 2
    trained = []
    for compile_ in (lambda function: function, compiled):
        gamma = torch.nn.Parameter(torch.tensor(2.0))
        optimizer = torch.optim.SGD([gamma], lr=0.1)
        step = compile_(lambda x, t, gamma=gamma: loss(x, t, gamma=gamma, reduction="mean"))
        for _ in range(3):
            optimizer.zero_grad()
            step(logits, targets).backward()
            optimizer.step()
        trained.append(gamma.detach())
    assert torch.equal(*trained)
    assert trained[0] > 2.0


@every_reduction
@pytest.mark.parametrize("with_arrays", [False, True], ids=["numbers", "arrays"])
def test_a_compiled_loss_has_the_bits_of_the_eager_one(compiled, reduction, with_arrays):
    logits, targets = tensor(some_logits("float32", 148)[28:].reshape(20, 6)), tensor(some_targets(120).reshape(20, 6))
    settings = {"alpha": torch.rand(6), "gamma": 1.5} if with_arrays else {}

    def function(leaf):
        return loss(leaf, targets, reduction=reduction, **settings)

    leaves = [logits.clone().requires_grad_() for _ in range(2)]
    values = [function(leaves[0]), compiled(function)(leaves[1])]
    for value in values:
        value.sum().backward()
    assert torch.equal(values[0], values[1])
    assert torch.equal(leaves[0].grad, leaves[1].grad)


def test_a_compiled_value_and_grad_has_the_bits_of_the_eager_one_and_writes_out(compiled):
    logits, targets = torch.linspace(-9, 9, 12), torch.arange(12) % 2
    function = compiled(lambda x, t, out: value_and_grad(x, t, out=out))
    out = torch.empty(12), torch.empty(12)
    for found, wanted in zip(
        (*function(logits, targets, None), *function(logits, targets, out), *out),
        value_and_grad(logits, targets) * 3,
        strict=True,
    ):
        assert torch.equal(found, wanted)


def test_invalid_data_in_a_compiled_loss_give_nan_in_their_elements(compiled):
    targets = torch.tensor([0.0, 1.5, 1.0])
    leaf = torch.zeros(3, requires_grad=True)
    value = compiled(lambda x, t: loss(x, t))(leaf, targets)
    value.sum().backward()
    assert torch.isnan(value).tolist() == [False, True, False]
    assert torch.isnan(leaf.grad).tolist() == [False, True, False]


@every_reduction
def test_a_compiled_loss_takes_new_sizes_without_compiling_again(compiled, reduction):
    from torch._dynamo.testing import CompileCounterWithBackend

    # The first call of a process fills the table of adapters, at which the compiler looks.
    loss(torch.zeros(1), torch.zeros(1))
    counter = CompileCounterWithBackend("aot_eager")

    @torch.compile(fullgraph=True, backend=counter, dynamic=True)
    def function(x, t):
        return loss(x, t, reduction=reduction)

    counts = set()
    for size in (3, 5, 8, 13):
        leaf, targets = torch.linspace(-3, 3, size, requires_grad=True), torch.arange(size) % 2
        value = function(leaf, targets)
        value.sum().backward()
        assert torch.equal(value, loss(leaf, targets, reduction=reduction))
        counts.add(counter.frame_count)
    assert len(counts) == 1


@pytest.mark.parametrize("function", [loss_from_labels, softmax_loss])
def test_a_compiled_loss_of_labels_takes_new_sizes_without_compiling_again(compiled, function):
    from torch._dynamo.testing import CompileCounterWithBackend

    # The first call of a process fills the table of adapters, at which the compiler looks.
    loss(torch.zeros(1), torch.zeros(1))
    counter = CompileCounterWithBackend("aot_eager")

    @torch.compile(fullgraph=True, backend=counter, dynamic=True)
    def compiled_function(x, labels, gamma):
        return function(x, labels, gamma=gamma, reduction="mean")

    counts = set()
    for size in (3, 5, 8, 13):
        leaves = [torch.linspace(-3, 3, 4 * size).reshape(size, 4).requires_grad_(), torch.tensor(2.0)]
        leaves[1].requires_grad_()
        labels = torch.arange(size) % 5 - 1
        labels[labels == -1] = -2
        found = torch.autograd.grad(compiled_function(leaves[0], labels, leaves[1]), leaves)
        wanted = torch.autograd.grad(function(leaves[0], labels, gamma=leaves[1], reduction="mean"), leaves)
        assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
        counts.add(counter.frame_count)
    assert len(counts) == 1


class Criterion(torch.nn.Module):
    def __init__(self, reduction, function=loss):
        super().__init__()
        self.reduction = reduction
        self.function = function

    def forward(self, logits, targets):
        return self.function(logits, targets, reduction=self.reduction)


@every_reduction
@pytest.mark.parametrize("function", [loss, loss_from_labels, softmax_loss])
def test_an_exported_loss_has_the_bits_of_the_eager_one(reduction, function):
    logits = torch.linspace(-3, 3, 6).reshape(2, 3)
    targets = torch.arange(6).reshape(2, 3) % 2 if function is loss else torch.tensor([2, 0])
    program = torch.export.export(Criterion(reduction, function), (logits, targets))
    assert torch.equal(program.module()(logits, targets), function(logits, targets, reduction=reduction))


@every_reduction
def test_an_exported_loss_takes_any_size_where_it_is_declared_dynamic(reduction):
    logits, targets = torch.linspace(-3, 3, 6), torch.arange(6) % 2
    size = torch.export.Dim("size", min=2)
    program = torch.export.export(
        Criterion(reduction), (logits, targets), dynamic_shapes={"logits": {0: size}, "targets": {0: size}}
    )
    found = program.module()(torch.zeros(11), torch.ones(11))
    assert torch.equal(found, loss(torch.zeros(11), torch.ones(11), reduction=reduction))


FIRST_CALL = """
import torch
import focal_ref

leaf, targets = torch.linspace(-3, 3, 10, requires_grad=True), torch.arange(10) % 2
alpha = torch.linspace(0, 1, 10)
step = torch.compile(lambda x, t, a: focal_ref.loss(2 * x, t, alpha=a, reduction="mean"), fullgraph=True)
value = step(leaf, targets, alpha)
value.backward()
eager = leaf.detach().clone().requires_grad_()
wanted = focal_ref.loss(2 * eager, targets, alpha=alpha, reduction="mean")
wanted.backward()
assert torch.equal(value, wanted)
assert torch.equal(leaf.grad, eager.grad)
"""


def test_the_first_call_of_a_process_may_be_inside_a_function_compiled_by_inductor():
    # Importing Inductor and its mkldnn warns of PyTorch's own use of torch.jit.
    quiet = ["-W", "error", "-W", "ignore:`torch.jit:DeprecationWarning"]
    finished = subprocess.run(
        [sys.executable, *quiet, "-c", FIRST_CALL], capture_output=True, text=True, timeout=180, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_soft_targets_in_a_compiled_loss_of_bfloat16_have_the_bits_of_the_eager_one(compiled):
    logits, targets = tensor(some_logits("bfloat16", 60)), tensor(some_soft_targets(60))
    assert_bits_of(
        compiled(lambda x, t: loss(x, t, gamma=0.5))(logits, targets), numpy_view(loss(logits, targets, gamma=0.5))
    )


@pytest.mark.parametrize("settings", [{"gamma": -0.5}, {"gamma": float("inf")}, {"alpha": 1.5}])
def test_a_compiled_number_out_of_range_gives_nan_and_no_plausible_result(settings):
    tensors = {name: torch.tensor(value) for name, value in settings.items()}
    compiled = torch.compile(lambda x, t: loss(x, t, **tensors), backend="aot_eager", fullgraph=True)
    assert torch.isnan(compiled(torch.ones(3), torch.ones(3))).all()
