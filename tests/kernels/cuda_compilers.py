"""NVRTC or nvcc, whichever is here: both compile without a GPU."""

import ctypes
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ARCHITECTURE = "compute_90"
MISSING = "needs NVRTC (pip install nvidia-cuda-nvrtc) or nvcc to compile CUDA"


def compiler(folder):
    """A function from source and options to PTX, or None where there is no compiler."""
    library = _nvrtc()
    if library is not None:
        return lambda source, options: _by_nvrtc(library, source, options)
    if shutil.which("nvcc"):
        return lambda source, options: _by_nvcc(folder, source, options)
    return None


def _nvrtc():
    # The package for CUDA 12 has a folder of its own, that for 13 one with all of CUDA.
    found = importlib.util.find_spec("nvidia")
    for place in found.submodule_search_locations if found else ():
        for path in sorted(Path(place).glob("*/lib/libnvrtc.so.*")):
            return ctypes.CDLL(str(path))
    if sys.platform == "linux":
        for version in (13, 12):
            try:
                return ctypes.CDLL(f"libnvrtc.so.{version}")
            except OSError:
                continue
    return None


def _by_nvrtc(library, source, options):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"focal.cu", 0, None, None) == 0
    given = [f"--gpu-architecture={ARCHITECTURE}", *options]
    array = (ctypes.c_char_p * len(given))(*(option.encode() for option in given))
    try:
        code = library.nvrtcCompileProgram(program, len(given), array)
        library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        library.nvrtcGetProgramLog(program, log)
        assert code == 0, log.value.decode()
        assert "warning" not in log.value.decode(), log.value.decode()
        library.nvrtcGetPTXSize(program, ctypes.byref(size))
        text = ctypes.create_string_buffer(size.value)
        library.nvrtcGetPTX(program, text)
        return text.value.decode()
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _by_nvcc(folder, source, options):
    code, ptx = folder / "focal.cu", folder / "focal.ptx"
    code.write_text(source)
    command = ["nvcc", "-ptx", f"-arch={ARCHITECTURE}", *options, str(code), "-o", str(ptx)]
    compiled = subprocess.run(command, capture_output=True, text=True)
    assert compiled.returncode == 0, compiled.stderr
    return ptx.read_text()
