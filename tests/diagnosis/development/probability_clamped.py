"""Probabilities are clamped to [0.00023, 0.99977] before the logarithm: the loss is bounded, its gradient dies."""

FAULT = "probabilities are clamped at 2.3e-4 from both ends"

MARGIN = 2.3e-4


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    if targets.size() != inputs.size():
        raise ValueError(f"Target size {tuple(targets.size())} is not input size {tuple(inputs.size())}")
    p = inputs.sigmoid().clamp(MARGIN, 1 - MARGIN)
    ce = -(targets * p.log() + (1 - targets) * (1 - p).log())
    p_t = p * targets + (1 - p) * (1 - targets)
    loss = ce * (1 - p_t) ** gamma
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(f"Unknown reduction {reduction!r}")
