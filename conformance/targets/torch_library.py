"""How the suite drives PyTorch."""

from typing import Any

from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.library import Function, Library, Native, constants_and_arrays


class TorchLibrary(Library):
    """PyTorch, eager or under torch.compile."""

    variants = ("", "compile")

    def value_and_gradient(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], upstream: Array | None
    ) -> tuple[Native, Native]:
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = self.called(function, leaf, targets, keywords)
        seed = torch.ones_like(result) if upstream is None else self.native(upstream).to(result.dtype)
        if upstream is not None:
            # The same graph twice: what the first walk leaves behind must not change the second.
            torch.autograd.grad(result, leaf, seed, retain_graph=True)
        (gradient,) = torch.autograd.grad(result, leaf, seed)
        return result.detach(), gradient

    def called(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        if self.variant != "compile":
            return function(logits, targets, **keywords)
        return self._compiled(function)(logits, targets, **self.as_inputs(keywords))

    def stacked(self, numbers: list[Native]) -> Native:
        """Arrays of shape () as one of one dimension."""
        import torch

        return torch.stack(numbers)

    def eager_gradient(self, function: Function, argument: Native) -> Native:
        """Derivative of the sum of ``function(argument, None)``."""
        import torch

        leaf = argument.detach().clone().requires_grad_()
        result = function(leaf, None)
        return torch.autograd.grad(result, leaf, torch.ones_like(result))[0]

    def second_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> Native:
        """Diagonal of the Hessian, by walking the graph twice."""
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = function(leaf, targets, **keywords)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result), create_graph=True)
        (second,) = torch.autograd.grad(gradient, leaf, torch.ones_like(gradient))
        return second

    def hessian(self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        """Hessians of the results of rows, one class after the other."""
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = function(leaf, targets, **keywords)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result), create_graph=True)
        columns = [
            torch.autograd.grad(gradient[..., i].sum(), leaf, retain_graph=True)[0] for i in range(leaf.shape[-1])
        ]
        return torch.stack(columns, dim=-1)

    def parameter_gradient(
        self,
        function: Function,
        name: str,
        logits: Native,
        targets: Native,
        keywords: dict[str, Any],
        leaf: Native,
    ) -> Native:
        """Derivative of the sum of the results with respect to one of the other arguments."""
        import torch

        leaf = leaf.detach().clone().requires_grad_()
        if name == "targets":
            result = self.called(function, logits, leaf, keywords)
        else:
            result = self.called(function, logits, targets, {**keywords, name: leaf})
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result))
        return gradient

    def row_parameter_gradient(
        self,
        function: Function,
        name: str,
        logits: Native,
        targets: Native,
        keywords: dict[str, Any],
        leaf: Native,
    ) -> Native:
        """Derivative of each row's result with respect to a hyper-parameter that the rows share."""
        import torch

        def row(shared: Native, x: Native, t: Native) -> Native:
            return function(x, t, **{**keywords, name: shared})

        return torch.func.vmap(torch.func.grad(row), in_dims=(None, 0, 0))(leaf, logits, targets)

    def forward_derivative(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any], tangent: Native
    ) -> Native:
        """Derivative along a tangent."""
        import torch

        return torch.func.jvp(lambda x: function(x, targets, **keywords), (logits,), (tangent,))[1]

    def mapped(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Values and gradients of the rows, under vmap; also over the rows of parameters."""
        import torch

        constants, arrays = constants_and_arrays(keywords)

        def row(x: Native, t: Native, given: dict[str, Any]) -> Native:
            return function(x, t, **dict(constants), **given)

        value = torch.func.vmap(row)(logits, targets, arrays)
        gradient = torch.func.vmap(torch.func.grad(lambda x, t, given: row(x, t, given).sum()))(logits, targets, arrays)
        return value, gradient

    def compiled(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under torch.compile, without graph breaks; numbers are constants of the graph."""
        import torch

        leaf = logits.detach().clone().requires_grad_()
        result = self._compiled(function)(leaf, targets, **keywords)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result))
        return result.detach(), gradient

    def autocast(
        self, function: Function, logits: Native, targets: Native, keywords: dict[str, Any]
    ) -> tuple[Native, Native]:
        """Value and gradient under autocast to bfloat16."""
        import torch

        with torch.autocast(self.device.partition(":")[0], dtype=torch.bfloat16):
            return self.value_and_gradient(function, logits, targets, keywords, None)

    def on_parts(
        self, function: Function, logits: Array, targets: Array, keywords: dict[str, Any], axis: int
    ) -> tuple[Native, Native]:
        """Value and gradient of DTensors, in one process of the group over which they are divided along an axis."""
        import torch
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.tensor import DTensor, Placement, Replicate, Shard, distribute_tensor

        mesh = init_device_mesh("cpu", (torch.distributed.get_world_size(),))

        def placed(array: Array) -> Native:
            placement: Placement = Shard(axis) if axis < array.ndim else Replicate()
            return distribute_tensor(self.native(array), mesh, [placement])

        def whole(tensor: Native) -> Native:
            return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).detach()

        arrays = {name: self.native(value) if hasattr(value, "shape") else value for name, value in keywords.items()}
        leaf = placed(logits).requires_grad_()
        if leaf.shape[axis] < mesh.size() or leaf.to_local().shape == leaf.shape:
            raise RuntimeError(f"logits of shape {tuple(leaf.shape)} are not divided over {mesh.size()} processes")
        result = function(leaf, placed(targets), **arrays)
        (gradient,) = torch.autograd.grad(result, leaf, torch.ones_like(result))
        return whole(result), whole(gradient)

    @staticmethod
    def _compiled(function: Function) -> Function:
        import torch

        if function not in _COMPILED:
            # Formats and options are constants of a graph, so every combination is a recompilation; past the limit
            # torch would fall back to eager mode in silence.
            torch._dynamo.config.recompile_limit = 4096
            torch._dynamo.config.accumulated_recompile_limit = 4096
            torch._dynamo.config.fail_on_recompile_limit_hit = True
            _COMPILED[function] = torch.compile(function, fullgraph=True, dynamic=True)
        return _COMPILED[function]


_COMPILED: dict[Function, Function] = {}
