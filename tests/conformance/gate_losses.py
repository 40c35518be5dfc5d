"""Losses on NumPy arrays for the tests of the gate: one that is right, and ones that fail in a known way."""

import os
import signal

import numpy as np


def right(logits, targets, *, alpha, gamma):
    """Log space, in float64, rounded once: no formula of this project."""
    if logits.shape != targets.shape:
        raise ValueError(f"targets: got shape {targets.shape}, logits have {logits.shape}")
    x, t = logits.astype(np.float64), targets.astype(np.float64)
    margin = np.where(t == 1, x, -x)
    weight = 1.0 if alpha is None else np.where(t == 1, alpha, 1.0 - alpha)
    with np.errstate(all="ignore"):
        entropy, factor = np.logaddexp(0.0, -margin), np.exp(-gamma * np.logaddexp(0.0, margin)) if gamma else 1.0
        value = weight * factor * entropy
        value = np.where((margin == np.inf) | (weight == 0), 0.0 * np.where(np.isnan(x), x, 0.0), value)
    return value.astype(logits.dtype)


def nan_at_infinity(logits, targets, *, alpha, gamma):
    """NaN for the logits of FL-EXT-001 and no others, in all of its cases."""
    value = right(logits, targets, alpha=alpha, gamma=gamma)
    return np.where(np.isinf(logits), np.float32(np.nan), value)


def nan_at_plus_infinity(logits, targets, *, alpha, gamma):
    """NaN in half of the cases of FL-EXT-001."""
    value = right(logits, targets, alpha=alpha, gamma=gamma)
    return np.where(logits == np.inf, np.float32(np.nan), value)


def swaps_alpha(logits, targets, *, alpha, gamma):
    return right(logits, targets, alpha=None if alpha is None else 1 - alpha, gamma=gamma)


def accepts_any_shape(logits, targets, *, alpha, gamma):
    """Broadcasts: FL-SHP-002."""
    logits, targets = np.broadcast_arrays(logits, targets)
    return right(np.asarray(logits), np.asarray(targets), alpha=alpha, gamma=gamma)


def raises_for_no_elements(logits, targets, *, alpha, gamma):
    """An error for arrays of size 0: FL-SHP-001."""
    if not logits.size:
        raise IndexError("no elements")
    return right(logits, targets, alpha=alpha, gamma=gamma)


def raises_always(logits, targets, *, alpha, gamma):
    raise RuntimeError("out of paper")


_CALLS = {"count": 0}


def _after_some_calls(then):
    def loss(logits, targets, *, alpha, gamma):
        _CALLS["count"] += 1
        if _CALLS["count"] > 20:
            _CALLS["count"] = 0
            then()
        return right(logits, targets, alpha=alpha, gamma=gamma)

    return loss


def _interrupt():
    raise KeyboardInterrupt


interrupted = _after_some_calls(_interrupt)
terminated = _after_some_calls(lambda: os.kill(os.getpid(), signal.SIGTERM))
dies = _after_some_calls(lambda: os._exit(17))
