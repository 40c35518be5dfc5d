"""The package's own focal loss."""

import numpy as np


def focal_loss(logits, targets, alpha=0.25, gamma=2.0, reduction="none"):
    """Focal loss of logits, in log space; `targets` are 0 or 1, `alpha` weighs positives and 1 - alpha negatives."""
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    margin = np.where(targets == 1, logits, -logits)
    with np.errstate(all="ignore"):
        cross_entropy = np.logaddexp(0, -margin)
        # At gamma = 0 this is exp(0 * -inf), NaN, where the margin is infinite: the known fault in waivers.toml.
        loss = np.exp(-gamma * np.logaddexp(0, margin)) * cross_entropy
    if alpha is not None:
        loss = np.where(targets == 1, alpha, 1 - alpha) * loss
    loss = loss.astype(logits.dtype)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if reduction == "mean":
        return loss.mean() if loss.size else loss.sum()
    raise ValueError(f"reduction: got {reduction!r}; allowed are 'none', 'sum', 'mean'")
