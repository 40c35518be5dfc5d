"""What `focal_ref.detection` exports, and what importing it costs."""

import subprocess
import sys

from focal_ref import detection


def test_every_public_name_is_there_and_documented():
    for name in detection.__all__:
        public = getattr(detection, name)
        if name not in ("IGNORED", "NEGATIVE", "POSITIVE"):
            assert public.__doc__
            assert public.__module__.startswith("focal_ref.")
    constants = [name for name in detection.__all__ if name.isupper()]
    names = [name for name in detection.__all__ if not name.isupper()]
    assert constants == sorted(constants)
    assert names == sorted(names, key=lambda name: (name[0].islower(), name))


def test_importing_it_and_matching_numpy_arrays_imports_no_other_library_of_arrays():
    code = """
import sys
from focal_ref import detection
assert not {"numba", "torch", "jax", "cupy"} & set(sys.modules), sys.modules
detection.match_anchors(detection.anchor_boxes((64, 64)), detection.anchor_boxes((32, 32))[:1])
assert not {"torch", "jax", "cupy"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=120)
