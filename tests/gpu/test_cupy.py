"""CuPy on a device: the bits of the CPU, sums, layouts, streams, large arrays. Not yet run on a GPU.

`tests/kernels/test_cuda_source.py` runs the same kernels on the CPU, with more cases; here is what that cannot show.
"""

import numpy as np
import pytest

import focal_ref
from focal_ref._kernels.primitives import has_fused_multiply_add
from focal_ref._parameters import IGNORE
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS
from focal_ref.detection import match_anchors

from ..comparison import DTYPES, assert_same_bits, assert_within, expected, some_logits, some_soft_targets, some_targets

SIZE = 10_000_000
FORMS = [*((dtype, "exact") for dtype in DTYPES), *((dtype, "fast") for dtype in DTYPES if dtype != "float64")]


def assert_as_on_the_cpu(found, wanted, dtype, precision="exact"):
    """Equal bits, where what is not correctly rounded depends on fused multiply-adds."""
    import cupy

    if has_fused_multiply_add() or (precision == "exact" and dtype != "float64"):
        assert_same_bits(cupy.asnumpy(found), wanted)
    else:
        np.testing.assert_allclose(cupy.asnumpy(found), wanted, rtol=32 * np.finfo(dtype).eps, atol=1e-40)


@pytest.mark.parametrize(("dtype", "precision"), FORMS)
@pytest.mark.parametrize("gamma", [2.0, 1.3])
def test_ten_million_logits_have_the_bits_of_the_cpu(cupy, dtype, precision, gamma):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    settings = {"gamma": gamma, "precision": precision}
    found = focal_ref.value_and_grad(cupy.asarray(logits), cupy.asarray(targets), **settings)
    for ours, theirs in zip(found, focal_ref.value_and_grad(logits, targets, **settings), strict=True):
        assert_as_on_the_cpu(ours, theirs, dtype, precision)


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_and_sums_have_the_bits_of_the_cpu(cupy, dtype):
    logits = some_logits(dtype, 80 * 100_001)[80:].reshape(-1, 80)
    labels = np.random.default_rng(0).integers(IGNORE, 80, len(logits))
    for settings in ({}, {"reduction": "mean"}, {"reduction": "sum", "normalizer": 7.0}):
        settings["function"] = focal_ref.loss_from_labels
        found = focal_ref.value_and_grad(cupy.asarray(logits), cupy.asarray(labels), **settings)
        for ours, theirs in zip(found, focal_ref.value_and_grad(logits, labels, **settings), strict=True):
            assert_as_on_the_cpu(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_takes_no_kernel_is_within_its_bounds_subnormal_results_included(cupy, dtype):
    logits, targets = some_logits(dtype, 100_028)[28:], some_soft_targets(100_028)[28:]
    weights = np.linspace(0.0, 3.0, logits.size, dtype=np.float32)
    found = focal_ref.value_and_grad(cupy.asarray(logits), cupy.asarray(targets), weights=cupy.asarray(weights))
    exact = expected(logits, targets, weights=weights)
    for name, results in zip(("value", "gradient"), found, strict=True):
        bound = budget("exact", FORMATS[dtype], 2.0, weighted=True) + (2.0 if dtype == "float64" else 0.0)
        assert_within(cupy.asnumpy(results), exact[name], bound)


def test_a_sum_is_the_same_every_time(cupy):
    logits, targets = cupy.asarray(some_logits("float32", SIZE)[28:]), cupy.asarray(some_targets(SIZE)[28:])
    sums = {float(focal_ref.loss(logits, targets, reduction="sum")) for _ in range(20)}
    assert len(sums) == 1


def test_any_strides_give_the_same(cupy):
    logits, targets = some_logits("float32", 600 * 800).reshape(600, 800), some_targets(600 * 800).reshape(600, 800)
    for laid_out in (np.transpose, lambda matrix: matrix[::-1, ::2]):
        wanted = focal_ref.value_and_grad(laid_out(logits), laid_out(targets))
        given = laid_out(cupy.asarray(logits)), laid_out(cupy.asarray(targets))
        out = tuple(cupy.zeros((*given[0].shape, 2), cupy.float32)[..., 1] for _ in range(2))
        for arrays in (None, out):
            for ours, theirs in zip(focal_ref.value_and_grad(*given, out=arrays), wanted, strict=True):
                assert_as_on_the_cpu(ours, theirs, "float32")


def test_the_current_stream_is_used_and_nothing_waits_for_the_device(cupy):
    logits, targets = cupy.zeros(SIZE, cupy.float32), cupy.ones(SIZE, bool)
    out = None, cupy.empty_like(logits)

    def call():
        return focal_ref.value_and_grad(logits, targets, reduction="sum", out=out)

    wanted = float(call()[0])
    busy = cupy.ones(5 * SIZE)
    stream = cupy.cuda.Stream(non_blocking=True)
    cupy.cuda.Device().synchronize()
    with stream:
        # Kernels compiled, and memory of this stream at hand.
        call()
        cupy.sin(busy, out=busy)
        logits += 0.0
        stream.synchronize()
        # Work that another stream would not wait for, and that a call which waits would take as long as.
        for _ in range(400):
            cupy.sin(busy, out=busy)
        logits += 1.0
        total, _ = call()
        assert not stream.done, "the call waited for the device"
    stream.synchronize()
    assert float(total) != wanted
    assert_same_bits(cupy.asnumpy(total), cupy.asnumpy(call()[0]))


def test_arrays_of_another_device_than_the_current_one_stay_there(cupy):
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    with cupy.cuda.Device(1):
        logits, targets = cupy.asarray(some_logits("float32", 5000)), cupy.asarray(some_targets(5000))
    with cupy.cuda.Device(0):
        value, gradient = focal_ref.value_and_grad(logits, targets)
        total = focal_ref.loss(logits[28:], targets[28:], reduction="sum")
    assert [each.device.id for each in (value, gradient, total)] == [1, 1, 1]


def test_more_than_2_to_31_elements(cupy):
    import ml_dtypes

    dtype = ml_dtypes.bfloat16 if int(cupy.__version__.partition(".")[0]) >= 14 else cupy.float16
    size, tail = 2**31 + 5_000_001, 3_000_000
    logits, targets = cupy.zeros(size, dtype), cupy.zeros(size, cupy.uint8)
    few = some_logits(np.dtype(dtype).name, tail)[::-1].copy()
    logits[-tail:], targets[-tail:] = cupy.asarray(few), cupy.asarray(some_targets(tail)).astype(cupy.uint8)
    out = cupy.empty_like(logits), cupy.empty_like(logits)
    focal_ref.value_and_grad(logits, targets, out=out)
    wanted = focal_ref.value_and_grad(few, some_targets(tail))
    for ours, theirs in zip(out, wanted, strict=True):
        assert_same_bits(cupy.asnumpy(ours[-tail:]), theirs)
    del out
    logits[-tail:] = 0
    total = float(focal_ref.loss(logits, targets, reduction="sum", alpha=None))
    assert total == pytest.approx(size * 0.25 * np.log(2.0), rel=1e-6)


def test_memory_beside_the_result_is_small(cupy):
    logits, targets = cupy.zeros(SIZE, cupy.float32), cupy.ones(SIZE, bool)
    pool = cupy.cuda.MemoryPool()
    with cupy.cuda.using_allocator(pool.malloc):
        focal_ref.loss(logits, targets, reduction="sum")
        assert pool.total_bytes() < 1 << 20
        boxes = np.random.default_rng(0).uniform(0.0, 400.0, (20_000, 4)).astype(np.float32)
        boxes[:, 2:] += 401.0
        anchors, truths = cupy.asarray(boxes), cupy.asarray(boxes[:500])
        pool.free_all_blocks()
        found = match_anchors(anchors, truths)
        # 32 bytes for each of 2^18 pairs, and anchors and results some times over.
        assert pool.total_bytes() < 32 << 20
    wanted = match_anchors(boxes, boxes[:500])
    assert_same_bits(cupy.asnumpy(found.iou), wanted.iou)
    assert np.array_equal(cupy.asnumpy(found.state), wanted.state)
