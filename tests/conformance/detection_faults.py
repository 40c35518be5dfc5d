"""The detection side with one fault each: this project's functions on NumPy arrays, of which one is replaced.

Every fault is one that somebody shipped or is likely to: the requirement that names it has to find it.
"""

from types import SimpleNamespace

import numpy as np

import focal_ref
import focal_ref.detection as right
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.targets.detection import detection_of
from focal_ref.conformance.targets.functions import own_functions
from focal_ref.conformance.targets.libraries import LIBRARIES
from focal_ref.conformance.targets.python import PythonTarget


def target_with(replaced=None, backend="numpy"):
    """The functions of this project on one library, with one replaced by name."""
    functions = SimpleNamespace(**{**{name: getattr(right, name) for name in right.__all__}, **(replaced or {})})
    library = LIBRARIES[backend](backend, None, "")
    profile = load_profile(backend)

    def detection(name):
        return detection_of(functions, name)

    return PythonTarget("faulty", focal_ref.loss, profile, library, None, own_functions(), detection)


def matching(change=None, **fixed):
    """Matching with options that are not those of the call, and arrays and results that were changed."""

    def match_anchors(anchors, gt_boxes, **options):
        return right.match_anchors(anchors, gt_boxes, **{**options, **fixed})

    return {"match_anchors": match_anchors if change is None else change}


# Overlap


def with_epsilon(boxes1, boxes2, **options):
    return right.box_iou(boxes1, boxes2, **options) * boxes1.dtype.type(1 - 1e-7)


def half_precision(boxes1, boxes2, **options):
    narrow = (boxes.astype(np.float16).astype(boxes.dtype) for boxes in (boxes1, boxes2))
    return right.box_iou(*narrow, **options)


def negative_sides_multiplied(boxes1, boxes2, **options):
    one, other = boxes1[:, np.newaxis], boxes2[np.newaxis]
    common = np.prod(np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2]), axis=-1)
    areas = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (one, other)]
    return common / (areas[0] + areas[1] - common)


def no_crowd(boxes1, boxes2, crowd=None, **options):
    return right.box_iou(boxes1, boxes2, **options)


def no_offset(boxes1, boxes2, offset=0, **options):
    return right.box_iou(boxes1, boxes2, **options)


def bad_boxes_as_zero(boxes1, boxes2, **options):
    good = np.all(np.isfinite(boxes2), axis=-1) & (boxes2[:, 2] > boxes2[:, 0]) & (boxes2[:, 3] > boxes2[:, 1])
    unit = np.array([0, 0, 1, 1], boxes2.dtype)
    return np.where(good, right.box_iou(boxes1, np.where(good[:, np.newaxis], boxes2, unit), **options), 0)


# Anchors


def anchors_with(**fixed):
    def anchor_boxes(image_size, **options):
        return right.anchor_boxes(image_size, **{**options, **fixed})

    return {"anchor_boxes": anchor_boxes}


def without_the_last_cell(image_size, **options):
    return right.anchor_boxes(image_size, **options)[:-9]


# Matching


def without_options(*names):
    def match_anchors(anchors, gt_boxes, **options):
        return right.match_anchors(anchors, gt_boxes, **{k: v for k, v in options.items() if k not in names})

    return {"match_anchors": match_anchors}


def last_of_ties(anchors, gt_boxes, **options):
    found = right.match_anchors(anchors, gt_boxes[::-1], **options)
    index = np.where(found.state == 1, len(gt_boxes) - 1 - found.gt_index, -1)
    return found._replace(gt_index=index, unmatched=found.unmatched[::-1])


def sorted_and_not_put_back(anchors, gt_boxes, **options):
    return right.match_anchors(anchors, gt_boxes[np.lexsort(gt_boxes.T)], **options)


def clipped_to_the_picture(anchors, gt_boxes, **options):
    corner = np.maximum(anchors[:, :2], 0)
    clipped = np.concatenate([corner, np.maximum(anchors[:, 2:], corner + 1)], axis=1)
    boxes = np.concatenate([np.maximum(gt_boxes[:, :2], -5), np.maximum(gt_boxes[:, 2:], 1)], axis=1)
    return right.match_anchors(clipped, boxes, **options)


def ignored_without_boxes(anchors, gt_boxes, **options):
    found = right.match_anchors(anchors, gt_boxes, **options)
    return found if gt_boxes.shape[-2] else found._replace(state=np.full_like(found.state, -1))


def padding_takes_part(anchors, gt_boxes, gt_valid=None, **options):
    if gt_valid is not None:
        gt_boxes = np.where(gt_valid[:, np.newaxis], gt_boxes, np.array([0, 0, 64, 64], gt_boxes.dtype))
    return right.match_anchors(anchors, gt_boxes, **options)


def first_picture_for_all(anchors, gt_boxes, gt_valid=None, **options):
    if gt_boxes.ndim == 3:
        gt_boxes = np.broadcast_to(gt_boxes[:1], gt_boxes.shape)
    return right.match_anchors(anchors, gt_boxes, gt_valid=gt_valid, **options)


def counted_before_promotion(anchors, gt_boxes, **options):
    before = right.match_anchors(anchors, gt_boxes)
    return right.match_anchors(anchors, gt_boxes, **options)._replace(num_positive=before.num_positive)


def anything_goes(anchors, gt_boxes, **options):
    try:
        return right.match_anchors(anchors, gt_boxes, invalid="drop", **options)
    except ValueError:
        return right.match_anchors(anchors, gt_boxes[:0])


def one_block_alone(anchors, gt_boxes, **options):
    found = right.match_anchors(anchors, gt_boxes, **options)
    late = np.arange(len(anchors)) >= 8192
    return found._replace(state=np.where(late, 0, found.state), gt_index=np.where(late, -1, found.gt_index))


# Coding, targets, losses


def weights_divided(gt_boxes, anchors, weights=(1, 1, 1, 1), **options):
    return right.encode_boxes(gt_boxes, anchors, weights=tuple(1 / weight for weight in weights), **options)


def offset_not_taken_off(deltas, anchors, offset=0, **options):
    boxes = right.decode_boxes(deltas, anchors, offset=offset, **options)
    return boxes + np.array([0, 0, offset, offset], boxes.dtype)


def corner_form(deltas, anchors, **options):
    boxes = right.decode_boxes(deltas, anchors, **options)
    size = anchors[..., 2:] - anchors[..., :2]
    return boxes + np.concatenate([size, size], axis=-1) * boxes.dtype.type(0.01)


def not_clamped(deltas, anchors, **options):
    with np.errstate(all="ignore"):
        return right.decode_boxes(np.minimum(deltas, 50), anchors, clamp=60.0)


def times_beta(prediction, target, *, beta):
    return right.smooth_l1(prediction, target, beta=beta) * prediction.dtype.type(beta or 1)


def doubled_slope(prediction, target, *, beta):
    return right.smooth_l1(2 * prediction, 2 * target, beta=beta)


def encodes_anything(gt_boxes, anchors, **options):
    with np.errstate(all="ignore"):
        size = gt_boxes[..., 2:] - gt_boxes[..., :2]
        logarithm = np.log(np.maximum(size, 1e-6) / np.maximum(anchors[..., 2:] - anchors[..., :2], 1e-6))
    return np.concatenate([logarithm, logarithm], axis=-1)


def ignored_as_background(matches, gt_labels):
    return np.maximum(right.classification_targets(matches, gt_labels), -1)


def targets_everywhere(matches, anchors, gt_boxes, **options):
    deltas = right.box_targets(matches, anchors, gt_boxes, **options)
    return deltas + (matches.state != 1)[..., np.newaxis].astype(deltas.dtype)


def whole_batch(sums, num_positive, normalizer="per_picture", **options):
    return right.normalize_loss(sums, num_positive, "batch" if normalizer == "per_picture" else normalizer)


def loss_with(**fixed):
    def retinanet_loss(*arrays, **options):
        return right.retinanet_loss(*arrays, **{**options, **fixed})

    return {"retinanet_loss": retinanet_loss}


def mean_of_four(*arrays, **options):
    found = right.retinanet_loss(*arrays, **options)
    boxes = found.boxes / 4
    return found._replace(boxes=boxes, total=found.classification + boxes)


def masked_by_multiplication(class_logits, *arrays, **options):
    found = right.retinanet_loss(class_logits, *arrays, **options)
    return found._replace(total=found.total + 0 * class_logits.sum(), classification=found.classification)


def leaking_gradient(class_logits, *arrays, **options):
    found = right.retinanet_loss(class_logits, *arrays, **options)
    return found._replace(total=found.total + class_logits.nan_to_num().sum() / 1024)


# Selection


def ignored_as_negatives(losses, state, **options):
    return right.hard_negative_mining(losses, np.maximum(state, 0), **options)


def no_minimum(losses, state, min_negatives=0, **options):
    return right.hard_negative_mining(losses, state, **options)


def without_suppression(losses, boxes, iou_threshold=0.7, **options):
    return right.ohem(losses, boxes, iou_threshold=1.0, **options)


def one_too_many(state, *, count, **options):
    return right.sample_anchors(state, count=count + 1, **options)


def other_threshold(by):
    def nms(boxes, scores, iou_threshold=0.5, **options):
        return right.nms(boxes, scores, iou_threshold=iou_threshold + by, **options)

    return {"nms": nms}


def all_classes_together(*arrays, **options):
    return right.detections(*arrays, class_agnostic=True, **options)
