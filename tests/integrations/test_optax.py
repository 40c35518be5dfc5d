"""The functions in optax's form: its signatures and numbers, finite where its own are not, training under jit."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import focal_ref
from focal_ref.integrations.optax import sigmoid_focal_loss, softmax_focal_loss_with_integer_labels

LOGITS = jnp.linspace(-8.0, 8.0, 60, dtype=jnp.float32).reshape(12, 5)
LABELS = (jnp.arange(60).reshape(12, 5) % 4 == 1).astype(jnp.float32)
# docs/accuracy.md grants it 16 + 4 gamma + 2 gamma softplus(s) ulp, 7e-6 for these logits; it needs less.
ACCURACY_OF_OPTAX = 2e-6

ROWS = jnp.array([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0], [-2.0, 0.0, 0.25], [1.0, 1.0, 1.0]])
CLASSES = jnp.array([0, 2, 1, 1])


def softmax_formula(logits, labels, *, alpha=1.0, gamma=2.0):
    """In float64, as the write-ups print it, of rows of logits."""
    parts = np.exp(np.asarray(logits, np.float64))
    p = np.take_along_axis(parts / parts.sum(-1, keepdims=True), np.asarray(labels)[..., np.newaxis], -1)[..., 0]
    return -np.broadcast_to(alpha, parts.shape[-1:])[labels] * (1 - p) ** gamma * np.log(p)


def close(found, expected, rtol):
    np.testing.assert_allclose(np.asarray(found, np.float64), np.asarray(expected, np.float64), rtol=rtol, atol=0.0)


# In place of optax.losses.sigmoid_focal_loss


def test_the_signature_is_that_of_optax():
    found, expected = (
        [(parameter.name, parameter.kind, parameter.default) for parameter in inspect.signature(f).parameters.values()]
        for f in (sigmoid_focal_loss, optax.losses.sigmoid_focal_loss)
    )
    assert found == expected


@pytest.mark.parametrize("labels", [LABELS, jnp.linspace(0.0, 1.0, 60).reshape(12, 5)], ids=["hard", "soft"])
@pytest.mark.parametrize("settings", [{}, {"alpha": 0.25}, {"alpha": 0.25, "gamma": 0.5}, {"gamma": 0.0}])
def test_ordinary_logits_give_the_numbers_of_optax(settings, labels):
    found, expected = (f(LOGITS, labels, **settings) for f in (sigmoid_focal_loss, optax.losses.sigmoid_focal_loss))
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    close(found, expected, ACCURACY_OF_OPTAX)
    if labels is LABELS:
        # Of soft labels the terms of a gradient cancel, and optax documents nothing.
        gradients = [
            jax.grad(lambda x, f=f: f(x, labels, **settings).sum())(LOGITS)
            for f in (sigmoid_focal_loss, optax.losses.sigmoid_focal_loss)
        ]
        close(*gradients, ACCURACY_OF_OPTAX)


@pytest.mark.parametrize("kind", [bool, int, np.float64, np.uint8])
def test_labels_and_logits_of_numpy_are_taken(kind):
    found = sigmoid_focal_loss(np.asarray(LOGITS), np.asarray(LABELS).astype(kind))
    assert isinstance(found, jax.Array)
    assert jnp.array_equal(found, sigmoid_focal_loss(LOGITS, LABELS))


def test_labels_broadcast_to_the_logits_and_never_beyond():
    labels = jnp.array([0.0, 1.0, 0.0, 1.0, 1.0])
    assert jnp.array_equal(
        sigmoid_focal_loss(LOGITS, labels), sigmoid_focal_loss(LOGITS, jnp.broadcast_to(labels, LOGITS.shape))
    )
    assert optax.losses.sigmoid_focal_loss(jnp.zeros(4), jnp.zeros((4, 1))).shape == (4, 4)
    for function in (sigmoid_focal_loss, jax.jit(sigmoid_focal_loss)):
        with pytest.raises(ValueError, match=r"^labels: got shape \(4, 1\), which does not broadcast to .* \(4,\)"):
            function(jnp.zeros(4), jnp.zeros((4, 1)))


def test_infinite_logits_give_limits_where_optax_gives_nan():
    logits = jnp.array([jnp.inf, -jnp.inf, jnp.inf, -jnp.inf])
    labels = jnp.array([1.0, 0.0, 0.0, 1.0])
    assert jnp.any(jnp.isnan(optax.losses.sigmoid_focal_loss(logits, labels)))
    value, gradient = jax.vmap(jax.value_and_grad(sigmoid_focal_loss))(logits, labels)
    assert value.tolist() == [0.0, 0.0, np.inf, np.inf]
    assert gradient.tolist() == [0.0, 0.0, 1.0, -1.0]


def test_logits_that_are_no_floats_are_refused():
    with pytest.raises(TypeError, match=r"^logits: got dtype int32"):
        sigmoid_focal_loss(jnp.zeros(3, jnp.int32), jnp.zeros(3))


# Beside optax.softmax_cross_entropy_with_integer_labels


def test_the_first_arguments_are_those_of_the_cross_entropy():
    found, expected = (
        [(parameter.name, parameter.kind, parameter.default) for parameter in inspect.signature(f).parameters.values()]
        for f in (softmax_focal_loss_with_integer_labels, optax.softmax_cross_entropy_with_integer_labels)
    )
    assert found[:4] == expected
    assert [name for name, *_ in found[4:]] == ["alpha", "gamma"]
    assert {kind for _, kind, _ in found[4:]} == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("axis", [-1, 0])
def test_without_gamma_it_is_the_cross_entropy_of_optax(axis):
    logits = jnp.moveaxis(ROWS, -1, axis)
    expected = optax.softmax_cross_entropy_with_integer_labels(logits, CLASSES, axis)
    close(softmax_focal_loss_with_integer_labels(logits, CLASSES, axis, gamma=0.0), expected, ACCURACY_OF_OPTAX)


def test_gamma_and_a_weight_of_each_class_enter_as_the_formula_says():
    alpha = np.array([1.0, 2.0, 0.5])
    found = softmax_focal_loss_with_integer_labels(ROWS, CLASSES, alpha=alpha, gamma=1.5)
    close(found, softmax_formula(ROWS, CLASSES, alpha=alpha, gamma=1.5), 1e-6)


def test_where_names_the_rows_that_count():
    rows = jnp.array([True, False, True, False])
    logits = ROWS.at[1].set(jnp.nan)
    value, gradient = jax.value_and_grad(
        lambda x: softmax_focal_loss_with_integer_labels(x, CLASSES.astype(jnp.uint8), where=rows).sum()
    )(logits)
    close(value, softmax_formula(ROWS[::2], CLASSES[::2]).sum(), 1e-6)
    assert jnp.all(gradient[1::2] == 0)
    assert jnp.all(gradient[::2] != 0)


def test_where_names_the_classes_that_the_softmax_runs_over():
    # Two classes of the first row, all of the second, none of the third, all but the label's of the last.
    where = jnp.array([[True, False, True], [True, True, True], [False, False, False], [True, False, True]])
    value, pullback = jax.vjp(lambda x: softmax_focal_loss_with_integer_labels(x, CLASSES, where=where), ROWS)
    close(value[:1], softmax_formula(ROWS[:1, ::2], jnp.array([0])), 1e-6)
    close(value[1:2], softmax_formula(ROWS[1:2], CLASSES[1:2]), 1e-6)
    assert value[2:].tolist() == [0.0, np.inf]
    (gradient,) = pullback(jnp.array([1.0, 1.0, 1.0, 0.0]))
    assert jnp.all(jnp.isfinite(gradient[:3]))
    assert jnp.array_equal(gradient[:3] != 0, where[:3])
    expected = optax.softmax_cross_entropy_with_integer_labels(ROWS[:3], CLASSES[:3], where=where[:3])
    found = softmax_focal_loss_with_integer_labels(ROWS[:3], CLASSES[:3], where=where[:3], gamma=0.0)
    close(found, expected, ACCURACY_OF_OPTAX)


def test_a_where_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"^where: got shape \(3,\); it has the labels' shape \(4,\) or the logits' "):
        softmax_focal_loss_with_integer_labels(ROWS, CLASSES, where=jnp.ones(3, bool))


def test_several_axes_are_refused():
    with pytest.raises(TypeError, match=r"^axis: got \(0, 1\); it is an integer"):
        softmax_focal_loss_with_integer_labels(ROWS, CLASSES, (0, 1))


# A training step


@pytest.mark.parametrize("form", ["sigmoid", "softmax"])
def test_a_model_and_its_gamma_train_under_jit(form):
    generator = np.random.default_rng(0)
    features = jnp.asarray(generator.normal(size=(64, 4)), jnp.float32)
    scores = features @ jnp.asarray(generator.normal(size=(4, 3)), jnp.float32)
    classes = jnp.argmax(scores, -1)
    parameters = {"w": jnp.zeros((4, 3)), "b": jnp.zeros(3), "gamma": jnp.float32(2.0)}
    optimizer = optax.adam(0.1)

    def objective(parameters):
        logits = features @ parameters["w"] + parameters["b"]
        if form == "sigmoid":
            losses = sigmoid_focal_loss(logits, jax.nn.one_hot(classes, 3), alpha=0.25, gamma=parameters["gamma"])
        else:
            losses = softmax_focal_loss_with_integer_labels(logits, classes, gamma=parameters["gamma"])
        return losses.mean()

    @jax.jit
    def step(parameters, state):
        value, gradients = jax.value_and_grad(objective)(parameters)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(parameters, updates), state, value

    state, values = optimizer.init(parameters), []
    for _ in range(20):
        parameters, state, value = step(parameters, state)
        values.append(float(value))
    # All logits are 0 at first: p_t is 1/2 of a sigmoid, 1/3 of a softmax.
    start = np.log(2) / 4 * (0.25 + 2 * 0.75) / 3 if form == "sigmoid" else np.log(3) * (2 / 3) ** 2
    assert values[0] == pytest.approx(start, rel=1e-6)
    assert values[-1] < 0.3 * values[0]
    # The loss falls where gamma grows.
    assert parameters["gamma"] > 2.0


def test_optax_need_not_be_installed():
    program = (
        "import sys; sys.modules['optax'] = None\n"
        "from focal_ref.integrations.optax import sigmoid_focal_loss\n"
        "import jax.numpy as jnp; print(sigmoid_focal_loss(jnp.zeros(1), jnp.ones(1), gamma=0.0))"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (finished.stdout, finished.returncode) == ("[0.6931472]\n", 0), finished.stderr


def test_a_label_to_ignore_has_loss_zero():
    labels = jnp.array([0, focal_ref.IGNORE, 1, 3])
    found = softmax_focal_loss_with_integer_labels(ROWS, labels)
    close(found[::2], softmax_formula(ROWS[::2], jnp.array([0, 1])), 1e-6)
    assert found[1] == 0
    # No class, which JAX can only show by its value.
    assert jnp.isnan(found[3])
