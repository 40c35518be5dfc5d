"""Dask arrays give the bits that NumPy arrays give, lazily, chunk by chunk, with one thread a chunk."""

import pickle
import threading

import dask
import dask.array as da
import ml_dtypes
import numpy as np
import pytest

import focal_ref
from focal_ref import _threads
from focal_ref._evaluate import tree_sum
from focal_ref.adapters import adapter_of
from focal_ref.boosting import xgboost_objective

ROWS, CLASSES = 600, 7
BINARY = (
    focal_ref.loss,
    focal_ref.loss_from_probabilities,
    focal_ref.star_loss,
    focal_ref.quality_focal_loss,
    focal_ref.varifocal_loss,
    focal_ref.asymmetric_loss,
    focal_ref.heatmap_focal_loss,
)
CHUNKS = [(ROWS, CLASSES), (130, 3), ((1, 0, 599), (6, 1))]


def bits(array):
    return np.asarray(array).view(f"u{np.asarray(array).dtype.itemsize}")


def same(result, expected):
    assert result.dtype == expected.dtype
    assert result.shape == expected.shape
    assert np.array_equal(bits(result), bits(expected))


def logits_of(function=None, dtype=np.float32):
    values = np.random.default_rng(7).normal(0, 6, (ROWS, CLASSES))
    if function is focal_ref.loss_from_probabilities:
        values = 1 / (1 + np.exp(-values))
    return values.astype(dtype)


def targets_of():
    return np.random.default_rng(8).random((ROWS, CLASSES)) < 0.3


def labels_of(function):
    labels = np.random.default_rng(9).integers(0, CLASSES, ROWS)
    labels[::5] = focal_ref.IGNORE
    if function is focal_ref.loss_from_labels:
        labels[1::5] = focal_ref.BACKGROUND
    return labels


def cut(array, chunks):
    return da.from_array(array, chunks=chunks)


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("function", BINARY)
def test_every_elementwise_loss_has_the_bits_of_numpy(function, chunks):
    logits, targets = logits_of(function), targets_of()
    result = function(cut(logits, chunks), cut(targets, (250, CLASSES)))
    assert isinstance(result, da.Array)
    assert result.chunks == cut(logits, chunks).chunks
    same(result.compute(), function(logits, targets))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_every_dtype_has_the_bits_of_numpy(dtype):
    logits, targets = logits_of(dtype=dtype), targets_of()
    lazy = cut(logits, (130, 3)), cut(targets, (130, 3))
    same(focal_ref.loss(*lazy).compute(), focal_ref.loss(logits, targets))
    total = focal_ref.loss(*lazy, reduction="sum")
    assert total.dtype == focal_ref.loss(logits, targets, reduction="sum").dtype


@pytest.mark.parametrize("chunks", CHUNKS)
@pytest.mark.parametrize("function", [focal_ref.loss_from_labels, focal_ref.softmax_loss])
def test_losses_of_labels_have_the_bits_of_numpy_with_the_classes_in_one_chunk(function, chunks):
    logits, labels = logits_of(), labels_of(function)
    result = function(cut(logits, chunks), cut(labels, 77))
    assert result.chunks[0] == cut(logits, chunks).chunks[0]
    assert len(result.chunks) == 1 or result.chunks[1] == (CLASSES,)
    same(result.compute(), function(logits, labels))


def test_softmax_takes_another_axis_rows_of_shares_and_numbers_for_each_class():
    logits, labels = logits_of(), labels_of(focal_ref.softmax_loss)
    weights = np.random.default_rng(1).random(ROWS)
    given = {"alpha": np.linspace(0, 2, CLASSES), "gamma": np.linspace(0, 3, CLASSES), "weights": weights}
    expected = focal_ref.softmax_loss(logits, labels, **given)
    same(focal_ref.softmax_loss(cut(logits.T, (3, 100)), labels, axis=0, **given).compute(), expected)
    lazy = {name: cut(value, 2 if value.size == CLASSES else 50) for name, value in given.items()}
    same(focal_ref.softmax_loss(cut(logits, (100, 3)), labels, **lazy).compute(), expected)
    shares = np.random.default_rng(2).dirichlet(np.ones(CLASSES), ROWS)
    same(
        focal_ref.softmax_loss(cut(logits, (100, 3)), cut(shares, (70, 2))).compute(),
        focal_ref.softmax_loss(logits, shares),
    )


@pytest.mark.parametrize("shape", [(), (CLASSES,), (ROWS, 1), (1, CLASSES), (ROWS, CLASSES)])
def test_alpha_gamma_and_weights_broadcast_as_numpy_arrays_and_as_dask_arrays(shape):
    logits, targets = logits_of(), targets_of()
    random = np.random.default_rng(3)
    given = {name: random.random(shape) for name in ("alpha", "gamma", "weights")}
    expected = focal_ref.loss(logits, targets, **given)
    chunks = tuple(min(length, 4) for length in shape)
    same(focal_ref.loss(cut(logits, (130, 3)), targets, **given).compute(), expected)
    lazy = {name: da.from_array(value, chunks=chunks) for name, value in given.items()}
    same(focal_ref.loss(cut(logits, (130, 3)), targets, **lazy).compute(), expected)


@pytest.mark.parametrize("function", [focal_ref.loss, focal_ref.loss_from_labels, focal_ref.softmax_loss])
def test_derivatives_have_the_bits_of_numpy(function):
    logits = logits_of()
    targets = targets_of() if function is focal_ref.loss else labels_of(function)
    lazy = cut(logits, (130, 3)), da.from_array(targets, chunks=100)
    both = focal_ref.value_and_grad(*lazy, function=function)
    for result, expected in zip(
        dask.compute(*both), focal_ref.value_and_grad(logits, targets, function=function), strict=True
    ):
        same(result, expected)
    second = focal_ref.second_derivative(*lazy, function=function)
    same(second.compute(), focal_ref.second_derivative(logits, targets, function=function))
    slopes = focal_ref.parameter_gradients(*lazy, function=function)
    expected = focal_ref.parameter_gradients(logits, targets, function=function)
    assert slopes.keys() == expected.keys()
    for name, slope in slopes.items():
        same(slope.compute(), expected[name])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("function", [focal_ref.loss, focal_ref.loss_from_labels, focal_ref.softmax_loss])
def test_sums_and_means_are_those_of_numpy_up_to_the_order_of_additions(function, reduction):
    logits = logits_of(dtype=np.float64)
    targets = targets_of() if function is focal_ref.loss else labels_of(function)
    lazy = cut(logits, (130, 3)), da.from_array(targets, chunks=100)
    result = function(*lazy, reduction=reduction)
    assert result.shape == ()
    assert result.compute() == pytest.approx(function(logits, targets, reduction=reduction), rel=1e-15)
    value, gradient = focal_ref.value_and_grad(*lazy, function=function, reduction=reduction)
    assert value.compute() == result.compute()
    _, expected = focal_ref.value_and_grad(logits, targets, function=function, reduction=reduction)
    same(gradient.compute(), expected)


def test_a_sum_is_the_tree_over_the_sums_of_the_chunks_whatever_the_scheduler():
    logits, targets = logits_of(dtype=np.float64), targets_of()
    result = focal_ref.loss(cut(logits, (40, CLASSES)), cut(targets, (40, CLASSES)), reduction="sum")
    sums = np.array(
        [float(focal_ref.loss(logits[i : i + 40], targets[i : i + 40], reduction="sum")) for i in range(0, ROWS, 40)]
    )
    with dask.config.set(split_every=100):
        at_once = focal_ref.loss(cut(logits, (40, CLASSES)), cut(targets, (40, CLASSES)), reduction="sum")
    assert at_once.compute(scheduler="synchronous") == tree_sum(np, sums)
    values = {
        float(result.compute(scheduler="synchronous")),
        *(float(result.compute(scheduler="threads", num_workers=n)) for n in (1, 2, 8)),
    }
    assert len(values) == 1


def test_a_normalizer_may_be_a_dask_array_that_is_checked_when_it_is_known():
    logits, targets = cut(logits_of(np.float64), (130, 3)), cut(targets_of(), (130, 3))
    positives = targets.sum()
    expected = focal_ref.loss(
        logits_of(np.float64), targets_of(), reduction="sum", normalizer=float(targets_of().sum())
    )
    assert focal_ref.loss(logits, targets, reduction="sum", normalizer=positives).compute() == pytest.approx(expected)
    _, gradient = focal_ref.value_and_grad(logits, targets, reduction="sum", normalizer=positives)
    assert gradient.shape == (ROWS, CLASSES)
    nothing = focal_ref.loss(logits, targets, reduction="sum", normalizer=da.zeros(()))
    with pytest.raises(ValueError, match=r"normalizer: got 0\.0; it is finite and > 0"):
        nothing.compute()


def test_building_a_result_computes_nothing():
    def never(*arguments, **keywords):
        raise AssertionError("computed")

    def lazy(shape, dtype):
        meta = np.empty((0,) * len(shape), dtype)
        blank = da.zeros(shape, chunks=100, dtype=dtype)
        return blank.map_blocks(never, dtype=dtype, meta=meta)

    logits, targets, labels = lazy((ROWS, 5), np.float32), lazy((ROWS, 5), np.float64), lazy((ROWS,), np.int64)
    results = []
    for reduction in ("none", "sum", "mean"):
        results.append(focal_ref.loss(logits, targets, reduction=reduction))
        results.append(focal_ref.loss_from_labels(logits, labels, reduction=reduction, alpha=lazy((5,), np.float64)))
        results.append(focal_ref.softmax_loss(logits, labels, reduction=reduction, weights=lazy((ROWS,), np.float64)))
        results += focal_ref.value_and_grad(logits, targets, reduction=reduction)
    results.append(focal_ref.loss(logits, targets, reduction="sum", normalizer=lazy((), np.float64)))
    results.append(focal_ref.second_derivative(logits, targets))
    results += focal_ref.parameter_gradients(logits, targets).values()
    assert all(isinstance(result, da.Array) for result in results)
    with pytest.raises(AssertionError, match="computed"):
        results[0].compute()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda x, t: focal_ref.loss(
                x, np.where(np.arange(ROWS * CLASSES).reshape(t.shape) == 140 * CLASSES, 1.5, 0.0)
            ),
            r"targets: got 1\.5 at position \(10, 0\); it is in \[0, 1\] \(encoding='binary'\) "
            r"\(in the chunk \[130:260, 0:3\] of the logits\)",
        ),
        (
            lambda x, t: focal_ref.loss_from_labels(x, np.where(np.arange(ROWS) == 599, CLASSES, 0)),
            r"labels: got 7 at position \(79,\); it is a class 0\.\.6, .* \(in the chunk \[520:600, 0:7\]",
        ),
        (
            lambda x, t: focal_ref.softmax_loss(x, np.where(np.arange(ROWS) == 0, -1, 0)),
            r"labels: got -1 at position \(0,\).*IGNORE = -2 \(in the chunk \[0:130, 0:7\]",
        ),
        (
            lambda x, t: focal_ref.loss(x, t, gamma=-np.ones(CLASSES)),
            r"gamma: got -1\.0 at position \(0,\); it is finite and >= 0 \(in the chunk",
        ),
        (
            lambda x, t: focal_ref.loss(x, t, weights=np.full((ROWS, 1), np.inf)),
            r"weights: got inf at position \(0, 0\); it is finite and >= 0 \(in the chunk",
        ),
        (
            lambda x, t: focal_ref.loss_from_probabilities(x, t),
            r"probabilities: got .* it is in \[0, 1\]; for logits, call focal_ref\.loss \(in the chunk",
        ),
    ],
)
def test_bad_values_are_named_with_their_place_when_their_chunk_is_computed(make, text):
    result = make(cut(logits_of(), (130, 3)), targets_of())
    with pytest.raises(ValueError, match=text):
        result.compute(scheduler="synchronous")


def test_bad_shapes_dtypes_and_numbers_raise_at_the_call():
    logits = cut(logits_of(), (130, 3))
    with pytest.raises(ValueError, match=r"targets: got shape \(600,\), logits have shape \(600, 7\)"):
        focal_ref.loss(logits, da.zeros(ROWS))
    with pytest.raises(ValueError, match=r"gamma: got -1"):
        focal_ref.loss(logits, targets_of(), gamma=-1)
    with pytest.raises(TypeError, match=r"logits: got dtype int64"):
        focal_ref.loss(da.zeros(3, dtype=np.int64), np.zeros(3))
    with pytest.raises(TypeError, match=r"out: dask arrays are immutable"):
        focal_ref.value_and_grad(logits, targets_of(), out=(logits, logits))


def test_unknown_lengths_are_refused_with_what_to_call():
    known = cut(logits_of()[:, 0], 100)
    unknown = known[known > 0]
    with pytest.raises(ValueError, match=r"compute_chunk_sizes\(\)"):
        focal_ref.loss(unknown, unknown > 0)


def test_chunks_of_another_library_are_refused_with_what_to_do():
    logits = da.ma.masked_greater(cut(logits_of(), (130, 3)), 5)
    with pytest.raises(
        TypeError, match=r"dask: got an array with chunks of numpy\.ma.*MaskedArray; .*numpy\.asarray\)"
    ):
        focal_ref.loss(logits, targets_of())


def test_a_chunk_is_computed_by_one_thread_whatever_the_number_that_is_set(monkeypatch):
    started = []
    monkeypatch.setattr("focal_ref._kernels.threads._started_pool", lambda: started.append(1) or 1 / 0)
    before = focal_ref.get_num_threads()
    focal_ref.set_num_threads(8)
    try:
        logits = np.zeros((1 << 19, 2), np.float32)
        targets, labels = np.zeros(logits.shape), np.zeros(len(logits), np.int64)
        # The same call on NumPy arrays shares its work among threads, which the test forbids.
        with pytest.raises(ZeroDivisionError):
            focal_ref.loss(logits, targets)
        assert started
        started.clear()
        lazy = cut(logits, -1)
        focal_ref.loss(lazy, targets).compute()
        focal_ref.softmax_loss(lazy, labels, reduction="sum").compute()
        dask.compute(*focal_ref.value_and_grad(lazy, targets, reduction="mean"))
        assert not started
        assert focal_ref.get_num_threads() == 8
    finally:
        focal_ref.set_num_threads(before)


def test_one_thread_holds_for_the_thread_that_asks_for_it_alone():
    before = focal_ref.get_num_threads()
    focal_ref.set_num_threads(5)
    try:
        seen = []
        with _threads.one_thread():
            other = threading.Thread(target=lambda: seen.append(focal_ref.get_num_threads()))
            other.start()
            other.join()
            with _threads.one_thread():
                pass
            assert focal_ref.get_num_threads() == 1
        assert seen == [5]
        assert focal_ref.get_num_threads() == 5
    finally:
        focal_ref.set_num_threads(before)


def test_empty_arrays_and_scalars_are_arrays_too():
    empty = da.from_array(np.zeros((0, 3)), chunks=2)
    assert focal_ref.loss(empty, np.zeros((0, 3))).compute().shape == (0, 3)
    assert focal_ref.loss(empty, np.zeros((0, 3)), reduction="mean").compute() == 0
    scalar = da.from_array(np.array(0.5), chunks=())
    assert focal_ref.loss(scalar, np.array(1)).compute() == focal_ref.loss(np.array(0.5), np.array(1))
    assert focal_ref.loss(scalar, np.array(1), reduction="sum").compute() == focal_ref.loss(np.array(0.5), np.array(1))


def test_all_labels_ignored_have_mean_zero():
    labels = np.full(ROWS, focal_ref.IGNORE)
    assert focal_ref.loss_from_labels(cut(logits_of(), (130, 3)), labels, reduction="mean").compute() == 0


def test_graphs_can_be_sent_to_other_processes():
    result = focal_ref.loss(cut(logits_of(), (130, 3)), targets_of(), reduction="mean")
    again = pickle.loads(pickle.dumps(result))
    assert again.compute() == result.compute()


def test_the_boosting_objective_takes_dask_arrays_and_returns_numpy_arrays():
    labels, scores = np.array([0, 1] * 50), np.linspace(-3, 3, 100)
    objective = xgboost_objective()
    lazy = objective(cut(labels, 30), cut(scores, 30))
    for result, expected in zip(lazy, objective(labels, scores), strict=True):
        assert np.array_equal(result, expected)


def test_check_targets_reads_dask_arrays():
    focal_ref.check_targets(cut(np.array([0, 1, 2]), 2), encoding="labels", num_classes=3)
    with pytest.raises(ValueError, match=r"targets: got 3 at position \(2,\)"):
        focal_ref.check_targets(cut(np.array([0, 1, 3]), 2), encoding="labels", num_classes=3)


def test_other_collections_of_dask_are_refused_with_what_to_pass():
    from dask.delayed import delayed

    with pytest.raises(TypeError, match=r"dask: got dask\.delayed\.Delayed.*to_dask_array\(lengths=True\)"):
        focal_ref.loss(delayed(np.zeros(3)), np.zeros(3))


def test_the_adapter_says_what_it_is():
    adapter = adapter_of(da.zeros(2))
    assert (adapter.name, adapter.device_name(da.zeros(2))) == ("dask", "cpu")
    assert adapter.version() == dask.__version__
    assert not adapter.is_host(da.zeros(2))
