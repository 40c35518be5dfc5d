"""What each process does in the tests of DTensor."""

import pictures
import torch
import torch.distributed as dist
from sharded_cases import LOSSES, REDUCTIONS, RELATIVES, SHAPE, arrays, called, powers
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.debug import CommDebugMode

import focal_ref
from focal_ref.detection import retinanet_loss

PLACEMENTS = {"batch": [Shard(0)], "anchors": [Shard(1)], "classes": [Shard(2)], "nothing": [Replicate()]}


def whole(array):
    """All of a DTensor as a plain tensor; others as they are."""
    return (array.full_tensor() if isinstance(array, DTensor) else array).detach()


def moved(mode):
    """Names of the collectives to how often they were called."""
    return {str(operator).rpartition(".")[2]: count for operator, count in mode.get_comm_counts().items()}


def sharded(array, mesh, placements):
    """A DTensor of an array that may lack the last axes of the logits, which nothing is sharded along then."""
    kept = [item if getattr(item, "dim", 0) < array.ndim else Replicate() for item in placements]
    return distribute_tensor(array, mesh, kept)


def compared(cases, mesh, placements, reductions=REDUCTIONS, targets_as="the logits", dtype=torch.float32):
    """Results and derivatives of cases on a mesh."""
    found = {}
    for name, case in cases.items():
        for reduction in reductions:
            given = arrays(dtype)
            targets = given[case[1]]
            if targets_as == "the logits":
                targets = sharded(targets, mesh, placements)
            elif targets_as != "plain":
                targets = sharded(targets, mesh, targets_as)
            given["logits"] = distribute_tensor(given["logits"], mesh, placements)
            given["powers"] = sharded(powers(), mesh, placements)
            with CommDebugMode() as mode:
                options = {option: given[of] for option, of in case[2].items()}
                case[0](given["logits"].detach(), targets, reduction=reduction, **options)
            result, gradients = called(case, given, targets, reduction)
            found[f"{name} {reduction}"] = {
                "result": whole(result),
                "gradients": [whole(gradient) for gradient in gradients],
                "kept": [str(item) for item in gradients[0].placements] == [str(item) for item in placements],
                "local": tuple(result.to_local().shape),
                "collectives": moved(mode),
            }
    return found


def losses():
    """The focal losses, sharded along each axis, with targets that lie elsewhere, and in float64."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    without_softmax = {name: case for name, case in LOSSES.items() if name != "softmax"}
    found = {}
    for axis, placements in PLACEMENTS.items():
        found[axis] = compared(without_softmax if axis == "classes" else LOSSES, mesh, placements)
    dense = {name: LOSSES[name] for name in ("dense", "labels")}
    for name, targets_as in (("plain", "plain"), ("replicated", [Replicate()]), ("other", [Shard(1)])):
        found[f"targets {name}"] = compared(dense, mesh, [Shard(0)], ("none", "sum"), targets_as)
    found["float64"] = compared(dense, mesh, [Shard(0)], ("none", "sum"), dtype=torch.float64)
    return found


def relatives():
    """The other losses, and what is not autograd."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    found = compared(RELATIVES, mesh, [Shard(0)], ("none", "sum"))
    given = arrays()
    logits, targets = distribute_tensor(given["logits"], mesh, [Shard(1)]), given["soft"]
    value, gradient = focal_ref.value_and_grad(logits, targets)
    total, slope = focal_ref.value_and_grad(logits, targets, reduction="sum", normalizer=7)
    others = {
        "value": value,
        "gradient": gradient,
        "total": total,
        "slope": slope,
        "second": focal_ref.second_derivative(logits, targets),
        **focal_ref.parameter_gradients(logits, targets),
    }
    found["others"] = {name: whole(array) for name, array in others.items()}
    # What a row-wise parallel layer leaves: a sum that is not taken yet.
    share = DTensor.from_local(given["logits"] / dist.get_world_size(), mesh, [Partial()], run_check=False)
    found["partial"] = whole(focal_ref.loss(share, given["hard"]))
    # A normalizer that is not added up yet.
    labels = distribute_tensor(given["labels"], mesh, [Shard(0)])
    logits = distribute_tensor(given["logits"], mesh, [Shard(0)])
    positives = (labels >= 0).sum()
    found["normalized"] = whole(focal_ref.loss_from_labels(logits, labels, reduction="sum", normalizer=positives))
    # Bad targets: NaN everywhere and not an error somewhere.
    bad = given["soft"].clone()
    bad[0, 0, 0] = 2.0
    found["bad"] = whole(focal_ref.loss(logits, distribute_tensor(bad, mesh, [Shard(0)]), reduction="sum"))
    labels = given["labels"].clone()
    labels[0, 0], labels[4, 6] = 3, -3
    by_class = distribute_tensor(given["logits"], mesh, [Shard(2)])
    found["bad labels"] = whole(focal_ref.loss_from_labels(by_class, labels))
    # Twice differentiable.
    leaf = distribute_tensor(given["logits"], mesh, [Shard(0)]).requires_grad_()
    total = focal_ref.loss(leaf, given["hard"], reduction="sum")
    (first,) = torch.autograd.grad(total, leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), leaf)
    found["twice"] = whole(second)
    return found


def pictures_on(mesh, placements, dtype, normalizer):
    """Loss of the pictures with both heads on a mesh, and the gradients of their outputs."""
    logits, deltas = (distribute_tensor(array, mesh, placements).requires_grad_() for array in pictures.outputs(dtype))
    alpha = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, requires_grad=True)
    with CommDebugMode() as mode:
        loss = retinanet_loss(
            logits,
            deltas,
            pictures.ANCHORS,
            distribute_tensor(
                pictures.BOXES, mesh, [Shard(0) if item == Shard(0) else Replicate() for item in placements]
            ),
            pictures.LABELS,
            gt_valid=pictures.VALID,
            alpha=alpha,
            normalizer=normalizer,
        )
    loss.total.backward()
    return {
        "loss": [whole(part) for part in loss],
        "gradients": [whole(logits.grad), whole(deltas.grad)],
        "alpha": alpha.grad,
        "collectives": moved(mode),
    }


def detection():
    """The loss of RetinaNet over batch and over anchors."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    found = {}
    for dtype, normalizer in pictures.RUNS:
        for axis in ("batch", "anchors"):
            key = f"{axis} {dtype} {normalizer}"
            found[key] = pictures_on(mesh, PLACEMENTS[axis], getattr(torch, dtype), normalizer)
    found["nothing float32 batch"] = pictures_on(mesh, PLACEMENTS["nothing"], torch.float32, "batch")
    return found


def two_dimensions():
    """A mesh of two by two processes."""
    mesh = init_device_mesh("cpu", (2, 2))
    meshes = {
        "batch and anchors": [Shard(0), Shard(1)],
        "anchors and batch": [Shard(1), Shard(0)],
        "batch twice": [Shard(0), Shard(0)],
        "anchors, replicated": [Shard(1), Replicate()],
    }
    found = {}
    for name, placements in meshes.items():
        found[name] = compared(LOSSES, mesh, placements, ("none", "sum"))
        found[f"{name}, pictures"] = pictures_on(mesh, placements, torch.float32, "batch")
    return found


def compiled():
    """A loss of DTensors in one graph of torch.compile."""
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    given = arrays()
    found = {}
    for name, call in (
        ("eager", focal_ref.loss_from_labels),
        ("compiled", torch.compile(focal_ref.loss_from_labels, backend="aot_eager", fullgraph=True)),
    ):
        logits = distribute_tensor(given["logits"], mesh, [Shard(2)]).requires_grad_()
        loss = call(logits, sharded(given["labels"], mesh, [Shard(2)]), reduction="sum")
        loss.backward()
        found[name] = {"loss": whole(loss), "gradient": whole(logits.grad)}
    return found


def refusals():
    """What is said of calls that cannot be."""
    mesh, other = init_device_mesh("cpu", (2,)), init_device_mesh("cpu", (1, 2))
    given = arrays()
    logits, by_class = (distribute_tensor(given["logits"], mesh, [item]) for item in (Shard(0), Shard(2)))
    hard = given["hard"]
    deltas = distribute_tensor(torch.zeros(*SHAPE[:2], 4), mesh, [Shard(0)])
    boxes = torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]).repeat(5, 7, 1)
    uneven = DTensor.from_local(
        given["logits"][: 1 + 3 * dist.get_rank()], mesh, [Shard(0)], run_check=False, shape=SHAPE, stride=(21, 3, 1)
    )
    detector = (deltas, boxes[0], boxes[:, :1], torch.zeros(5, 1, dtype=torch.int64))
    mine = hard[:3] if dist.get_rank() == 0 else hard[3:]
    calls = {
        "softmax": lambda: focal_ref.softmax_loss(by_class, given["classes"]),
        "detector": lambda: retinanet_loss(by_class, *detector),
        "other mesh": lambda: focal_ref.loss(logits, distribute_tensor(hard, other, [Replicate(), Shard(0)])),
        "plain part": lambda: focal_ref.loss(logits, mine),
        "plain logits": lambda: focal_ref.loss(given["logits"], distribute_tensor(hard, mesh, [Shard(0)])),
        "out": lambda: focal_ref.value_and_grad(logits, hard, out=(logits.clone(), logits.clone())),
        "uneven": lambda: retinanet_loss(uneven, *detector),
        "check_targets": lambda: focal_ref.check_targets(distribute_tensor(2 * hard, mesh, [Shard(1)])),
        "uneven targets": lambda: focal_ref.loss(uneven, distribute_tensor(hard, mesh, [Shard(0)])),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
        except (TypeError, ValueError) as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found
