"""The fused loops: what they load and store, and that neither size nor layout changes a bit of a result."""

import math
from functools import cache, partial
from itertools import pairwise, product

import ml_dtypes
import numba
import numpy as np
import pytest

from focal_ref._evaluate import tree_sum as tree_sum_of_arrays
from focal_ref._exact import evaluate
from focal_ref._kernels.dense import _loader, dense_kernel, storer, tree_sum
from focal_ref._kernels.host import BLOCK, elementwise, second_derivative, total
from focal_ref._parameters import Parameters

from .layouts import read_only, unaligned

DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
FORMATS = {"float64": (-1022, 53), "float32": (-126, 24), "float16": (-14, 11), "bfloat16": (-126, 8)}
FRACTION_BITS = {"float16": 10, "bfloat16": 7}
BIAS = {"float16": 15, "bfloat16": 127}
ALL_PATTERNS = np.arange(1 << 16, dtype=np.int64)

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
both_16_bit_formats = pytest.mark.parametrize("dtype", FRACTION_BITS)
with_and_without_fusing = pytest.mark.parametrize("fused", [True, False], ids=["fused", "separate"])


def decoded(dtype, patterns):
    """The numbers that bit patterns stand for, by the definition of a binary format."""
    bits, bias = FRACTION_BITS[dtype], BIAS[dtype]
    exponent, fraction = (patterns & 0x7FFF) >> bits, patterns & ((1 << bits) - 1)
    normal = np.ldexp(1.0 + fraction * 2.0**-bits, exponent - bias)
    subnormal = np.ldexp(fraction * 2.0**-bits, 1 - bias)
    numbers = np.where(exponent == 0, subnormal, normal)
    special = exponent == 2 * bias + 1
    numbers = np.where(special, np.where(fraction == 0, np.inf, np.nan), numbers)
    return np.where(patterns >> 15 == 1, -numbers, numbers)


def same_bits(left, right):
    """Equality of every bit, signs of zeros included; NaN are all the same."""
    left, right = np.asarray(left), np.asarray(right)
    integer = f"u{left.dtype.itemsize}"
    both_nan = np.isnan(left.astype(np.float64)) & np.isnan(right.astype(np.float64))
    return left.dtype == right.dtype and bool(np.all(both_nan | (left.view(integer) == right.view(integer))))


@cache
def load_loop(dtype, arithmetic):
    load = _loader(dtype, arithmetic)

    @numba.njit
    def loop(patterns, results):
        for index in range(patterns.size):
            results[index] = load(patterns[index])

    return loop


@cache
def store_loop(dtype):
    store = storer(dtype)

    @numba.njit
    def loop(numbers, results):
        for index in range(numbers.size):
            results[index] = store(numbers[index])

    return loop


def stored(dtype, numbers):
    results = np.empty(len(numbers), dtype=np.uint16)
    store_loop(dtype)(np.asarray(numbers), results)
    return results.astype(np.int64)


@both_16_bit_formats
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_loading_any_of_the_65536_patterns_is_exact(dtype, arithmetic):
    results = np.empty(ALL_PATTERNS.size, dtype=arithmetic)
    load_loop(dtype, arithmetic)(ALL_PATTERNS.astype(np.uint16), results)
    expected = decoded(dtype, ALL_PATTERNS)
    assert np.array_equal(results, expected, equal_nan=True)
    assert np.array_equal(np.signbit(results), np.signbit(expected))


@both_16_bit_formats
@pytest.mark.parametrize("arithmetic", ["float64", "float32"])
def test_storing_a_number_of_the_format_gives_its_pattern(dtype, arithmetic):
    numbers = decoded(dtype, ALL_PATTERNS)
    ordinary = ~np.isnan(numbers)
    results = stored(dtype, numbers[ordinary].astype(arithmetic))
    assert np.array_equal(results, ALL_PATTERNS[ordinary])


@both_16_bit_formats
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_storing_between_two_neighbours_rounds_to_the_nearest_and_ties_to_even(dtype, sign):
    infinity = (2 * BIAS[dtype] + 1) << FRACTION_BITS[dtype]
    lower = np.arange(infinity)
    numbers = decoded(dtype, lower)
    # Beyond the largest number the next one would be a power of two: the middle to it is where infinity begins.
    above = np.append(numbers[1:], 2.0 ** (BIAS[dtype] + 1))
    middle = numbers + (above - numbers) / 2.0
    sign_bit = 0 if sign > 0 else 0x8000
    store = partial(stored, dtype)
    assert np.array_equal(store(sign * middle), (lower + lower % 2) | sign_bit)
    assert np.array_equal(store(sign * np.nextafter(middle, 0.0)), lower | sign_bit)
    assert np.array_equal(store(sign * np.nextafter(middle, np.inf)), (lower + 1) | sign_bit)


@both_16_bit_formats
def test_storing_nan_gives_nan_and_storing_what_is_too_large_or_too_small_gives_infinity_or_zero(dtype):
    numbers = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1e-300, -1e-300, 5e-324, 0.0, -0.0]
    results = decoded(dtype, stored(dtype, np.array(numbers)))
    assert same_bits(results, np.array([np.nan, np.inf, -np.inf, np.inf, -np.inf, 0.0, -0.0, 0.0, 0.0, -0.0]))


def some_logits(dtype, count, seed=0):
    generator = np.random.default_rng(seed)
    logits = generator.normal(0.0, 8.0, count)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4, 88.7, -103.9, 708.4, -745.2, 1e-30]
    logits[:: max(count // 50, 1)] = generator.choice(special, logits[:: max(count // 50, 1)].size)
    with np.errstate(over="ignore"):
        return logits.astype(DTYPES[dtype])


def some_targets(count, seed=1):
    return np.random.default_rng(seed).random(count) < 0.4


def as_bits(array):
    return array.view(np.uint16) if array.dtype.itemsize == 2 else array


def evaluated(
    dtype, logits, targets, *, gamma=1.5, fused=None, arithmetic="float64", with_value=True, with_gradient=True
):
    """Call a kernel on whole arrays, with alpha = 0.3; outputs that are not asked for stay as they were."""
    exponent = gamma if gamma in (0.0, 1.0, 2.0) else None
    kernel = dense_kernel(dtype, dtype, arithmetic, exponent, with_value, with_gradient, fused)
    value, gradient = np.full_like(logits, 77.0), np.full_like(logits, 77.0)
    number = np.dtype(arithmetic).type
    settings = (number(0.3), number(0.7), number(gamma), number(0.0), number(1.0))
    kernel(as_bits(logits), targets.view(np.uint8), *settings, as_bits(value), as_bits(gradient))
    return value, gradient


def largest_error(dtype, logits, targets, results, *, gamma, quantity):
    """In ulp of the exact results."""
    finite = np.isfinite(logits.astype(np.float64))
    wide = logits[finite].astype(np.float64)
    exact = evaluate(wide, targets[finite].astype(np.float64), alpha=0.3, gamma=gamma)
    unit = getattr(exact, quantity).unit_exponent(*FORMATS[dtype])
    high, low = getattr(exact, quantity).in_units(unit)
    return np.max(np.abs((np.ldexp(results[finite].astype(np.float64), -unit) - high) - low))


@every_dtype
@with_and_without_fusing
@pytest.mark.parametrize("gamma", [0.0, 1.5])
def test_value_and_gradient_are_within_their_bounds_with_and_without_fused_multiply_adds(dtype, fused, gamma):
    logits, targets = some_logits(dtype, 20_000), some_targets(20_000)
    value, gradient = evaluated(dtype, logits, targets, gamma=gamma, fused=fused)
    bound = 9.0 + 2.0 * gamma if dtype == "float64" else 0.501
    for quantity, results in (("value", value), ("gradient", gradient)):
        assert largest_error(dtype, logits, targets, results, gamma=gamma, quantity=quantity) <= bound


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@with_and_without_fusing
def test_float32_arithmetic_is_within_its_bounds_with_and_without_fused_multiply_adds(dtype, fused):
    logits, targets = some_logits(dtype, 20_000), some_targets(20_000)
    results = evaluated(dtype, logits, targets, gamma=2.0, fused=fused, arithmetic="float32")
    bound = 15.0 if dtype == "float32" else 0.51
    for quantity, result in zip(("value", "gradient"), results, strict=True):
        assert largest_error(dtype, logits, targets, result, gamma=2.0, quantity=quantity) <= bound


@every_dtype
@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 15, 17, 63, 1001])
def test_a_result_does_not_depend_on_the_size_of_the_array_or_the_place_in_it(dtype, size):
    logits, targets = some_logits(dtype, size), some_targets(size)
    value, gradient = evaluated(dtype, logits, targets)
    for index in range(size):
        part = slice(index, index + 1)
        for whole, alone in zip((value, gradient), evaluated(dtype, logits[part], targets[part]), strict=True):
            assert same_bits(whole[part], alone)


@every_dtype
def test_more_than_one_block_gives_the_bits_of_its_parts(dtype):
    size = 2 * BLOCK + 4097
    logits, targets = some_logits(dtype, size), some_targets(size)
    value, gradient = np.empty_like(logits), np.empty_like(logits)
    elementwise(logits, targets, Parameters(alpha=0.3, gamma=1.5), value=value, gradient=gradient)
    cuts = [0, 1, 1000, BLOCK - 3, BLOCK + 5, 2 * BLOCK, size]
    for first, last in pairwise(cuts):
        part = slice(first, last)
        for whole, alone in zip((value, gradient), evaluated(dtype, logits[part], targets[part]), strict=True):
            assert same_bits(whole[part], alone)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_the_value_alone_and_the_gradient_alone_have_the_bits_they_have_together(dtype):
    logits, targets = some_logits(dtype, 3001), some_targets(3001)
    value, gradient = evaluated(dtype, logits, targets)
    value_alone, untouched = evaluated(dtype, logits, targets, with_gradient=False)
    assert same_bits(value_alone, value)
    assert np.all(untouched == 77)
    untouched, gradient_alone = evaluated(dtype, logits, targets, with_value=False)
    assert same_bits(gradient_alone, gradient)
    assert np.all(untouched == 77)


def through_host(logits, targets, **parameters):
    """Value and gradient in fresh arrays."""
    native = logits.dtype.newbyteorder("=")
    value, gradient = np.empty(logits.shape, native), np.empty(logits.shape, native)
    elementwise(logits, targets, Parameters(**parameters), value=value, gradient=gradient)
    return value, gradient


def other_byte_order(array):
    return array.astype(array.dtype.newbyteorder())


LAYOUTS = {
    "every other element": lambda array: np.repeat(array, 2, axis=1)[:, ::2],
    "reversed": lambda array: array[:, ::-1].copy()[:, ::-1],
    "transposed": lambda array: array.T.copy().T,
    "read-only": read_only,
    "unaligned": unaligned,
    "other byte order": other_byte_order,
}


def has_layout(dtype, layout):
    """Tell whether NumPy has such arrays: ml_dtypes' bfloat16 comes in native byte order only."""
    return (dtype, layout) != ("bfloat16", "other byte order")


@pytest.mark.parametrize(("dtype", "layout"), [pair for pair in product(DTYPES, LAYOUTS) if has_layout(*pair)])
def test_the_layout_of_logits_and_targets_does_not_matter(dtype, layout):
    logits = some_logits(dtype, 300 * 301).reshape(300, 301)
    targets = some_targets(logits.size).astype(np.int32).reshape(logits.shape)
    expected = through_host(logits, targets, alpha=0.3, gamma=1.5)
    changed = LAYOUTS[layout]
    for found, wanted in zip(
        through_host(changed(logits), changed(targets), alpha=0.3, gamma=1.5), expected, strict=True
    ):
        assert same_bits(found, wanted)


WRITABLE = ("every other element", "reversed", "transposed", "unaligned", "other byte order")


@pytest.mark.parametrize(("dtype", "layout"), [pair for pair in product(DTYPES, WRITABLE) if has_layout(*pair)])
def test_results_are_written_into_outputs_of_any_layout(dtype, layout):
    logits = some_logits(dtype, 50 * 51).reshape(50, 51)
    targets = some_targets(logits.size).reshape(logits.shape)
    value, gradient = (LAYOUTS[layout](np.zeros_like(logits)) for _ in range(2))
    elementwise(logits, targets, Parameters(alpha=0.3, gamma=1.5), value=value, gradient=gradient)
    expected = through_host(logits, targets, alpha=0.3, gamma=1.5)
    for found, wanted in zip((value, gradient), expected, strict=True):
        assert same_bits(found.astype(wanted.dtype), wanted)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_soft_targets_and_arrays_of_parameters_take_any_layout_too(layout):
    changed = LAYOUTS[layout]
    generator = np.random.default_rng(3)
    logits = some_logits("float64", 60 * 61).reshape(60, 61)
    targets, alpha, gamma, weights = generator.random((4, *logits.shape))
    expected = through_host(logits, targets, alpha=alpha, gamma=gamma, weights=weights)
    found = through_host(
        changed(logits), changed(targets), alpha=changed(alpha), gamma=changed(gamma), weights=changed(weights)
    )
    for left, right in zip(found, expected, strict=True):
        assert same_bits(left, right)


def test_inputs_are_not_written_to():
    logits, targets = some_logits("float32", 5000), some_targets(5000).astype(np.float32)
    before = logits.copy(), targets.copy()
    through_host(logits, targets, gamma=1.5)
    total(logits, targets, Parameters(gamma=1.5))
    second_derivative(logits, targets, Parameters(gamma=1.5), out=np.empty_like(logits))
    assert same_bits(logits, before[0])
    assert same_bits(targets, before[1])


@every_dtype
def test_an_array_without_dimensions_and_an_empty_one_are_arrays_like_any_other(dtype):
    logits = some_logits(dtype, 7)[3:4]
    expected = evaluated(dtype, logits, np.array([True]))
    found = through_host(logits.reshape(()), np.array(True), alpha=0.3, gamma=1.5)
    for left, right in zip(found, expected, strict=True):
        assert same_bits(left.reshape(1), right)
    assert through_host(np.empty((0, 3), DTYPES[dtype]), np.empty((0, 3), bool))[0].shape == (0, 3)


@pytest.mark.parametrize("encoding", ["bool", "uint8", "int64", "float32", "signed"])
def test_targets_of_any_type_give_the_same_bits(encoding):
    logits, positive = some_logits("float32", 999), some_targets(999)
    expected = through_host(logits, positive, gamma=1.5)
    if encoding == "signed":
        found = through_host(logits, np.where(positive, 1, -1), gamma=1.5, encoding="signed")
    else:
        found = through_host(logits, positive.astype(encoding), gamma=1.5)
    for left, right in zip(found, expected, strict=True):
        assert same_bits(left, right)


def test_a_class_of_weight_zero_costs_nothing_even_where_its_loss_is_infinite():
    logits = np.array([np.inf, -np.inf, 3.0, -np.inf, np.nan])
    targets = np.array([False, True, True, True, True])
    value, gradient = through_host(logits, targets, alpha=0.0, gamma=1.5)
    assert value[:4].tolist() == [np.inf, 0.0, 0.0, 0.0]
    assert gradient[:4].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert np.isnan([value[4], gradient[4]]).all()


def test_the_gradient_is_multiplied_by_the_upstream_one_before_it_is_rounded():
    logits, targets = some_logits("float16", 2000), some_targets(2000)
    upstream = np.random.default_rng(2).uniform(0.1, 3.0, 2000)
    found = np.empty_like(logits)
    elementwise(logits, targets, Parameters(alpha=0.3, gamma=1.5), gradient=found, upstream=upstream)
    finite = np.isfinite(logits.astype(np.float64))
    exact = evaluate(logits[finite].astype(np.float64), targets[finite].astype(np.float64), alpha=0.3, gamma=1.5)
    expected = exact.gradient.rounded() * upstream[finite]
    # In float64, expected and unrounded results are a few ulp apart: they round alike but for near-ties.
    unit = np.ldexp(1.0, np.maximum(np.frexp(expected)[1] - 11, -24))
    assert np.max(np.abs(found[finite].astype(np.float64) - expected) / unit) < 0.501


SIZES = [0, 1, 2, 3, 5, 64, 1000, 65_537]


@pytest.mark.parametrize("size", SIZES)
def test_the_sum_is_accurate_and_in_the_order_that_the_size_alone_determines(size):
    generator = np.random.default_rng(size)
    terms = generator.normal(0.0, 1.0, size) * 10.0 ** generator.uniform(-8.0, 8.0, size)
    found = tree_sum(terms.copy(), size)
    levels = max(math.ceil(math.log2(size)), 1) if size else 1
    assert abs(found - math.fsum(terms)) <= levels * 2.0**-53 * math.fsum(np.abs(terms))
    assert found == tree_sum(terms.copy(), size)
    assert found == tree_sum_of_arrays(np, terms)


def test_a_sum_of_numbers_that_need_no_rounding_is_exact():
    terms = np.random.default_rng(4).integers(-(2**20), 2**20, 100_003).astype(np.float64)
    assert tree_sum(terms.copy(), terms.size) == math.fsum(terms)


@every_dtype
@pytest.mark.parametrize("size", [0, 1, 3 * BLOCK + 17])
def test_the_total_adds_the_unrounded_terms(dtype, size):
    logits = np.random.default_rng(5).normal(0.0, 4.0, size).astype(DTYPES[dtype])
    targets = some_targets(size)
    exact = evaluate(logits.astype(np.float64), targets.astype(np.float64), alpha=0.3, gamma=1.5).value.rounded()
    found = total(logits, targets, Parameters(alpha=0.3, gamma=1.5))
    levels = math.ceil(math.log2(max(size, 2))) + 1
    # A term is off by at most 12 ulp of itself, that is by 2^-52 times 12.
    assert abs(found - math.fsum(exact)) <= (24 + levels) * 2.0**-53 * math.fsum(exact)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_total_has_the_same_bits_whatever_the_layout(layout):
    logits = np.random.default_rng(6).normal(0.0, 4.0, (300, 501))
    targets = some_targets(logits.size).reshape(logits.shape)
    changed = LAYOUTS[layout]
    parameters = Parameters(gamma=1.5)
    assert total(changed(logits), changed(targets), parameters) == total(logits, targets, parameters)
