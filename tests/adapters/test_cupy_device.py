"""What CuPy's adapter leaves on the device: nothing is read back, and matching takes bounded memory."""

import tracemalloc

import numpy as np
import pytest

import focal_ref
from focal_ref.detection import match_anchors

from ..comparison import assert_same_bits, some_logits, some_soft_targets, some_targets
from ..kernels.emulated_cuda import UNAVAILABLE, Emulator
from ..kernels.emulated_cupy import Array, array, emulated_cupy, use

pytestmark = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))


@pytest.fixture(scope="module")
def emulator(tmp_path_factory):
    return Emulator(tmp_path_factory.mktemp("cuda"))


@pytest.fixture(autouse=True)
def nothing_is_read_back(emulator, monkeypatch):
    cupy = emulated_cupy(emulator)
    use(monkeypatch, cupy)

    def refuse(*given):
        raise AssertionError("read back from the device, which waits for it")

    for name in ("__bool__", "__int__", "__float__", "__index__", "__iter__", "item", "tolist"):
        monkeypatch.setattr(Array, name, refuse, raising=False)
    monkeypatch.setattr(cupy, "asnumpy", refuse)
    # NumPy's operators warn where CuPy's do not.
    with np.errstate(all="ignore"):
        yield


def boxes(count, dtype, seed):
    corners = np.random.default_rng(seed).uniform(0.0, 800.0, (count, 2))
    return np.concatenate([corners, corners + 100.0], axis=1).astype(dtype)


def test_reading_an_array_back_would_be_noticed():
    for function in (bool, int, float):
        with pytest.raises(AssertionError, match="read back"):
            function(array(np.zeros(1)))


def test_losses_and_derivatives_read_nothing_back():
    logits, labels = array(some_logits("float32", 600).reshape(60, 10)), array(np.arange(60) % 12 - 2)
    for targets in (array(some_targets(600).reshape(60, 10)), array(some_soft_targets(600).reshape(60, 10))):
        for reduction in ("none", "sum", "mean"):
            focal_ref.value_and_grad(logits, targets, reduction=reduction)
        focal_ref.second_derivative(logits, targets)
    normalizer = array(np.array(3.0))
    for function in (focal_ref.loss_from_labels, focal_ref.softmax_loss):
        focal_ref.value_and_grad(logits, labels, function=function, reduction="mean")
    assert isinstance(focal_ref.loss(logits, targets, weights=normalizer), Array)


@pytest.mark.parametrize("preset", ["paper", "torchvision"])
def test_matching_reads_nothing_back_and_gives_what_the_host_gives(preset):
    anchors, truths = boxes(3000, np.float32, 0), boxes(200, np.float32, 1)
    found = match_anchors(array(anchors), array(truths), preset=preset)
    wanted = match_anchors(anchors, truths, preset=preset)
    for name in ("state", "gt_index", "iou", "num_positive"):
        assert isinstance(getattr(found, name), Array)
        assert np.array_equal(np.asarray(getattr(found, name)), getattr(wanted, name))
    assert_same_bits(np.asarray(found.iou), wanted.iou)


@pytest.mark.parametrize(("dtype", "mebibytes"), [(np.float32, 8), (np.float64, 16)])
def test_matching_takes_no_more_memory_for_more_pairs(dtype, mebibytes):
    anchors = array(boxes(10_000, dtype, 0))
    for count in (100, 400):
        truths = array(boxes(count, dtype, 1))
        tracemalloc.start()
        match_anchors(anchors, truths)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        results = 10_000 * (8 + 8 + 1)
        assert peak < (mebibytes << 20) + 32 * 10_000 + 2 * results
