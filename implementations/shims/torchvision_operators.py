"""Lets ``import torchvision`` work beside a PyTorch that it was not compiled for.

torchvision's wheels hold operators that are compiled for one build of PyTorch, with CUDA. Beside another build they
cannot be loaded, and then the import fails where torchvision attaches shapes to ``nms`` and ``qnms``, which nobody
declared. This declares them, with torchvision's own schemas, just before torchvision is imported; they have no kernel,
so that a call of them is an error. Everything of torchvision that is written in Python, such as
``torchvision.ops.sigmoid_focal_loss``, ``box_iou`` and the matcher, is what the wheel has.

Imported at the start of the interpreter, so it costs nothing until torchvision is asked for.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
EXTENSIONS = ("_C_stable", "_C")
"""The file with the compiled operators, in new releases and in older ones."""

_kept: list[Any] = []
"""A library of operators ends with the last reference to it."""


class _Finder:
    """Finds nothing; declares the operators when torchvision is looked for."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name == "torchvision":
            sys.meta_path.remove(cls)
            found = PathFinder.find_spec(name)
            if found is not None and found.origin is not None:
                _declare(Path(found.origin).parent)
        return None


def _declare(folder: Path) -> None:
    import torch

    finder = FileFinder(str(folder), (ExtensionFileLoader, EXTENSION_SUFFIXES))
    for extension in EXTENSIONS:
        found = finder.find_spec(extension)
        if found is None or found.origin is None:
            continue
        try:
            torch.ops.load_library(found.origin)
        except OSError:
            continue
        return
    library = torch.library.Library("torchvision", "DEF")
    for schema in SCHEMAS:
        library.define(schema)
    _kept.append(library)


sys.meta_path.insert(0, _Finder)
