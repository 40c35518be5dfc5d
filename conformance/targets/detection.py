"""The detection functions of an implementation: arrays and results by name.

A function takes its arrays as a mapping, so that a library can compile it, and everything else as keyword arguments.
"""

from collections.abc import Callable, Mapping
from typing import Any

Native = Any
Results = dict[str, Native]
Detection = Callable[..., Results]

CAPABILITIES = frozenset(
    {"boxes", "box_options", "anchors", "matching", "matching_options", "box_coding"}
    | {"clamp", "coding_options", "smooth_l1", "detection_targets", "mining", "inference"}
)
"""What profiles claim of the detection side."""

POSITIONAL: Mapping[str, tuple[str, ...]] = {
    "box_iou": ("boxes1", "boxes2"),
    "match_anchors": ("anchors", "gt_boxes"),
    "encode_boxes": ("gt_boxes", "anchors"),
    "decode_boxes": ("deltas", "anchors"),
    "smooth_l1": ("prediction", "target"),
    "normalize_loss": ("sums", "num_positive"),
    "retinanet_loss": ("class_logits", "box_deltas", "anchors", "gt_boxes", "gt_labels"),
    "hard_negative_mining": ("losses", "state"),
    "ohem": ("losses", "boxes"),
    "sample_anchors": ("state",),
    "nms": ("boxes", "scores"),
    "detections": ("class_logits", "box_deltas", "anchors"),
}
"""Functions by name, and their positional arrays; further arrays are keyword arguments."""


LOOPING = frozenset({"match_anchors", "targets", "retinanet_loss", "ohem", "nms", "detections"})
"""Functions that loop over boxes."""


def own_detection(name: str) -> Detection:
    """A function of this project, or one of the few that are put together from several."""
    from importlib import import_module

    return detection_of(import_module("focal_ref.detection"), name)


def detection_of(module: Any, name: str) -> Detection:
    """A function of anything that has the functions of `focal_ref.detection`."""
    together = {"anchor_boxes": _anchor_boxes, "targets": _targets}
    if name in together:
        function = together[name]

        def composed(arrays: Mapping[str, Native], **options: Any) -> Results:
            return function(module, {key: array for key, array in arrays.items() if array is not None}, options)

        composed.__name__ = name
        return composed

    def call(arrays: Mapping[str, Native], **options: Any) -> Results:
        given = {key: array for key, array in arrays.items() if array is not None}
        positional = [given.pop(key) for key in POSITIONAL[name]]
        return _named(getattr(module, name)(*positional, **given, **options))

    call.__name__ = name
    return call


def _anchor_boxes(module: Any, arrays: Mapping[str, Native], options: Mapping[str, Any]) -> Results:
    """Anchors in the library and dtype of the one array that is given."""
    options = dict(options)
    return {"result": module.anchor_boxes(options.pop("image_size"), like=arrays["like"], **options)}


def _targets(module: Any, arrays: Mapping[str, Native], options: Mapping[str, Any]) -> Results:
    """Matching and everything that is made of it for the two heads."""
    options = dict(options)
    classes = options.pop("num_classes")
    gt_boxes, labels = arrays["gt_boxes"], arrays["gt_labels"]
    masks = {name: arrays[name] for name in ("gt_valid", "anchor_valid") if name in arrays}
    matches = module.match_anchors(arrays["anchors"], gt_boxes, **masks, **options)
    codes = module.classification_targets(matches, labels)
    rows, weights = module.one_hot_targets(codes, classes)
    deltas = module.box_targets(matches, arrays["anchors"], gt_boxes)
    return {**_named(matches), "labels": codes, "one_hot": rows, "weights": weights, "deltas": deltas}


def _named(result: Any) -> Results:
    """Fields of a named tuple, or the one array as "result"."""
    if hasattr(result, "_asdict"):
        return dict(result._asdict())
    return {"result": result}
