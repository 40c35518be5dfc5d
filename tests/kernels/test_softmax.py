"""The fused softmax kernels: accuracy, special rows, factors, layouts, sums and memory."""

import math
import tracemalloc
from functools import cache

import numpy as np
import pytest
from mpmath import mp, mpf

import focal_ref
from focal_ref._evaluate import evaluate
from focal_ref._kernels import rows
from focal_ref._kernels.fingerprint import fingerprint
from focal_ref._kernels.softmax import BATCH, PIECE, softmax_kernel
from focal_ref._kernels.storage import bits
from focal_ref._parameters import IGNORE, Parameters
from focal_ref.conformance.accuracy import error_in_ulps
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.softmax_truth import softmax_results

from .layouts import read_only, unaligned

EMPTY, ONE = np.empty(0), np.ones(1)
NAN, INF = math.nan, math.inf
VARIANTS = [
    ("float64", 2.0),
    ("float64", 2.5),
    ("float32", 0.0),
    ("float32", 1.0),
    ("float32", 2.0),
    ("float32", 0.5),
    ("float16", 2.0),
    ("bfloat16", 2.0),
]
every_variant = pytest.mark.parametrize(("dtype", "gamma"), VARIANTS)
every_dtype = pytest.mark.parametrize("dtype", FORMATS)


def some_rows(dtype, count, classes, spread, seed=0):
    """Logits, and labels of which a third are the most likely class."""
    generator = np.random.default_rng([seed, count, classes])
    logits = generator.uniform(-spread / 2, spread / 2, (count, classes)).astype(FORMATS[dtype].dtype)
    likely = np.argmax(logits.astype(np.float64), axis=-1)
    return logits, np.where(np.arange(count) % 3 == 0, likely, generator.integers(0, classes, count))


def computed(logits, labels, *, gamma=2.0, upstream=1.0, **given):
    """Value and gradient in the logits' dtype."""
    native = logits.dtype.newbyteorder("=")
    value, gradient = np.empty(labels.shape, native), np.empty(logits.shape, native)
    parameters = Parameters(**{"alpha": None, "gamma": gamma, "encoding": "labels", "form": "softmax"} | given)
    rows.elementwise(logits, labels, parameters, value=value, gradient=gradient, upstream=upstream)
    return value, gradient


def total(logits, labels, *, gamma=2.0, **given):
    return rows.total(
        logits, labels, Parameters(**{"alpha": None, "encoding": "labels", "form": "softmax"} | given, gamma=gamma)
    )


def same_bits(found, wanted):
    found, wanted = np.ascontiguousarray(found), np.ascontiguousarray(wanted)
    both_nan = np.isnan(found.astype(np.float64)) & np.isnan(wanted.astype(np.float64))
    integer = f"i{wanted.dtype.itemsize}"
    return found.dtype == wanted.dtype and bool(np.all(both_nan | (found.view(integer) == wanted.view(integer))))


def all_same_bits(found, wanted):
    return all(same_bits(*pair) for pair in zip(found, wanted, strict=True))


# Accuracy


def assert_accurate(logits, labels, results, gamma, bound):
    format = FORMATS[logits.dtype.name]
    wanted = softmax_results(logits, labels, gamma=gamma, format=format)
    for name, found in zip(("value", "gradient"), results, strict=True):
        assert np.max(error_in_ulps(found, wanted[name], flushed=0.0, format=format), initial=0.0) <= bound, name


@every_variant
@pytest.mark.parametrize(
    ("count", "classes", "spread"),
    [(600, 2, 30.0), (600, 3, 200.0), (200, 21, 10.0), (70, 100, 40.0), (70, 100, 4.0), (3, 1000, 10.0)],
)
def test_value_and_gradient_are_accurate(dtype, gamma, count, classes, spread):
    logits, labels = some_rows(dtype, count, classes, spread)
    # float64 is promised for a hundred classes; the bound of a thousand leaves one ulp for each further halving.
    bound = 0.501 if dtype != "float64" else 8 + 2 * gamma if classes < 100 else 16 if classes == 100 else 20
    assert_accurate(logits, labels, computed(logits, labels, gamma=gamma), gamma, bound)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_row_of_more_classes_than_are_kept_is_accurate(dtype):
    logits, labels = some_rows(dtype, 3, 2 * PIECE + 5, 12.0)
    labels[:] = (PIECE - 1, PIECE, 2 * PIECE + 4)
    logits[2] = np.round(logits[2])
    assert_accurate(logits, labels, computed(logits, labels), 2.0, 0.501 if dtype == "float32" else 24.0)


@pytest.mark.parametrize(("dtype", "gamma"), [("float64", 2.5), ("float32", 2.0)])
def test_without_fused_multiply_adds_the_results_are_as_accurate(dtype, gamma):
    logits, labels = some_rows(dtype, 200, 12, 40.0)
    value, gradient = np.empty(200), np.empty_like(logits)
    kernel = softmax_kernel(dtype, None if gamma == 2.5 else gamma, True, fused=False)
    call = logits.reshape(-1), 12, labels, EMPTY, ONE, ONE, gamma, dtype != "float64", value
    kernel(*call, gradient.reshape(-1))
    results = value.astype(logits.dtype), gradient
    assert_accurate(logits, labels, results, gamma, 8 + 2 * gamma if dtype == "float64" else 0.501)


@pytest.mark.parametrize("gamma", [0.0, 2.0, 0.5])
@pytest.mark.parametrize("other", [-40.0, -300.0])
def test_half_way_between_two_float32_numbers_the_value_is_on_the_right_side(gamma, other):
    # 0.75 times a float32 number is half way between two others in one case of two.
    distances = np.linspace(31.0, 100.0, 40, dtype=np.float32)
    logits = np.stack([np.zeros_like(distances), -distances, np.full_like(distances, other)], axis=-1)
    value, _ = computed(logits, np.ones(40, np.int64), gamma=gamma, weights=np.float64(0.75))
    for row in range(40):
        with mp.workdps(600):
            p = softmax_of(logits[row])[1]
            wanted = mpf("0.75") * (1 - p) ** mpf(gamma) * -mp.log(p)
            unit = mpf(2) ** (mp.frexp(wanted)[1] - 24)
            assert abs(mpf(float(value[row])) - wanted) <= unit / 2


def softmax_of(logits):
    exponentials = [mp.exp(mpf(float(z))) for z in logits]
    return [exponential / mp.fsum(exponentials) for exponential in exponentials]


def printed(logits, label, gamma):
    """The printed loss of a row and its gradient through p: ``dp_c/dz_j = p_c (delta_cj - p_j)``."""
    p = softmax_of(logits)
    own, gamma = p[label], mpf(gamma)
    value = (1 - own) ** gamma * -mp.log(own)
    slope = gamma * (1 - own) ** (gamma - 1) * mp.log(own) - (1 - own) ** gamma / own
    return value, [slope * own * ((j == label) - p[j]) for j in range(len(p))]


@pytest.mark.parametrize(("dtype", "gamma"), [("float64", 2.5), ("float32", 2.0), ("bfloat16", 2.0)])
def test_class_weights_row_weights_and_upstream_multiply_before_the_one_rounding(dtype, gamma):
    count, classes = 40, 5
    logits, labels = some_rows(dtype, count, classes, 20.0)
    generator = np.random.default_rng(1)
    alpha, weights, upstream = generator.random(classes), generator.random(count), generator.normal(size=count)
    value, gradient = computed(logits, labels, gamma=gamma, alpha=alpha, weights=weights, upstream=upstream)
    format = FORMATS[dtype]
    bound = 8 + 2 * gamma + 2 if dtype == "float64" else 0.501
    with mp.workdps(80):
        for row, label in enumerate(labels):
            share = mpf(alpha[label]) * mpf(weights[row])
            loss, slopes = printed(logits[row], label, gamma)
            wanted = [share * loss, *(share * slope * mpf(upstream[row]) for slope in slopes)]
            for found, number in zip((value[row], *gradient[row]), wanted, strict=True):
                exponent = max(mp.frexp(number)[1] - 1, format.minimum_exponent) - format.precision + 1
                assert abs(mpf(float(found)) - number) <= bound * mpf(2) ** exponent


def test_a_hundred_thousand_rows_have_the_bits_of_the_forms_on_arrays():
    for count, classes, spread in ((90_000, 3, 30.0), (10_000, 21, 300.0)):
        logits, labels = some_rows("float32", count, classes, spread)
        value, gradient = computed(logits, labels)
        parameters = Parameters(alpha=None, encoding="labels", form="softmax")
        with np.errstate(all="ignore"):
            wanted = evaluate(np, logits.astype(np.float64), labels, parameters, narrowed=True)
            assert same_bits(value, wanted.value.astype(np.float32))
            assert same_bits(gradient, wanted.gradient.astype(np.float32))


# Special rows

SPECIAL = [
    # logits, label, value, gradient
    ((INF, 0.0, 1.0), 0, 0.0, (0.0, 0.0, 0.0)),
    ((INF, 0.0, 1.0), 1, INF, (1.0, -1.0, 0.0)),
    ((-INF, 1.0, 1.0), 0, INF, (-1.0, 0.5, 0.5)),
    ((INF, -INF, 0.0), 1, INF, (1.0, -1.0, 0.0)),
    ((0.0, -INF, -INF), 0, 0.0, (0.0, 0.0, 0.0)),
    ((-3e38, -INF, -INF), 0, 0.0, (0.0, 0.0, 0.0)),
    ((3e38, 3e38, -INF), 2, INF, (0.5, 0.5, -1.0)),
    ((3e38, -3e38, 0.0), 0, 0.0, (0.0, 0.0, 0.0)),
    ((NAN, 0.0, 1.0), 1, NAN, (NAN, NAN, NAN)),
    ((-NAN, 0.0, 1.0), 1, NAN, (NAN, NAN, NAN)),
    ((0.0, NAN, 1.0), 1, NAN, (NAN, NAN, NAN)),
    ((INF, INF, 1.0), 2, NAN, (NAN, NAN, NAN)),
    ((INF, INF, 1.0), 0, NAN, (NAN, NAN, NAN)),
    ((-INF, -INF, -INF), 0, NAN, (NAN, NAN, NAN)),
    ((-INF, NAN, -INF), 0, NAN, (NAN, NAN, NAN)),
    ((INF, NAN, INF), IGNORE, 0.0, (0.0, 0.0, 0.0)),
    ((0.0, 1.0, 2.0), -1, NAN, (NAN, NAN, NAN)),
    ((0.0, 1.0, 2.0), 3, NAN, (NAN, NAN, NAN)),
    ((0.0, 1.0, 2.0), -(2**62), NAN, (NAN, NAN, NAN)),
]


@every_variant
def test_special_rows_have_the_limits_or_nan_wherever_they_stand(dtype, gamma):
    numbers = np.array([row for row, *_ in SPECIAL])
    with np.errstate(over="ignore"):
        logits = np.clip(numbers, -6e4, 6e4) if dtype == "float16" else numbers
        logits = np.where(np.isinf(numbers), numbers, logits).astype(FORMATS[dtype].dtype)
    labels = np.array([label for _, label, *_ in SPECIAL])
    values, gradients = ([row[index] for row in SPECIAL] for index in (2, 3))
    for repeats in (1, BATCH + 1):
        found = computed(np.tile(logits, (repeats, 1)), np.tile(labels, repeats), gamma=gamma)
        assert np.array_equal(found[0].astype(float), np.tile(values, repeats), equal_nan=True)
        assert np.array_equal(found[1].astype(float), np.tile(gradients, (repeats, 1)), equal_nan=True)


@every_dtype
def test_a_single_class_has_no_loss_whatever_its_logit(dtype):
    logits = np.array([[0.0], [5.0], [-6e4], [INF], [NAN], [-INF]]).astype(FORMATS[dtype].dtype)
    value, gradient = computed(logits, np.zeros(6, np.int64))
    assert np.array_equal(value.astype(float), [0, 0, 0, 0, NAN, NAN], equal_nan=True)
    assert np.array_equal(gradient[:, 0].astype(float), [0, 0, 0, 0, NAN, NAN], equal_nan=True)


@every_dtype
@pytest.mark.parametrize("shape", [(0, 3), (0, 0), (4, 0), (2, 0, 5), (1, 1, 1)])
def test_empty_arrays_have_empty_results_and_the_sum_zero(dtype, shape):
    logits, labels = np.zeros(shape, FORMATS[dtype].dtype), np.full(shape[:-1], IGNORE)
    value, gradient = computed(logits, labels)
    assert value.shape == shape[:-1]
    assert gradient.shape == shape
    assert not np.any(value.astype(float))
    assert total(logits, labels) == 0.0


def test_a_share_of_zero_is_zero_whatever_the_row_and_a_weight_out_of_range_is_nan():
    logits, labels = np.array([[NAN, 0.0], [INF, INF], [-INF, 3.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]), [0] * 6
    weights = np.array([0.0, 0.0, 0.0, -1.0, NAN, INF])
    value, gradient = computed(logits, np.array(labels), weights=weights)
    assert np.array_equal(value, [0, 0, 0, NAN, NAN, NAN], equal_nan=True)
    assert np.array_equal(gradient[:3], np.zeros((3, 2)))
    assert np.all(np.isnan(gradient[3:]))
    value, gradient = computed(logits[:3], np.zeros(3, np.int64), alpha=np.array([0.0, 1.0]))
    assert not np.any(value)
    assert not np.any(gradient)


def test_a_label_without_a_derivative_keeps_its_sign_of_zero():
    value, gradient = computed(np.array([[900.0, 0.0]]), np.array([0]))
    assert same_bits(value, np.array([0.0]))
    assert same_bits(gradient, np.array([[-0.0, 0.0]]))


# Layouts, places, outputs


@every_dtype
@pytest.mark.parametrize("classes", [1, 7, 100, PIECE - 1])
def test_a_row_does_not_depend_on_the_rows_beside_it(dtype, classes):
    count = 2 * BATCH + 3 if classes < 200 else 3
    logits, labels = some_rows(dtype, count, classes, 50.0)
    labels[::5] = IGNORE
    whole = computed(logits, labels)
    for first in (0, 1, BATCH - 1, BATCH, count - 1):
        part = slice(min(first, count - 1), min(first, count - 1) + 2)
        assert all_same_bits(computed(logits[part], labels[part]), [array[part] for array in whole])


LAYOUTS = {
    "every other row": lambda array: np.repeat(array, 2, axis=0)[::2],
    "reversed": lambda array: array[:, ::-1].copy()[:, ::-1],
    "classes first": lambda array: np.moveaxis(np.moveaxis(array, -1, 0).copy(), 0, -1),
    "transposed": lambda array: array.T.copy().T,
    "read-only": read_only,
    "unaligned": unaligned,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@every_dtype
def test_layouts_of_logits_labels_weights_and_results_do_not_matter(dtype, layout):
    if dtype == "bfloat16" and layout == "other byte order":
        pytest.skip("ml_dtypes' bfloat16 comes in native byte order only")
    # More than two blocks of copies.
    logits, labels = some_rows(dtype, 6000, 30, 20.0)
    logits, labels = logits.reshape(50, 120, 30), labels.reshape(50, 120)
    weights, upstream = np.random.default_rng(2).random((2, 50, 120))
    wanted = computed(logits, labels, weights=weights, upstream=upstream)
    changed = LAYOUTS[layout]
    found = computed(changed(logits), changed(labels), weights=changed(weights), upstream=changed(upstream))
    assert all_same_bits(found, wanted)
    assert total(changed(logits), changed(labels)) == total(logits, labels)
    if layout != "read-only":
        value, gradient = (changed(np.zeros_like(array)) for array in wanted)
        parameters = Parameters(alpha=None, weights=weights, encoding="labels", form="softmax")
        rows.elementwise(logits, labels, parameters, value=value, gradient=gradient, upstream=upstream)
        assert all_same_bits([array.astype(logits.dtype) for array in (value, gradient)], wanted)


def test_weights_and_upstream_broadcast_to_the_rows():
    logits, labels = some_rows("float32", 60, 4, 8.0)
    logits, labels = logits.reshape(5, 12, 4), labels.reshape(5, 12)
    for shape in ((), (1,), (12,), (5, 1), (1, 12)):
        weights, upstream = np.random.default_rng(3).random((2, *shape))
        found = computed(logits, labels, weights=weights, upstream=upstream)
        full = [np.broadcast_to(array, (5, 12)).copy() for array in (weights, upstream)]
        assert all_same_bits(found, computed(logits, labels, weights=full[0], upstream=full[1]))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64"])
def test_labels_of_any_integer_type_give_the_same_bits(dtype):
    logits, labels = some_rows("float32", 100, 9, 8.0)
    assert all_same_bits(computed(logits, labels.astype(dtype)), computed(logits, labels))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_value_and_gradient_alone_and_unrounded_ones_belong_to_the_results_together(dtype):
    logits, labels = some_rows(dtype, 200, 11, 30.0)
    wanted = computed(logits, labels)
    parameters = Parameters(alpha=None, encoding="labels", form="softmax")
    value, gradient = (np.empty_like(array) for array in wanted)
    rows.elementwise(logits, labels, parameters, value=value)
    rows.elementwise(logits, labels, parameters, gradient=gradient)
    assert all_same_bits((value, gradient), wanted)
    unrounded = np.empty(200), np.empty((200, 11))
    rows.elementwise(logits, labels, parameters, value=unrounded[0], gradient=unrounded[1])
    # The same numbers as those of float64 logits, but for the nudge off a tie.
    assert all_same_bits(unrounded, computed(logits.astype(np.float64), labels))


def test_an_array_of_gammas_takes_the_same_numbers_by_the_other_way():
    logits, labels = some_rows("float32", 300, 6, 15.0)
    found = computed(logits, labels, gamma=np.full(6, 2.0))
    assert all_same_bits(found, computed(logits, labels, gamma=np.array(2.0)))


def test_inputs_are_not_written_to():
    logits, labels = some_rows("float32", 500, 7, 10.0)
    weights = np.random.default_rng(4).random(500)
    before = [array.copy() for array in (logits, labels, weights)]
    computed(logits, labels, weights=weights)
    total(logits, labels, weights=weights)
    assert all_same_bits((logits, labels, weights), before)


# Sums and memory


@every_dtype
@pytest.mark.parametrize(("count", "classes"), [(1, 5), (30_000, 3), (900, 700)])
def test_the_total_adds_the_unrounded_terms(dtype, count, classes):
    logits, labels = some_rows(dtype, count, classes, 12.0)
    exact = softmax_results(logits, labels, gamma=2.0, format=FORMATS["float64"])["value"].numbers
    levels = math.ceil(math.log2(max(count, 2))) + 1
    # A term is off by at most 20 ulp of itself, that is by 2^-52 times 20.
    assert abs(total(logits, labels) - math.fsum(exact)) <= (40 + levels) * 2.0**-53 * math.fsum(exact)


@cache
def strided_and_contiguous():
    logits = np.random.default_rng(5).normal(0.0, 4.0, (4, 19, 200, 200)).astype(np.float32)
    strided = np.moveaxis(logits, 1, -1)
    labels = np.random.default_rng(6).integers(0, 19, strided.shape[:-1])
    return {"contiguous": (strided.copy(), labels), "strided": (strided, labels.astype(np.uint8))}


@pytest.mark.parametrize("layout", ["contiguous", "strided"])
def test_extra_memory_stays_under_a_megabyte(layout):
    logits, labels = strided_and_contiguous()[layout]
    parameters = Parameters(alpha=None, encoding="labels", form="softmax")
    value, gradient = np.empty(labels.shape, np.float32), np.empty(logits.shape, np.float32)
    strided_gradient = np.moveaxis(np.empty((4, 19, 200, 200), np.float32), 1, -1)
    calls = [
        lambda: rows.total(logits, labels, parameters),
        lambda: rows.elementwise(logits, labels, parameters, value=value),
        lambda: rows.elementwise(logits, labels, parameters, value=value, gradient=gradient),
        lambda: rows.elementwise(logits, labels, parameters, gradient=strided_gradient),
    ]
    for call in calls:
        call()
        tracemalloc.start()
        try:
            call()
            assert tracemalloc.get_traced_memory()[1] < 1e6
        finally:
            tracemalloc.stop()
    assert same_bits(strided_gradient, gradient)


def test_kernels_can_be_kept_on_the_disk():
    assert len(fingerprint(softmax_kernel("float32", 2.0, True))) == 64


def test_the_kernel_leaves_an_output_alone_that_it_was_not_asked_for():
    logits, labels = some_rows("float16", 10, 4, 5.0)
    gradient = np.full((10, 4), 77, np.float16)
    call = bits(logits).reshape(-1), 4, labels, EMPTY, ONE, ONE, 2.0, True, np.empty(10)
    softmax_kernel("float16", 2.0, False)(*call, bits(gradient).reshape(-1))
    assert np.all(gradient == 77)


def test_no_bit_of_a_loss_of_many_rows_depends_on_the_number_of_threads():
    logits = np.random.default_rng(3).normal(0.0, 4.0, (40_000, 20)).astype(np.float32)
    labels = np.random.default_rng(4).integers(0, 20, len(logits))
    before, results = focal_ref.get_num_threads(), []
    for threads in (1, 2, 5):
        focal_ref.set_num_threads(threads)
        value, gradient = focal_ref.value_and_grad(logits, labels, function=focal_ref.softmax_loss, reduction="sum")
        each = focal_ref.softmax_loss(logits, labels)
        results.append([value.tobytes(), gradient.tobytes(), each.tobytes()])
    focal_ref.set_num_threads(before)
    assert results[1:] == results[:1] * 2
