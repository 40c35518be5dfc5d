"""`value_and_grad` of sums and means, in every library: the scalar, its gradient, and where that is written."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import focal_ref
from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import assert_within, expected, expected_sum, some_soft_targets, some_targets

MAKE = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "jax": jnp.asarray,
    "array_api_strict": array_api_strict.asarray,
}
every_library = pytest.mark.parametrize("library", MAKE)
ROWS, CLASSES = 30, 7


def arrays(dtype="float32"):
    logits = np.random.default_rng(3).normal(0.0, 5.0, (ROWS, CLASSES)).astype(dtype)
    return logits, some_targets(logits.size).reshape(logits.shape)


def bound(dtype, gamma, precision="exact"):
    return budget(precision, FORMATS[dtype], gamma, weighted=True)


@every_library
@pytest.mark.parametrize("targets_of", [some_targets, some_soft_targets], ids=["hard", "soft"])
@pytest.mark.parametrize(
    ("settings", "divisor"),
    [({"reduction": "sum"}, 1), ({"reduction": "sum", "normalizer": 3}, 3), ({"reduction": "mean"}, ROWS * CLASSES)],
)
def test_the_gradient_is_that_of_the_scalar(library, targets_of, settings, divisor):
    logits, _ = arrays()
    targets = targets_of(logits.size).reshape(logits.shape)
    value, gradient = value_and_grad(*map(MAKE[library], (logits, targets)), gamma=1.5, **settings)
    exact = expected_sum(logits, targets, gamma=1.5) / divisor
    assert abs(float(value) - exact) <= 0.501 * np.spacing(np.float32(exact))
    wanted = expected(logits, targets, gamma=1.5, weights=np.float64(1.0 / divisor))["gradient"]
    assert_within(np.asarray(gradient), wanted, bound("float32", 1.5))


@every_library
@pytest.mark.parametrize("function", [loss_from_labels, softmax_loss])
def test_a_mean_leaves_ignored_labels_out_of_value_and_gradient(library, function):
    logits, _ = arrays("float64")
    labels = np.random.default_rng(4).integers(0, CLASSES, ROWS)
    labels[::5] = focal_ref.IGNORE
    kept = labels != focal_ref.IGNORE
    make = MAKE[library]
    with jax.enable_x64(True):
        value, gradient = value_and_grad(make(logits), make(labels), function=function, reduction="mean")
        value, gradient = float(value), np.asarray(gradient)
    each, slopes = value_and_grad(logits[kept], labels[kept], function=function)
    assert value == pytest.approx(each.mean(), rel=1e-14)
    assert np.allclose(gradient[kept], slopes / each.size, rtol=1e-14, atol=0)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("function", [loss, softmax_loss])
def test_the_gradient_of_a_reduction_goes_into_the_array_given_and_the_value_has_none(library, function):
    logits, targets = arrays()
    targets = targets if function is loss else np.zeros(ROWS, np.int64)
    make = MAKE[library]
    out = make(np.full_like(logits, 7.0))
    value, gradient = value_and_grad(make(logits), make(targets), function=function, reduction="sum", out=(None, out))
    assert gradient is out
    wanted = value_and_grad(make(logits), make(targets), function=function, reduction="sum")
    assert value == wanted[0]
    assert np.array_equal(np.asarray(out), np.asarray(wanted[1]))


def test_an_array_for_a_value_that_is_a_scalar_is_refused_and_nothing_is_written():
    logits, targets = arrays()
    out = np.full_like(logits, 7.0), np.full_like(logits, 7.0)
    with pytest.raises(TypeError) as raised:
        value_and_grad(logits, targets, reduction="mean", out=out)
    text = "out: got an array for the value with reduction='mean', which makes it a scalar; pass (None, array)"
    assert str(raised.value) == text
    assert np.all(out[1] == 7.0)
    with pytest.raises(TypeError, match="out: got NoneType; logits are ndarray"):
        value_and_grad(logits, targets, out=(None, out[1]))


def test_a_gradient_that_would_be_written_over_the_logits_is_refused():
    logits, targets = arrays()
    with pytest.raises(ValueError, match="out: got arrays that share memory with each other or with the logits"):
        value_and_grad(logits, targets, reduction="sum", out=(None, logits))


def test_a_reduction_under_transforms_is_that_of_eager_calls():
    logits, targets = arrays()
    settings = {"reduction": "sum", "normalizer": 5.0}
    wanted = value_and_grad(logits, targets, **settings)
    tensors = torch.from_numpy(logits), torch.from_numpy(targets)
    compiled = torch.compile(lambda x, t: value_and_grad(x, t, **settings), backend="aot_eager", fullgraph=True)
    traced = jax.jit(lambda x, t: value_and_grad(x, t, **settings))(jnp.asarray(logits), jnp.asarray(targets))
    for found in (compiled(*tensors), traced):
        assert float(found[0]) == wanted[0]
        assert np.array_equal(np.asarray(found[1]), wanted[1])
    batched = torch.func.vmap(lambda x, t: value_and_grad(x, t, **settings))(*(t[None] for t in tensors))
    assert np.array_equal(batched[1][0].numpy(), wanted[1])
    assert float(batched[0][0]) == wanted[0]


def test_a_normalizer_in_a_tensor_out_of_range_gives_nan_where_nothing_could_check_it():
    logits, targets = (torch.from_numpy(array) for array in arrays())
    compiled = torch.compile(
        lambda x, t, n: value_and_grad(x, t, reduction="sum", normalizer=n), backend="aot_eager", fullgraph=True
    )
    value, gradient = compiled(logits, targets, torch.tensor(0.0))
    assert torch.isnan(value)
    assert torch.isnan(gradient).all()
