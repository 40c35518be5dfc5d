"""Kernels on the disk: loaded by the next process, never one of other sources, and never in the way."""

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.core import caching

import focal_ref
from focal_ref._kernels import disk_cache
from focal_ref._kernels.compilation import compiled, kernel, kernel_of
from focal_ref._kernels.dense import dense_kernel

EXPONENTS = {0.0: 0.6931471805599453, 2.0: 0.17328679513998632}
"""The focal loss of a logit of zero for these gamma, log(2) / 2^gamma."""

CALL = """
import numpy as np
from focal_ref._kernels.dense import dense_kernel
for exponent in {exponents}:
    kernel = dense_kernel("float64", "float64", "float64", exponent, True, False)
    logits, value = np.zeros(1), np.zeros(1)
    kernel(logits, np.ones(1, np.uint8), 1.0, 1.0, exponent, 0.0, 1.0, value, np.zeros(0))
    print(float(value[0]), sum(kernel.stats.cache_hits.values()))
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where the kernels of a test are kept."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


def files(folder):
    return sorted(folder.rglob("*.kernel"))


def scaling(factor, decorate=kernel):
    """A new kernel, as another process would make it; called once, with 3."""

    @compiled
    def scaled(x):
        return x * factor

    @decorate
    def scale(x):
        return scaled(x) + 1.0

    assert scale(3.0) == 3.0 * factor + 1.0
    return scale


def path_of(dispatcher, codegen=None):
    cache = disk_cache.DiskCache(dispatcher)
    return cache._path((numba.float64,), codegen or dispatcher.targetctx.codegen())


def loaded(dispatcher):
    return sum(dispatcher.stats.cache_hits.values())


def start(exponents, folder, **settings):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **settings}
    command = [sys.executable, "-W", "error", "-c", CALL.format(exponents=exponents)]
    return subprocess.Popen(
        command, env=environment, cwd=folder.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def printed(process):
    """The values and the numbers of loaded kernels that a process of `start` prints."""
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, "")
    return [(float(value), int(hits)) for value, hits in map(str.split, output.splitlines())]


@pytest.mark.parametrize("decorate", [kernel, kernel_of(numba.float64(numba.float64))], ids=["any types", "one type"])
def test_a_kernel_is_compiled_once_and_then_loaded(folder, decorate):
    assert loaded(scaling(2.0, decorate)) == 0
    assert len(files(folder)) == 1
    assert loaded(scaling(2.0, decorate)) == 1
    assert len(files(folder)) == 1


def test_a_kernel_with_another_constant_in_a_part_is_another_kernel(folder):
    scaling(2.0)
    assert loaded(scaling(3.0)) == 0
    assert len(files(folder)) == 2


def test_a_kernel_for_other_types_is_another_kernel(folder):
    scaling(2.0)(np.float32(3))
    assert len(files(folder)) == 2


@pytest.mark.parametrize("name", disk_cache.SETTINGS)
def test_a_kernel_that_numba_compiled_with_another_setting_is_not_loaded(folder, monkeypatch, name):
    path = path_of(scaling(2.0))
    monkeypatch.setattr(numba.config, name, 2 if name == "OPT" else not getattr(numba.config, name))
    assert path_of(scaling(2.0)) != path


def test_a_kernel_for_another_processor_is_not_loaded(folder):
    dispatcher = scaling(2.0)
    other = SimpleNamespace(magic_tuple=lambda: ("x86_64-unknown-linux-gnu", "another", ""))
    assert path_of(dispatcher, other) != path_of(dispatcher)


@pytest.mark.parametrize("library", ["numba", "llvmlite", "numpy"])
def test_a_kernel_of_another_version_of_a_library_is_not_loaded(folder, monkeypatch, library):
    scaling(2.0)
    monkeypatch.setattr(sys.modules[library], "__version__", "0.0")
    assert loaded(scaling(2.0)) == 0


def packed(number):
    return struct.pack("<d", number)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(struct.pack("<d", 1.7), struct.pack("<d", 1.8)),
    ],
    ids=["empty", "cut off", "another constant"],
)
def test_a_damaged_file_is_not_used_and_is_replaced(folder, damage):
    scaling(1.7)
    (path,) = files(folder)
    data = path.read_bytes()
    path.write_bytes(damage(data))
    assert path.read_bytes() != data
    assert loaded(scaling(1.7)) == 0
    assert loaded(scaling(1.7)) == 1


def test_the_kernels_used_last_are_kept(folder, monkeypatch):
    monkeypatch.setattr(disk_cache, "LIMIT", 2)
    for factor in (4.0, 3.0, 2.0):
        scaling(factor)
        for path in files(folder):
            os.utime(path, (path.stat().st_mtime - 100,) * 2)
    assert len(files(folder)) == 2
    # Loading this one makes the other the oldest.
    assert loaded(scaling(3.0)) == 1
    scaling(5.0)
    assert loaded(scaling(3.0)) == 1
    assert loaded(scaling(2.0)) == 0


def test_without_a_folder_to_write_to_kernels_are_compiled(folder, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_LOCATOR_CLASSES", "UserProvidedCacheLocator")
    folder.write_text("not a folder")
    assert loaded(scaling(2.0)) == 0
    assert loaded(scaling(2.0)) == 0


def test_without_a_home_no_folder_is_named_after_a_tilde(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr(disk_cache.CompileResultCacheImpl, "_locator_classes", [caching.UserWideCacheLocator])
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    scaling(2.0)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_turns_read_only_is_no_error(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    scaling(2.0)
    assert files(folder) == []


def test_a_numba_without_these_internals_compiles(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "focal_ref._kernels.disk_cache", None)
    scaling(2.0)
    assert files(folder) == []


@pytest.mark.parametrize("internal", ["rebuild", "reduce"])
def test_a_numba_with_other_internals_compiles(folder, monkeypatch, internal):
    def changed(*_):
        raise TypeError("takes 3 positional arguments")

    monkeypatch.setattr(disk_cache.CompileResultCacheImpl, internal, changed)
    scaling(2.0)
    assert loaded(scaling(2.0)) == 0


def test_processes_share_kernels(tmp_path):
    together = [start([exponent], tmp_path / "kernels") for exponent in EXPONENTS]
    assert [printed(process) for process in together] == [[(value, 0)] for value in EXPONENTS.values()]
    after = printed(start(list(EXPONENTS), tmp_path / "kernels"))
    assert after == [(value, 1) for value in EXPONENTS.values()]


def test_a_changed_formula_gives_a_new_kernel_although_size_and_time_of_its_file_stay(tmp_path):
    package = tmp_path / "focal_ref"
    shutil.copytree(Path(focal_ref.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    # Python itself would take the old bytecode of the changed file.
    settings = {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert printed(start([2.0], tmp_path / "kernels", **settings)) == [(EXPONENTS[2.0], 0)]

    formula = package / "_formulas" / "focal.py"
    text, status = formula.read_text(), formula.stat()
    assert text.count("return q * q\n") == 1
    formula.write_text(text.replace("return q * q\n", "return q + q\n"))
    os.utime(formula, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert formula.stat().st_size == status.st_size

    # 2q = 1 for a logit of zero, so that log(2) is left.
    assert printed(start([2.0], tmp_path / "kernels", **settings)) == [(EXPONENTS[0.0], 0)]


def test_the_kernels_of_the_package_are_kept(folder):
    make = dense_kernel.__wrapped__
    first = make("float64", "float64", "float64", 1.0, True, False)
    again = make("float64", "float64", "float64", 1.0, True, False)
    assert (loaded(first), loaded(again)) == (0, 1)
