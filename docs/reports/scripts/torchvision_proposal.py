"""What docs/reports/torchvision.md proposes for torchvision/ops/focal_loss.py."""

import torch
import torch.nn.functional as F


def sigmoid_focal_loss(
    inputs: torch.Tensor,
    targets: torch.Tensor,
    alpha: float = 0.25,
    gamma: float = 2,
    reduction: str = "none",
) -> torch.Tensor:
    """Arguments and result of ``torchvision.ops.sigmoid_focal_loss``."""
    if not (0 <= alpha <= 1) and alpha != -1:
        raise ValueError(f"Invalid alpha value: {alpha}. alpha must be in the range [0,1] or -1 for ignore.")

    if inputs.shape != targets.shape:
        raise ValueError(f"Target size ({targets.size()}) must be the same as input size ({inputs.size()})")

    negative = targets < 0.5
    margin = (1 - 2 * negative.to(inputs.dtype)) * inputs
    # How much of the target belongs to the other class: nothing, but for soft targets. No difference of near numbers.
    other = torch.where(negative, targets, 1 - targets)
    # softplus's default threshold of 20 is too low for float64.
    ce_loss = F.softplus(-margin, threshold=40.0) + other * margin
    # Beyond this margin 1 - p_t is no normal number any more, and the derivative of x ** gamma is infinite at 0.
    limit = 9.7 if inputs.dtype == torch.float16 else 708.0 if inputs.dtype == torch.float64 else 87.0
    one_minus_p_t = (1 - 2 * other) * torch.sigmoid(-margin.clamp(-limit, limit)) + other
    loss = ce_loss * one_minus_p_t**gamma

    if alpha >= 0:
        alpha_t = alpha * targets + (1 - alpha) * (1 - targets)
        loss = alpha_t * loss

    if reduction == "mean":
        loss = loss.mean()
    elif reduction == "sum":
        loss = loss.sum()
    elif reduction != "none":
        raise ValueError(
            f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
        )
    return loss
