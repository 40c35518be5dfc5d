"""Lets mmdet import without the compiled operators of mmcv.

mmdet imports names from ``mmcv.ops`` all over the place. mmcv is published as source alone, with kernels in CUDA and
C++ to be compiled; mmcv-lite is the same release without the kernels, and its ``mmcv.ops`` cannot be imported. This
stands in for ``mmcv.ops``: every name of it is a class of its own without any behaviour, so that what is written in
Python, such as mmdet's ``py_sigmoid_focal_loss``, ``MaxIoUAssigner`` and ``bbox_overlaps``, is what the wheel has,
and what needs a kernel does not run.

Imported at the start of the interpreter, so it costs nothing until mmcv is asked for; where mmcv has its kernels it
does nothing.
"""

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = "mmcv.ops"


class _Operators(ModuleType):
    """A module whose every name is there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        import torch

        # Some are base classes of layers.
        placeholder = type(name, (torch.nn.Module,), {"__module__": self.__name__})
        setattr(self, name, placeholder)
        return placeholder


class _Finder:
    """Finds ``mmcv.ops`` and the modules in it, where mmcv has no kernels."""

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != PACKAGE and not name.startswith(f"{PACKAGE}."):
            return None
        if _has_kernels():
            return None
        return ModuleSpec(name, cls, is_package=True)  # type: ignore[arg-type]

    @classmethod
    def create_module(cls, spec: ModuleSpec) -> ModuleType:
        return _Operators(spec.name)

    @classmethod
    def exec_module(cls, module: ModuleType) -> None:
        """There is nothing in it."""


def _has_kernels() -> bool:
    found = PathFinder.find_spec("mmcv")
    return found is None or found.origin is None or any(Path(found.origin).parent.glob("_ext*"))


sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
