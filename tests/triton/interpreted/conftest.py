"""What the interpreted tests share."""

import os
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from focal_ref._parameters import ROWS, Parameters
from focal_ref.adapters import _torch_compute as compute


@pytest.fixture(autouse=True)
def _interpreter():
    assert os.environ.get("TRITON_INTERPRET") == "1", "run tests/triton/test_interpreter.py, or set TRITON_INTERPRET=1"


@dataclass
class Routed:
    """Which calls the kernels took."""

    taken: int = 0
    left: int = 0


@pytest.fixture
def routed(monkeypatch):
    """CPU tensors take the way of CUDA tensors: through the kernels, which the interpreter runs."""
    from focal_ref.adapters import _torch_triton, _torch_triton_softmax

    count = Routed()

    def fused(logits: Any, targets: Any, parameters: Parameters, **options: bool) -> Any:
        kernel = _torch_triton_softmax if parameters.form == ROWS else _torch_triton
        fits = kernel.fits(logits, targets, parameters, **options)
        count.taken += fits
        count.left += not fits
        return kernel if fits else None

    monkeypatch.setattr(compute, "_fused", fused)
    return count


_BITS = {8: torch.int64, 4: torch.int32, 2: torch.int16}


def assert_same_bits(actual: torch.Tensor, expected: torch.Tensor) -> None:
    """Equal dtypes, shapes and bits, but any NaN for a NaN."""
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    kind = _BITS[actual.element_size()]
    actual, expected = actual.detach().contiguous(), expected.detach().contiguous()
    same = (actual.view(kind) == expected.view(kind)) | (actual.isnan() & expected.isnan())
    first = (~same).nonzero()[:1].tolist()
    assert same.all(), f"{int((~same).sum())} of {same.numel()} differ, the first at {first}"


@pytest.fixture
def same_bits():
    return assert_same_bits
