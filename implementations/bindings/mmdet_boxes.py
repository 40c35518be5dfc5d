"""mmdet's assigner and box coder as its RetinaNet configures them."""

from typing import Any

import torch
from mmdet.models.task_modules import DeltaXYWHBBoxCoder, MaxIoUAssigner
from mmengine.structures import InstanceData


def match(anchors: Any, gt_boxes: Any) -> Any:
    """``gt_inds`` of the anchors of one picture."""
    assigner = MaxIoUAssigner(pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1)
    labels = torch.zeros(gt_boxes.shape[0], dtype=torch.int64)
    return assigner.assign(InstanceData(priors=anchors), InstanceData(bboxes=gt_boxes, labels=labels)).gt_inds


def encode(gt_boxes: Any, anchors: Any) -> Any:
    """Deltas of boxes, of which there is one for each anchor."""
    return DeltaXYWHBBoxCoder(use_box_type=False).encode(anchors, gt_boxes)


def decode(deltas: Any, anchors: Any) -> Any:
    """Boxes of deltas, of which there is one for each anchor."""
    return DeltaXYWHBBoxCoder(use_box_type=False).decode(anchors, deltas)
