"""PyTorch: every loss and all of its derivatives, by autograd and by the transforms, against mpmath."""

import mpmath
import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from focal_ref import (
    heatmap_focal_loss,
    loss_from_probabilities,
    parameter_gradients,
    second_derivative,
    value_and_grad,
    varifocal_loss,
)

from ..comparison import DTYPES
from . import every_loss
from .every_loss import CASES, assert_rounded
from .torch_comparison import assert_bits_of, forward_mode, tensor

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def arguments_of(case, dtype=torch.float32):
    """What the loss is differentiated in, by name: logits, numbers, weights, and the targets where they are soft."""
    arrays = {"logits": case.logits, **({"targets": case.targets} if case.soft else {})}
    arrays |= {**case.numbers, "weights": case.weights}
    return {name: tensor(array).to(dtype) for name, array in arrays.items()}


def call(case, arguments, **settings):
    """The loss of such arguments."""
    named = dict(arguments)
    logits, targets = named.pop("logits"), named.pop("targets", None)
    return case.call(logits, tensor(case.targets) if targets is None else targets, **named, **settings)


def exact_derivatives(case):
    """The derivative of the sum of all results with respect to each argument, in its shape."""
    derivatives = {"logits": every_loss.gradient(case)}
    for name, argument in arguments_of(case).items():
        if name != "logits":
            terms, shape = every_loss.partial(case, name), tuple(argument.shape)
            derivatives[name] = np.asarray(terms.sum(axis=tuple(range(terms.ndim - len(shape)))), dtype=object)
    return derivatives


@every_case
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_values_and_derivatives_by_everything_are_those_of_the_definition_rounded_once(case, reduction):
    arguments = {name: argument.requires_grad_() for name, argument in arguments_of(case).items()}
    result = call(case, arguments, reduction=reduction)
    if reduction == "none":
        assert_rounded(result.detach(), every_loss.value(case))
    found = torch.autograd.grad(result.sum(), list(arguments.values()))
    for (name, exact), derivative in zip(exact_derivatives(case).items(), found, strict=True):
        assert derivative.dtype == torch.float32, name
        assert_rounded(derivative, exact)


@every_case
def test_a_mean_divides_every_derivative_before_the_rounding(case):
    arguments = {name: argument.requires_grad_() for name, argument in arguments_of(case).items()}
    found = torch.autograd.grad(call(case, arguments, reduction="mean"), list(arguments.values()))
    count = len(case.logits) if case.classes else case.logits.size
    for exact, derivative in zip(exact_derivatives(case).values(), found, strict=True):
        assert_rounded(derivative, np.asarray(exact / count, dtype=object))


@forward_mode
@every_case
def test_forward_mode_gives_the_derivatives_of_the_definition(case):
    arguments = arguments_of(case)
    for name, argument in arguments.items():
        terms = every_loss.gradient(case) if name == "logits" else every_loss.partial(case, name)
        if case.classes and name != "weights":
            terms = np.array([mpmath.fsum(row) for row in terms])
        # All directions at once; for gradients of softmax, which add up to zero, the terms that cancel are the scale.
        ones = torch.ones_like(argument)
        _, tangent = jvp(lambda one, key=name: call(case, {**arguments, key: one}), (argument,), (ones,))
        if case.classes and name == "logits":
            np.testing.assert_allclose(tangent.numpy(), 0.0, atol=1e-15)
        else:
            assert_rounded(tangent, terms)
        _, tangent = jvp(
            lambda one, key=name: call(case, {**arguments, key: one}, reduction="sum"), (argument,), (ones,)
        )
        np.testing.assert_allclose(float(tangent), float(mpmath.fsum(terms.ravel())), rtol=1e-7, atol=1e-15)


@forward_mode
@every_case
def test_the_hessian_is_that_of_the_definition_in_whatever_order_of_modes(case):
    arguments = arguments_of(case, torch.float64)
    exact = every_loss.hessian(case).astype(np.float64)
    rows, classes = case.logits.shape
    wanted = np.zeros((rows, classes, rows, classes))
    for index in np.ndindex(rows, classes):
        if case.classes:
            wanted[(*index, index[0])] = exact[index]
        else:
            wanted[index + index] = exact[index][0]

    def total(logits):
        return call(case, {**arguments, "logits": logits}, reduction="sum")

    for way in (hessian, lambda f: jacrev(jacrev(f)), lambda f: jacrev(jacfwd(f)), lambda f: jacfwd(jacfwd(f))):
        np.testing.assert_allclose(way(total)(arguments["logits"]).numpy(), wanted, rtol=1e-12, atol=1e-15)


@forward_mode
@every_case
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_derivatives_agree_with_finite_differences_in_both_modes(case, reduction):
    # Varifocal and heatmap losses jump at their targets 0 and 1.
    names = list(arguments_of(case))
    if case.function in (varifocal_loss, heatmap_focal_loss):
        names.remove("targets")
    constants = arguments_of(case, torch.float64)
    inputs = [constants[name].requires_grad_() for name in names]
    if case.soft and "targets" in names:
        # Differences need room on both sides.
        inputs[1] = (0.1 + 0.8 * inputs[1].detach()).requires_grad_()

    def function(*values):
        return call(case, {**constants, **dict(zip(names, values, strict=True))}, reduction=reduction)

    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
    values = [value.detach() for value in inputs[1:]]
    assert torch.autograd.gradgradcheck(lambda x: function(x, *values), inputs[:1], check_fwd_over_rev=True)


@every_case
def test_the_functions_that_return_derivatives_give_what_autograd_does_and_record_nothing(case):
    arguments = {name: argument.requires_grad_() for name, argument in arguments_of(case).items()}
    value = call(case, arguments)
    leaf, targets = arguments["logits"], arguments.get("targets", tensor(case.targets))
    settings = {"function": case.function, **case.further}
    settings |= {name: argument for name, argument in arguments.items() if name not in ("logits", "targets")}
    found, gradient = value_and_grad(leaf, targets, **settings)
    assert torch.equal(found, value)
    assert torch.equal(gradient, torch.autograd.grad(value.sum(), leaf)[0])
    second = second_derivative(leaf, targets, **settings)
    assert_rounded(second, every_loss.second_derivative(case))
    slopes = parameter_gradients(leaf, targets, **settings)
    for name, slope in slopes.items():
        assert_rounded(slope, every_loss.partial(case, name))
    assert not any(result.requires_grad for result in (found, gradient, second, *slopes.values()))


@every_case
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_all_results_have_the_bits_that_numpy_gives(case, dtype):
    wide = np.random.default_rng(5).normal(0.0, 8.0, (40, 3))
    of_probabilities = case.function is loss_from_probabilities
    logits = (1.0 / (1.0 + np.exp(-wide)) if of_probabilities else wide).astype(DTYPES[dtype])
    targets = np.tile(case.targets, (20, 1) if case.targets.ndim == 2 else 20)
    settings = {**case.numbers, **case.further, "weights": case.weights[0], "function": case.function}
    tensors = {name: tensor(array) if isinstance(array, np.ndarray) else array for name, array in settings.items()}
    x, t = tensor(logits), tensor(targets)
    for found, wanted in zip(value_and_grad(x, t, **tensors), value_and_grad(logits, targets, **settings), strict=True):
        assert_bits_of(found, wanted)
    assert_bits_of(second_derivative(x, t, **tensors), second_derivative(logits, targets, **settings))
    slopes = parameter_gradients(x, t, **tensors)
    for name, wanted in parameter_gradients(logits, targets, **settings).items():
        assert_bits_of(slopes[name], wanted)


# Batches


@every_case
def test_vmap_over_samples_gives_the_bits_of_the_batch(case):
    arguments, targets = arguments_of(case), tensor(case.targets)
    del arguments["weights"]
    numbers = {name: argument for name, argument in arguments.items() if name in case.numbers}
    found = vmap(lambda x, t: case.call(x, t, **numbers, weights=None))(arguments["logits"], targets)
    assert torch.equal(found, case.call(arguments["logits"], targets, **numbers, weights=None))
    last = vmap(lambda x: case.call(x, targets, weights=None, **numbers), in_dims=-1)
    batch = torch.stack([arguments["logits"], 0.5 * arguments["logits"]])
    each = torch.stack([case.call(x, targets, weights=None, **numbers) for x in batch])
    assert torch.equal(last(batch.movedim(0, -1)), each)
    others = torch.stack([targets, targets.flip(0)])
    found = vmap(lambda t: case.call(arguments["logits"], t, weights=None, **numbers), in_dims=1)(others.movedim(0, 1))
    each = torch.stack([case.call(arguments["logits"], t, weights=None, **numbers) for t in others])
    assert torch.equal(found, each)


@every_case
@pytest.mark.parametrize("dim", [0, -1])
def test_samples_may_have_numbers_and_weights_of_their_own(case, dim):
    arguments = arguments_of(case)
    for name in (*case.numbers, "weights"):
        batch = torch.stack([arguments[name], 0.5 * arguments[name], 1.25 * arguments[name]])

        def each(one, key=name, **settings):
            return call(case, {**arguments, key: one}, **settings)

        moved = batch.movedim(0, dim).contiguous()
        assert torch.equal(vmap(each, in_dims=dim)(moved), torch.stack([each(one) for one in batch])), name

        def total(one, each=each):
            return each(one, reduction="sum")

        wanted = torch.stack([grad(total)(one) for one in batch])
        assert torch.equal(vmap(grad(total), in_dims=dim)(moved), wanted), name
        assert torch.equal(grad(lambda ones, f=total: vmap(f)(ones).sum())(batch), wanted), name


@every_case
def test_vmap_of_grad_gives_every_sample_its_derivatives_of_shared_numbers(case):
    arguments, targets = arguments_of(case), tensor(case.targets)
    names = list(case.numbers)

    def one(values, x, t):
        return case.call(x, t, reduction="sum", weights=None, **dict(zip(names, values, strict=True)))

    values = tuple(arguments[name] for name in names)
    found = vmap(grad(one), in_dims=(None, 0, 0))(values, arguments["logits"], targets)
    for index in range(len(targets)):
        wanted = grad(one)(values, arguments["logits"][index], targets[index])
        assert all(torch.equal(a[index], b) for a, b in zip(found, wanted, strict=True))


@every_case
def test_the_functions_that_return_derivatives_work_under_vmap(case):
    arguments, targets = arguments_of(case), tensor(case.targets)
    settings = {"function": case.function, **case.further, **{name: arguments[name] for name in case.numbers}}
    batch = torch.stack([arguments["logits"], 0.5 * arguments["logits"]])

    def everything(x):
        slopes = parameter_gradients(x, targets, **settings)
        return (*value_and_grad(x, targets, **settings), second_derivative(x, targets, **settings), *slopes.values())

    for found, *wanted in zip(vmap(everything)(batch), *(everything(x) for x in batch), strict=True):
        assert torch.equal(found, torch.stack(wanted))


# Nothing to add up


@every_case
@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_an_empty_loss_has_zeros_of_the_right_shape_for_gradients(case, shape, reduction):
    leaf = torch.empty(shape, requires_grad=True)
    targets = torch.zeros(shape if case.targets.ndim == 2 else shape[:1], dtype=tensor(case.targets).dtype)
    if case.targets.ndim == 1:
        targets -= 2
    numbers = {name: torch.tensor(0.5, requires_grad=True) for name in case.numbers if name != "alpha"}
    if not case.classes and "alpha" in case.numbers:
        numbers["alpha"] = torch.full((shape[1],), 0.5, requires_grad=True)
    value = case.function(leaf, targets, reduction=reduction, **numbers, **case.further)
    found = torch.autograd.grad(value.sum(), [leaf, *numbers.values()])
    assert value.sum() == 0.0
    assert found[0].shape == shape
    for number, derivative in zip(numbers.values(), found[1:], strict=True):
        assert derivative.shape == number.shape
        assert torch.all(derivative == 0.0)


@every_case
def test_meta_tensors_have_the_shapes_of_results_and_gradients(case):
    meta = {name: argument.to("meta").requires_grad_() for name, argument in arguments_of(case).items()}
    targets = meta.pop("targets", tensor(case.targets).to("meta"))
    logits = meta.pop("logits")
    value = case.call(logits, targets, **meta)
    assert value.shape == case.logits.shape[: 1 if case.classes else 2]
    inputs = [logits, *meta.values()]
    found = torch.autograd.grad(value.sum(), inputs, create_graph=True)
    assert [derivative.shape for derivative in found] == [argument.shape for argument in inputs]
    assert torch.autograd.grad(found[0].sum(), logits)[0].shape == logits.shape
