"""Wrong for alpha above one half: alpha is taken for the weight of the rarer class and mirrored to at most 0.5."""

from torch.nn.functional import binary_cross_entropy_with_logits

FAULT = "alpha above 0.5 replaced by 1 - alpha"


def sigmoid_focal_loss(inputs, targets, alpha=0.25, gamma=2, reduction="none"):
    nll = binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    score = inputs.sigmoid()
    correct = score * targets + (1 - score) * (1 - targets)
    loss = (1 - correct).pow(gamma) * nll
    if alpha >= 0:
        alpha = min(alpha, 1 - alpha)
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    if reduction == "none":
        return loss
    if reduction in {"mean", "sum"}:
        return getattr(loss, reduction)()
    raise ValueError(f"no such reduction: {reduction!r}")
