"""`sigmoid_focal_loss` with the signature and the conventions of torchvision's."""

from typing import cast, get_args

from torch import Tensor

from focal_ref._arguments import check_choice
from focal_ref._parameters import Reduction
from focal_ref.losses import loss

__all__ = ["sigmoid_focal_loss"]


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    r"""Focal loss of one sigmoid an element, in place of ``torchvision.ops.sigmoid_focal_loss``.

    .. math:: FL(p_t) = -\alpha_t (1 - p_t)^\gamma \log p_t, \qquad p = \sigma(x)

    with :math:`p_t = p, \alpha_t = \alpha` for targets 1 and :math:`p_t = 1 - p, \alpha_t = 1 - \alpha` for targets 0.
    Targets between 0 and 1 blend the two, in torchvision and here.

    Parameters
    ----------
    inputs : Tensor
        Logits of any shape; float64, float32, float16 or bfloat16.
    targets : Tensor
        Same shape: booleans, integers 0 and 1, or floats in [0, 1].
    alpha : float, default 0.25
        Weight of positives, in [0, 1]; negatives weigh ``1 - alpha``. -1 switches the weighting off.
    gamma : float, default 2
        Exponent of the modulating factor, finite and >= 0.
    reduction : {"none", "mean", "sum"}, default "none"
        The mean divides by the number of elements.

    Returns
    -------
    Tensor
        Without reduction the inputs' shape and dtype; else a scalar, float32 for 16-bit inputs.

    Raises
    ------
    TypeError
        For inputs that are no floats.
    ValueError
        For an alpha outside [0, 1] that is not -1, an unknown reduction, a negative gamma, shapes that differ, and (on
        the CPU) targets outside [0, 1].

    Notes
    -----
    Ordinary inputs give torchvision's numbers, up to its rounding. What differs:

    - Integer and bool targets are taken.
    - The mean of nothing is 0, with a gradient of zeros, where torchvision's is NaN.
    - Values and gradients of easy examples keep all their digits, and gradients are finite for every gamma: with gamma
      below 1 torchvision's are NaN where the sigmoid saturates.
    - Infinite inputs give limits, targets out of range an error or NaN, and a gamma below 0 an error; torchvision
      computes a number for the latter two.
    - Sums of 16-bit inputs are float32.
    - It cannot be scripted by ``torch.jit.script``; use ``torch.compile``.

    References
    ----------
    .. [1] Lin, Goyal, Girshick, He, Dollár, "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002,
       section 3.
    .. [2] torchvision, ``torchvision.ops.sigmoid_focal_loss``, https://docs.pytorch.org/vision/stable/ops.html

    Examples
    --------
    >>> import torch
    >>> from focal_ref.integrations.torchvision import sigmoid_focal_loss
    >>> inputs, targets = torch.tensor([0.0, 3.0, -3.0]), torch.tensor([1.0, 1.0, 0.0])
    >>> sigmoid_focal_loss(inputs, targets, reduction="sum")
    tensor(0.0434)
    >>> sigmoid_focal_loss(inputs, targets, alpha=-1, gamma=0)
    tensor([0.6931, 0.0486, 0.0486])
    """
    check_choice("reduction", reduction, get_args(Reduction))
    weighted = alpha != -1
    if weighted and not 0 <= alpha <= 1:
        raise ValueError(f"alpha: got {alpha!r}; it is in [0, 1], or -1 for no weighting")
    result: Tensor = loss(
        inputs, targets, alpha=alpha if weighted else None, gamma=gamma, reduction=cast(Reduction, reduction)
    )
    return result
