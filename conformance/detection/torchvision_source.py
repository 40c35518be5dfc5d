"""torchvision's matcher and box coder as its RetinaNet calls them, from its source files.

The package itself asks for the PyTorch that it was compiled with; the two files that are needed here are Python alone,
and are executed beside stand-ins for the rest of the package.
"""

import importlib.util
import sys
import types
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any


@cache
def _source() -> tuple[Any, Any, Any]:
    """The classes ``Matcher`` and ``BoxCoder``, and the function ``box_iou``."""
    found: ModuleSpec | None = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        raise ImportError("torchvision is not installed")
    root = Path(next(iter(found.submodule_search_locations)))

    def nothing(*arguments: Any, **options: Any) -> None:
        """Logging, and the search for compiled operators."""

    losses = ("complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss", "FrozenBatchNorm2d")
    contents: dict[str, tuple[Path | None, dict[str, Any]]] = {
        "torchvision": (root, {}),
        "torchvision.extension": (None, {"_assert_has_ops": nothing}),
        "torchvision.utils": (None, {"_log_api_usage_once": nothing}),
        "torchvision.ops": (root / "ops", dict.fromkeys(losses)),
        "torchvision.models": (root / "models", {}),
        "torchvision.models.detection": (root / "models" / "detection", {}),
    }
    before = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "torchvision"}
    try:
        for name in before:
            del sys.modules[name]
        for name, (path, attributes) in contents.items():
            package = types.ModuleType(name)
            package.__path__ = [] if path is None else [str(path)]
            vars(package).update(attributes)
            sys.modules[name] = package
        utils = importlib.import_module("torchvision.models.detection._utils")
        boxes = importlib.import_module("torchvision.ops.boxes")
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.modules.update(before)
    return utils.Matcher, utils.BoxCoder, boxes.box_iou


def box_iou(boxes1: Any, boxes2: Any) -> Any:
    """``torchvision.ops.box_iou``."""
    return _source()[2](boxes1, boxes2)


def match(anchors: Any, gt_boxes: Any) -> Any:
    """Codes of the anchors of one picture, as ``RetinaNet.compute_loss`` gets them."""
    import torch

    matcher, _, iou = _source()
    if gt_boxes.numel() == 0:
        return torch.full((anchors.shape[0],), -1, dtype=torch.int64, device=anchors.device)
    return matcher(0.5, 0.4, allow_low_quality_matches=True)(iou(gt_boxes, anchors))


def encode(gt_boxes: Any, anchors: Any) -> Any:
    """``BoxCoder.encode_single`` with weights of 1."""
    return _source()[1](weights=(1.0, 1.0, 1.0, 1.0)).encode_single(gt_boxes, anchors)


def decode(deltas: Any, anchors: Any) -> Any:
    """``BoxCoder.decode_single`` with weights of 1."""
    return _source()[1](weights=(1.0, 1.0, 1.0, 1.0)).decode_single(deltas, anchors)
