"""The ways in which cases fail: what each number is, and what is remembered of each case."""

import numpy as np
import pytest

from focal_ref.conformance.cases import Cases, packed, signature_of, signatures_of, unpacked


@pytest.mark.parametrize(
    ("got", "expected", "way"),
    [
        (np.nan, 1.0, "nan"),
        (np.nan, np.nan, "other"),
        (np.inf, 1.0, "infinity"),
        (-np.inf, np.inf, "infinity"),
        (np.inf, np.inf, "other"),
        (0.0, 1.0, "zero"),
        (0.0, 0.0, "off-by-ulp"),
        (1.5, 1.0, "off-by-ulp"),
        (1.5, 0.0, "off-by-ulp"),
        (1.5, np.inf, "other"),
        (1.5, np.nan, "other"),
    ],
)
def test_a_number_is_wrong_in_one_way(got, expected, way):
    assert signature_of(np.float32(got), np.float32(expected)) == way


def test_without_an_expected_number_zero_is_expected():
    assert signature_of(np.float32(0.0)) == "off-by-ulp"
    assert signature_of(np.float32(2.0)) == "off-by-ulp"
    assert signature_of(np.float32(np.nan)) == "nan"


def test_of_an_array_the_first_way_in_the_order_of_the_list_counts():
    expected = np.float32([1.0, 1.0, 1.0, 1.0])
    assert signature_of(np.float32([2.0, 0.0, np.inf, np.nan]), expected) == "nan"
    assert signature_of(np.float32([2.0, 0.0, np.inf, 1.0]), expected) == "infinity"
    assert signature_of(np.float32([2.0, 0.0, 1.0, 1.0]), expected) == "zero"
    assert signature_of(np.float32([2.0, 1.0, 1.0, 1.0]), np.float32([1.0, 1.0, 1.0, np.inf])) == "other"
    assert signature_of(np.float32([2.0, 3.0]), 1.0) == "off-by-ulp"


def test_what_is_no_floating_point_number_is_a_shape_or_another_way():
    assert signature_of((2, 3), 0.0) == "shape"
    assert signature_of("a text") == "other"
    assert signature_of(np.int64(3)) == "other"
    assert signature_of(np.zeros(0, np.float32)) == "other"


def test_each_of_several_numbers_has_its_way():
    got = np.float32([np.nan, np.inf, 0.0, 2.0, 2.0, 0.0, np.nan])
    expected = np.float32([1.0, 1.0, 1.0, 1.0, np.inf, 0.0, np.inf])
    ways = ["nan", "infinity", "zero", "off-by-ulp", "other", "off-by-ulp", "nan"]
    assert signatures_of(got, expected) == ways


def test_a_case_passes_until_it_has_failed_and_may_fail_in_several_ways():
    cases = Cases()
    cases.ran(["a", "b", "c", "a"])
    cases.failed("b", "zero")
    cases.ran(["b"])
    cases.failed("d", "nan")
    cases.failed("d", "zero")
    assert cases.passing == ("a", "c")
    assert cases.failing == {"nan": ("d",), "zero": ("b", "d")}
    assert [cases.has(name) for name in "abcd?"] == [False, True, False, True, False]


def test_what_others_noted_is_added():
    first, second = Cases(), Cases()
    first.ran(["a", "b"])
    first.failed("b", "nan")
    second.ran(["b", "c"])
    second.failed("a", "zero")
    first.merge(second)
    assert first.passing == ("c",)
    assert first.failing == {"nan": ("b",), "zero": ("a",)}


def test_ids_are_packed_by_what_stands_before_their_last_slash():
    ids = ["set/a/1", "set/a/2", "alone", "set/b/1", "also alone"]
    groups = packed(ids)
    assert groups == {"set/a/": ["1", "2"], "": ["alone", "also alone"], "set/b/": ["1"]}
    assert sorted(unpacked(groups)) == sorted(ids)
