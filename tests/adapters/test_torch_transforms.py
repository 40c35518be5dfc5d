"""The transforms of torch.func and finite differences: the paper's loss, with constants of every kind."""

import numpy as np
import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

from focal_ref import loss, value_and_grad

from ..comparison import assert_within, expected, some_logits, some_targets
from .torch_comparison import assert_bits_of, every_reduction, forward_mode, tensor


@forward_mode
@every_reduction
def test_first_and_second_derivatives_agree_with_finite_differences_in_both_modes(targets_of, reduction):
    logits = torch.linspace(-3.0, 3.0, 6, dtype=torch.float64, requires_grad=True)
    targets, settings = tensor(targets_of(6)), {"gamma": 1.5, "reduction": reduction}

    def function(leaf):
        return loss(leaf, targets, **settings)

    assert torch.autograd.gradcheck(function, (logits,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, (logits,), check_fwd_over_rev=True)


@forward_mode
def test_the_functional_transforms_give_the_closed_forms(targets_of):
    logits, targets = some_logits("float64", 40)[28:], targets_of(40)[28:]
    x, t = tensor(logits), tensor(targets)
    wanted = expected(logits, targets)
    value, gradient, second = (wanted[name] for name in ("value", "gradient", "second_derivative"))

    def total(leaf):
        return loss(leaf, t, reduction="sum")

    def elements(leaf):
        return loss(leaf, t)

    assert_within(grad(total)(x).numpy(), gradient, 13.0)
    for found in (jacrev(elements)(x), jacfwd(elements)(x)):
        assert_within(found.diagonal().numpy(), gradient, 13.0)
        assert torch.count_nonzero(found) <= 12
    twice_forward = jacfwd(jacfwd(elements))(x).sum(0)
    for found in (hessian(total)(x), jacrev(jacrev(total))(x), jacrev(jacfwd(total))(x), twice_forward):
        assert_within(found.diagonal().numpy(), second, 13.0)
        assert torch.count_nonzero(found) <= 12
    primal, tangent = jvp(elements, (x,), (torch.full((12,), 2.0, dtype=torch.float64),))
    assert_within(primal.numpy(), value, 13.0)
    assert_within(tangent.numpy() / 2.0, gradient, 13.0)
    primal, tangent = jvp(total, (x,), (torch.ones(12, dtype=torch.float64),))
    np.testing.assert_allclose(float(tangent), gradient.numbers.sum(), rtol=1e-13)


@forward_mode
def test_forward_mode_twice_gives_the_second_derivative_of_a_sum():
    logits, targets = some_logits("float64", 40)[28:], some_targets(40)[28:]
    x, t, ones = tensor(logits), tensor(targets), torch.ones(12, dtype=torch.float64)

    def total(leaf):
        return loss(leaf, t, reduction="sum")

    def slope(leaf):
        return jvp(total, (leaf,), (ones,))[1]

    wanted = expected(logits, targets)["second_derivative"]
    assert_within(jacfwd(jacfwd(total))(x).diagonal().numpy(), wanted, 13.0)
    np.testing.assert_allclose(float(jvp(slope, (x,), (ones,))[1]), wanted.numbers.sum(), rtol=1e-13)


@pytest.mark.parametrize("name", ["targets", "integer targets", "alpha", "gamma", "weights"])
def test_a_transformed_function_may_capture_constants_of_any_kind(name):
    # A tensor from outside of `grad` is no wrapped one, yet what is made of it inside is.
    logits, targets = some_logits("float32", 40)[28:], some_targets(40)[28:]
    settings = {} if "targets" in name else {name: torch.full((12,), 0.5)}
    kinds = {"targets": torch.float32, "integer targets": torch.int64}
    constant = tensor(targets).to(kinds.get(name, torch.bool))
    found = grad(lambda leaf: loss(leaf, constant, reduction="sum", **settings))(tensor(logits))
    numbers = {key: value.numpy() for key, value in settings.items()}
    assert_bits_of(found, value_and_grad(logits, targets, **numbers)[1])


def test_an_invalid_constant_that_a_transformed_function_captures_is_refused_or_gives_nan():
    bad = torch.tensor([0.0, 1.5, 1.0])
    try:
        found = grad(lambda leaf: loss(leaf, bad, reduction="sum"))(torch.zeros(3))
    except ValueError as error:
        assert str(error).startswith("targets: got 1.5 at position (1,)")  # noqa: PT017  # either is right
    else:
        assert torch.isnan(found).tolist() == [False, True, False]


def test_vmap_gives_the_bits_of_the_rows(targets_of):
    logits, targets = some_logits("float32", 148)[28:].reshape(20, 6), targets_of(148)[28:].reshape(20, 6)
    x, t = tensor(logits), tensor(targets)
    whole = loss(x, t)
    assert torch.equal(vmap(loss)(x, t), whole)
    assert torch.equal(vmap(loss, in_dims=1, out_dims=1)(x, t), whole)
    assert torch.equal(vmap(loss, in_dims=(0, 1))(x, t.T.contiguous()), whole)
    assert torch.equal(vmap(vmap(loss))(x, t), whole)
    assert torch.equal(vmap(loss, in_dims=(0, None))(x, t[0]), loss(x, t[:1].expand(20, 6).contiguous()))
    assert torch.equal(vmap(loss, in_dims=(None, 0))(x[0], t), loss(x[:1].expand(20, 6).contiguous(), t))
    rows = torch.stack([loss(row, target, reduction="sum") for row, target in zip(x, t, strict=True)])
    assert torch.equal(vmap(lambda row, target: loss(row, target, reduction="sum"))(x, t), rows)
    means = torch.stack([loss(row, target, reduction="mean") for row, target in zip(x, t, strict=True)])
    assert torch.equal(vmap(lambda row, target: loss(row, target, reduction="mean"), in_dims=1)(x.T, t.T), means)


def test_vmap_of_grad_gives_the_gradient_of_every_sample(targets_of):
    logits, targets = some_logits("float32", 148)[28:].reshape(20, 6), targets_of(148)[28:].reshape(20, 6)
    for reduction in ("sum", "mean"):
        per_sample = vmap(grad(lambda row, target, how=reduction: loss(row, target, reduction=how)))
        found = per_sample(tensor(logits), tensor(targets)) * (1 if reduction == "sum" else 6)
        np.testing.assert_allclose(found.numpy(), value_and_grad(logits, targets)[1], rtol=3e-7)


@pytest.mark.parametrize("name", ["alpha", "gamma", "weights"])
@pytest.mark.parametrize("shape", [(4,), (4, 6), (4, 5, 1), (4, 5, 6)])
def test_vmap_over_parameters_gives_the_bits_of_each(name, shape):
    logits, targets = some_logits("float32", 58)[28:].reshape(5, 6), some_targets(58)[28:].reshape(5, 6)
    x, t = tensor(logits), tensor(targets)
    settings = torch.from_numpy(np.random.default_rng(2).random(shape))
    for reduction in ("none", "sum"):
        each = torch.stack([loss(x, t, reduction=reduction, **{name: one}) for one in settings])

        def function(one, how=reduction):
            return loss(x, t, reduction=how, **{name: one})

        assert torch.equal(vmap(function)(settings), each)
        last = vmap(function, in_dims=-1)(settings.movedim(0, -1).contiguous())
        assert torch.equal(last, each)
    gradients = vmap(lambda one: grad(lambda leaf: loss(leaf, t, reduction="sum", **{name: one}))(x))(settings)
    for one, found in zip(settings, gradients, strict=True):
        assert_bits_of(found, value_and_grad(logits, targets, **{name: one.numpy()})[1])


def test_a_batch_of_samples_with_parameters_of_their_own_gives_the_bits_of_each():
    logits, targets = some_logits("float32", 148)[28:].reshape(4, 5, 6), some_targets(148)[28:].reshape(4, 5, 6)
    alpha = np.random.default_rng(2).random((4, 6))
    found = vmap(lambda x, t, a: loss(x, t, alpha=a))(tensor(logits), tensor(targets), tensor(alpha))
    assert_bits_of(found, loss(logits, targets, alpha=alpha[:, None, :]))


def test_a_third_derivative_is_refused():
    leaf = torch.linspace(-1, 1, 3, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(loss(leaf, torch.ones(3), reduction="sum"), leaf, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), leaf, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="differentiable twice, a third derivative was asked for"):
        torch.autograd.grad(second.sum(), leaf)


def test_invalid_data_under_vmap_give_nan_in_their_elements():
    targets = torch.tensor([[0.0, 1.5, 1.0], [0.5, 0.0, float("nan")]])
    assert torch.isnan(vmap(loss)(torch.zeros(2, 3), targets)).tolist() == [[False, True, False], [False, False, True]]
    gradient = vmap(grad(lambda x, t: loss(x, t, reduction="sum")))(torch.zeros(2, 3), targets)
    assert torch.isnan(gradient).tolist() == [[False, True, False], [False, False, True]]
    for name, bad in (("alpha", 1.5), ("gamma", -1.0), ("weights", -1.0), ("gamma", float("inf"))):
        settings = torch.tensor([[0.5, bad, 0.5], [0.25, 0.5, 1.0]])
        found = vmap(lambda one, key=name: loss(torch.zeros(3), torch.ones(3), **{key: one}))(settings)
        assert torch.isnan(found).tolist() == [[False, True, False], [False, False, False]]
