"""The kernels as they are compiled for other processors: AVX-512, AVX2, and none with fused multiply-adds."""

import json
import os
import subprocess
import sys

import numba
import pytest
from llvmlite import binding

HOST = binding.get_host_cpu_features()

PROCESSORS = {
    "avx512": ("skylake-avx512", "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512bw,+avx512dq,-prefer-256-bit"),
    "avx2": ("haswell", "+avx,+avx2,+fma"),
    "avx": ("sandybridge", "+avx,-avx2,-fma"),
    "sse": ("nehalem", "+sse4.2,-avx,-fma"),
}
REGISTERS = {"avx512": "zmm", "avx2": "ymm", "avx": "ymm", "sse": "xmm"}
MEASURE = """
import json, re, sys
import numpy as np
import focal_ref
from focal_ref._kernels.dense import dense_kernel
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref.conformance.accuracy import error_in_ulps
from focal_ref.conformance.formats import FORMATS
from tests.comparison import expected, some_logits, some_targets

errors = {}
for dtype, precision in (("float64", "exact"), ("float32", "exact"), ("float32", "fast"), ("bfloat16", "exact")):
    logits, targets = some_logits(dtype, 40000), some_targets(40000)
    found = focal_ref.value_and_grad(logits, targets, alpha=0.25, gamma=2.0, precision=precision)
    wanted = expected(logits, targets, alpha=0.25, gamma=2.0)
    for name, results in zip(("value", "gradient"), found):
        error = error_in_ulps(results, wanted[name], flushed=False, format=FORMATS[dtype])
        errors[f"{dtype} {precision} {name}"] = float(np.max(error))
kernel = dense_kernel("float32", "float32", "float32", 2.0, True, True)
assembly = "".join(kernel.inspect_asm().values())
registers = {name: len(re.findall(name, assembly)) for name in ("zmm", "ymm", "xmm")}
print(json.dumps([has_fused_multiply_add(), registers, len(re.findall("vfn?m(add|sub)", assembly)), errors]))
"""


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_results_are_within_their_bounds_on_every_processor_and_use_what_it_has(processor, tmp_path):
    name, features = PROCESSORS[processor]
    needed = [feature[1:] for feature in features.split(",") if feature.startswith("+")]
    if not all(HOST.get(feature, False) for feature in needed):
        pytest.skip(f"this processor does not have {' '.join(needed)}")
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": name,
        "NUMBA_CPU_FEATURES": features,
        # Loaded kernels have no assembly to look at.
        "NUMBA_CACHE_DIR": str(tmp_path),
    }
    finished = subprocess.run(
        [sys.executable, "-c", MEASURE], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert finished.returncode == 0, finished.stderr
    fused, registers, multiply_adds, errors = json.loads(finished.stdout)
    has_fused = "+fma" in features.split(",")
    assert fused == has_fused
    assert (multiply_adds > 0) == has_fused
    assert registers[REGISTERS[processor]] > 50
    wider = [register for register in registers if register > REGISTERS[processor]]
    assert all(registers[register] == 0 for register in wider)
    for what, error in errors.items():
        bound = {"float64 exact": 13.0, "float32 fast": 15.0}.get(what.rpartition(" ")[0], 0.501)
        assert error <= bound, f"{what}: {error} ulp"
