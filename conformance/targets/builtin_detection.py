"""The gate's own matcher: one matrix of overlaps in float64, and the paper's thresholds; and one that must fail."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.detection import Detection


def right_detection(name: str) -> Detection:
    """What the built-in profile claims."""
    return {"box_iou": _iou, "match_anchors": _matched}[name]


def forced_detection(name: str) -> Detection:
    """A wrong one: the anchors that are best for a ground truth are its positives, also where the best is nothing."""
    return {"box_iou": _iou, "match_anchors": _forced}[name]


def _overlaps(first: Array, second: Array) -> Array:
    first, second = first[:, np.newaxis].astype(np.float64), second[np.newaxis].astype(np.float64)
    sides = np.minimum(first[..., 2:], second[..., 2:]) - np.maximum(first[..., :2], second[..., :2])
    common = np.prod(np.clip(sides, 0, None), axis=-1)
    areas = (np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second))
    quotient: Array = common / (sum(areas) - common)
    return quotient


def _iou(arrays: Mapping[str, Array]) -> dict[str, Any]:
    return {"result": _overlaps(arrays["boxes1"], arrays["boxes2"]).astype(arrays["boxes1"].dtype)}


def _matched(arrays: Mapping[str, Array]) -> dict[str, Any]:
    overlaps = _overlaps(arrays["anchors"], arrays["gt_boxes"])
    best = overlaps.max(axis=1, initial=0.0)
    state = np.select([best >= 0.5, best < 0.4], [1, 0], -1).astype(np.int8)
    owner = overlaps.argmax(axis=1) if overlaps.shape[1] else np.zeros(len(best), np.int64)
    return {"state": state, "gt_index": np.where(state == 1, owner, -1)}


def _forced(arrays: Mapping[str, Array]) -> dict[str, Any]:
    overlaps = _overlaps(arrays["anchors"], arrays["gt_boxes"])
    forced = (overlaps == overlaps.max(axis=0, initial=0.0)).any(axis=1)
    matched = _matched(arrays)
    owner = np.where(forced, overlaps.argmax(axis=1), matched["gt_index"])
    return {"state": np.where(forced, 1, matched["state"]).astype(np.int8), "gt_index": owner}
