"""What importing costs: no framework before an array of it arrives, and none that has to be there."""

import subprocess
import sys
from pathlib import Path

import pytest

import focal_ref

OPTIONAL = ["torch", "jax", "jaxlib", "cupy", "dask", "triton", "array_api_strict", "ml_dtypes", "mpmath"]
LAZY = ["numba", "torch", "jax", "jaxlib", "cupy", "array_api_compat", "array_api_strict", "mpmath", "ml_dtypes"]
LAZY += ["keras", "optax", "xgboost", "lightgbm"]

ONE_LOSS = "import numpy, focal_ref; focal_ref.loss(numpy.zeros(3), numpy.array([1, 0, 1]))"


def run(program):
    """Standard output of a fresh interpreter in which warnings are errors."""
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def imported_by(program):
    return set(run(f"{program}\nimport sys\nprint(*sys.modules)").split())


def test_importing_the_package_imports_no_framework_and_no_compiler():
    assert imported_by("import focal_ref").isdisjoint(LAZY)


def test_importing_the_prior_alone_imports_no_framework_either():
    assert imported_by("import focal_ref; focal_ref.prior_bias(0.01)").isdisjoint(LAZY)


def test_a_loss_of_numpy_arrays_imports_numba_and_no_other_library_of_arrays():
    modules = imported_by(ONE_LOSS)
    assert "numba" in modules
    assert modules.isdisjoint({"torch", "jax", "jaxlib", "cupy", "dask", "triton", "array_api_strict", "mpmath"})


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_a_library_that_is_not_there_is_not_asked_for(library):
    other = {"torch": "jax", "jax": "torch"}[library]
    modules = imported_by(f"import sys; sys.modules[{other!r}] = None\nimport {library}\n{ONE_LOSS}")
    assert f"focal_ref.adapters.{library}" not in modules


def test_numpy_losses_need_none_of_the_optional_libraries():
    program = f"""
import sys
for name in {[*OPTIONAL, "array_api_compat"]}:
    sys.modules[name] = None
import numpy as np
import focal_ref
logits, targets = np.array([0.0, 3.0, -3.0], np.float32), np.array([1, 0, 1])
for dtype in (np.float64, np.float32, np.float16):
    for settings in ({{}}, {{"reduction": "sum"}}, {{"reduction": "mean"}}, {{"alpha": np.full(3, 0.5)}}):
        assert np.all(np.isfinite(focal_ref.loss(logits.astype(dtype), targets, **settings)))
    focal_ref.loss(logits.astype(dtype), np.array([0.5, 0.25, 1.0]), weights=np.ones(3), gamma=np.ones(3))
    focal_ref.value_and_grad(logits.astype(dtype), targets)
try:
    focal_ref.loss([0.0], [1])
except TypeError as error:
    print(error)
"""
    assert run(program).startswith("logits: got builtins.list; pass an array of ")


def test_the_public_names_are_those_of_all():
    public = {name for name in vars(focal_ref) if not name.startswith("_")}
    modules = {"losses", "softmax", "star", "relatives", "derivatives", "targets", "prior", "adapters", "conformance"}
    modules |= {"boosting", "detection", "integrations", "scoring"}
    assert public - modules == set(focal_ref.__all__) - {"__version__"}


def test_every_public_name_is_there_and_documented():
    assert list(focal_ref.__all__) == sorted(focal_ref.__all__)
    for name in set(focal_ref.__all__) - {"__version__", "BACKGROUND", "IGNORE"}:
        assert getattr(focal_ref, name).__doc__
        assert getattr(focal_ref, name).__module__.startswith("focal_ref.")


def test_the_version_is_the_one_of_the_distribution():
    from importlib.metadata import version

    assert focal_ref.__version__ == version("focal-ref")


def test_the_package_says_that_it_is_typed():
    assert (Path(focal_ref.__file__).parent / "py.typed").exists()
