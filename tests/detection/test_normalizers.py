"""What the sums of a batch are divided by."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from focal_ref.detection.normalizers import moving_average_normalizer, normalize_loss

from .every_library import call, every_library, host_libraries, most_libraries, refusal, traced_libraries

SUMS, POSITIVES = np.array([40, 40], dtype=np.float32), np.array([10, 0], dtype=np.int32)
DIVISORS = {"batch": 10, "plus_one": 11, "plus_one_per_picture": 12}


@most_libraries
@pytest.mark.parametrize(
    ("normalizer", "expected"),
    [("per_picture", 22.0), ("batch", 8.0), ("plus_one", 80 / 11), ("plus_one_per_picture", 80 / 12), (16, 5.0)],
)
def test_the_same_sums_give_each_convention_its_own_loss(library, normalizer, expected):
    found = call(library, normalize_loss, SUMS, POSITIVES, normalizer=normalizer)
    assert found.shape == ()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1.5e-7)


@most_libraries
@pytest.mark.parametrize(
    ("normalizer", "expected"), [("per_picture", 40.0), ("batch", 80), ("plus_one", 80), ("plus_one_per_picture", 40)]
)
def test_without_a_positive_nothing_is_divided_by_zero(library, normalizer, expected):
    assert call(library, normalize_loss, SUMS, np.zeros(2, dtype=np.int32), normalizer=normalizer) == expected


@most_libraries
@pytest.mark.parametrize("normalizer", ["per_picture", *DIVISORS, 3.0])
def test_no_pictures_give_zero(library, normalizer):
    found = call(library, normalize_loss, SUMS[:0], POSITIVES[:0], normalizer=normalizer)
    assert found == 0


@most_libraries
def test_an_array_of_the_library_or_of_numpy_divides_too(library):
    assert call(library, normalize_loss, SUMS, POSITIVES, normalizer=np.array(32, dtype=np.float32)) == 2.5
    constant = np.float64(32)
    assert call(library, lambda *arrays: normalize_loss(*arrays, constant), SUMS, POSITIVES) == 2.5
    assert call(library, lambda *arrays: normalize_loss(*arrays, np.array(32)), SUMS, POSITIVES) == 2.5


@every_library
@pytest.mark.parametrize("normalizer", DIVISORS)
def test_counts_are_summed_over_ranks_before_they_divide(library, normalizer):
    # Another device, with 88 positives in its two pictures.
    other = {"batch": 88, "plus_one": 88, "plus_one_per_picture": 90}[normalizer]
    seen = []

    def sum_over_ranks(count):
        seen.append(tuple(count.shape))
        return count + other

    found = call(library, normalize_loss, SUMS, POSITIVES, normalizer=normalizer, sum_over_ranks=sum_over_ranks)
    np.testing.assert_allclose(found, 80 / (DIVISORS[normalizer] + other), rtol=2e-7)
    assert seen == [()]


@most_libraries
def test_the_maximum_is_taken_after_the_ranks_are_summed_or_averaged(library):
    none = np.zeros(2, dtype=np.int32)
    for shared, expected in ((0.5, 80), (4, 20)):
        found = call(library, normalize_loss, SUMS, none, normalizer="batch", sum_over_ranks=lambda count, n=shared: n)
        assert found == expected


@pytest.mark.parametrize(
    ("normalizer", "got"),
    [
        (3.5, "3.5"),
        (np.array(3.5), "numpy.ndarray of shape ()"),
    ],
)
def test_a_sum_over_ranks_that_nothing_would_use_is_refused(normalizer, got):
    text = refusal(ValueError, normalize_loss, SUMS, POSITIVES, normalizer, sum_over_ranks=lambda count: count)
    assert text == (
        f"sum_over_ranks: got a function with normalizer={got}, which counts nothing over devices; it belongs to "
        "'per_picture', 'batch', 'plus_one', 'plus_one_per_picture', and one with an attribute averaged_over to any "
        "normalizer"
    )


@every_library
def test_with_per_picture_the_pictures_are_counted_over_ranks(library):
    # Another device has three pictures more.
    found = call(library, normalize_loss, SUMS, POSITIVES, sum_over_ranks=lambda count: count + 3)
    np.testing.assert_allclose(found, (40 / 10 + 40) / 5, rtol=2e-7)


def averaging(function, ranks):
    function.averaged_over = ranks
    return function


@every_library
@pytest.mark.parametrize(("normalizer", "divisor"), [("per_picture", None), *DIVISORS.items(), (32.0, 32.0)])
def test_where_gradients_are_averaged_the_loss_is_multiplied_by_the_number_of_ranks(library, normalizer, divisor):
    # Another device with nothing at all: what is divided by does not change.
    ranks = averaging(lambda count: count, 2)
    found = call(library, normalize_loss, SUMS, POSITIVES, normalizer=normalizer, sum_over_ranks=ranks)
    np.testing.assert_allclose(found, 2 * (22 if divisor is None else 80 / divisor), rtol=2e-7)


@pytest.mark.parametrize(("ranks", "got"), [(0, "0"), (math.nan, "nan"), ("all", "builtins.str")])
def test_a_number_of_ranks_that_is_none_is_refused(ranks, got):
    function = averaging(lambda count: count, ranks)
    assert refusal(ValueError, normalize_loss, SUMS, POSITIVES, sum_over_ranks=function) == (
        f"sum_over_ranks: its averaged_over is {got}; it is a number of devices, >= 1"
    )


def test_a_sum_over_ranks_that_is_no_function_or_returns_no_count_is_refused():
    assert refusal(TypeError, normalize_loss, SUMS, POSITIVES, "batch", sum_over_ranks=3) == (
        "sum_over_ranks: got builtins.int; it is a function from a count to a count"
    )
    for returned, error, text in (
        (-1, ValueError, "sum_over_ranks: it returned -1.0; a count is finite and >= 0"),
        (float("nan"), ValueError, "sum_over_ranks: it returned nan; a count is finite and >= 0"),
        (None, TypeError, "sum_over_ranks: got builtins.NoneType; it is a number or an array of shape ()"),
        (
            POSITIVES,
            TypeError,
            "sum_over_ranks: got numpy.ndarray of shape (2,); it is a number or an array of shape ()",
        ),
    ):
        found = refusal(error, normalize_loss, SUMS, POSITIVES, "batch", sum_over_ranks=lambda count, r=returned: r)
        assert found == text


@host_libraries
@pytest.mark.parametrize("normalizer", [0, -1.0, float("nan"), float("inf"), 1e39])
def test_a_divisor_that_is_not_finite_and_positive_is_refused(library, normalizer):
    text = refusal(ValueError, call, library, normalize_loss, SUMS, POSITIVES, normalizer=normalizer)
    got = float("inf") if normalizer == 1e39 else float(normalizer)
    assert text == f"normalizer: got {got!r}; it is finite and > 0"


@traced_libraries
def test_where_nothing_can_be_refused_bad_numbers_give_nan(library):
    for bad in (0, -1, np.nan, np.inf):
        normalizer = np.array(bad, dtype=np.float32)
        assert np.isnan(call(library, normalize_loss, SUMS, POSITIVES, normalizer=normalizer))
        assert np.isnan(call(library, moving_average_normalizer, normalizer, POSITIVES))
    for normalizer in ("per_picture", *DIVISORS):
        assert np.isnan(call(library, normalize_loss, SUMS, np.array([10, -1]), normalizer=normalizer))
    for bad in (-1, np.nan, np.inf):
        for normalizer in DIVISORS:
            found = call(
                library,
                normalize_loss,
                SUMS,
                POSITIVES,
                normalizer=normalizer,
                sum_over_ranks=lambda n, bad=bad: n * bad,
            )
            assert np.isnan(found)


def test_names_and_shapes_that_do_not_fit_are_refused():
    assert refusal(ValueError, normalize_loss, SUMS, POSITIVES, "image") == (
        "normalizer: got 'image'; allowed are 'per_picture', 'batch', 'plus_one', 'plus_one_per_picture', a number or "
        "an array of shape ()"
    )
    assert refusal(TypeError, normalize_loss, SUMS, POSITIVES, None) == (
        "normalizer: got builtins.NoneType; it is a number or an array of shape ()"
    )
    assert refusal(TypeError, normalize_loss, SUMS, POSITIVES, SUMS) == (
        "normalizer: got numpy.ndarray of shape (2,); it is a number or an array of shape ()"
    )
    assert refusal(ValueError, normalize_loss, SUMS, POSITIVES[:1]) == (
        "num_positive: got shape (1,) with sums of shape (2,); both are (N,)"
    )
    assert refusal(TypeError, normalize_loss, SUMS, SUMS) == "num_positive: got dtype float32; allowed is integral"
    assert refusal(ValueError, normalize_loss, SUMS, np.array([3, -2])) == (
        "num_positive: got -2 at position (1,); it is >= 0"
    )


# The moving average


@most_libraries
def test_the_moving_average_starts_at_what_it_is_given_and_never_sees_less_than_one(library):
    average = np.array(100, dtype=np.float32)
    expected = 100.0
    for positives in ([30, 20], [0, 0], [1, 0], [200, 7]):
        expected = 0.9 * expected + 0.1 * max(1, sum(positives))
        average = call(library, moving_average_normalizer, average, np.array(positives, dtype=np.int32))
        assert average.dtype == np.float32
        np.testing.assert_allclose(average, expected, rtol=3e-7)


@most_libraries
def test_the_first_value_may_be_a_number_and_the_momentum_another(library):
    found = call(library, lambda n: moving_average_normalizer(100, n, momentum=0.5), np.array(50, dtype=np.int32))
    assert found == 75
    assert found.dtype == (np.float32 if library.startswith("jax") else np.float64)
    assert call(library, lambda n: moving_average_normalizer(100, n, momentum=0), np.array([0, 3])) == 3


@pytest.mark.parametrize(
    ("momentum", "error", "allowed"),
    [
        (1.0, ValueError, "it is in [0, 1)"),
        (-0.1, ValueError, "it is in [0, 1)"),
        ("0.9", TypeError, "it is a number in [0, 1)"),
    ],
)
def test_a_momentum_out_of_range_is_refused(momentum, error, allowed):
    text = refusal(error, moving_average_normalizer, 100.0, POSITIVES, momentum=momentum)
    assert text == f"momentum: got {momentum!r}; {allowed}"


def test_an_average_of_what_cannot_be_a_count_is_refused():
    assert refusal(ValueError, moving_average_normalizer, 0.0, POSITIVES) == "previous: got 0.0; it is finite and > 0"
    assert refusal(TypeError, moving_average_normalizer, "100", POSITIVES) == (
        "previous: got builtins.str; it is a number or an array of shape ()"
    )
    assert refusal(ValueError, moving_average_normalizer, 100.0, np.array([[1], [-1]])) == (
        "num_positive: got -1 at position (1, 0); it is >= 0"
    )


@pytest.mark.parametrize(
    ("normalizer", "share"),
    [("per_picture", [1 / 20, 1 / 2]), ("batch", [1 / 10] * 2), ("plus_one", [1 / 11] * 2), (16.0, [1 / 16] * 2)],
)
def test_the_gradient_of_each_sum_is_its_share(normalizer, share):
    leaf = torch.tensor(SUMS, requires_grad=True)
    normalize_loss(leaf, torch.tensor(POSITIVES), normalizer).backward()
    np.testing.assert_allclose(leaf.grad, share, rtol=1e-6)
    found = jax.grad(lambda sums: normalize_loss(sums, jnp.asarray(POSITIVES), normalizer))(jnp.asarray(SUMS))
    np.testing.assert_allclose(found, share, rtol=1e-6)
