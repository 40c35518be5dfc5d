"""What XLA on the CPU writes to memory beside inputs and results: never an array of the logits' size."""

import math
import re

import jax
import jax.numpy as jnp
import pytest

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad

ROWS, CLASSES = 15360, 80
SIZE = ROWS * CLASSES
INSTRUCTION = re.compile(r"^  (?:ROOT )?%?(?P<name>\S+) = (?P<type>.+?) (?P<operation>[a-z][a-z0-9-]*)\(", re.MULTILINE)
ARRAY = re.compile(r"\b[a-z]+[0-9]*\[([0-9,]*)\]")
# What is an input or another name of a buffer.
NO_BUFFER = ("parameter", "get-tuple-element", "tuple", "while", "bitcast", "conditional")


def total(function, **settings):
    return lambda x, y: function(x, y, reduction="sum", **settings)


def by_positives(x, labels):
    return loss_from_labels(x, labels, reduction="sum", normalizer=jnp.maximum(1, jnp.sum(labels >= 0)))


# Function, kind of targets, how many results have the logits' size, and their dtype.
COMPUTATIONS = {
    "sum": (total(loss), "dense", 0, "float32"),
    "sum in bfloat16": (total(loss), "dense", 0, "bfloat16"),
    "sum in fast precision, of labels": (total(loss_from_labels, precision="fast"), "labels", 0, "float32"),
    "mean, of labels": (lambda x, y: loss_from_labels(x, y, reduction="mean"), "labels", 0, "float32"),
    "sum, softmax": (total(softmax_loss), "softmax", 0, "float32"),
    "each": (loss, "dense", 1, "float32"),
    "each, of labels, in bfloat16": (loss_from_labels, "labels", 1, "bfloat16"),
    "value_and_grad": (value_and_grad, "dense", 2, "float32"),
    "gradient, of labels": (jax.grad(total(loss_from_labels)), "labels", 1, "float32"),
    "sum and gradient": (jax.value_and_grad(total(loss)), "dense", 1, "float32"),
    "sum and gradient of any gamma": (jax.value_and_grad(total(loss, gamma=1.7)), "dense", 1, "float32"),
    "sum and gradient, of labels": (jax.value_and_grad(total(loss_from_labels)), "labels", 1, "float32"),
    "sum and gradient, of labels, in bfloat16": (jax.value_and_grad(by_positives), "labels", 1, "bfloat16"),
    "sum and gradient, softmax": (jax.value_and_grad(total(softmax_loss)), "softmax", 1, "float32"),
}


def compiled(function, kind, dtype, rows=ROWS):
    x = jax.ShapeDtypeStruct((rows, CLASSES), dtype)
    y = jax.ShapeDtypeStruct((rows, CLASSES), bool) if kind == "dense" else jax.ShapeDtypeStruct((rows,), jnp.int32)
    return jax.jit(function).lower(x, y).compile()


def large_instructions(text):
    """Instructions outside of fusions that write arrays of the logits' size or larger."""
    fused = set(re.findall(r"(?:calls|to_apply)=%?([\w.-]+)", text))
    found = []
    for computation in text.split("\n\n"):
        header = re.search(r"^(?:ENTRY )?%?([\w.-]+) \(", computation, re.MULTILINE)
        if header is None or header[1] in fused:
            continue
        for match in INSTRUCTION.finditer(computation):
            sizes = [math.prod(int(n) for n in one[1].split(",") if n) for one in ARRAY.finditer(match["type"])]
            if match["operation"] not in NO_BUFFER and max(sizes, default=0) >= SIZE:
                found.append(match[0].strip())
    return found


@pytest.mark.parametrize("name", COMPUTATIONS)
def test_nothing_of_the_size_of_the_logits_is_written_but_results(name):
    function, kind, results, dtype = COMPUTATIONS[name]
    executable = compiled(function, kind, dtype)
    large = large_instructions(executable.as_text())
    # A loop's result is filled with zeros, then written block by block, then multiplied in place by what is upstream.
    assert len(large) <= 3 * results, large
    assert not [line for line in large if re.search(r"= \(?(pred|s8|s32|s64|f64)\[", line)]
    assert executable.memory_analysis().temp_size_in_bytes < (2**20 if results == 0 else 1.5 * 2**20)


def test_the_search_finds_what_a_formula_with_one_hot_labels_writes():
    def plain(x, labels):
        one_hot = jax.nn.one_hot(labels, CLASSES)
        p = jax.nn.sigmoid(x)
        p_t = p * one_hot + (1 - p) * (1 - one_hot)
        return jnp.sum(-((1 - p_t) ** 2) * jnp.log(p_t))

    executable = compiled(jax.value_and_grad(plain), "labels", "float32")
    assert len(large_instructions(executable.as_text())) > 3
    assert executable.memory_analysis().temp_size_in_bytes > SIZE * 4


def test_memory_beside_the_results_does_not_grow_with_the_logits():
    function, kind, _, dtype = COMPUTATIONS["sum and gradient, of labels"]
    sizes = [compiled(function, kind, dtype, rows).memory_analysis().temp_size_in_bytes for rows in (ROWS, 8 * ROWS)]
    assert sizes[1] < 1.1 * sizes[0]
