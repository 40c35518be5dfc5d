"""`loss` on NumPy arrays: targets, hyper-parameters, reductions, dtypes and layouts."""

import math

import ml_dtypes
import numpy as np
import pytest

from focal_ref import loss
from focal_ref.conformance import oracle
from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.formats import FORMATS, from_bits

from ..comparison import (
    DTYPES,
    assert_same_bits,
    assert_within,
    expected,
    expected_sum,
    some_logits,
    some_soft_targets,
    some_targets,
    wide,
)

LOG_2 = 0.6931471805599453
SUM_DTYPES = {"float64": np.float64, "float32": np.float32, "float16": np.float32, "bfloat16": np.float32}

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
hard_and_soft = pytest.mark.parametrize("targets_of", [some_targets, some_soft_targets], ids=["hard", "soft"])
sum_and_mean = pytest.mark.parametrize("reduction", ["sum", "mean"])


def assert_sum(found, exact):
    """A sum is rounded once, except that one in float64 carries the errors of its terms."""
    format = FORMATS[found.dtype.name]
    ulp = 2.0 ** (max(math.frexp(exact)[1] - 1, format.minimum_exponent) - format.precision + 1)
    assert abs(float(found) - exact) <= (30.0 if format.name == "float64" else 0.501) * ulp


def exact_bound(dtype, gamma, *, weighted=True):
    """The budget of exact precision: 0.501 ulp, or 8 + 2 gamma ulp of float64 and one more for a weight."""
    return budget("exact", FORMATS[dtype], gamma, weighted=weighted)


# Values known in closed form


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("target", [0, 1])
def test_a_logit_of_zero_costs_log_2_over_2_to_the_gamma(gamma, target):
    (value,) = loss(np.array([0.0]), np.array([target]), alpha=None, gamma=gamma)
    assert math.isclose(value, LOG_2 * 2.0**-gamma, rel_tol=4e-16)


def test_the_default_is_the_papers_alpha_of_a_quarter_and_gamma_of_two():
    positive, negative = loss(np.zeros(2), np.array([1, 0]))
    assert math.isclose(positive, 0.25 * LOG_2 / 4.0, rel_tol=4e-16)
    assert math.isclose(negative, 0.75 * LOG_2 / 4.0, rel_tol=4e-16)


def test_a_half_and_half_target_at_zero_costs_what_a_hard_one_does_with_half_of_the_weight():
    # p_t is 1/2 whatever the target, and alpha_t of the blended form is 1/2 whatever alpha.
    (value,) = loss(np.array([0.0]), np.array([0.5]), alpha=0.9)
    assert math.isclose(value, 0.5 * LOG_2 / 4.0, rel_tol=4e-16)


def test_a_confident_wrong_answer_costs_its_margin():
    value = loss(np.array([-800.0, 1e300]), np.array([1, 0]), alpha=None)
    assert value.tolist() == [800.0, 1e300]


def test_infinite_logits_give_the_limits_and_nan_gives_nan():
    value = loss(np.array([np.inf, np.inf, -np.inf, -np.inf, np.nan]), np.array([1, 0, 1, 0, 1]))
    assert_same_bits(value, np.array([0.0, np.inf, np.inf, 0.0, np.nan]))


@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_results_are_the_ones_of_the_printed_formula_in_arbitrary_precision(targets_of, gamma):
    logits, targets = some_logits("float32", 60, seed=5)[28:], targets_of(60)[28:].astype(np.float32)
    bits = [
        oracle.rounded("value", float(x), float(t), 0.25, gamma, FORMATS["float32"])
        for x, t in zip(logits, targets, strict=True)
    ]
    assert_same_bits(loss(logits, targets, gamma=gamma), from_bits(np.array(bits), FORMATS["float32"]))


# Precision


@every_dtype
@hard_and_soft
@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_exact_precision_is_within_0_501_ulp_or_the_bound_of_float64(dtype, targets_of, gamma):
    logits, targets = some_logits(dtype, 3000), targets_of(3000)
    wanted = expected(logits, targets, alpha=0.3, gamma=gamma)["value"]
    assert_within(loss(logits, targets, alpha=0.3, gamma=gamma), wanted, exact_bound(dtype, gamma))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@hard_and_soft
def test_fast_precision_is_within_10_and_2_gamma_ulp_of_float32_and_0_51_of_16_bit_formats(dtype, targets_of):
    logits, targets = some_logits(dtype, 3000), targets_of(3000)
    wanted = expected(logits, targets, alpha=0.3, gamma=1.5)["value"]
    found = loss(logits, targets, alpha=0.3, gamma=1.5, precision="fast")
    assert_within(found, wanted, budget("fast", FORMATS[dtype], 1.5, weighted=True))


def test_fast_precision_of_float64_is_the_exact_one():
    logits, targets = some_logits("float64", 500), some_targets(500)
    assert_same_bits(loss(logits, targets, precision="fast"), loss(logits, targets))


@every_dtype
def test_subnormal_results_are_not_flushed(dtype):
    format = FORMATS[dtype]
    # With gamma = 0 a right answer costs about exp(-x): half-way between zero and the smallest normal number.
    margin = -(format.minimum_exponent - format.precision // 2) * LOG_2
    logits = np.full(4, margin).astype(DTYPES[dtype])
    found = loss(logits, np.ones(4, bool), alpha=None, gamma=0.0)
    assert np.all((wide(found) > 0.0) & (wide(found) < 2.0**format.minimum_exponent))
    assert_within(found, expected(logits, np.ones(4), alpha=None, gamma=0.0)["value"], exact_bound(dtype, 0.0))


# Cross entropy and weights of zero


@every_dtype
def test_gamma_zero_without_alpha_is_cross_entropy(dtype):
    logits, targets = some_logits(dtype, 60)[28:], some_targets(60)[28:]
    found = loss(logits, targets, alpha=None, gamma=0)
    # log(1 + exp(-s)) of the margin s; log1p and exp of float64 are within an ulp or two.
    margins = np.where(targets, wide(logits), -wide(logits))
    with np.errstate(all="ignore"):
        cross_entropy = [math.log1p(math.exp(-s)) if s > 0 else -s + math.log1p(math.exp(s)) for s in margins]
    assert_within(found, expected(logits, targets, alpha=None, gamma=0.0)["value"], exact_bound(dtype, 0.0))
    np.testing.assert_allclose(wide(found), cross_entropy, rtol=2.0 ** -(FORMATS[dtype].precision - 3))


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_class_of_weight_zero_costs_nothing_even_where_its_loss_is_infinite(alpha):
    logits = np.array([np.inf, -np.inf, 1e308, -1e308, 0.0])
    targets = np.full(5, alpha == 0.0)
    for setting in (alpha, np.array(alpha), np.full(5, alpha)):
        assert_same_bits(loss(logits, targets, alpha=setting), np.zeros(5))
        assert loss(logits, targets, alpha=setting, reduction="sum") == 0.0


@hard_and_soft
def test_an_element_of_weight_zero_costs_nothing_even_where_its_loss_is_infinite(targets_of):
    logits = np.array([np.inf, -np.inf, 5.0, -np.inf])
    targets = targets_of(4) if targets_of is some_soft_targets else np.array([0, 1, 1, 1])
    weights = np.array([0.0, 0.0, 0.0, 1.0])
    found = loss(logits, targets, weights=weights)
    assert found[:3].tolist() == [0.0, 0.0, 0.0]
    assert found[3] == np.inf


def test_a_weight_of_zero_does_not_hide_nan():
    assert np.isnan(loss(np.array([np.nan]), np.array([1]), weights=np.array([0.0]))[0])
    assert np.isnan(loss(np.array([np.nan]), np.array([1]), alpha=0.0)[0])


# Arrays of hyper-parameters


@every_dtype
@hard_and_soft
@pytest.mark.parametrize("shape", [(), (1,), (7,), (60, 1), (60, 7), (1, 7)])
def test_alpha_gamma_and_weights_broadcast_to_the_logits(dtype, targets_of, shape):
    logits, targets = some_logits(dtype, 448)[28:].reshape(60, 7), targets_of(448)[28:].reshape(60, 7)
    generator = np.random.default_rng(3)
    parameters = {
        "alpha": generator.random(shape),
        "gamma": generator.choice([0.0, 0.25, 0.5, 1.0, 2.0, 3.7], shape),
        "weights": generator.uniform(0.0, 5.0, shape),
    }
    wanted = expected(logits, targets, **parameters)["value"]
    bound = exact_bound(dtype, np.broadcast_to(parameters["gamma"], (60, 7))) + 1.0 * (dtype == "float64")
    assert_within(loss(logits, targets, **parameters), wanted, bound)


@pytest.mark.parametrize("name", ["alpha", "gamma", "weights"])
def test_parameters_enter_as_float64_values_and_are_not_rounded_to_the_logits_dtype(name):
    # 1/3 in bfloat16 is 0.33398: results would be off by many ulp of float32.
    logits, targets = some_logits("bfloat16", 300)[28:], some_targets(300)[28:]
    for setting in (np.full(272, 1 / 3), np.float64(1 / 3), 1 / 3):
        found = loss(logits, targets, **{name: setting})
        assert_within(found, expected(logits, targets, **{name: 1 / 3})["value"], 0.501)
    narrow = np.full(272, 1 / 3, np.float32)
    assert_within(loss(logits, targets, **{name: narrow}), expected(logits, targets, **{name: narrow})["value"], 0.501)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.int8, np.uint64, np.bool_])
def test_arrays_of_parameters_may_have_any_real_dtype(dtype):
    logits, targets = some_logits("float64", 60), some_targets(60)
    setting = (np.arange(60) % 2).astype(dtype)
    for name in ("alpha", "gamma"):
        found = loss(logits, targets, **{name: setting})
        wanted = expected(logits, targets, **{name: setting})["value"]
        assert_within(found, wanted, exact_bound("float64", 1.0))
    found = loss(logits[28:], targets[28:], weights=setting[28:])
    assert_within(found, expected(logits[28:], targets[28:], weights=setting[28:])["value"], 14.0)


@pytest.mark.parametrize(
    "number", [2, 2.0, np.float32(2), np.float64(2), np.int8(2), np.array(2), ml_dtypes.bfloat16(2)]
)
def test_gamma_may_be_any_kind_of_number(number):
    logits, targets = some_logits("float32", 100), some_targets(100)
    assert_same_bits(loss(logits, targets, gamma=number), loss(logits, targets, gamma=2.0))


def test_one_weight_for_all_elements_may_be_a_number():
    logits, targets = some_logits("float64", 100)[28:], some_targets(100)[28:]
    found = loss(logits, targets, weights=0.5)
    assert_same_bits(found, 0.5 * loss(logits, targets))


# Targets


@pytest.mark.parametrize(
    "dtype", [np.bool_, np.int8, np.int64, np.uint8, np.uint64, np.float16, np.float32, np.float64, ml_dtypes.bfloat16]
)
def test_hard_targets_may_have_any_real_dtype(dtype):
    logits, targets = some_logits("float32", 500), some_targets(500)
    found = loss(logits, targets.astype(dtype))
    assert_within(found, expected(logits, targets)["value"], 0.501)
    assert_same_bits(found, loss(logits, targets))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_signed_targets_mean_positive_and_negative(dtype):
    logits, targets = some_logits("float32", 500), some_targets(500)
    signed = np.where(targets, 1, -1).astype(dtype)
    found = loss(logits, signed, encoding="signed")
    assert_within(found, expected(logits, signed, encoding="signed")["value"], 0.501)
    assert_same_bits(found, loss(logits, targets))


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_soft_targets_are_the_numbers_that_they_are_in_their_own_dtype(dtype):
    logits = some_logits("float32", 500)
    targets = some_soft_targets(500).astype(dtype)
    assert_within(loss(logits, targets), expected(logits, targets)["value"], 0.501)


@pytest.mark.parametrize("sequence", [[1, 0, 1], (1, 0, 1), [True, False, True], [1.0, 0.0, 1.0]])
def test_targets_may_be_a_list_or_a_tuple_of_numbers(sequence):
    logits = np.array([0.5, -0.5, 3.0])
    assert_same_bits(loss(logits, sequence), loss(logits, np.array([1, 0, 1])))


def test_parameters_may_be_lists_of_numbers():
    logits, targets = np.array([[0.5, -0.5], [3.0, 1.0]]), np.array([[1, 0], [0, 1]])
    found = loss(logits, targets, alpha=[0.25, 0.75], gamma=[[1.0], [2.0]], weights=[1, 2])
    wanted = expected(
        logits, targets, alpha=np.array([0.25, 0.75]), gamma=np.array([[1.0], [2.0]]), weights=np.array([1.0, 2.0])
    )
    assert_within(found, wanted["value"], 14.0)


def test_one_logit_takes_a_number_as_its_target():
    value = loss(np.array(0.0), 1, alpha=None)
    assert value.shape == ()
    assert math.isclose(value, LOG_2 / 4.0, rel_tol=4e-16)
    assert math.isclose(loss(np.array(0.0), 0.0, alpha=None), LOG_2 / 4.0, rel_tol=4e-16)
    assert math.isclose(loss(np.array(0.0), False, alpha=None), LOG_2 / 4.0, rel_tol=4e-16)


# Shapes and dtypes


@every_dtype
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,), (2, 3, 4, 5)])
@pytest.mark.parametrize("soft", [False, True])
def test_without_reduction_the_result_has_the_shape_and_dtype_of_the_logits(dtype, shape, soft):
    value = loss(np.zeros(shape, DTYPES[dtype]), np.ones(shape, np.float32 if soft else bool))
    assert isinstance(value, np.ndarray)
    assert (value.shape, value.dtype) == (shape, DTYPES[dtype])


@every_dtype
@sum_and_mean
@pytest.mark.parametrize("shape", [(), (0,), (2, 3)])
def test_sums_and_means_are_scalars_in_the_logits_dtype_and_float32_for_16_bits(dtype, reduction, shape):
    value = loss(np.zeros(shape, DTYPES[dtype]), np.ones(shape, bool), reduction=reduction)
    assert (np.shape(value), value.dtype) == ((), SUM_DTYPES[dtype])


@every_dtype
def test_a_numpy_scalar_is_an_array_of_no_dimensions(dtype):
    logit = DTYPES[dtype].type(0.5)
    value = loss(logit, np.int64(1))
    assert (np.shape(value), value.dtype) == ((), DTYPES[dtype])
    assert_within(value, expected(np.asarray(logit), np.array(1))["value"], exact_bound(dtype, 2.0))


@every_dtype
def test_python_numbers_and_float64_parameters_promote_nothing(dtype):
    logits = np.zeros(3, DTYPES[dtype])
    value = loss(logits, [1, 0, 1], alpha=0.25, gamma=np.float64(2), weights=np.ones(3))
    assert value.dtype == DTYPES[dtype]


# Reductions


@every_dtype
@hard_and_soft
@pytest.mark.parametrize("size", [1, 1000, 150_001])
def test_the_sum_adds_unrounded_terms_and_rounds_once(dtype, targets_of, size):
    # Past 65536 elements there is more than one block.
    logits, targets = np.random.default_rng(8).normal(0, 4, size).astype(DTYPES[dtype]), targets_of(size)
    assert_sum(loss(logits, targets, reduction="sum"), expected_sum(logits, targets))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_terms_that_the_dtype_would_round_to_zero_still_add_up(dtype):
    # A term is about exp(-3 margin) / 4: below half of the smallest subnormal number, though 2000 of them are not.
    margin = {"float16": 9.0, "bfloat16": 31.75, "float32": 35.25}[dtype]
    logits, targets = np.full(2000, margin).astype(DTYPES[dtype]), np.ones(2000, bool)
    assert np.all(loss(logits, targets) == 0)
    total = loss(logits, targets, reduction="sum")
    assert total > 0
    assert_sum(total, expected_sum(logits, targets))


def test_a_sum_of_16_bit_terms_goes_beyond_the_largest_float16():
    logits = np.full(100, 60000.0, np.float16)
    found = loss(logits, np.zeros(100, bool), alpha=None, reduction="sum")
    assert found == np.float32(100 * float(logits[0]))


def test_a_sum_beyond_the_largest_float32_is_infinite():
    logits = np.full(4, 3e38, np.float32)
    assert loss(logits, np.zeros(4, bool), alpha=None, reduction="sum") == np.inf
    assert loss(logits, np.zeros(4, bool), alpha=None, reduction="mean") == logits[0]


@every_dtype
def test_the_mean_divides_by_the_number_of_elements(dtype):
    logits, targets = some_logits(dtype, 1000)[28:], some_targets(1000)[28:]
    found = loss(logits, targets, reduction="mean")
    assert_sum(found, expected_sum(logits, targets) / 972)


def test_the_mean_divides_by_the_number_of_elements_whatever_their_weights():
    logits, targets = np.zeros(4), np.array([1, 1, 1, 1])
    weights = np.array([0.0, 0.0, 0.0, 2.0])
    assert math.isclose(loss(logits, targets, alpha=None, weights=weights, reduction="mean"), LOG_2 / 8, rel_tol=1e-15)


@pytest.mark.parametrize("normalizer", [7, 7.0, np.float32(7), np.int64(7), np.array(7), np.array(7.0)])
def test_the_normalizer_divides_the_sum_before_the_one_rounding(normalizer):
    logits, targets = some_logits("float32", 1000)[28:], some_targets(1000)[28:]
    found = loss(logits, targets, reduction="sum", normalizer=normalizer)
    assert found.dtype == np.float32
    assert_sum(found, expected_sum(logits, targets) / 7.0)


@sum_and_mean
@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_sum_and_mean_of_nothing_are_zero(reduction, shape, dtype):
    found = loss(np.empty(shape, DTYPES[dtype]), np.empty(shape), reduction=reduction)
    assert_same_bits(found, SUM_DTYPES[dtype](0.0))


def test_a_sum_of_nothing_divided_by_a_normalizer_is_zero():
    assert loss(np.empty(0), np.empty(0), reduction="sum", normalizer=3) == 0.0


def test_one_nan_or_infinity_is_the_sum():
    logits, targets = some_logits("float32", 1000)[28:], some_targets(1000)[28:]
    logits[500] = np.inf
    targets[500] = False
    assert loss(logits, targets, reduction="sum") == np.inf
    logits[700] = np.nan
    assert np.isnan(loss(logits, targets, reduction="sum"))


# Layouts; the kernels have tests of their own


def unaligned(array):
    buffer = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    buffer[...] = array
    return buffer


def read_only(array):
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def every_other(array):
    spread = np.zeros((array.shape[0] * 2, array.shape[1] * 3), array.dtype)
    spread[::2, ::3] = array
    return spread[::2, ::3]


LAYOUTS = {
    "read-only": read_only,
    "strided": every_other,
    "negative strides": lambda array: array[::-1, ::-1].copy()[::-1, ::-1],
    "Fortran-ordered": np.asfortranarray,
    "unaligned": unaligned,
    "other byte order": lambda array: array.astype(array.dtype.newbyteorder()),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@hard_and_soft
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_an_input_changes_no_bit_of_the_result(dtype, targets_of, layout):
    logits, targets = some_logits(dtype, 600).reshape(20, 30), targets_of(600).reshape(20, 30)
    weights = np.random.default_rng(4).random((20, 30))
    with_layout = LAYOUTS[layout]
    for reduction in ("none", "sum"):
        for more, more_with_layout in (({}, {}), ({"weights": weights}, {"weights": with_layout(weights)})):
            if more and reduction == "sum":
                continue
            wanted = loss(logits, targets, reduction=reduction, **more)
            found = loss(with_layout(logits), with_layout(targets), reduction=reduction, **more_with_layout)
            assert_same_bits(np.asarray(found).astype(wanted.dtype.newbyteorder("=")), wanted)


def test_elements_that_repeat_by_a_stride_of_zero_are_read_as_they_are():
    logits = np.broadcast_to(np.array([[0.5], [-2.0]]), (2, 5))
    targets = np.broadcast_to(np.array([True, False, True, True, False]), (2, 5))
    assert_same_bits(loss(logits, targets), loss(logits.copy(), targets.copy()))


@hard_and_soft
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_no_input_is_written_to(targets_of, reduction):
    arrays = {
        "logits": some_logits("float32", 100),
        "targets": targets_of(100),
        "alpha": np.full(100, 0.5),
        "gamma": np.full(100, 2.5),
        "weights": np.full(100, 3.0),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    logits, targets, *_ = arrays.values()
    for chosen in ((), ("weights",), ("alpha", "gamma", "weights")):
        loss(logits, targets, reduction=reduction, **{name: arrays[name] for name in chosen})
    for name, array in arrays.items():
        assert_same_bits(array, before[name])
