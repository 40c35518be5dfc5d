"""SMX: the focal loss of a softmax over the classes."""

import math
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import Exact, exact_results
from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.labels import refused_or_nan
from focal_ref.conformance.conventions.oracle import exact_by_conventions
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family.vectors import Group
from focal_ref.conformance.family_comparison import (
    affordable,
    allowed_errors,
    compare_vectors,
    compare_with_truth,
    measure,
    truth,
)
from focal_ref.conformance.targets import ROWS, Array, Call

CLASSES = 20
LABELS = np.array([0, 4, 19, 3, 7, 4, 12, 18])
"""As many rows and classes as the stored ones are brought to, so that compiling targets meet no new shape."""


def _finite(group: Group) -> Array:
    """Rows of finite logits that are not ignored; the others have requirements of their own."""
    finite = np.isfinite(group.inputs["logits"].astype(np.float64)).all(axis=-1)
    return np.asarray(finite & (group.inputs["labels"] != IGNORE) if _labelled(group) else finite)


def _labelled(group: Group) -> bool:
    return "labels" in group.input_names


def _claimed(examiner: Examiner, group: Group) -> bool:
    """Whether the kind of rows is claimed: soft ones, and class weights."""
    shares = _labelled(group) or examiner.claims("soft_targets")
    return shares and (group.parameters["alpha"] is None or examiner.claims("array_parameters"))


def _plain_labels(group: Group) -> Array:
    return _finite(group) & _labelled(group) & (group.parameters["alpha"] is None)


@check("FL-SMX-001")
def value(examiner: Examiner) -> None:
    compare_vectors(examiner, ROWS, "value", _plain_labels)


@check("FL-SMX-002")
def gradient(examiner: Examiner) -> None:
    compare_vectors(examiner, ROWS, "gradient", _plain_labels)


@check("FL-SMX-003")
def second_derivative(examiner: Examiner) -> None:
    compare_vectors(examiner, ROWS, "second_derivative", lambda group: _finite(group) & _claimed(examiner, group))


@check("FL-SMX-004")
def gradients_add_up_to_zero(examiner: Examiner) -> None:
    for gamma in (0.0, 0.5, 2.0):
        call = _call(examiner, gamma=gamma)
        got = examiner.run("gradient", call, f"gamma={gamma}")
        if got is None:
            continue
        # Each entry may be off by its own budget, and no more.
        exact = truth(examiner, call, ("gradient",))["gradient"]
        allowed = allowed_errors(examiner, call, got.size)
        allowed = examiner.widened(allowed, "gradient", call, exact).reshape(got.shape)
        bound = np.sum(np.ldexp(allowed, exact.scale_ulp_exponent), axis=-1)
        sums = got.astype(np.float64).sum(axis=-1)
        worst = int(np.argmax(np.abs(sums) / bound))
        expected = f"0 +- {bound[worst]:.3g}"
        examiner.true(bool(np.all(np.abs(sums) <= bound)), f"gamma={gamma}", "sum of a row", expected, sums[worst])


@check("FL-SMX-005")
def shifts(examiner: Examiner) -> None:
    # Multiples of 1/4, and a shift that leaves them exact in the format.
    logits = examiner.array(np.round(4.0 * np.clip(_wide(examiner) / 2.0, -4.0, 4.0)) / 4.0)
    shift = 2.0 ** (examiner.format.precision - 4)
    for quantity in examiner.quantities:
        exact = truth(examiner, Call(logits, LABELS, alpha=None, function=ROWS), (quantity,))[quantity]
        for name, moved in (("0", 0.0), (f"{shift:g}", shift), (f"-{shift:g}", -shift)):
            call = Call(examiner.array(logits.astype(np.float64) + moved), LABELS, alpha=None, function=ROWS)
            got = examiner.run(quantity, call, f"shift {name}")
            if got is not None:
                measure(examiner, quantity, call, got, exact, [f"shift {name}"] * len(LABELS))


@check("FL-SMX-006")
def two_classes(examiner: Examiner) -> None:
    # Multiples of 1/8, so that differences are exact; none of them where probabilities are clipped.
    epsilon = examiner.target.profile.conventions["epsilon"]
    largest = min(7.0, (-math.log(epsilon) - 1.0) / 2.0) if epsilon else 7.0
    wide = np.trunc(8.0 * np.clip(_wide(examiner, (32, 2)), -largest, largest)) / 8.0
    logits, margins = examiner.array(wide), examiner.array(wide[:, 1] - wide[:, 0])
    labels = np.arange(32) % 2
    for gamma in (0.5, 2.0):
        binary = _of_two(examiner, margins, labels, gamma)
        for quantity in affordable(examiner):
            call = Call(logits, labels, alpha=None, gamma=gamma, function=ROWS)
            got = examiner.run(quantity, call, f"two classes/gamma={gamma}")
            if got is None:
                continue
            if quantity == "gradient":
                negated = Call(logits, labels, alpha=None, gamma=gamma, function=ROWS)
                measure(examiner, quantity, negated, -got[:, 0], binary[quantity], ["first of two classes"] * 32)
                got = got[:, 1]
            measure(examiner, quantity, call, got, binary[quantity], [f"two classes/gamma={gamma}"] * 32)


def _of_two(examiner: Examiner, margins: Array, labels: Array, gamma: float) -> dict[str, Exact]:
    """The loss of one sigmoid; an epsilon that is added inside of its logarithms changes all of them."""
    targets, conventions = labels.astype(np.float64), examiner.target.profile.conventions
    if conventions["clipping"] != "added":
        return exact_results(margins, targets, alpha=None, gamma=gamma, format=examiner.format)
    binary = {**conventions, "multi_class": "sigmoid", "alpha": "none", "alpha_off": "none"}
    return exact_by_conventions(Call(margins, targets, alpha=None, gamma=gamma), binary, examiner.format)


@check("FL-SMX-007")
def ignored(examiner: Examiner) -> None:
    labels = np.where([0, 1, 0, 1, 0, 0, 0, 0], IGNORE, LABELS)
    call = _call(examiner, labels)
    counted = labels != IGNORE
    plain = Call(call.logits.copy(), LABELS, alpha=None, function=ROWS)
    call.logits[1], call.logits[3] = np.nan, np.resize([np.inf, -np.inf, 0.0, 1.0], CLASSES)
    for quantity in examiner.quantities:
        got = examiner.run(quantity, call, "IGNORE")
        if got is not None:
            exact = truth(examiner, plain, (quantity,))[quantity][counted]
            rows = Call(call.logits[counted], labels[counted], alpha=None, function=ROWS)
            measure(examiner, quantity, rows, got[counted], exact, ["beside IGNORE"] * int(counted.sum()))
            examiner.true(bool(np.all(got[~counted] == 0)), "IGNORE", quantity, "0 everywhere", got[~counted])
        everything = examiner.run(quantity, _call(examiner, np.full(8, IGNORE)), "all ignored")
        if everything is not None:
            examiner.true(bool(np.all(everything == 0)), "all ignored", quantity, "0 everywhere", everything)
        compare_vectors(examiner, ROWS, quantity, lambda group: _ignored(group) & _claimed(examiner, group))


def _ignored(group: Group) -> Array:
    return group.inputs["labels"] == IGNORE if _labelled(group) else np.zeros(len(group.tests), bool)


@check("FL-SMX-008")
def any_axis(examiner: Examiner) -> None:
    for axis in (0, 1, -2):
        logits, _ = examiner.random((3, 3, 3), seed=8)
        # Nothing but the axis tells the classes from the rest.
        moved = np.moveaxis(logits, axis, -1)
        labels = np.arange(9).reshape(3, 3) % 3
        call = Call(logits, labels, alpha=None, function=ROWS, parameters={"axis": axis})
        along_last = Call(np.ascontiguousarray(moved), labels, alpha=None, function=ROWS)
        for quantity in examiner.quantities:
            got = examiner.run(quantity, call, f"axis={axis}")
            if got is None:
                continue
            got = np.moveaxis(got, axis, -1) if quantity == "gradient" else got
            exact = truth(examiner, along_last, (quantity,))[quantity]
            measure(examiner, quantity, call, got, exact, [f"axis={axis}"] * 9)


@check("FL-SMX-009")
def one_hot_rows(examiner: Examiner) -> None:
    by_label = _call(examiner)
    rows = np.equal.outer(LABELS, np.arange(CLASSES))
    for quantity in examiner.quantities:
        exact = truth(examiner, by_label, (quantity,))[quantity]
        for name, targets in (
            ("floats", examiner.array(rows)),
            ("booleans", rows),
            ("integers", rows.astype(np.int64)),
        ):
            call = Call(by_label.logits, targets, alpha=None, function=ROWS)
            got = examiner.run(quantity, call, f"one-hot rows of {name}")
            if got is not None:
                measure(examiner, quantity, call, got, exact, [f"one-hot rows of {name}"] * len(LABELS))


@check("FL-SMX-010")
def soft_rows(examiner: Examiner) -> None:
    def soft(group: Group) -> Array:
        return _finite(group) & (not _labelled(group)) & _claimed(examiner, group)

    for quantity in examiner.quantities:
        compare_vectors(examiner, ROWS, quantity, soft)


@check("FL-SMX-011")
def class_weights(examiner: Examiner) -> None:
    def weighted(group: Group) -> Array:
        return _finite(group) & _labelled(group) & (group.parameters["alpha"] is not None)

    for quantity in examiner.quantities:
        compare_vectors(examiner, ROWS, quantity, weighted)
    for alpha in (0.25, np.full(CLASSES - 1, 1.0)):
        what = "a number" if np.ndim(alpha) == 0 else f"of shape ({CLASSES - 1},)"
        if examiner.claims("argument_checks"):
            examiner.refuses(f"alpha {what}", _call(examiner, alpha=alpha), "alpha")


@check("FL-SMX-015")
def number_alpha(examiner: Examiner) -> None:
    for alpha in (0.25, 0.75):
        for quantity in examiner.quantities:
            examiner.compare(quantity, _call(examiner, np.arange(8) % 3, alpha=alpha), f"alpha={alpha}")


@check("FL-SMX-012")
def many_classes(examiner: Examiner) -> None:
    logits, _ = examiner.random((16, 1000), seed=12)
    labels = np.arange(16) * 66
    for gamma in (0.5, 2.0):
        for quantity in affordable(examiner):
            call = Call(logits, labels, alpha=None, gamma=gamma, function=ROWS)
            compare_with_truth(examiner, quantity, call, f"1000 classes/gamma={gamma}")


@check("FL-SMX-013")
def not_finite(examiner: Examiner) -> None:
    def other(group: Group) -> Array:
        return ~_finite(group) & ~_ignored(group) & _claimed(examiner, group)

    for quantity in examiner.quantities:
        compare_vectors(examiner, ROWS, quantity, other)


@check("FL-SMX-014")
def no_class(examiner: Examiner) -> None:
    # BACKGROUND is no class of a softmax.
    for bad in (-1, -3, CLASSES, 2**31):
        refused_or_nan(examiner, _call(examiner), bad)
    examiner.refuses("labels of floats", _call(examiner, LABELS.astype(np.float64)), "labels")


def _call(examiner: Examiner, labels: Array = LABELS, alpha: Any = None, gamma: float = 2.0) -> Call:
    return Call(examiner.array(_wide(examiner)), labels, alpha=alpha, gamma=gamma, function=ROWS)


def _wide(examiner: Examiner, shape: tuple[int, ...] = (8, CLASSES)) -> Array:
    return examiner.random(shape, seed=6)[0].astype(np.float64)
