"""DTensors: each process computes on its own part of the logits; of sums one number is communicated.

Nothing of the size of the logits moves. Targets that lie otherwise than the logits are brought to where these are;
plain tensors beside a DTensor are taken to be whole and the same on every process. Run with gloo on CPUs; not yet run
on a GPU.
"""

from dataclasses import replace
from typing import Any

import torch
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard

from focal_ref._parameters import BACKGROUND, NUMBERS, ROWS, Parameters
from focal_ref.adapters import _torch_compute as compute
from focal_ref.adapters.torch import TorchAdapter, scalar

Array = Any
Tensor = torch.Tensor


class Shards:
    """How the logits are spread over the processes of a mesh, and this process's part of what belongs to them.

    Attributes
    ----------
    local
        This process's part of the logits, differentiable.
    shape
        Of all logits.
    """

    def __init__(self, logits: DTensor) -> None:
        self.mesh = logits.device_mesh
        self.shape = tuple(logits.shape)
        # What is yet to be summed is no logit; DTensor's own functions do the same.
        self.placements = tuple(Replicate() if item.is_partial() else item for item in logits.placements)
        self.local = _plain(logits.redistribute(placements=self.placements).to_local())

    def axes(self) -> tuple[int, ...]:
        """The axes that are sharded."""
        return tuple(axis for item in self.placements if (axis := _axis(item)) is not None)

    def refuse(self, axis: int, why: str) -> None:
        """Raise if an axis is sharded."""
        if axis in self.axes():
            raise ValueError(
                f"logits: got placements {_text(self.placements)}, shape {self.shape}; {why}. Pass "
                "logits.redistribute(placements=...) with another axis sharded"
            )

    def span(self, axis: int) -> slice:
        """What of an axis is this process's, as `torch.chunk` shares it out."""
        start, stop = 0, self.shape[axis]
        for dimension, item in enumerate(self.placements):
            if _axis(item) != axis:
                continue
            if type(item) is not Shard:
                raise ValueError(f"logits: got placement {item} of axis {axis}; allowed are Shard and Replicate")
            size = -(-(stop - start) // self.mesh.size(dimension))
            start = min(start + self.mesh.get_local_rank(dimension) * size, stop)
            stop = min(start + size, stop)
        if stop - start != self.local.shape[axis]:
            raise ValueError(
                f"logits: this process has {self.local.shape[axis]} of {self.shape[axis]} along axis {axis}, and "
                f"{stop - start} are expected; shards are those of torch.chunk, as distribute_tensor makes them"
            )
        return slice(start, stop)

    def part(self, name: str, value: Any, lengths: tuple[int, ...], only: int | None = None) -> Tensor:
        """Take the process's part of an array that broadcasts to `lengths`, those of the logits' first axes.

        A derivative with respect to what several processes share is the sum over them. With `only`, one axis of the
        logits is shared out and no other.
        """
        value = self._on_mesh(name, value)
        added = len(lengths) - value.ndim
        wanted: list[Placement] = []
        gradient: list[Placement] = []
        for item in self.placements:
            of_logits = _axis(item)
            if of_logits is None or only not in (None, of_logits):
                wanted.append(Replicate())
                gradient.append(Replicate())
                continue
            axis = of_logits - added
            if axis < 0 or of_logits >= len(lengths) or value.shape[axis] != lengths[of_logits]:
                wanted.append(Replicate())
                gradient.append(Partial())
                continue
            if axis != of_logits and type(item) is not Shard:
                raise ValueError(f"logits: got placement {item}; with {name} of shape {tuple(value.shape)} pass Shard")
            wanted.append(item if axis == of_logits else Shard(axis))
            gradient.append(wanted[-1])
        # Also where nothing moves: its derivative has the placements of the value.
        return _plain(value.redistribute(placements=wanted).to_local(grad_placements=gradient))

    def whole(self, name: str, value: Any) -> Tensor:
        """All of an array, on every process."""
        return _plain(self._on_mesh(name, value).redistribute(placements=self._replicated()).to_local())

    def wrapped(self, local: Tensor, lengths: tuple[int, ...]) -> DTensor:
        """Results of this process as its part of a DTensor, whose axes are the first ones of the logits."""
        strides, stride = [], 1
        for length in reversed(lengths):
            strides.append(stride)
            stride *= max(length, 1)
        strides.reverse()
        return DTensor.from_local(
            local, self.mesh, self.placements, run_check=False, shape=torch.Size(lengths), stride=tuple(strides)
        )

    def added(self, local: Tensor) -> Tensor:
        """Sum over the processes that have different parts: one collective for each sharded dimension of the mesh."""
        partial = [Replicate() if _axis(item) is None else Partial() for item in self.placements]
        sums = DTensor.from_local(local, self.mesh, partial, run_check=False)
        return _plain(sums.redistribute(placements=self._replicated()).to_local())

    def replicated(self, local: Tensor) -> DTensor:
        """A DTensor of what every process has."""
        return DTensor.from_local(local, self.mesh, self._replicated(), run_check=False)

    def _on_mesh(self, name: str, value: Any) -> DTensor:
        if not isinstance(value, DTensor):
            return self.replicated(value)
        if value.device_mesh != self.mesh:
            raise ValueError(f"{name}: got a DTensor on {value.device_mesh}; the logits lie on {self.mesh}")
        return value

    def _replicated(self) -> list[Replicate]:
        return [Replicate() for _ in self.placements]


class DTensorAdapter(TorchAdapter):
    """PyTorch tensors that are spread over the processes of a device mesh."""

    def is_host(self, array: Array) -> bool:
        # An error on one process would leave the others waiting for it.
        return False

    def to_numpy(self, array: Array) -> Any:
        return super().to_numpy(array.full_tensor() if isinstance(array, DTensor) else array)

    def shards(self, array: Array) -> Shards:
        return Shards(array)

    def check_same_device(self, name: str, array: Array, logits: Array) -> None:
        super().check_same_device(name, array, logits)
        whole, local = tuple(logits.shape), tuple(logits.to_local().shape)
        shape = tuple(array.shape)
        if isinstance(array, DTensor) or local == whole or shape in (whole, whole[:-1]):
            return
        if name in ("targets", "labels") and shape in (local, local[:-1]):
            raise ValueError(
                f"{name}: got a plain tensor of shape {shape}, the logits are a DTensor of shape {whole}; pass "
                f"DTensor.from_local({name}, logits.device_mesh, placements), or the whole {name} on every process"
            )

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        raise TypeError("out: got arrays, logits are a DTensor; leave it out, or pass the local parts to the call")

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        shards, own, part, others = _call(logits, targets, parameters)
        return shards.wrapped(super().loss(own, part, others), _results(shards, parameters))

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        shards, own, part, others = _call(logits, targets, parameters)
        if isinstance(normalizer, DTensor):
            normalizer = shards.whole("normalizer", normalizer)
        whole = shards.added(self.unrounded_total(own, part, others))
        return shards.replicated(scalar(shards.local, whole, normalizer))

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        shards, own, part, others = _call(logits.detach(), targets, parameters)
        value, gradient = super().value_and_grad(own, part, others, None)
        return shards.wrapped(value, _results(shards, parameters)), shards.wrapped(gradient, shards.shape)

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        shards, own, part, others = _call(logits.detach(), targets, parameters)
        if isinstance(normalizer, DTensor):
            normalizer = shards.whole("normalizer", normalizer)
        _, gradient = super().total_and_grad(own, part, others, normalizer, None)
        return self.total(logits.detach(), targets, parameters, normalizer), shards.wrapped(gradient, shards.shape)

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        shards, own, part, others = _call(logits.detach(), targets, parameters)
        return shards.wrapped(super().second_derivative(own, part, others), shards.shape)

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        shards, own, part, others = _call(logits.detach(), targets, parameters)
        lengths = tuple(compute.derivative_shape(name, logits, parameters.form))
        return shards.wrapped(super().parameter_gradient(name, own, part, others), lengths)


def _call(logits: DTensor, targets: Array, parameters: Parameters) -> tuple[Shards, Tensor, Tensor, Parameters]:
    """The shards, and this process's part of a call on plain tensors."""
    shards, last = Shards(logits), logits.ndim - 1
    results = shards.shape
    if parameters.form == ROWS:
        shards.refuse(last, "a softmax needs all classes of a row on one process")
        results = results[:-1]
    labels = parameters.encoding == "labels"
    part = shards.part("targets", targets, shards.shape[:-1] if labels else shards.shape)
    if labels and last in shards.axes():
        part = _labels_within(part, shards.span(last), shards.shape[last])
    expected = tuple(shards.local.shape[:-1] if labels else shards.local.shape)
    if tuple(part.shape) != expected:
        raise ValueError(f"targets: this process has shape {tuple(part.shape)}; its logits need {expected}")
    values: Any = {
        name: shards.part(name, value, results if name == "weights" else shards.shape)
        for name in (*NUMBERS, "weights")
        if isinstance(value := getattr(parameters, name), Tensor)
    }
    return shards, shards.local, part, replace(parameters, **values)


def _labels_within(labels: Tensor, span: slice, classes: int) -> Tensor:
    """Labels among the classes of one process; those of other processes are background here, bad ones stay bad."""
    labels = labels.to(torch.int64)
    inside = (labels >= span.start) & (labels < span.stop)
    elsewhere = (labels >= 0) & (labels < classes) & ~inside
    bad = span.stop - span.start
    moved = torch.where(inside, labels - span.start, torch.where(labels >= classes, bad, labels))
    return torch.where(elsewhere, BACKGROUND, moved)


def _results(shards: Shards, parameters: Parameters) -> tuple[int, ...]:
    return shards.shape[:-1] if parameters.form == ROWS else shards.shape


def _plain(local: Tensor) -> Tensor:
    """A tensor that is there: one of a collective in flight waits when it is copied."""
    arrived = torch.compiler.is_compiling() or type(local) in (Tensor, torch.nn.Parameter)
    return local if arrived else local.clone()


def _axis(placement: Placement) -> int | None:
    """The axis that a placement shards; those of meshes that are split in another order are of another class."""
    axis: int | None = getattr(placement, "dim", None)
    return axis


def _text(placements: Any) -> str:
    return "(" + ", ".join(map(repr, placements)) + ")"
