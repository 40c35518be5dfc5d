"""Errors are kept by regime: the worst of each bin of the margin, and nothing of empty bins."""

import math
import struct

import numpy as np
import pytest

from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.regimes import BINS, Regimes, bin_places, positions_of
from focal_ref.conformance.targets import ROWS, Call
from focal_ref.conformance.targets.python import backend_target


@pytest.mark.parametrize(
    ("position", "place"),
    [
        (-math.inf, "-inf"),
        (-1e30, "below"),
        (-40.000001, "below"),
        (-40.0, -40),
        (-38.5, -40),
        (-38.0, -38),
        (-0.0, 0),
        (0.0, 0),
        (-1e-300, -2),
        (1.999, 0),
        (2.0, 2),
        (39.999, 38),
        (40.0, "above"),
        (1e308, "above"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_bin_begins_at_its_lower_edge_and_is_two_wide(position, place):
    assert BINS[int(bin_places(np.array([position]))[0])] == place


def added(*results):
    """Regimes of results given as (position, error, budget, id)."""
    positions, error, allowed, ids = zip(*results, strict=True)
    regimes = Regimes()
    regimes.add("value", "margin", np.array(positions), np.array(error), np.array(allowed), ids)
    return regimes


def test_the_worst_of_a_bin_is_the_error_that_is_largest_in_proportion_to_its_budget():
    regimes = added((0.1, 3.0, 10.0, "a"), (0.2, 2.0, 4.0, "b"), (1.9, 0.0, 1.0, "c"), (7.0, 0.5, 1.0, "d"))
    assert regimes.record() == [
        {"quantity": "value", "axis": "margin", "bins": [[0, 2.0, 4.0, 3, "b"], [6, 0.5, 1.0, 1, "d"]]}
    ]


def test_infinite_and_undefined_errors_are_the_worst_and_text_in_the_record():
    assert added((0.0, math.inf, 9.0, "a"), (0.0, 100.0, 9.0, "b")).record()[0]["bins"] == [[0, "inf", 9.0, 2, "a"]]
    assert added((0.0, math.nan, 9.0, "a"), (0.0, 100.0, 9.0, "b")).record()[0]["bins"] == [[0, "nan", 9.0, 2, "a"]]


def test_what_is_merged_is_as_if_it_had_been_added_at_once():
    first, second = (0.5, 3.0, 10.0, "a"), (0.7, 4.0, 10.0, "b")
    other = (-3.0, 1.0, 10.0, "c")
    whole, parts = added(first, second, other), added(first)
    parts.merge(added(second, other))
    assert parts.record() == whole.record()
    assert Regimes.from_record(whole.record()).record() == whole.record()


def call_of(logits, targets, **more):
    return Call(np.asarray(logits, np.float32), np.asarray(targets), **more)


def test_hard_targets_lie_at_their_margin_and_soft_ones_at_their_logit():
    axis, positions = positions_of(call_of([3, 3, -5], np.array([1.0, 0.0, 0.0], np.float32)), 3)
    assert (axis, positions.tolist()) == ("margin", [3.0, -3.0, 5.0])
    axis, positions = positions_of(call_of([3, 3, -5], np.array([1.0, 0.25, 0.0], np.float32)), 3)
    assert (axis, positions.tolist()) == ("logit", [3.0, 3.0, -5.0])


def test_probabilities_lie_at_their_logit():
    call = call_of([0.5, 0.0, 1.0, 0.75], np.array([1.0, 1.0, 1.0, 0.0]), function="loss_from_probabilities")
    axis, positions = positions_of(call, 4)
    assert axis == "margin"
    # log(3) = 1.0986...
    np.testing.assert_allclose(positions, [0.0, -math.inf, math.inf, -1.0986122886681098], rtol=1e-7)


def test_labels_of_one_sigmoid_a_class_are_targets_of_each_class():
    call = call_of([[1, 2], [3, 4]], np.array([1, -1]), function="loss_from_labels")
    axis, positions = positions_of(call, 4)
    # -1 is background: a negative of every class.
    assert (axis, positions.tolist()) == ("margin", [-1.0, 2.0, -3.0, -4.0])


def test_a_row_lies_at_the_logit_of_its_label_less_what_the_others_sum_to():
    call = call_of([[0, 0, 0], [5, 1, -np.inf]], np.array([0, 1]), function=ROWS)
    axis, positions = positions_of(call, 2)
    assert axis == "margin"
    # 0 - log(2); 1 - 5.
    np.testing.assert_allclose(positions, [-0.6931471805599453, -4.0], rtol=1e-15)
    assert positions_of(call, 6)[1].tolist() == np.repeat(positions, 3).tolist()
    # Of a longer call the first row, with its entries for two of the classes.
    assert positions_of(call, 2, entries=2)[1].tolist() == [positions[0]] * 2


def test_dense_rows_and_rows_to_ignore_have_no_axis():
    dense = call_of([[0, 0]], np.array([[0.5, 0.5]]), function=ROWS)
    ignored = call_of([[0, 0]], np.array([-2]), function=ROWS)
    assert positions_of(dense, 1)[0] == positions_of(ignored, 1)[0] == "none"
    regimes = Regimes()
    regimes.add("value", *positions_of(dense, 1), np.ones(1), np.ones(1), ["a"])
    assert regimes.record()[0]["bins"] == [["all", 1.0, 1.0, 1, "a"]]


def margin_of(case):
    """The margin that the id of a stored vector spells out."""
    parts = dict(part.split("=") for part in case.split("/") if "=" in part)
    (logit,) = struct.unpack(">f", bytes.fromhex(parts["logit"]))
    return logit if parts["target"] == "1" else -logit


@pytest.mark.parametrize("requirement", ["FL-VAL-002", "FL-EXT-001"])
def test_an_item_carries_its_regimes(requirement):
    result = run_item(Item(requirement, "float32"), backend_target("numpy", None), "")
    bins = [bin for regime in result.regimes for bin in regime["bins"]]
    assert sum(count for _, _, _, count, _ in bins) <= result.comparisons
    assert bins
    worst = max(bins, key=lambda bin: bin[1] / bin[2])
    assert worst[1] == pytest.approx(result.error, rel=1e-5, abs=1e-9)
    for place, _, _, _, case in bins:
        margin = margin_of(case)
        if isinstance(place, int):
            assert place <= margin < place + 2
        else:
            assert {
                "inf": margin == math.inf,
                "-inf": margin == -math.inf,
                "above": margin >= 40,
                "below": margin < -40,
            }[place]
