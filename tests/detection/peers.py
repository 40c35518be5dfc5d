"""Single modules of other detectors, for tests that compare with the real code.

The packages need not be importable as a whole: their own `__init__` wants compiled operators or frameworks that a test
environment lacks. Only the pure Python files that hold the function are executed, beside small stand-ins for what those
files import and the function does not use. A package that is not installed is an error, never a skipped test.
"""

import ast
import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch


def folder(package: str) -> Path:
    """Where an installed package lies, without executing it."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            f"{package}: not installed; the tests of detection compare with its source: pip install --no-deps {package}"
        )
    return Path(next(iter(found.submodule_search_locations)))


def version(distribution: str) -> str:
    """Version of an installed distribution."""
    return importlib.metadata.version(distribution)


def package(name: str, path: Path | None = None, **contents: Any) -> types.ModuleType:
    """A stand-in for a package: the files of `path` are importable from it, but its own `__init__` never runs."""
    module = types.ModuleType(name)
    module.__path__ = [] if path is None else [str(path)]
    for key, value in contents.items():
        setattr(module, key, value)
    return module


@contextlib.contextmanager
def in_place_of(*modules: types.ModuleType) -> Iterator[None]:
    """Import from these stand-ins within the block; afterwards everything under their roots is as before."""
    roots = {module.__name__.partition(".")[0] for module in modules}

    def taken() -> dict[str, types.ModuleType]:
        return {name: module for name, module in sys.modules.items() if name.partition(".")[0] in roots}

    before = taken()
    for name in before:
        del sys.modules[name]
    sys.modules.update({module.__name__: module for module in modules})
    try:
        # What their files warn of at import is not ours to change.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name in taken():
            del sys.modules[name]
        sys.modules.update(before)


def _silent(*arguments: Any, **settings: Any) -> None:
    """In the place of what only logs or checks for compiled operators."""


def _torchvision_packages() -> tuple[types.ModuleType, ...]:
    root = folder("torchvision")
    losses = ("complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss", "FrozenBatchNorm2d")
    return (
        package("torchvision", root),
        package("torchvision.extension", _assert_has_ops=_silent),
        package("torchvision.utils", _log_api_usage_once=_silent),
        package("torchvision.ops", root / "ops", **dict.fromkeys(losses)),
        package("torchvision.models", root / "models"),
        package("torchvision.models.detection", root / "models" / "detection"),
    )


@functools.cache
def load_torchvision_detection() -> SimpleNamespace:
    """Matcher, box coder, samplers, IoU and anchors of torchvision, whose compiled operators (nms) are absent.

    `default_anchor_generator()` is the one of its RetinaNet; `anchors(image_size)` what that gives for the feature maps
    of a ResNet with P3 to P7, whose sizes are the picture's halved and rounded up level by level.
    """
    path = folder("torchvision") / "models" / "detection"
    with in_place_of(*_torchvision_packages()):
        utils = importlib.import_module("torchvision.models.detection._utils")
        anchor_utils = importlib.import_module("torchvision.models.detection.anchor_utils")
        image_list = importlib.import_module("torchvision.models.detection.image_list")
        boxes = importlib.import_module("torchvision.ops.boxes")
    generator = _function(path / "retinanet.py", "_default_anchorgen", AnchorGenerator=anchor_utils.AnchorGenerator)

    def anchors(image_size: tuple[int, int]) -> torch.Tensor:
        height, width = image_size
        # Sizes are all that the generator looks at.
        image = torch.empty(1, 0, height, width)
        maps = [torch.empty(1, 0, *size) for size in halved_sizes(image_size)]
        return generator()(image_list.ImageList(image, [(height, width)]), maps)[0]

    return SimpleNamespace(
        version=version("torchvision"),
        Matcher=utils.Matcher,
        SSDMatcher=utils.SSDMatcher,
        BoxCoder=utils.BoxCoder,
        BoxLinearCoder=utils.BoxLinearCoder,
        BalancedPositiveNegativeSampler=utils.BalancedPositiveNegativeSampler,
        AnchorGenerator=anchor_utils.AnchorGenerator,
        ImageList=image_list.ImageList,
        box_iou=boxes.box_iou,
        box_area=boxes.box_area,
        clip_boxes_to_image=boxes.clip_boxes_to_image,
        remove_small_boxes=boxes.remove_small_boxes,
        default_anchor_generator=generator,
        anchors=anchors,
    )


def halved_sizes(image_size: tuple[int, int]) -> list[tuple[int, int]]:
    """Height and width of P3 to P7: every layer of stride 2 halves and rounds up."""
    sizes = []
    height, width = image_size
    for level in range(1, 8):
        height, width = -(-height // 2), -(-width // 2)
        if level >= 3:
            sizes.append((height, width))
    return sizes


def _function(path: Path, name: str, **names: Any) -> Any:
    """One function of a file whose imports cannot all be had, with the names that it uses."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(definitions) != 1:
        raise ImportError(f"{path.name} has {len(definitions)} functions {name}")
    exec(compile(ast.Module(definitions, []), str(path), "exec"), names)
    return names[name]


class _Registry:
    """In the place of mmengine's registry: classes by their names."""

    def __init__(self) -> None:
        self.classes: dict[str, type] = {}

    def register_module(self) -> Any:
        def register(cls: type) -> type:
            self.classes[cls.__name__] = cls
            return cls

        return register

    def build(self, config: dict[str, Any]) -> Any:
        settings = dict(config)
        return self.classes[settings.pop("type")](**settings)


@functools.cache
def _mmdet() -> SimpleNamespace:
    root, engine = folder("mmdet"), folder("mmengine")
    modules = root / "models" / "task_modules"
    boxes = package(
        "mmdet.structures.bbox",
        root / "structures" / "bbox",
        # Plain tensors are the only boxes here.
        BaseBoxes=type("BaseBoxes", (), {}),
        HorizontalBoxes=type("HorizontalBoxes", (), {}),
        get_box_tensor=lambda boxes: boxes,
        cat_boxes=torch.cat,
    )
    with in_place_of(
        package("mmengine", engine),
        package("mmengine.utils", engine / "utils"),
        package("mmengine.device", get_device=lambda: "cpu"),
        package("mmdet", root),
        package("mmdet.registry", TASK_UTILS=_Registry()),
        package("mmdet.structures", root / "structures"),
        boxes,
        package("mmdet.utils", root / "utils"),
        package("mmdet.models", root / "models"),
        package("mmdet.models.task_modules", modules),
        package("mmdet.models.task_modules.assigners", modules / "assigners"),
        package("mmdet.models.task_modules.coders", modules / "coders"),
        package("mmdet.models.task_modules.prior_generators", modules / "prior_generators"),
    ):

        def load(name: str) -> Any:
            return importlib.import_module(name)

        sys.modules["mmengine.utils"].is_tuple_of = load("mmengine.utils.misc").is_tuple_of
        boxes.bbox_overlaps = load("mmdet.structures.bbox.bbox_overlaps").bbox_overlaps
        sys.modules["mmdet.utils"].util_mixins = load("mmdet.utils.util_mixins")
        load("mmdet.models.task_modules.assigners.iou2d_calculator")
        return SimpleNamespace(
            version=version("mmdet"),
            InstanceData=load("mmengine.structures.instance_data").InstanceData,
            bbox_overlaps=boxes.bbox_overlaps,
            MaxIoUAssigner=load("mmdet.models.task_modules.assigners.max_iou_assigner").MaxIoUAssigner,
            AnchorGenerator=load("mmdet.models.task_modules.prior_generators.anchor_generator").AnchorGenerator,
            DeltaXYWHBBoxCoder=load("mmdet.models.task_modules.coders.delta_xywh_bbox_coder").DeltaXYWHBBoxCoder,
            LegacyDeltaXYWHBBoxCoder=load(
                "mmdet.models.task_modules.coders.legacy_delta_xywh_bbox_coder"
            ).LegacyDeltaXYWHBBoxCoder,
        )


def load_mmdet_assigner() -> SimpleNamespace:
    """`MaxIoUAssigner`, `InstanceData`, `bbox_overlaps` and `assign(anchors, gt_boxes, ignore_boxes=None, **settings)`.

    `assign` has the settings of mmdet's RetinaNet (0.5, 0.4, min_pos_iou 0, no ignore regions) unless others are given;
    the result has gt_inds (1-based; 0 background, -1 ignored), max_overlaps and labels.
    """
    found = _mmdet()

    def assign(
        anchors: torch.Tensor, gt_boxes: torch.Tensor, ignore_boxes: torch.Tensor | None = None, **settings: Any
    ) -> Any:
        defaults = {"pos_iou_thr": 0.5, "neg_iou_thr": 0.4, "min_pos_iou": 0, "ignore_iof_thr": -1}
        truth = found.InstanceData(bboxes=gt_boxes, labels=torch.arange(len(gt_boxes)))
        ignored = None if ignore_boxes is None else found.InstanceData(bboxes=ignore_boxes)
        assigner = found.MaxIoUAssigner(**{**defaults, **settings})
        return assigner.assign(found.InstanceData(priors=anchors), truth, ignored)

    return SimpleNamespace(
        version=found.version,
        MaxIoUAssigner=found.MaxIoUAssigner,
        InstanceData=found.InstanceData,
        bbox_overlaps=found.bbox_overlaps,
        assign=assign,
    )


def load_mmdet_anchor_generator() -> SimpleNamespace:
    """`AnchorGenerator`, and `anchors(image_size)` with the settings of mmdet's RetinaNet."""
    found = _mmdet()

    def anchors(image_size: tuple[int, int]) -> torch.Tensor:
        generator = found.AnchorGenerator(
            strides=[8, 16, 32, 64, 128], ratios=[0.5, 1.0, 2.0], octave_base_scale=4, scales_per_octave=3
        )
        return torch.cat(generator.grid_priors(halved_sizes(image_size), device="cpu"))

    return SimpleNamespace(version=found.version, AnchorGenerator=found.AnchorGenerator, anchors=anchors)


def load_mmdet_coders() -> SimpleNamespace:
    """`DeltaXYWHBBoxCoder` and `LegacyDeltaXYWHBBoxCoder` (widths + 1)."""
    found = _mmdet()
    return SimpleNamespace(
        version=found.version,
        DeltaXYWHBBoxCoder=found.DeltaXYWHBBoxCoder,
        LegacyDeltaXYWHBBoxCoder=found.LegacyDeltaXYWHBBoxCoder,
    )


@functools.cache
def _effdet() -> SimpleNamespace:
    stand_ins = (*_torchvision_packages(), package("effdet", folder("effdet")))
    with in_place_of(*stand_ins):
        anchors = importlib.import_module("effdet.anchors")
        matching = importlib.import_module("effdet.object_detection")
    return SimpleNamespace(version=version("effdet"), anchors=anchors, matching=matching)


def load_effdet_anchors() -> SimpleNamespace:
    """`Anchors`, `AnchorLabeler`, and `anchors(image_size, **settings)` as (x1, y1, x2, y2).

    `anchors` has the settings of RetinaNet (levels 3 to 7, three scales, widths to heights of 1/2, 1 and 2, sizes of 4
    strides) unless others are given. effdet itself keeps (y1, x1, y2, x2).
    """
    found = _effdet()

    def anchors(image_size: tuple[int, int], **settings: Any) -> torch.Tensor:
        defaults: dict[str, Any] = {"min_level": 3, "max_level": 7, "num_scales": 3, "anchor_scale": 4.0}
        defaults["aspect_ratios"] = [0.5, 1.0, 2.0]
        boxes: torch.Tensor = found.anchors.Anchors(image_size=image_size, **{**defaults, **settings}).boxes
        return boxes[:, [1, 0, 3, 2]]

    return SimpleNamespace(
        version=found.version, Anchors=found.anchors.Anchors, AnchorLabeler=found.anchors.AnchorLabeler, anchors=anchors
    )


def load_effdet_matcher() -> SimpleNamespace:
    """`ArgMaxMatcher`, `IouSimilarity`, `BoxList`, `TargetAssigner`, `FasterRcnnBoxCoder`, `match(anchors, gt_boxes)`.

    `match` is what effdet's labeler does with boxes (x1, y1, x2, y2): the index of the ground truth for each anchor, -1
    for background, -2 for ignored; its thresholds are 0.5 and 0.5 unless others are given.
    """
    found = _effdet().matching

    def match(anchors: torch.Tensor, gt_boxes: torch.Tensor, *, positive: float = 0.5, negative: float = 0.5) -> Any:
        matcher = found.ArgMaxMatcher(
            positive,
            unmatched_threshold=negative,
            negatives_lower_than_unmatched=True,
            force_match_for_each_row=True,
        )
        order = [1, 0, 3, 2]
        similarity = found.IouSimilarity().compare(found.BoxList(gt_boxes[:, order]), found.BoxList(anchors[:, order]))
        return matcher.match(similarity).match_results

    return SimpleNamespace(
        version=_effdet().version,
        ArgMaxMatcher=found.ArgMaxMatcher,
        IouSimilarity=found.IouSimilarity,
        BoxList=found.BoxList,
        TargetAssigner=found.TargetAssigner,
        FasterRcnnBoxCoder=found.FasterRcnnBoxCoder,
        match=match,
    )
