"""torchvision's sigmoid_focal_loss, from its source file.

The package itself asks for the PyTorch that it was compiled with; the one file that is needed here is Python alone, and
is executed beside a stand-in for the rest of the package.
"""

import importlib.util
import sys
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any


@cache
def _source() -> Callable[..., Any]:
    found = importlib.util.find_spec("torchvision")
    if found is None or not found.submodule_search_locations:
        raise ImportError("torchvision is not installed")
    path = Path(next(iter(found.submodule_search_locations))) / "ops" / "focal_loss.py"

    def nothing(*arguments: Any) -> None:
        """Logging of the use of an API."""

    name = "focal_ref_torchvision_source"
    package, utils = types.ModuleType(name), types.ModuleType(f"{name}.utils")
    package.__path__ = []
    vars(utils)["_log_api_usage_once"] = nothing
    ops = types.ModuleType(f"{name}.ops")
    ops.__path__ = []
    stand_ins = {name: package, f"{name}.utils": utils, f"{name}.ops": ops}
    sys.modules.update(stand_ins)
    try:
        specification = importlib.util.spec_from_file_location(f"{name}.ops.focal_loss", path)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
    finally:
        for one in stand_ins:
            del sys.modules[one]
    function: Callable[..., Any] = module.sigmoid_focal_loss
    return function


def sigmoid_focal_loss(*arguments: Any, **options: Any) -> Any:
    """``torchvision.ops.sigmoid_focal_loss``."""
    return _source()(*arguments, **options)
