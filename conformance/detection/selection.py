"""What is kept: hard negatives, non-maximum suppression and the detections of a picture, by sorting and comparing.

>>> from focal_ref.conformance.detection.selection import greedy_nms
>>> greedy_nms([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6]], [0.9, 0.8, 0.7])
[0, 1]
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mpmath import mp

from focal_ref.conformance.detection.oracle import Box, iou

__all__ = ["descending", "detections", "greedy_nms", "hard_negatives"]


def descending(numbers: Sequence[float]) -> list[int]:
    """Positions from the largest number to the smallest; equal ones keep their order."""
    return sorted(range(len(numbers)), key=lambda index: (-numbers[index], index))


def hard_negatives(losses: Sequence[float], state: Sequence[int], ratio: int = 3, minimum: int = 0) -> list[bool]:
    """Positives, and of the negatives those with the largest losses: `ratio` for each positive, at least `minimum`."""
    positives = sum(value == 1 for value in state)
    negatives = [index for index in descending(losses) if state[index] == 0]
    kept = set(negatives[: max(minimum, ratio * positives)])
    return [value == 1 or index in kept for index, value in enumerate(state)]


def greedy_nms(
    boxes: Sequence[Box],
    scores: Sequence[float],
    threshold: Fraction = Fraction(1, 2),
    classes: Sequence[int] | None = None,
) -> list[int]:
    """Positions of what is kept, best score first; a box with an IoU above the threshold to a kept one is dropped."""
    kept: list[int] = []
    for index in descending(scores):
        rivals = [k for k in kept if classes is None or classes[k] == classes[index]]
        if all(iou(boxes[index], boxes[rival]) <= threshold for rival in rivals):
            kept.append(index)
    return kept


def detections(
    logits: Sequence[Sequence[float]],
    boxes: Sequence[Box],
    *,
    score_threshold: Fraction = Fraction(1, 20),
    top_k: int = 1000,
    iou_threshold: Fraction = Fraction(1, 2),
    max_detections: int = 100,
) -> list[tuple[int, int]]:
    """Pairs of a box and a class that are detections of a picture with one level, best first.

    The probability of a logit is above the threshold t where e^x > t / (1 - t).
    """
    least = mp.log(mp.mpf(score_threshold.numerator) / (score_threshold.denominator - score_threshold.numerator))
    pairs = [(box, label) for box, row in enumerate(logits) for label, logit in enumerate(row) if logit > least]
    values = [logits[box][label] for box, label in pairs]
    best = [pairs[index] for index in descending(values)[:top_k]]
    kept = greedy_nms(
        [boxes[box] for box, _ in best],
        [logits[box][label] for box, label in best],
        iou_threshold,
        [label for _, label in best],
    )
    return [best[index] for index in kept[:max_detections]]
