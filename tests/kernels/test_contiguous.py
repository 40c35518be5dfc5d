"""The pass over contiguous arrays: targets of every dtype, labels, sums, and that nothing depends on how it is cut."""

import math
import tracemalloc

import numpy as np
import pytest

import focal_ref
from focal_ref._kernels import host, whole
from focal_ref._kernels.contiguous import PIECE, RUN, Variant, contiguous_kernel
from focal_ref._kernels.dense import Written
from focal_ref._kernels.fingerprint import fingerprint
from focal_ref._parameters import Parameters
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS

from ..comparison import DTYPES, assert_same_bits, assert_within, expected, expected_sum, some_logits, some_targets

SIZE = whole.MINIMUM + 3 * PIECE + 17
SETTINGS = {"alpha": 0.3, "gamma": 1.5}

every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@pytest.fixture
def one_pass(monkeypatch):
    """Fails what does not take the pass."""

    def blocks(*given):
        raise AssertionError("evaluated in blocks")

    monkeypatch.setattr(host, "_blocks", blocks)


@pytest.fixture
def in_blocks(monkeypatch):
    """A function that evaluates a call in blocks, which is another way to the same numbers."""

    def evaluated(function, *arrays, **settings):
        with monkeypatch.context() as context:
            context.setattr(whole, "MINIMUM", math.inf)
            return function(*arrays, **settings)

    return evaluated


@pytest.fixture(autouse=True)
def same_number_of_threads():
    before = focal_ref.get_num_threads()
    yield
    focal_ref.set_num_threads(before)


# Every element


@pytest.mark.parametrize(
    ("dtype", "precision"), [*((dtype, "exact") for dtype in DTYPES), ("float32", "fast"), ("bfloat16", "fast")]
)
def test_value_and_gradient_are_within_their_bounds(one_pass, dtype, precision):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    found = focal_ref.value_and_grad(logits, targets, **SETTINGS, precision=precision)
    bound = budget(precision, FORMATS[dtype], SETTINGS["gamma"], weighted=True)
    for name, results in zip(("value", "gradient"), found, strict=True):
        assert_within(results, expected(logits, targets, **SETTINGS)[name], bound)


@pytest.mark.parametrize(("dtype", "gamma"), [("float64", 0.0), ("float32", 1.0), ("float32", 2.0)])
def test_the_exponents_with_forms_of_their_own_are_within_their_bounds(one_pass, dtype, gamma):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    found = focal_ref.value_and_grad(logits, targets, alpha=0.25, gamma=gamma)
    for name, results in zip(("value", "gradient"), found, strict=True):
        wanted = expected(logits, targets, alpha=0.25, gamma=gamma)[name]
        assert_within(results, wanted, budget("exact", FORMATS[dtype], gamma, weighted=True))


@every_dtype
def test_the_second_derivative_is_within_its_bound(one_pass, dtype):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE)
    found = focal_ref.second_derivative(logits, targets, **SETTINGS)
    bound = budget("exact", FORMATS[dtype], SETTINGS["gamma"], weighted=True)
    assert_within(found, expected(logits, targets, **SETTINGS)["second_derivative"], bound)


@pytest.mark.parametrize("kind", ["int8", "int64", "uint8", "uint64", "float32", "float16", "bfloat16"])
def test_targets_of_any_dtype_are_read_as_what_they_are(one_pass, kind):
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    as_numbers = targets.astype(DTYPES.get(kind, kind))
    if kind in DTYPES:
        # A negative whose target is -0 is a negative.
        as_numbers[:200] = np.where(targets[:200], 1.0, -0.0)
    wanted = focal_ref.loss(logits, targets, **SETTINGS)
    assert_same_bits(focal_ref.loss(logits, as_numbers, **SETTINGS), wanted)


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_signed_targets_of_any_dtype_are_read_as_what_they_are(one_pass, kind):
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    signed = np.where(targets, 1, -1).astype(DTYPES.get(kind, kind))
    wanted = focal_ref.loss(logits, targets, **SETTINGS)
    assert_same_bits(focal_ref.loss(logits, signed, encoding="signed", **SETTINGS), wanted)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("place", [0, PIECE + 1, SIZE - 1])
def test_one_soft_target_anywhere_is_taken_for_what_it_is(in_blocks, dtype, place):
    logits, targets = some_logits(dtype, SIZE), some_targets(SIZE).astype(np.float32)
    logits[place], targets[place] = 0.5, 0.25
    found = focal_ref.value_and_grad(logits, targets, **SETTINGS)
    part = slice(max(place - 20, 0), place + 20)
    bound = budget("exact", FORMATS[dtype], SETTINGS["gamma"], weighted=True)
    for name, results in zip(("value", "gradient"), found, strict=True):
        assert_within(results[part], expected(logits[part], targets[part], **SETTINGS)[name], bound)
    blocks = in_blocks(focal_ref.loss, logits, targets, reduction="sum", **SETTINGS)
    assert focal_ref.loss(logits, targets, reduction="sum", **SETTINGS) == blocks


def test_targets_out_of_range_that_nothing_checked_give_nan_in_their_elements_alone():
    logits, targets = np.zeros(SIZE, np.float32), np.ones(SIZE, np.uint8)
    targets[5], value = 7, np.empty(SIZE, np.float32)
    host.elementwise(logits, targets, Parameters(), value=value)
    assert np.flatnonzero(np.isnan(value)).tolist() == [5]


# Labels


def some_labels(rows, classes, dtype="int64"):
    """Classes, and codes where the dtype has negative numbers."""
    lowest = 0 if dtype.startswith("u") else -2
    labels = np.random.default_rng(7).integers(lowest, classes, rows)
    labels[:4] = [max(lowest, -2), max(lowest, -1), 0, classes - 1]
    return labels.astype(dtype)


def one_hot(labels, classes):
    return labels[:, np.newaxis] == np.arange(classes)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("classes", [1, 3, 80, PIECE + 5, 3 * PIECE])
def test_labels_give_the_bits_of_one_hot_targets_and_zero_where_they_say_to_ignore(one_pass, dtype, classes):
    rows = SIZE // classes + 5
    logits = some_logits(dtype, rows * classes).reshape(rows, classes)
    labels = some_labels(rows, classes)
    kept = (labels != focal_ref.IGNORE)[:, np.newaxis]
    found = focal_ref.value_and_grad(logits, labels, function=focal_ref.loss_from_labels, **SETTINGS)
    dense = focal_ref.value_and_grad(logits, one_hot(labels, classes), **SETTINGS)
    for results, wanted in zip(found, dense, strict=True):
        assert_same_bits(results[kept[:, 0]], wanted[kept[:, 0]])
        assert np.all(results[~kept[:, 0]] == 0)


@pytest.mark.parametrize("kind", ["int8", "int32", "uint8"])
def test_labels_of_any_dtype_are_read_as_what_they_are(one_pass, kind):
    logits = some_logits("float32", SIZE - SIZE % 50).reshape(-1, 50)
    labels = some_labels(len(logits), 50, kind)
    wanted = focal_ref.loss_from_labels(logits, labels.astype(np.int64), **SETTINGS)
    assert_same_bits(focal_ref.loss_from_labels(logits, labels, **SETTINGS), wanted)


def test_labels_that_nothing_checked_give_nan_in_their_rows_alone():
    logits, labels = np.zeros((SIZE // 40, 40), np.float32), np.zeros(SIZE // 40, np.int64)
    labels[[2, 9]] = [40, -3]
    gradient = np.empty_like(logits)
    parameters = Parameters(encoding="labels")
    assert math.isnan(host.total_and_gradient(logits, labels, parameters, gradient=gradient))
    assert np.flatnonzero(np.isnan(gradient).any(axis=1)).tolist() == [2, 9]


# Sums


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("size", [SIZE, RUN, RUN + 1, 2 * RUN + PIECE])
def test_sums_of_dense_targets_are_those_of_the_exact_terms(one_pass, dtype, size):
    # Without infinities and cancellation: the bound is relative.
    logits = np.random.default_rng(5).normal(0.0, 4.0, size).astype(DTYPES[dtype])
    targets = some_targets(size)
    exact = expected_sum(logits, targets, **SETTINGS)
    found = host.total(logits, targets, Parameters(**SETTINGS))
    levels = math.ceil(math.log2(size))
    assert abs(found - exact) <= (24 + levels) * 2.0**-53 * exact


@pytest.mark.parametrize(("dtype", "precision"), [("float64", "exact"), ("float32", "exact"), ("float32", "fast")])
def test_sums_have_the_bits_of_the_evaluation_in_blocks(in_blocks, dtype, precision):
    logits = np.random.default_rng(6).normal(0.0, 4.0, (2 * RUN + 300) // 60 * 60).astype(DTYPES[dtype])
    labels = some_labels(logits.size // 60, 60)
    parameters = Parameters(encoding="labels", precision=precision, **SETTINGS)
    call = logits.reshape(-1, 60), labels, parameters
    assert host.total(*call) == in_blocks(host.total, *call)


@pytest.mark.parametrize("encoding", ["binary", "labels"])
def test_no_bit_depends_on_the_number_of_threads(one_pass, encoding):
    logits = np.random.default_rng(8).normal(0.0, 4.0, (11 * RUN // 100, 100)).astype(np.float32)
    targets = some_labels(len(logits), 100) if encoding == "labels" else some_targets(logits.size).reshape(logits.shape)
    function = focal_ref.loss_from_labels if encoding == "labels" else focal_ref.loss
    results = []
    for threads in (1, 2, 3, 8):
        focal_ref.set_num_threads(threads)
        sums = focal_ref.value_and_grad(logits, targets, function=function, reduction="sum", **SETTINGS)
        results.append((*sums, focal_ref.loss(logits, targets, reduction="mean") if encoding == "binary" else sums[0]))
    for found in results[1:]:
        for one, other in zip(found, results[0], strict=True):
            assert_same_bits(np.asarray(one), np.asarray(other))


def test_a_sum_and_its_gradient_in_one_pass_are_those_of_two_calls(one_pass):
    logits, targets = some_logits("float32", SIZE), some_targets(SIZE)
    logits[np.isinf(logits)] = 3.0
    both = focal_ref.value_and_grad(logits, targets, reduction="sum", normalizer=7.0, **SETTINGS)
    assert both[0] == focal_ref.loss(logits, targets, reduction="sum", normalizer=7.0, **SETTINGS)
    divided = expected(logits, targets, weights=np.float64(1.0 / 7.0), **SETTINGS)["gradient"]
    assert_within(both[1], divided, 0.501)


def test_a_class_of_weight_zero_adds_nothing_to_a_sum_even_where_its_loss_is_infinite(one_pass):
    logits, targets = np.zeros(SIZE), np.zeros(SIZE, bool)
    logits[3], targets[3] = -np.inf, True
    assert focal_ref.loss(logits, targets, alpha=0.0, gamma=0.0, reduction="sum") == pytest.approx(
        SIZE * math.log(2) - math.log(2)
    )


# Memory


@pytest.mark.parametrize("kind", ["labels", "float32", "bool"])
def test_a_sum_takes_less_than_a_mebibyte_and_a_gradient_itself_alone(kind):
    logits = np.zeros((1 << 15, 80), np.float32)
    function = focal_ref.loss_from_labels if kind == "labels" else focal_ref.loss
    targets = np.full(1 << 15, -1) if kind == "labels" else np.zeros(logits.shape, kind)

    def extra(call):
        call()
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert extra(lambda: function(logits, targets, reduction="sum")) < 1 << 20
    assert extra(lambda: function(logits, targets, reduction="mean")) < 1 << 20
    both = extra(lambda: focal_ref.value_and_grad(logits, targets, function=function, reduction="sum"))
    assert logits.nbytes <= both < logits.nbytes + (1 << 20)
    gradient = np.empty_like(logits)
    call = {"function": function, "reduction": "sum", "out": (None, gradient)}
    assert extra(lambda: focal_ref.value_and_grad(logits, targets, **call)) < 1 << 20


def test_every_pass_has_a_fingerprint_and_so_is_kept_on_the_disk():
    for written, summed in ((Written("float32"), False), (Written(None, "float32"), True)):
        variant = Variant("float32", "int64", "labels", "float64", 2.0, written, summed, narrowed=not summed)
        kernel = contiguous_kernel(variant)
        # Raises for what has none; such a kernel would be compiled by every process.
        assert len(fingerprint(kernel)) >= 32
