"""What the tests of the PyTorch adapter share: tensors of NumPy arrays, gradients by autograd, comparisons."""

import numpy as np
import pytest
import torch

from focal_ref import loss
from focal_ref.adapters._torch_compute import numpy_view, tensor_from_numpy

from ..comparison import assert_same_bits

every_reduction = pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
# PyTorch scripts its own decompositions on the first use of forward-mode differentiation, and warns of that itself.
forward_mode = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def tensor(array):
    """A tensor of its own with the numbers of the array, bfloat16 included."""
    return tensor_from_numpy(np.array(array))


def arrays_to_tensors(settings):
    return {name: tensor(value) if isinstance(value, np.ndarray) else value for name, value in settings.items()}


def assert_bits_of(found, wanted):
    assert_same_bits(numpy_view(found.detach()), wanted)


def gradient_of(logits, targets, *, upstream=None, **settings):
    """The gradient by autograd of an array of logits."""
    leaf = tensor(logits).requires_grad_()
    result = loss(leaf, tensor(targets), **arrays_to_tensors(settings))
    result.backward(torch.ones_like(result) if upstream is None else upstream)
    return leaf.grad
