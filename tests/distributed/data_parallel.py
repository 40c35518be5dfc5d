"""What each process does in the tests of DistributedDataParallel and fully_shard."""

import torch
import torch.distributed as dist
from pictures import (
    NORMALIZERS,
    RUNS,
    SHARES,
    TABLE_POSITIVES,
    TABLE_SUMS,
    Criterion,
    Detector,
    loss_of,
    outputs,
    own_rows,
    rows,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import focal_ref
from focal_ref.detection import normalize_loss
from focal_ref.integrations.torch_distributed import SumOverRanks


def step(wrapped, model, dtype, normalizer, ranks, chosen):
    """Loss of all pictures, and the gradients that the wrapper left to the optimizer."""
    loss = loss_of(wrapped, chosen, dtype, normalizer=normalizer, sum_over_ranks=ranks)
    loss.total.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    gradients = [grad.full_tensor() if hasattr(grad, "full_tensor") else grad for grad in gradients]
    return {"loss": ranks.loss_of_all(loss.total), "gradients": gradients}


def training_steps():
    """A step of each wrapper with each normalizer."""
    world, rank = dist.get_world_size(), dist.get_rank()
    mesh = init_device_mesh("cpu", (world,))
    found = {}
    for name, normalizer in RUNS:
        dtype = getattr(torch, name)
        for wrapper in ("ddp", "fully_shard", "summed"):
            model = Detector(dtype)
            ranks = SumOverRanks(average=wrapper != "summed")
            if wrapper == "ddp":
                wrapped = DistributedDataParallel(model)
            elif wrapper == "fully_shard":
                wrapped = fully_shard(model, mesh=mesh)
            else:
                wrapped = model
            result = step(wrapped, model, dtype, normalizer, ranks, SHARES[world][rank])
            if wrapper == "summed":
                for gradient in result["gradients"]:
                    dist.all_reduce(gradient)
            found[f"{wrapper} {name} {normalizer}"] = result
    return found


def logits_gradients():
    """Derivatives of this rank's loss with respect to its outputs, and how many collectives that took."""
    world, rank = dist.get_world_size(), dist.get_rank()
    chosen = SHARES[world][rank]
    found = {}
    for normalizer in NORMALIZERS:
        logits, deltas = (array[chosen].requires_grad_() for array in outputs(torch.float32))
        counted, options = Counted(), {"normalizer": normalizer}
        loss = loss_of(lambda _, out=(logits, deltas): out, chosen, torch.float32, sum_over_ranks=counted, **options)
        loss.total.backward()
        found[str(normalizer)] = {"logits": logits.grad, "deltas": deltas.grad, "collectives": counted.calls}
    return found


class Counted(SumOverRanks):
    """Counts how often it is called."""

    calls = 0

    def __call__(self, count):
        self.calls += 1
        return super().__call__(count)


def plain_losses():
    """The losses themselves, by their `normalizer=`, with a learnable gamma and shares of 11 rows."""
    world, rank = dist.get_world_size(), dist.get_rank()
    logits, labels = rows()
    mine = own_rows(rank, world)
    ranks = SumOverRanks()
    found = {}
    for name, counted in (("positives", labels >= 0), ("elements", labels != focal_ref.IGNORE), ("none", labels > 99)):
        criterion = Criterion()
        wrapped = DistributedDataParallel(criterion)
        loss = wrapped(logits[mine], labels[mine], ranks.normalizer(counted[mine]))
        loss.backward()
        found[name] = {"loss": ranks.loss_of_all(loss), "gamma": criterion.gamma.grad}
    return found


def table():
    """The mean over ranks of a loss, whose gradient DistributedDataParallel makes, by what ranks tell each other."""
    world, rank = dist.get_world_size(), dist.get_rank()
    chosen = {2: [[0, 1, 2], [3]], 4: [[0], [1], [2], [3]]}[world][rank]
    sums, positives = TABLE_SUMS[chosen], TABLE_POSITIVES[chosen]
    every = SumOverRanks()
    ways = {"nothing": None, "mean of counts": lambda count: every(count) / world, "SumOverRanks": every}
    found = {}
    for normalizer in ("per_picture", "batch", "plus_one", "plus_one_per_picture", 8.0):
        for name, way in ways.items():
            # A number is no count that could be averaged.
            way = None if normalizer == 8.0 and name.startswith("mean") else way
            loss = normalize_loss(sums, positives, normalizer, sum_over_ranks=way)
            found[f"{normalizer}, {name}"] = float(every(loss)) / world
    return found


def groups():
    """Two groups of two processes, each with a batch of its own; and what a stranger to a group is told."""
    rank = dist.get_rank()
    pairs = [dist.new_group([0, 1]), dist.new_group([2, 3])]
    mine = pairs[rank // 2]
    ranks = SumOverRanks(mine)
    try:
        SumOverRanks(pairs[1 - rank // 2])
    except ValueError as error:
        text = str(error)
    return {"sum": ranks(torch.tensor(float(rank))), "averaged_over": ranks.averaged_over, "refused": text}


def compiled():
    """A step under torch.compile with the collective in its one graph."""
    rank, world = dist.get_rank(), dist.get_world_size()
    ranks = SumOverRanks()
    logits, labels = rows()
    mine = own_rows(rank, world)

    def function(logits, labels):
        normalizer = ranks.normalizer(labels >= 0)
        return focal_ref.loss_from_labels(logits, labels, reduction="sum", normalizer=normalizer)

    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    found = {}
    for name, call in (("eager", function), ("compiled", torch.compile(function, backend=backend, fullgraph=True))):
        leaf = logits[mine].clone().requires_grad_()
        loss = call(leaf, labels[mine])
        loss.backward()
        found[name] = {"loss": loss.detach(), "gradient": leaf.grad}
    nodes = [str(node.target) for graph in graphs for node in graph.graph.nodes]
    found["collectives"] = sum("all_reduce" in node for node in nodes)
    return found
