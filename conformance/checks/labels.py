"""LAB: integer labels, one sigmoid a class."""

from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family_comparison import affordable, compare_with_truth, measure, truth
from focal_ref.conformance.targets import Array, Call

BACKGROUND = -1
"""Label of an element that belongs to no class."""

CLASSES = 5
LABELS = np.array([[0, 4, 2], [3, 1, 4]])
WITH_CODES = np.array([[0, BACKGROUND, 2], [IGNORE, 4, BACKGROUND]])


@check("FL-LAB-001")
def one_hot_targets(examiner: Examiner) -> None:
    for labels, classes in ((np.array(3), 4), (LABELS, CLASSES), (np.array([0, 79, 40, 1]), 80)):
        for quantity in examiner.quantities if classes == CLASSES else affordable(examiner):
            compare_with_truth(examiner, quantity, _call(examiner, labels, classes), f"labels among {classes} classes")
    for quantity in examiner.quantities:
        compare_with_truth(examiner, quantity, _call(examiner, LABELS, gamma=0.5), "gamma=0.5")


@check("FL-LAB-002")
def background(examiner: Examiner) -> None:
    labels = np.where(LABELS == 4, BACKGROUND, LABELS)
    for quantity in examiner.quantities:
        compare_with_truth(examiner, quantity, _call(examiner, labels), "BACKGROUND among classes")
        compare_with_truth(examiner, quantity, _call(examiner, np.full((2, 3), BACKGROUND)), "BACKGROUND alone")


@check("FL-LAB-003")
def ignored(examiner: Examiner) -> None:
    call = _call(examiner, WITH_CODES)
    counted = WITH_CODES != IGNORE
    call.logits[~counted] = [np.nan, np.inf, -np.inf, 3.0, 0.0]
    # Known by their truth, and zero where the label says to ignore.
    finite = Call(np.where(counted[..., np.newaxis], call.logits, 0), call.targets, function=call.function)
    for quantity in examiner.quantities:
        got = examiner.run(quantity, call, "IGNORE")
        if got is None:
            continue
        beside = truth(examiner, finite, (quantity,))[quantity][counted]
        rows = Call(call.logits[counted], call.targets[counted], function=call.function)
        measure(examiner, quantity, rows, got[counted], beside, ["beside IGNORE"] * beside.numbers.size)
        examiner.true(bool(np.all(got[~counted] == 0)), "IGNORE", quantity, "0 everywhere", got[~counted])
        everything = examiner.run(quantity, _call(examiner, np.full((2, 3), IGNORE)), "all ignored")
        if everything is not None:
            examiner.true(bool(np.all(everything == 0)), "all ignored", quantity, "0 everywhere", everything)


@check("FL-LAB-004")
def no_class(examiner: Examiner) -> None:
    for bad, dtype in ((-3, "int64"), (CLASSES, "int64"), (2**31, "int64"), (-(2**31), "int64"), (-128, "int8")):
        refused_or_nan(examiner, _call(examiner, LABELS.astype(dtype)), bad)
    refused_or_nan(examiner, _call(examiner, LABELS.astype("uint8")), 255)
    examiner.refuses("labels of floats", _call(examiner, LABELS.astype(np.float64)), "labels")


def refused_or_nan(examiner: Examiner, call: Call, bad: int) -> None:
    """Require that a label that is none is refused, or makes its elements NaN."""
    labels = call.targets.copy()
    labels.flat[1] = bad
    call = Call(call.logits, labels, call.alpha, function=call.function)
    case = f"label {bad} of {labels.dtype.name}"
    try:
        value = examiner.target.value(call)
    except ValueError as error:
        named = "labels" in str(error) and str(bad) in str(error)
        examiner.true(named, case, "error text", "the argument and the label", error)
        return
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("value", call, case, error)
        return
    rows = value.reshape(labels.size, -1)
    examiner.true(bool(np.all(np.isnan(rows[1]))), case, "value", "nan or an error", rows[1])
    examiner.true(not np.isnan(np.delete(rows, 1, axis=0)).any(), case, "value", "its neighbours untouched", rows)


@check("FL-LAB-005")
def integer_widths(examiner: Examiner) -> None:
    for quantity in examiner.quantities:
        expected = examiner.run(quantity, _call(examiner, WITH_CODES), "labels of int64")
        for width in ("int8", "int16", "int32"):
            got = examiner.run(quantity, _call(examiner, WITH_CODES.astype(width)), f"labels of {width}")
            if got is not None and expected is not None:
                examiner.same_bits(f"labels of {width}", quantity, got, expected)
        classes = examiner.run(quantity, _call(examiner, LABELS), "labels of int64")
        for width in ("uint8", "uint16", "uint32"):
            got = examiner.run(quantity, _call(examiner, LABELS.astype(width)), f"labels of {width}")
            if got is not None and classes is not None:
                examiner.same_bits(f"labels of {width}", quantity, got, classes)


@check("FL-LAB-006")
def alpha_of_classes(examiner: Examiner) -> None:
    # Numbers that every format has, so that no library rounds the parameters themselves.
    alpha = np.array([0.0, 0.125, 0.5, 0.75, 1.0])
    labels = np.where(LABELS == 4, BACKGROUND, LABELS)
    for quantity in examiner.quantities:
        compare_with_truth(examiner, quantity, _call(examiner, LABELS, alpha=alpha), "alpha (C,)")
        compare_with_truth(examiner, quantity, _call(examiner, labels, alpha=alpha), "alpha (C,), BACKGROUND")


@check("FL-LAB-007")
def shapes_of_labels(examiner: Examiner) -> None:
    logits = _call(examiner, LABELS).logits
    for shape in ((2, 3, CLASSES), (2, 3, 1), (3,), (2, 1), ()):
        labels = np.zeros(shape, np.int64)
        examiner.refuses(f"labels of shape {shape}", Call(logits, labels, function="loss_from_labels"), "labels")


def _call(examiner: Examiner, labels: Array, classes: int = CLASSES, **options: Any) -> Call:
    logits, _ = examiner.random((*labels.shape, classes), seed=classes)
    return Call(logits, labels, function="loss_from_labels", **options)
