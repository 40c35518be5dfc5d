"""PyTorch: NumPy's bits, exact gradients through autograd, and every transform that PyTorch has."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.utils.checkpoint import checkpoint

from focal_ref import loss, value_and_grad
from focal_ref.adapters import _torch_operators as operators
from focal_ref.adapters._torch_compute import numpy_view, tensor_from_numpy
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import DTYPES, assert_same_bits, assert_within, expected, some_logits, some_soft_targets, some_targets

GAMMAS = (0.0, 0.25, 0.5, 1.0, 2.0)

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Every gamma in float32; in other formats one for each kind of kernel that the other tests compile as well.
dtypes_and_gammas = pytest.mark.parametrize(
    ("dtype", "gamma"),
    [(dtype, gamma) for dtype in DTYPES for gamma in GAMMAS if dtype == "float32" or gamma in (0.5, 2.0)],
)
every_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
# PyTorch scripts its own decompositions on the first use of forward-mode differentiation, and warns of that itself.
forward_mode = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def tensor(array):
    """A tensor of its own with the numbers of the array, bfloat16 included."""
    return tensor_from_numpy(np.array(array))


def arrays_to_tensors(settings):
    return {name: tensor(value) if isinstance(value, np.ndarray) else value for name, value in settings.items()}


def assert_bits_of(found, wanted):
    assert_same_bits(numpy_view(found.detach()), wanted)


def gradient_of(logits, targets, *, upstream=None, **settings):
    """The gradient by autograd of an array of logits."""
    leaf = tensor(logits).requires_grad_()
    result = loss(leaf, tensor(targets), **arrays_to_tensors(settings))
    result.backward(torch.ones_like(result) if upstream is None else upstream)
    return leaf.grad


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


# Automatic differentiation


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


@pytest.mark.parametrize("name", ["targets", "alpha", "gamma", "weights"])
@pytest.mark.parametrize("function", [loss, value_and_grad])
def test_a_derivative_by_anything_but_the_logits_is_refused(name, function):
    settings = {"targets": torch.ones(3), name: torch.full((3,), 0.5, requires_grad=True)}
    targets = settings.pop("targets")
    with pytest.raises(TypeError) as raised:
        function(torch.zeros(3), targets, **settings)
    assert str(raised.value) == (
        f"{name}: got a tensor that requires grad; the loss is differentiable in the logits alone, pass {name}.detach()"
    )


def test_a_normalizer_that_requires_grad_is_refused_like_the_other_constants():
    with pytest.raises(TypeError, match=r"^normalizer: .*normalizer\.detach\(\)"):
        loss(torch.zeros(3), torch.ones(3), reduction="sum", normalizer=torch.tensor(2.0, requires_grad=True))


def test_a_third_derivative_is_refused():
    leaf = torch.linspace(-1, 1, 3, dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(loss(leaf, torch.ones(3), reduction="sum"), leaf, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), leaf, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="differentiable twice, a third derivative was asked for"):
        torch.autograd.grad(second.sum(), leaf)


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
    with pytest.raises(ValueError, match=r"^targets: got 2\.0 at position \(1, 0\); it is 0 or 1"):
        loss(leaf, torch.tensor([[0, 1], [2, 1]]), reduction="sum")


def test_invalid_data_under_vmap_give_nan_in_their_elements():
    targets = torch.tensor([[0.0, 1.5, 1.0], [0.5, 0.0, float("nan")]])
    assert torch.isnan(vmap(loss)(torch.zeros(2, 3), targets)).tolist() == [[False, True, False], [False, False, True]]
    gradient = vmap(grad(lambda x, t: loss(x, t, reduction="sum")))(torch.zeros(2, 3), targets)
    assert torch.isnan(gradient).tolist() == [[False, True, False], [False, False, True]]
    for name, bad in (("alpha", 1.5), ("gamma", -1.0), ("weights", -1.0), ("gamma", float("inf"))):
        settings = torch.tensor([[0.5, bad, 0.5], [0.25, 0.5, 1.0]])
        found = vmap(lambda one, key=name: loss(torch.zeros(3), torch.ones(3), **{key: one}))(settings)
        assert torch.isnan(found).tolist() == [[False, True, False], [False, False, False]]


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


# Operators and compilers


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
        "weights": None,
        "encoding": "binary",
        "precision": "exact",
    }
    return tuple({**arguments, **changed}.values())


SAMPLES = {
    "plain": operator_arguments(),
    "bfloat16, no alpha": operator_arguments(dtype=torch.bfloat16, alpha=None),
    "arrays": operator_arguments(alpha=torch.full((3,), 0.5), gamma=torch.ones(4, 1), weights=torch.rand(4, 3)),
    "no dimensions": operator_arguments(shape=()),
    "transposed": operator_arguments(logits=torch.randn(3, 4).T, targets=torch.ones(3, 4).T),
}


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", ["loss", "total"])
def test_the_operators_pass_the_checks_of_torch(name, sample):
    torch.library.opcheck(getattr(operators, name), SAMPLES[sample])


@pytest.mark.parametrize("sample", ["plain", "arrays", "transposed"])
def test_the_operators_without_derivative_pass_the_checks_of_torch(sample):
    logits, *others = SAMPLES[sample]
    plain = logits.detach()
    torch.library.opcheck(operators.value_and_grad, (plain, *others))
    torch.library.opcheck(operators.gradient, (plain, *others, torch.rand(4, 3)))
    torch.library.opcheck(operators.gradient, (plain, *others, torch.tensor(2.0)))


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


class Criterion(torch.nn.Module):
    def __init__(self, reduction):
        super().__init__()
        self.reduction = reduction

    def forward(self, logits, targets):
        return loss(logits, targets, reduction=self.reduction)


@every_reduction
def test_an_exported_loss_has_the_bits_of_the_eager_one(reduction):
    logits, targets = torch.linspace(-3, 3, 6), torch.arange(6) % 2
    program = torch.export.export(Criterion(reduction), (logits, targets))
    assert torch.equal(program.module()(logits, targets), loss(logits, targets, reduction=reduction))


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
