"""The mean of the means of pieces: a last piece that is shorter weighs as much as the others."""

import numpy as np

from focal_ref.conformance.mutants import _right as right
from focal_ref.conformance.mutants._right import Array, Pair

TITLE = "mean of the means of pieces"
REQUIREMENT = "FL-RED-002"
SEEN = ("nobody has reported it yet",)
ADVICE = "Add up the pieces and divide once."
PROPERTY_ONLY = True
PIECE = 16
TRIED = {"PIECE": (4, 16, 64, 100, 128, 256, 512, 1000, 1024, 2048, 4096, 65536)}


def reduce(
    values: Array, gradient: Array, targets: Array, *, function: str, reduction: str, normalizer: float | None = None
) -> Pair:
    total, slope = right.reduce(
        values, gradient, targets, function=function, reduction=reduction, normalizer=normalizer
    )
    if reduction != "mean" or function != "loss" or values.size <= PIECE:
        return total, slope
    flat, wide = values.astype(np.float64).ravel(), gradient.astype(np.float64)
    starts = np.arange(0, flat.size, PIECE)
    sizes = np.diff([*starts, flat.size])
    mean = np.mean(np.add.reduceat(flat, starts) / sizes)
    shares = 1.0 / (np.repeat(sizes, sizes) * len(sizes))
    return right.rounded(mean, values), right.rounded(wide * shares.reshape(wide.shape), gradient)
