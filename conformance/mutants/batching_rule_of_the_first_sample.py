"""Under vmap every sample is compared with the targets of the first."""

from typing import Any

import torch

import focal_ref

TITLE = "a batching rule that reads the first sample's targets"
REQUIREMENT = "FL-XFM-001"
SEEN = ("nobody has reported it yet",)
ADVICE = "Map targets as well as logits."
LIBRARY = "torch"
ONLY_CLAIMS = frozenset({"loss", "gradient", "autodiff", "vmap", "reduction_sum", "reduction_mean"})
PROPERTY_ONLY = True


class First(torch.autograd.Function):
    @staticmethod
    def forward(targets: Any) -> Any:
        return targets.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        return upstream[0]

    @staticmethod
    def vmap(info: Any, in_dims: Any, targets: Any) -> Any:
        return targets[:1].expand(targets.shape).clone(), in_dims[0]


def loss(logits: Any, targets: Any, **options: Any) -> Any:
    apply: Any = First.apply
    return focal_ref.loss(logits, apply(targets), **options)
