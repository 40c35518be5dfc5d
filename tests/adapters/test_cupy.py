"""CuPy's adapter: what takes a kernel and what does not, what it refuses, and the reasons why it cannot be used.

CuPy itself is emulated on the CPU; `tests/gpu` has what needs a GPU.
"""

import numpy as np
import pytest

import focal_ref
from focal_ref._parameters import Parameters
from focal_ref.adapters import Unavailable
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import (
    DTYPES,
    assert_same_bits,
    assert_within,
    expected,
    some_logits,
    some_soft_targets,
    some_targets,
)
from ..kernels.emulated_cuda import UNAVAILABLE, Emulator
from ..kernels.emulated_cupy import Array, array, emulated_cupy, use

needs_compiler = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    return Emulator(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def cupy(emulator, monkeypatch):
    cupy = emulated_cupy(emulator)
    cupy.adapter = use(monkeypatch, cupy)
    with np.errstate(all="ignore"):
        yield cupy


@pytest.fixture
def forms_called(cupy, monkeypatch):
    """How often the closed forms were evaluated by array operations."""
    calls = []
    unrounded = ArrayApiAdapter.unrounded

    def counted(self, *given, **options):
        calls.append(1)
        return unrounded(self, *given, **options)

    monkeypatch.setattr(ArrayApiAdapter, "unrounded", counted)
    return calls


# What is computed how


@needs_compiler
@pytest.mark.parametrize(
    ("settings", "soft", "calls"),
    [
        ({}, False, 0),
        ({"gamma": 0.7, "alpha": None}, False, 0),
        ({"weights": 2.0}, False, 1),
        ({"gamma": np.full(3, 2.0)}, False, 1),
        ({"alpha": np.full(3, 0.5)}, False, 1),
        ({}, True, 0),
        ({"gamma": 1.0}, True, 0),
        ({"gamma": 0.0, "precision": "fast", "alpha": None}, True, 0),
        ({"gamma": 0.7}, True, 1),
    ],
    ids=[
        *("hard", "any gamma", "weights", "array of gamma", "array of alpha"),
        *("soft", "soft, gamma 1", "soft, fast", "soft, any gamma"),
    ],
)
def test_numbers_take_the_kernel_and_all_else_the_forms(forms_called, settings, soft, calls):
    logits = some_logits("float32", 42 * 3).reshape(42, 3)
    targets = some_soft_targets(42 * 3) if soft else some_targets(42 * 3)
    targets = targets.reshape(42, 3)
    found = focal_ref.value_and_grad(array(logits), array(targets), **settings)
    assert len(forms_called) == calls
    for ours, theirs in zip(found, focal_ref.value_and_grad(logits, targets, **settings), strict=True):
        assert isinstance(ours, Array)
        if settings.get("precision") == "fast":
            np.testing.assert_allclose(np.asarray(ours), theirs, rtol=2e-6, atol=1e-37)
        else:
            assert_same_bits(np.asarray(ours), theirs)


@needs_compiler
@pytest.mark.parametrize("dtype", [*DTYPES])
def test_soft_targets_out_of_range_give_nan_and_only_these(cupy, dtype):
    logits = np.linspace(-3, 3, 9).astype(DTYPES[dtype])
    targets = np.array([0.0, 1.0, 0.5, -0.25, 1.25, np.nan, -np.inf, np.inf, 0.75])
    value, gradient = focal_ref.value_and_grad(array(logits), array(targets), alpha=0.25)
    wrong = [False, False, False, True, True, True, True, True, False]
    for found in (value, gradient):
        assert np.isnan(np.asarray(found).astype(np.float64)).tolist() == wrong


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
def test_targets_of_0_and_1_give_the_bits_of_booleans_also_among_soft_ones(cupy, dtype):
    logits, hard = some_logits(dtype, 500), some_targets(500)
    numbers = hard.astype(np.float64)
    numbers[::7] = 0.25
    for gamma in (0.5, 2.0):
        wanted = (
            *focal_ref.value_and_grad(array(logits), array(hard), gamma=gamma),
            focal_ref.second_derivative(array(logits), array(hard), gamma=gamma),
        )
        found = (
            *focal_ref.value_and_grad(array(logits), array(numbers), gamma=gamma),
            focal_ref.second_derivative(array(logits), array(numbers), gamma=gamma),
        )
        for ours, theirs in zip(found, wanted, strict=True):
            kept = np.arange(500) % 7 != 0
            assert_same_bits(np.asarray(ours)[kept], np.asarray(theirs)[kept])


@needs_compiler
@pytest.mark.parametrize(("dtype", "precision"), [*((dtype, "exact") for dtype in DTYPES), ("float32", "fast")])
def test_soft_targets_and_weights_are_within_their_bounds(cupy, dtype, precision):
    logits, targets = some_logits(dtype, 628)[28:], some_soft_targets(628)[28:]
    weights = np.linspace(0.0, 3.0, 600, dtype=np.float32)
    found = focal_ref.value_and_grad(array(logits), array(targets), weights=array(weights), precision=precision)
    exact = expected(logits, targets, weights=weights)
    for name, results in zip(("value", "gradient"), found, strict=True):
        assert_within(np.asarray(results), exact[name], budget("exact", FORMATS[dtype], 2.0, weighted=True) + 2.0)


@needs_compiler
def test_forms_are_never_evaluated_in_float32(cupy, monkeypatch):
    # CuPy's arithmetic in float32 has no subnormal numbers.
    seen = []
    base = ArrayApiAdapter.unrounded

    def looked_at(self, logits, targets, parameters, **options):
        result = base(self, logits, targets, parameters, **options)
        seen.extend([targets.dtype, parameters.weights.dtype, parameters.alpha.dtype, *(each.dtype for each in result)])
        return result

    monkeypatch.setattr(ArrayApiAdapter, "unrounded", looked_at)
    logits, targets = some_logits("float32", 60), some_soft_targets(60)
    given = {"weights": array(np.ones(60, np.float32)), "alpha": array(np.full(60, 0.5, np.float32))}
    focal_ref.value_and_grad(array(logits), array(targets), **given, precision="fast")
    assert set(seen) == {np.dtype(np.float64)}


# What is refused


@needs_compiler
def test_arrays_of_another_device_are_refused_by_name(cupy):
    logits, targets = array(np.zeros(4, np.float32)), array(np.ones(4, bool))
    elsewhere = array(np.zeros(4, np.float32))
    elsewhere.ordinal = 1
    wrong = array(np.ones(4, bool))
    wrong.ordinal = 1
    text = r"got device 'cuda:1'; logits lie on 'cuda:0'"
    with pytest.raises(ValueError, match=f"^targets: {text}"):
        focal_ref.loss(logits, wrong)
    with pytest.raises(ValueError, match=f"^weights: {text}"):
        focal_ref.loss(logits, targets, weights=elsewhere)
    with pytest.raises(ValueError, match=f"^out: {text}"):
        focal_ref.value_and_grad(logits, targets, out=(elsewhere, array(np.zeros(4, np.float32))))
    normalizer = array(np.array(2.0))
    normalizer.ordinal = 1
    # Not by the public function, for which an emulated array is also one of NumPy's.
    for function in (cupy.adapter.total, lambda *given: cupy.adapter.total_and_grad(*given, None)):
        with pytest.raises(ValueError, match=f"^normalizer: {text}"):
            function(logits, targets, Parameters(), normalizer)


@needs_compiler
def test_outputs_that_share_memory_are_refused(cupy):
    logits, targets = array(np.zeros(4, np.float32)), array(np.ones(4, bool))
    fine = array(np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=r"^out: got arrays that share memory with each other or with the logits"):
        focal_ref.value_and_grad(logits, targets, out=(fine, logits))
    with pytest.raises(ValueError, match=r"^out: got a broadcast array, whose elements share memory; pass a plain one"):
        focal_ref.value_and_grad(logits, targets, out=(fine, array(np.broadcast_to(np.float32(1), (4,)))))


# Where CuPy cannot be used


def with_cupy(monkeypatch, **runtime):
    """Whatever there is of CuPy, as this module alone."""
    cupy = emulated_cupy(None)
    for name, value in runtime.items():
        setattr(cupy.cuda.runtime, name, value)
    return lambda: use(monkeypatch, cupy)


def no_driver():
    raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")


@pytest.mark.parametrize(
    ("runtime", "reason"),
    [
        ({"getDeviceCount": no_driver}, "cupy: installed, but no CUDA device answers: cudaErrorInsufficientDriver: "),
        ({"getDeviceCount": lambda: 0}, "cupy: installed, but this machine has no CUDA device"),
        ({"is_hip": True}, "cupy: this build is for ROCm; install one for CUDA, such as 'pip install cupy-cuda12x'"),
    ],
    ids=["no driver", "no device", "ROCm"],
)
def test_a_machine_without_a_device_is_named_as_the_reason(monkeypatch, runtime, reason):
    with pytest.raises(Unavailable) as raised:
        with_cupy(monkeypatch, **runtime)()
    assert str(raised.value).startswith(reason)
