"""Losses of a DTensor are those of the whole tensor, and nothing of the size of the logits is communicated."""

import math

import pytest
import torch

import focal_ref

from .sharded_cases import LOSSES, REDUCTIONS, RELATIVES, SHAPE, arrays, called, powers

AXES = ["batch", "anchors", "classes", "nothing"]
CASES = [(axis, name) for axis in AXES for name in LOSSES if (axis, name) != ("classes", "softmax")]
GRIDS = ["batch and anchors", "anchors and batch", "batch twice", "anchors, replicated"]
# As in the suite: 0.51 ulp of a float32 sum; 8 + 2 gamma and the logarithm of the number of terms in float64.
ULPS = {"float32": 0.51, "float64": 12 + math.ceil(math.log2(math.prod(SHAPE))) + 3}


def single_process(case, reduction, dtype=torch.float32):
    given = {**arrays(dtype), "powers": powers()}
    result, gradients = called(case, given, given[case[1]], reduction)
    return result.detach(), gradients


def check(found, case, reduction, dtype="float32"):
    """Each element and its derivative bit for bit; sums, and derivatives that are sums, within the budget."""
    result, gradients = single_process(case, reduction, getattr(torch, dtype))
    assert found["result"].dtype == result.dtype
    if reduction == "none":
        assert torch.equal(found["result"], result)
    else:
        exact = exact_sum(case, reduction)
        unit = ulp(exact, dtype)
        assert abs(float(found["result"]) - exact) <= ULPS[dtype] * unit
    assert torch.equal(found["gradients"][0], gradients[0])
    assert found["kept"]
    for mine, expected in zip(found["gradients"][1:], gradients[1:], strict=True):
        scale = float(expected.abs().max())
        assert float((mine - expected).abs().max()) <= ULPS["float64"] * ulp(scale, "float64")


def exact_sum(case, reduction):
    """From float64 terms of the same logits, added up exactly."""
    given = arrays(torch.float32)
    options = {name: given[of] for name, of in case[2].items()}
    terms = case[0](given["logits"].to(torch.float64), given[case[1]], **options)
    total = math.fsum(terms.reshape(-1).tolist())
    if reduction == "sum":
        return total
    counted = given[case[1]] != focal_ref.IGNORE if case[1] in ("labels", "classes") else torch.ones(SHAPE)
    return total / (int(counted.sum()) * (SHAPE[-1] if case[1] == "labels" else 1))


def ulp(number, dtype):
    digits = {"float32": 24, "float64": 53}[dtype]
    return 2.0 ** (math.frexp(number)[1] - digits)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("axis", "name"), CASES)
@pytest.mark.parametrize("world", [1, 2, 4])
def test_a_loss_is_that_of_the_whole_tensor_whatever_it_is_sharded_along(ranks, world, axis, name, reduction):
    for rank in ranks(world, "sharded.losses"):
        check(rank[axis][f"{name} {reduction}"], LOSSES[name], reduction)


@pytest.mark.parametrize("name", ["dense", "labels"])
@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("targets", ["plain", "replicated", "other"])
def test_targets_may_lie_otherwise_than_the_logits(ranks, targets, reduction, name):
    for rank in ranks(4, "sharded.losses"):
        check(rank[f"targets {targets}"][f"{name} {reduction}"], LOSSES[name], reduction)


@pytest.mark.parametrize("name", ["dense", "labels"])
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_float64_keeps_its_accuracy(ranks, reduction, name):
    for rank in ranks(4, "sharded.losses"):
        found = rank["float64"][f"{name} {reduction}"]
        result, gradients = single_process(LOSSES[name], reduction, torch.float64)
        scale = float(result.abs().max())
        assert float((found["result"] - result).abs().max()) <= (reduction == "sum") * ULPS["float64"] * scale * 2**-52
        assert torch.equal(found["gradients"][0], gradients[0])


@pytest.mark.parametrize("reduction", ["none", "sum"])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_mesh_may_have_two_dimensions(ranks, grid, name, reduction):
    for rank in ranks(4, "sharded.two_dimensions"):
        check(rank[grid][f"{name} {reduction}"], LOSSES[name], reduction)


@pytest.mark.parametrize("world", [2, 4])
def test_one_number_is_communicated_for_a_sum_and_nothing_for_each_element(ranks, world):
    for rank in ranks(world, "sharded.losses"):
        for axis, name in CASES:
            for reduction in REDUCTIONS:
                found = rank[axis][f"{name} {reduction}"]["collectives"]
                assert set(found) <= {"all_reduce"}
                # A mean over labels counts those that are not ignored.
                counts = reduction == "mean" and name in ("labels", "softmax") and axis in ("batch", "anchors")
                sums = reduction != "none" and axis != "nothing"
                assert found.get("all_reduce", 0) == sums + counts


def test_each_process_keeps_its_part_of_the_results(ranks):
    lengths = [rank["batch"]["dense none"]["local"][0] for rank in ranks(4, "sharded.losses")]
    assert lengths == [2, 2, 1, 0]


@pytest.mark.parametrize("name", RELATIVES)
@pytest.mark.parametrize("reduction", ["none", "sum"])
def test_the_other_losses_are_those_of_the_whole_tensor_too(ranks, reduction, name):
    for rank in ranks(2, "sharded.relatives"):
        found = rank[f"{name} {reduction}"]
        result, gradients = single_process(RELATIVES[name], reduction)
        # Two sums that are rounded once each.
        assert abs(found["result"] - result).max() <= (reduction == "sum") * ulp(float(result.max()), "float32")
        assert torch.equal(found["gradients"][0], gradients[0])


def test_derivatives_without_autograd_are_those_of_the_whole_tensor(ranks):
    given = arrays()
    logits, targets = given["logits"], given["soft"]
    value, gradient = focal_ref.value_and_grad(logits, targets)
    total, slope = focal_ref.value_and_grad(logits, targets, reduction="sum", normalizer=7)
    expected = {
        "value": value,
        "gradient": gradient,
        "slope": slope,
        "second": focal_ref.second_derivative(logits, targets),
        **focal_ref.parameter_gradients(logits, targets),
    }
    for rank in ranks(2, "sharded.relatives"):
        found = rank["others"]
        assert abs(float(found.pop("total") - total)) <= ulp(float(total), "float32")
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_the_loss_is_differentiable_twice(ranks):
    given = arrays()
    for rank in ranks(2, "sharded.relatives"):
        assert torch.equal(rank["twice"], focal_ref.second_derivative(given["logits"], given["hard"]))


def test_logits_and_normalizers_that_are_not_added_up_yet_are_added_up(ranks):
    given = arrays()
    labels = given["labels"]
    halved = given["logits"] / 2
    sums = focal_ref.loss_from_labels(given["logits"], labels, reduction="sum", normalizer=(labels >= 0).sum())
    for rank in ranks(2, "sharded.relatives"):
        assert torch.equal(rank["partial"], focal_ref.loss(halved + halved, given["hard"]))
        assert abs(float(rank["normalized"] - sums)) <= ulp(float(sums), "float32")


def test_bad_targets_are_nan_on_every_process_and_an_error_on_none(ranks):
    for rank in ranks(2, "sharded.relatives"):
        assert torch.isnan(rank["bad"])
        nan = torch.isnan(rank["bad labels"]).all(-1)
        assert nan.sum() == 2
        assert nan[0, 0]
        assert nan[4, 6]
        assert torch.isnan(rank["bad labels"]).any(-1).sum() == 2


def test_compiled_into_one_graph_the_numbers_are_the_same(ranks):
    for found in ranks(2, "sharded.compiled"):
        assert torch.equal(found["compiled"]["loss"], found["eager"]["loss"])
        assert torch.equal(found["compiled"]["gradient"], found["eager"]["gradient"])


REFUSALS = {
    "softmax": "ValueError: logits: got placements (Shard(dim=2)), shape (5, 7, 3); a softmax needs all classes of a "
    "row on one process. Pass logits.redistribute(placements=...) with another axis sharded",
    "detector": "ValueError: logits: got placements (Shard(dim=2)), shape (5, 7, 3); the loss of an anchor needs all "
    "its classes on one process. Pass logits.redistribute(placements=...) with another axis sharded",
    "other mesh": "ValueError: targets: got a DTensor on ",
    "plain logits": "TypeError: targets: got a DTensor, logits are a plain tensor; pass targets.to_local() or "
    "full_tensor()",
    "check_targets": "ValueError: targets: got 2 at position (0, ",
    "out": "TypeError: out: got arrays, logits are a DTensor; leave it out, or pass the local parts to the call",
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_cannot_be_is_refused_with_what_to_do(ranks, name):
    for rank in ranks(2, "sharded.refusals"):
        assert rank[name].startswith(REFUSALS[name])


def test_parts_that_do_not_belong_together_are_refused(ranks):
    for rank, (mine, own, expected) in zip(ranks(2, "sharded.refusals"), [(3, 1, 3), (2, 4, 2)], strict=True):
        assert rank["plain part"] == (
            f"ValueError: targets: got a plain tensor of shape ({mine}, 7, 3), the logits are a DTensor of shape "
            "(5, 7, 3); pass DTensor.from_local(targets, logits.device_mesh, placements), or the whole targets on "
            "every process"
        )
        assert rank["uneven"] == (
            f"ValueError: logits: this process has {own} of 5 along axis 0, and {expected} are expected; shards are "
            "those of torch.chunk, as distribute_tensor makes them"
        )
        assert rank["uneven targets"] == (
            f"ValueError: targets: this process has shape ({expected}, 7, 3); its logits need ({own}, 7, 3)"
        )
