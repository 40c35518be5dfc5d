"""What XLA makes of losses of divided logits: no device gets the logits of another, or memory for all of them."""

import math
import re

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding

from focal_ref import loss, loss_from_labels, softmax_loss, value_and_grad

from .meshes import PLACEMENTS, mesh_of

BATCH, ANCHORS, CLASSES = 16, 1024, 80
SIZE = BATCH * ANCHORS * CLASSES
SHARD_BYTES = SIZE * 4 // 8
MOVES = re.compile(
    r"= (?P<type>.+?) (?P<operation>all-gather|all-to-all|collective-permute|collective-broadcast)(?:-start)?\("
)
ARRAY = re.compile(r"\b[a-z]+[0-9]*\[([0-9,]*)\]")


def total(function, reduction="sum"):
    return lambda x, y: function(x, y, reduction=reduction)


PROGRAMS = {
    "value_and_grad": (value_and_grad, "dense"),
    "value_and_grad of the sum": (lambda x, y: value_and_grad(x, y, reduction="sum"), "dense"),
    "each, of labels": (loss_from_labels, "labels"),
    "mean and gradient, of labels": (jax.value_and_grad(total(loss_from_labels, "mean")), "labels"),
    "sums of pictures": (jax.vmap(total(loss_from_labels)), "labels"),
    "mean and gradient, softmax": (jax.value_and_grad(total(softmax_loss, "mean")), "softmax"),
}


def compiled(function, kind, placement):
    spec, mesh = PLACEMENTS[placement], mesh_of("devices")
    shape, dtype = ((BATCH, ANCHORS), jnp.int32) if kind != "dense" else ((BATCH, ANCHORS, CLASSES), bool)
    own = [NamedSharding(mesh, type(spec)(*spec[: len(one)])) for one in ((BATCH, ANCHORS, CLASSES), shape)]
    x = jax.ShapeDtypeStruct((BATCH, ANCHORS, CLASSES), jnp.float32, sharding=own[0])
    y = jax.ShapeDtypeStruct(shape, dtype, sharding=own[1])
    return jax.jit(function).lower(x, y).compile()


def moved(executable):
    """How many numbers each instruction moves that hands arrays from device to device, by its name."""
    found = []
    for match in MOVES.finditer(executable.as_text()):
        sizes = [math.prod(int(n) for n in one[1].split(",") if n) for one in ARRAY.finditer(match["type"])]
        found.append((match["operation"], sum(sizes)))
    return found


@pytest.mark.parametrize("placement", PLACEMENTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_gathered_and_no_device_has_memory_for_all_logits(name, placement):
    function, kind = PROGRAMS[name]
    if kind == "softmax" and placement == "classes":
        return
    if name == "sums of pictures" and placement != "batch":
        return
    executable = compiled(function, kind, placement)
    assert moved(executable) == []
    # Global size is eight times that of a shard.
    assert executable.memory_analysis().temp_size_in_bytes < 2.5 * SHARD_BYTES


def test_a_softmax_of_divided_rows_exchanges_parts_of_the_logits_and_gathers_nothing():
    executable = compiled(*PROGRAMS["mean and gradient, softmax"], "classes")
    operations = moved(executable)
    # Rows are put together for the loss, and their gradients taken apart.
    assert [operation for operation, _ in operations] == ["all-to-all", "all-to-all"]
    assert all(size <= SIZE // 8 for _, size in operations)
    assert executable.memory_analysis().temp_size_in_bytes < 2.5 * SHARD_BYTES


def test_the_search_finds_what_a_loop_over_divided_logits_gathers():
    def plain(x, y):
        rows = jnp.reshape(x, (-1, CLASSES))
        block = lambda index: jnp.sum(jax.nn.sigmoid(jax.lax.dynamic_slice(rows, (index * 64, 0), (64, CLASSES))))  # noqa: E731
        return jax.lax.fori_loop(0, BATCH * ANCHORS // 64, lambda index, carry: carry + block(index), 0.0)

    assert ("all-gather", SIZE) in moved(compiled(plain, "dense", "batch"))


def test_one_number_is_added_over_the_devices():
    text = compiled(total(loss), "dense", "batch").as_text()
    added = re.findall(r"= (\S+) all-reduce\(", text)
    assert added == ["f64[]"]


def test_on_one_of_eight_devices_the_program_is_the_one_of_one_device():
    x = jax.ShapeDtypeStruct((BATCH, ANCHORS, CLASSES), jnp.float32)
    text = jax.jit(total(loss)).lower(x, jax.ShapeDtypeStruct(x.shape, bool)).as_text()
    assert "custom_call" not in text
