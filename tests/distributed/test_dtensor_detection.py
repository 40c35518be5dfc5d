"""`retinanet_loss` of DTensors, over pictures and over anchors."""

import math

import pytest
import torch

from focal_ref.detection import retinanet_loss

from .pictures import ANCHORS, BOXES, CLASSES, LABELS, NORMALIZERS, PICTURES, RUNS, VALID, outputs

TERMS = PICTURES * len(ANCHORS) * CLASSES
ULPS = 12 + math.ceil(math.log2(TERMS)) + 3


def single_process(dtype, normalizer):
    logits, deltas = (array.requires_grad_() for array in outputs(dtype))
    alpha = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, requires_grad=True)
    loss = retinanet_loss(logits, deltas, ANCHORS, BOXES, LABELS, gt_valid=VALID, alpha=alpha, normalizer=normalizer)
    loss.total.backward()
    return [part.detach() for part in loss], [logits.grad, deltas.grad], alpha.grad


def check(found, dtype, normalizer, *, bits):
    """Gradients of outputs bit for bit; losses too where no sum is taken in another order, else within the budget."""
    parts, gradients, alpha = single_process(dtype, normalizer)
    for mine, expected in zip(found["loss"], parts, strict=True):
        assert mine.dtype == expected.dtype
        close = torch.equal(mine, expected) if bits else within(mine, expected)
        assert close
    assert all(torch.equal(mine, expected) for mine, expected in zip(found["gradients"], gradients, strict=True))
    assert within(found["alpha"], alpha)


def within(found, expected):
    if not expected.is_floating_point():
        return torch.equal(found, expected)
    allowed = ULPS * torch.finfo(expected.dtype).eps * float(expected.abs().max())
    return float((found - expected).abs().max()) <= allowed


RUNS_ON_AXES = [(axis, *run) for axis in ("batch", "anchors") for run in RUNS] + [("nothing", "float32", "batch")]


@pytest.mark.parametrize(("axis", "dtype", "normalizer"), RUNS_ON_AXES)
@pytest.mark.parametrize("world", [1, 2, 4])
def test_the_loss_is_that_of_a_single_process(ranks, world, axis, dtype, normalizer):
    for rank in ranks(world, "sharded.detection"):
        found = rank[f"{axis} {dtype} {normalizer}"]
        # Float32: the float64 sum of a picture, rounded once, whatever its order here.
        check(found, getattr(torch, dtype), normalizer, bits=dtype == "float32" or axis != "anchors")


@pytest.mark.parametrize("grid", ["batch and anchors", "anchors and batch", "batch twice", "anchors, replicated"])
def test_a_mesh_may_have_two_dimensions(ranks, grid):
    for rank in ranks(4, "sharded.two_dimensions"):
        check(rank[f"{grid}, pictures"], torch.float32, "batch", bits=True)


@pytest.mark.parametrize("world", [2, 4])
def test_all_sums_and_counts_of_the_pictures_take_one_collective(ranks, world):
    for rank in ranks(world, "sharded.detection"):
        for axis in ("batch", "anchors"):
            for normalizer in NORMALIZERS:
                moved = dict(rank[f"{axis} float32 {normalizer}"]["collectives"])
                # What the test itself sends to distribute its boxes.
                moved.pop("scatter_", None)
                moved.pop("broadcast_", None)
                assert moved == {"all_reduce": 1}
