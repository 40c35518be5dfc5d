"""The detection side: anchors, overlaps, matching, box coding, targets, the RetinaNet loss, sampling and inference.

Everything takes arrays of any supported library and gives the same labels and indices on all of them.
"""

from focal_ref.detection.anchors import AnchorOptions, anchor_boxes, anchor_preset
from focal_ref.detection.boxes import box_area, box_iou, clip_boxes
from focal_ref.detection.codes import to_detectron2, to_effdet, to_mmdet, to_torchvision
from focal_ref.detection.coding import decode_boxes, encode_boxes
from focal_ref.detection.inference import Detections, detections
from focal_ref.detection.losses import RetinaNetLoss, retinanet_loss, smooth_l1
from focal_ref.detection.matching import IGNORED, NEGATIVE, POSITIVE, Matches, match_anchors
from focal_ref.detection.matching_options import MatchingOptions, matching_preset
from focal_ref.detection.normalizers import moving_average_normalizer, normalize_loss
from focal_ref.detection.sampling import hard_negative_mining, ohem, sample_anchors
from focal_ref.detection.suppression import nms
from focal_ref.detection.targets import OneHotTargets, box_targets, classification_targets, one_hot_targets
from focal_ref.prior import prior_bias

__all__ = [
    "IGNORED",
    "NEGATIVE",
    "POSITIVE",
    "AnchorOptions",
    "Detections",
    "Matches",
    "MatchingOptions",
    "OneHotTargets",
    "RetinaNetLoss",
    "anchor_boxes",
    "anchor_preset",
    "box_area",
    "box_iou",
    "box_targets",
    "classification_targets",
    "clip_boxes",
    "decode_boxes",
    "detections",
    "encode_boxes",
    "hard_negative_mining",
    "match_anchors",
    "matching_preset",
    "moving_average_normalizer",
    "nms",
    "normalize_loss",
    "ohem",
    "one_hot_targets",
    "prior_bias",
    "retinanet_loss",
    "sample_anchors",
    "smooth_l1",
    "to_detectron2",
    "to_effdet",
    "to_mmdet",
    "to_torchvision",
]
