"""What JAX hands to XLA for CUDA, read without a GPU: it has not run on one."""

import math
import re

import jax
import jax.numpy as jnp
import pytest

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad

ROWS, CLASSES = 15360, 80
SIZE = ROWS * CLASSES
TENSOR = re.compile(r"tensor<([0-9x]*)x?([a-z]+[0-9]*)>")


def total(function, **settings):
    return lambda x, y: function(x, y, reduction="sum", **settings)


PROGRAMS = {
    "sum": (total(loss), "dense"),
    "each": (loss, "dense"),
    "value_and_grad": (value_and_grad, "dense"),
    "sum and gradient": (jax.value_and_grad(total(loss, gamma=1.7)), "dense"),
    "sum, of labels": (total(loss_from_labels), "labels"),
    "sum and gradient, of labels": (jax.value_and_grad(total(loss_from_labels)), "labels"),
    "sum and gradient, softmax": (jax.value_and_grad(total(softmax_loss)), "labels"),
}


def program(function, kind, platform="cuda", dtype="float32"):
    """The StableHLO text for a platform that need not be there."""
    x = jax.ShapeDtypeStruct((ROWS, CLASSES), dtype)
    y = jax.ShapeDtypeStruct((ROWS, CLASSES), bool) if kind == "dense" else jax.ShapeDtypeStruct((ROWS,), jnp.int32)
    return jax.jit(function).trace(x, y).lower(lowering_platforms=(platform,)).as_text()


def tensors(text):
    """Shapes and types of all arrays of a program."""
    for shape, kind in TENSOR.findall(text):
        yield tuple(int(length) for length in shape.split("x") if length), kind


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_loops_over_blocks_and_sums_are_one_reduction(name):
    text = program(*PROGRAMS[name])
    assert "stablehlo.while" not in text
    assert "stablehlo.dynamic_slice" not in text
    sums = [line for line in text.splitlines() if "stablehlo.reduce(" in line and "-> tensor<f64>" in line]
    assert len(sums) == ("sum" in name)
    # Halves of the terms, added to one another, would be written to memory, one after the other.
    halves = [shape for shape, _ in tensors(text) if len(shape) == 1 and shape[0] > ROWS]
    assert halves == []


@pytest.mark.parametrize("name", ["sum and gradient", "sum and gradient, of labels", "sum and gradient, softmax"])
def test_on_the_cpu_there_is_the_loop_that_the_search_looks_for(name):
    text = program(*PROGRAMS[name], platform="cpu")
    assert "stablehlo.while" in text
    assert "stablehlo.dynamic_slice" in text


def one_hot_arrays(text):
    """What comparisons with the classes are converted to: numbers of the logits' size in the place of truth values."""
    return re.findall(rf"(%\w+) = stablehlo.convert %\w+ : \(tensor<{ROWS}x{CLASSES}xi1>\)", text)


@pytest.mark.parametrize("function", [loss_from_labels, softmax_loss])
def test_labels_are_compared_with_classes_inside_of_the_program(function):
    text = program(jax.value_and_grad(total(function)), "labels")
    arguments = re.search(r"@main\((.*?)\)", text)[1]
    assert [shape for shape, _ in tensors(arguments)] == [(ROWS, CLASSES), (ROWS,)]
    assert re.search(r"stablehlo.compare +EQ.*tensor<\S*x80xi64>", text)


def test_labels_of_a_loss_of_each_logit_become_no_one_hot_array():
    assert one_hot_arrays(program(jax.value_and_grad(total(loss_from_labels)), "labels")) == []


def test_the_search_finds_what_is_made_with_one_hot_labels():
    def plain(x, labels):
        return jnp.sum(jax.nn.one_hot(labels, CLASSES) * jax.nn.log_sigmoid(x))

    assert one_hot_arrays(program(plain, "labels"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_arithmetic_is_float64_inside_and_nothing_is_outside_although_x64_is_off(name, dtype):
    assert not jax.config.jax_enable_x64
    text = program(*PROGRAMS[name], dtype=dtype)
    signature = re.search(r"@main\(.*", text)[0]
    assert "f64" not in signature
    wide = [shape for shape, kind in tensors(text) if kind == "f64"]
    assert max(map(math.prod, wide)) == SIZE


def test_in_fast_precision_no_array_is_float64_but_the_terms_of_a_sum():
    text = program(lambda x, y: loss(x, y, precision="fast"), "dense")
    assert [shape for shape, kind in tensors(text) if kind == "f64" and shape] == []


def test_it_is_exported_for_cuda():
    x = jax.ShapeDtypeStruct((ROWS, CLASSES), jnp.float32)
    exported = jax.export.export(jax.jit(total(loss)), platforms=["cuda"])(x, jax.ShapeDtypeStruct(x.shape, bool))
    assert exported.platforms == ("cuda",)
    assert "stablehlo.while" not in exported.mlir_module()
