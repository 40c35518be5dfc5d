"""Every loss as a `torch.nn.Module` that holds its hyper-parameters."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from focal_ref._arguments import check_call, check_reduction
from focal_ref._definitions import definition_of
from focal_ref._parameters import Reduction
from focal_ref.adapters import adapter_of
from focal_ref.losses import loss

__all__ = ["FocalLoss"]

_OF_A_CALL = ("weights", "normalizer")


class FocalLoss(torch.nn.Module):
    r"""A loss of this package as a module, with its hyper-parameters as parameters, buffers or attributes.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t, \qquad p = \sigma(x)

    is the default, `focal_ref.loss`; `function` names any other.

    Parameters
    ----------
    function : callable, default focal_ref.loss
        Any loss of this package, such as ``focal_ref.loss_from_labels`` or ``focal_ref.softmax_loss``.
    reduction : {"mean", "sum", "none"}, default "mean"
        As the function's, whose default is "none"; modules of PyTorch take the mean.
    **parameters
        Hyper-parameters of the function by its names and with its defaults. A `torch.nn.Parameter` is registered and
        trains, as ``gamma=torch.nn.Parameter(torch.tensor(2.0))`` does; any other tensor, an array or a sequence of
        numbers becomes a buffer, which moves with the module; what else there is, numbers foremost, stays an attribute.

    Raises
    ------
    TypeError
        For a function that is no loss of this package, for a parameter that it does not have, and for `weights` and
        `normalizer`, which belong to a call.
    ValueError
        For numbers out of range and unknown options, as the function. Tensors are checked at the call: their shapes
        depend on the logits, and training changes their values.

    Notes
    -----
    Parameters and buffers are part of ``state_dict()``; numbers are not, as in PyTorch's own losses. Like every
    tensor of a module, a gamma is rounded by ``module.half()``; a number never is. A gamma that training drives below
    0 is an error at the next call on the CPU, and NaN on other devices.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.

    Examples
    --------
    >>> import torch
    >>> import focal_ref
    >>> from focal_ref.integrations.torch import FocalLoss
    >>> criterion = FocalLoss(gamma=torch.nn.Parameter(torch.tensor(2.0)), reduction="sum")
    >>> criterion
    FocalLoss(function=focal_ref.loss, reduction='sum', gamma=Parameter(shape=()))
    >>> criterion(torch.tensor([0.0, 3.0]), torch.tensor([1, 1]), normalizer=2).backward()
    >>> criterion.gamma.grad
    tensor(-0.0151)

    One softmax over the classes instead, with a weight for each of them:

    >>> criterion = FocalLoss(focal_ref.softmax_loss, alpha=torch.tensor([1.0, 4.0]))
    >>> criterion(torch.zeros(2, 2), torch.tensor([0, 1]))
    tensor(0.4332)
    """

    def __init__(
        self, function: Callable[..., Any] = loss, *, reduction: Reduction = "mean", **parameters: Any
    ) -> None:
        super().__init__()
        definition = definition_of(function)
        for name in _OF_A_CALL:
            if name in parameters:
                raise TypeError(f"{name}: belongs to a call; pass it with logits and targets")
        tensors = {name: _as_tensor(value) for name, value in parameters.items() if _holds_many(value)}
        # What has no meaning without logits, an axis and numbers of each class, is checked at the call.
        later = {"axis", *tensors}.intersection(definition.options)
        now = {name: value for name, value in parameters.items() if name not in later}
        logits, labels = torch.zeros(0, 1), torch.zeros(0, dtype=torch.int64)
        check_reduction(adapter_of(logits), reduction, None)
        targets = logits if definition.targets == "binary" else labels
        check_call(adapter_of(logits), definition, logits, targets, now)
        self.function = function
        self.reduction = reduction
        self._names = tuple(parameters)
        for name, value in parameters.items():
            if name in tensors and not isinstance(value, torch.nn.Parameter):
                self.register_buffer(name, tensors[name])
            else:
                # A parameter registers itself.
                setattr(self, name, value)

    def forward(
        self,
        logits: Tensor,
        targets: Tensor,
        *,
        weights: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss, as the function computes it with the module's hyper-parameters.

        Parameters
        ----------
        logits, targets, weights, normalizer
            As the function takes them.

        Returns
        -------
        Tensor
            As the function: a scalar, or with ``reduction="none"`` one loss an element or row.

        Raises
        ------
        TypeError, ValueError
            As the function.
        """
        parameters = {name: getattr(self, name) for name in self._names}
        result: Tensor = self.function(
            logits, targets, weights=weights, reduction=self.reduction, normalizer=normalizer, **parameters
        )
        return result

    def extra_repr(self) -> str:
        """Function, reduction and hyper-parameters; of tensors the shape, as their values may lie on a device."""
        named = [(name, getattr(self, name)) for name in ("reduction", *self._names)]
        return ", ".join(
            [f"function=focal_ref.{self.function.__name__}", *(f"{name}={_described(value)}" for name, value in named)]
        )


def _holds_many(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray, list, tuple))


def _as_tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value, dtype=np.float64))


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    return f"{'Parameter' if isinstance(value, torch.nn.Parameter) else 'Tensor'}(shape={tuple(value.shape)})"
