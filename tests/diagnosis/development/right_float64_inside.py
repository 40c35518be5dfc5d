"""Right: the textbook formula in float64, with sigmoid(-x) for 1 - p so that nothing cancels, rounded once."""

import torch
import torch.nn.functional as F

FAULT = None


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if targets.shape != inputs.shape:
        raise ValueError("targets and inputs have different shapes")
    wide = inputs.to(torch.float64)
    label = targets.to(torch.float64)
    p = torch.sigmoid(wide)
    one_minus_p = torch.sigmoid(-wide)
    ce = -label * F.logsigmoid(wide) - (1 - label) * F.logsigmoid(-wide)
    one_minus_p_t = one_minus_p * label + p * (1 - label)
    # 1e-323 in place of an underflowed 0 is far below anything that the result can show.
    loss = ce if gamma == 0 else ce * one_minus_p_t.clamp(min=1e-323) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * label + (1 - alpha) * (1 - label))
    match reduction:
        case "none":
            pass
        case "mean":
            loss = loss.mean()
        case "sum":
            loss = loss.sum()
        case _:
            raise ValueError(f"{reduction!r} is no reduction")
    return loss.to(inputs.dtype)
