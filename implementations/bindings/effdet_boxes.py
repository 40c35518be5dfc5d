"""effdet's matcher and box coder as its AnchorLabeler has them, with corners in the order x, y instead of its y, x."""

from typing import Any

from effdet.object_detection import ArgMaxMatcher, BoxList, FasterRcnnBoxCoder, IouSimilarity

SWAPPED = [1, 0, 3, 2]


def match(anchors: Any, gt_boxes: Any) -> Any:
    """Codes of the anchors of one picture."""
    matcher = ArgMaxMatcher(
        0.5, unmatched_threshold=0.5, negatives_lower_than_unmatched=True, force_match_for_each_row=True
    )
    return matcher.match(overlaps(gt_boxes, anchors)).match_results


def overlaps(boxes1: Any, boxes2: Any) -> Any:
    """The IoU of each pair."""
    return IouSimilarity().compare(_boxes(boxes1), _boxes(boxes2))


def encode(gt_boxes: Any, anchors: Any) -> Any:
    """Deltas of boxes, of which there is one for each anchor."""
    return FasterRcnnBoxCoder().encode(_boxes(gt_boxes), _boxes(anchors))[:, SWAPPED]


def decode(deltas: Any, anchors: Any) -> Any:
    """Boxes of deltas, of which there is one for each anchor."""
    return FasterRcnnBoxCoder().decode(deltas[:, SWAPPED], _boxes(anchors)).boxes()[:, SWAPPED]


def _boxes(corners: Any) -> Any:
    return BoxList(corners[:, SWAPPED])
