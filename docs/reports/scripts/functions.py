"""The released functions beside the proposed ones, called alike: one loss an element of a float tensor."""

import importlib
import os
from collections.abc import Callable
from functools import partial
from typing import Any

NAMES = ("torchvision", "keras_binary", "keras_categorical", "transformers")

Function = Callable[..., Any]


def pair(name: str) -> tuple[Function, Function]:
    """The released and the proposed function as ``f(logits, targets, gamma) -> losses``, without alpha, in torch."""
    os.environ["KERAS_BACKEND"] = "torch"
    if name == "torchvision":
        return _torchvision(_released_torchvision()), _torchvision(_proposed("torchvision").sigmoid_focal_loss)
    if name == "keras_binary":
        import keras

        released = keras.losses.binary_focal_crossentropy
        return _binary(released), _binary(_proposed("keras").binary_focal_crossentropy)
    if name == "keras_categorical":
        import keras

        released = keras.losses.categorical_focal_crossentropy
        return _categorical(released), _categorical(_proposed("keras").categorical_focal_crossentropy)
    if name == "transformers":
        from transformers.loss.loss_for_object_detection import sigmoid_focal_loss

        return _transformers(sigmoid_focal_loss), _transformers(_proposed("transformers").sigmoid_focal_loss)
    raise SystemExit(f"name: got {name!r}; allowed are {', '.join(NAMES)}")


def training_pair(name: str, backend: str) -> tuple[Function, Function]:
    """The released and the proposed function as a training step calls them: ``f(logits, targets) -> one number``."""
    os.environ["KERAS_BACKEND"] = backend
    if name == "torchvision":
        functions = _released_torchvision(), _proposed("torchvision").sigmoid_focal_loss
        return tuple(partial(function, alpha=0.25, gamma=2.0, reduction="sum") for function in functions)  # type: ignore[return-value]
    if name.startswith("keras_"):
        import keras

        name = {"keras_binary": "BinaryFocalCrossentropy", "keras_categorical": "CategoricalFocalCrossentropy"}[name]
        losses = [getattr(module, name)(from_logits=True) for module in (keras.losses, _proposed("keras"))]
        return tuple(lambda x, t, loss=loss: loss(t, x) for loss in losses)  # type: ignore[return-value]
    from transformers.loss.loss_for_object_detection import sigmoid_focal_loss

    functions = sigmoid_focal_loss, _proposed("transformers").sigmoid_focal_loss
    return tuple(lambda x, t, function=function: function(x, t, 100) for function in functions)  # type: ignore[return-value]


def _proposed(library: str) -> Any:
    return importlib.import_module(f"{library}_proposal")


def _released_torchvision() -> Function:
    try:
        from torchvision.ops import sigmoid_focal_loss
    except (ImportError, RuntimeError):  # compiled for another PyTorch: its one file, see focal_ref
        from focal_ref.conformance.targets.torchvision_source import sigmoid_focal_loss
    return sigmoid_focal_loss


def _torchvision(function: Function) -> Function:
    return lambda logits, targets, gamma: function(logits, targets, alpha=-1, gamma=gamma)


def _binary(function: Function) -> Function:
    # The mean over the last axis is that of one element.
    return lambda logits, targets, gamma: function(targets[..., None], logits[..., None], gamma=gamma, from_logits=True)


def _categorical(function: Function) -> Function:
    """Of two classes, the first of which is right where the target is 1: the binary loss of the logit."""

    def losses(logits: Any, targets: Any, gamma: float) -> Any:
        import torch

        rows = torch.stack([logits, torch.zeros_like(logits)], dim=-1)
        labels = torch.stack([targets, 1 - targets], dim=-1)
        return function(labels, rows, alpha=1.0, gamma=gamma, from_logits=True)

    return losses


def _transformers(function: Function) -> Function:
    """Of one row an element: its mean over one element is the element's own loss, which the function adds up."""

    def losses(logits: Any, targets: Any, gamma: float) -> Any:
        import torch

        pairs = zip(logits.unbind(), targets.unbind(), strict=True)
        return torch.stack([function(x.view(1, 1), t.view(1, 1), 1, alpha=-1, gamma=gamma) for x, t in pairs])

    return losses
