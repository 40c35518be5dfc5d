"""The stand-in for mmcv's compiled operators: there where mmcv has none of them, and nowhere else."""

import subprocess
import sys
from pathlib import Path

import pytest

SHIMS = Path(__file__).resolve().parents[2] / "implementations" / "shims"
USE = "from mmcv.ops import RoIAlign; from mmcv.ops.nms import batched_nms; print(RoIAlign.__module__, batched_nms)"


@pytest.fixture
def printed(tmp_path):
    """What a program prints beside an mmcv of this folder."""
    operators = tmp_path / "mmcv" / "ops"
    operators.mkdir(parents=True)
    (tmp_path / "mmcv" / "__init__.py").touch()
    (operators / "__init__.py").write_text("class RoIAlign: pass\n")
    (operators / "nms.py").write_text("batched_nms = 'compiled'\n")
    # A module of this name in the place of PyTorch, whose import takes seconds.
    (tmp_path / "torch.py").write_text("class nn:\n    class Module: pass\n")

    def run(program):
        paths = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(SHIMS)!r}]; import mmcv_ops; "
        return subprocess.run([sys.executable, "-I", "-c", paths + program], capture_output=True, text=True)

    return run


def test_every_operator_is_a_class_of_its_own_where_mmcv_has_no_kernels(printed):
    result = printed(USE)
    assert result.stdout == "mmcv.ops <class 'mmcv.ops.nms.batched_nms'>\n", result.stderr
    result = printed("import torch, mmcv.ops as ops; print(issubclass(ops.A, torch.nn.Module), ops.A is ops.A)")
    assert result.stdout == "True True\n", result.stderr


def test_operators_are_mmcv_s_own_where_it_has_kernels(printed, tmp_path):
    (tmp_path / "mmcv" / "_ext.cpython-311-x86_64-linux-gnu.so").touch()
    assert printed(USE).stdout == "mmcv.ops compiled\n"


def test_nothing_is_found_where_there_is_no_mmcv(printed, tmp_path):
    (tmp_path / "mmcv").rename(tmp_path / "another")
    assert "ModuleNotFoundError: No module named 'mmcv'" in printed("import mmcv.ops").stderr


def test_nothing_is_imported_before_it_is_asked_for(printed):
    assert printed("print({'mmcv', 'torch'} & set(sys.modules))").stdout == "set()\n"
