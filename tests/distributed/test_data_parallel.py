"""DistributedDataParallel and fully_shard train as one process would, whatever each rank has of a batch."""

import math

import pytest
import torch

import focal_ref

from .pictures import ANCHORS, CLASSES, NORMALIZERS, PICTURES, RUNS, SHARES, Criterion, Detector, loss_of, outputs, rows

ALL = list(range(PICTURES))
WRAPPERS = ("ddp", "fully_shard", "summed")
ELEMENTS = PICTURES * len(ANCHORS) * CLASSES
# The suite's budget of a float64 sum for gamma 2, 8 + 2 gamma and 1 for a weight, with the logarithm of its terms.
ULPS = 13 + math.ceil(math.log2(ELEMENTS)) + 3


def single_process(dtype, normalizer):
    model = Detector(dtype)
    loss = loss_of(model, ALL, dtype, normalizer=normalizer)
    loss.total.backward()
    return loss.total.detach(), [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize(("dtype", "normalizer"), RUNS)
def test_loss_and_parameter_gradients_are_those_of_a_single_process(ranks, world, wrapper, dtype, normalizer):
    kind = getattr(torch, dtype)
    loss, gradients = single_process(kind, normalizer)
    for rank in ranks(world, "data_parallel.training_steps"):
        found = rank[f"{wrapper} {dtype} {normalizer}"]
        assert found["loss"].dtype == kind
        within(found["loss"], loss)
        for mine, expected in zip(found["gradients"], gradients, strict=True):
            within(mine, expected)


def within(found, expected):
    """Equal to the budget of sums, of the largest element: the terms of a gradient cancel."""
    allowed = ULPS * torch.finfo(expected.dtype).eps / 2 * float(expected.abs().max())
    assert float((found - expected).abs().max()) <= allowed


def test_the_gradients_differ_where_each_rank_divides_by_its_own_positives():
    # What the tests above could not tell apart is told here: ranks that do not add up their counts.
    dtype = torch.float64
    _, expected = single_process(dtype, "batch")
    parts = []
    for chosen in ([0, 1, 2, 4], [3]):
        model = Detector(dtype)
        loss_of(model, chosen, dtype, normalizer="batch").total.backward()
        parts.append([parameter.grad for parameter in model.parameters()])
    mean = [sum(gradients) / 2 for gradients in zip(*parts, strict=True)]
    assert any(float((a - b).abs().max()) > 1e-2 * float(b.abs().max()) for a, b in zip(mean, expected, strict=True))


# Two and four: what is multiplied by a power of two keeps its digits.
@pytest.mark.parametrize("count", [2, 4])
def test_gradients_of_the_outputs_are_bit_for_bit_those_of_a_single_process_times_the_ranks(ranks, count):
    all_ranks = ranks(count, "data_parallel.logits_gradients")
    for normalizer in NORMALIZERS:
        logits, deltas = (array.requires_grad_() for array in outputs(torch.float32))
        loss_of(lambda _, out=(logits, deltas): out, ALL, torch.float32, normalizer=normalizer).total.backward()
        for chosen, rank in zip(SHARES[count], all_ranks, strict=True):
            found = rank[str(normalizer)]
            assert torch.equal(found["logits"], count * logits.grad[chosen])
            assert torch.equal(found["deltas"], count * deltas.grad[chosen])
            assert found["collectives"] == (0 if isinstance(normalizer, float) else 1)


@pytest.mark.parametrize("count", [2, 3])
def test_the_losses_themselves_are_divided_by_what_all_ranks_have(ranks, count):
    logits, labels = rows()
    all_ranks = ranks(count, "data_parallel.plain_losses")
    divisors = {"positives": int((labels >= 0).sum()), "elements": int((labels != focal_ref.IGNORE).sum()), "none": 1}
    for name, divisor in divisors.items():
        criterion = Criterion()
        loss = criterion(logits, labels, divisor)
        loss.backward()
        for found in all_ranks:
            within(found[name]["loss"], loss.detach())
            within(found[name]["gamma"], criterion.gamma.grad)


def test_a_group_adds_up_its_own_ranks_and_no_others(ranks):
    for rank, found in enumerate(ranks(4, "data_parallel.groups")):
        assert found["sum"] == (0 + 1 if rank < 2 else 2 + 3)
        assert found["averaged_over"] == 2
        assert found["refused"] == f"group: process {rank} is not in it; only its members call the loss"


def test_compiled_the_collective_is_part_of_the_one_graph(ranks):
    for found in ranks(2, "data_parallel.compiled"):
        assert torch.equal(found["compiled"]["loss"], found["eager"]["loss"])
        assert torch.equal(found["compiled"]["gradient"], found["eager"]["gradient"])
        assert found["collectives"] == 1
