"""XFM: transforms of the library, and dividing arrays over devices, must not change a result."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.checks.reductions import compare_mean, compare_sum
from focal_ref.conformance.examiner import Examiner, flat
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.family_comparison import allowed_errors
from focal_ref.conformance.targets import ROWS, Array, Call

DIVIDED = (4, 4, 8)
"""Pictures, anchors and classes: each can be divided over two and over four devices."""

AXES = ("pictures", "anchors", "classes")


@check("FL-XFM-001")
def vmap(examiner: Examiner) -> None:
    for gamma in (0.5, 2.0):
        _same_as_direct(examiner, "vmap", gamma)


@check("FL-XFM-002")
def compiled(examiner: Examiner) -> None:
    for gamma in (0.5, 2.0):
        _same_as_direct(examiner, "compile", gamma)


@check("FL-XFM-003")
def autocast(examiner: Examiner) -> None:
    # The formats that autocast leaves alone and the one that it lowers to.
    for dtype in examiner.target.profile.tiers:
        if dtype != "float16":
            inner = type(examiner)(examiner.target, examiner.requirement, dtype)
            _same_as_direct(inner, "autocast", 2.0)
            examiner.absorb(inner)


@check("FL-XFM-004")
def forward_mode(examiner: Examiner) -> None:
    call = examiner.sample((6, 4), seed=4)
    tangent = examiner.array(np.resize([1.0, -1.0, 2.0, 0.5], call.logits.shape))
    gradient = examiner.run("gradient", call, "reverse mode")
    try:
        got = examiner.target.forward_derivative(call, tangent)
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("forward derivative", call, "forward mode", error)
        return
    if gradient is None:
        return
    along = gradient.astype(np.float64) * tangent.astype(np.float64)
    # A softmax adds up what all classes of a row contribute, and may round each.
    scale = np.sum(np.abs(along), axis=-1) if call.function == ROWS else np.abs(along)
    expected = (np.sum(along, axis=-1) if call.function == ROWS else along).astype(gradient.dtype)
    normal = np.abs(expected.astype(np.float64)) > 2.0 ** (examiner.format.minimum_exponent + 4)
    if _has_same_bits(examiner) and call.function != ROWS:
        examiner.same_bits("tangent (1, -1, 2, 0.5)", "forward derivative", got[normal], expected[normal])
    else:
        tolerance = 64.0 * 2.0 ** (1 - examiner.format.precision)
        far = np.abs(got.astype(np.float64) - expected.astype(np.float64)) > tolerance * scale + 1e-30
        near = got.shape == expected.shape and not far.any()
        examiner.true(near, "tangent (1, -1, 2, 0.5)", "forward derivative", str(expected[0]), got[0])


@check("FL-XFM-005")
def vmap_over_parameters(examiner: Examiner) -> None:
    logits, targets = examiner.random((8, 16), seed=5)
    # Numbers that every format has, so that no library rounds the parameters themselves.
    alpha = np.array([0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 0.875, 1.0]).reshape(8, 1)
    gamma = np.array([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0]).reshape(8, 1)
    _compare_transformed(examiner, "vmap", Call(logits, targets, alpha, gamma), "vmap over alpha and gamma")


@check("FL-XFM-006")
def compiled_labels(examiner: Examiner) -> None:
    logits, _ = examiner.random((8, 5), seed=6)
    labels = np.array([0, 4, -1, IGNORE, 2, 3, -1, 1])
    _compare_transformed(examiner, "compile", Call(logits, labels, function="loss_from_labels"), "compiled labels")


@check("FL-XFM-007")
def compiled_softmax(examiner: Examiner) -> None:
    logits, _ = examiner.random((8, 20), seed=7)
    labels = np.array([0, 4, 1, IGNORE, 19, 3, 12, 7])
    _compare_transformed(examiner, "compile", Call(logits, labels, None, function=ROWS), "compiled softmax of labels")
    if examiner.claims("soft_targets") and examiner.is_widest:
        rows = examiner.array(np.equal.outer(labels, np.arange(20)) * 0.75 + 0.0125)
        _compare_transformed(examiner, "compile", Call(logits, rows, None, function=ROWS), "compiled softmax of rows")


@check("FL-XFM-008")
def divided(examiner: Examiner) -> None:
    dense = examiner.sample(DIVIDED, seed=8)
    if examiner.claims("same_bits"):
        dense.logits[0, 0] = _special(examiner)
    for axis, name in enumerate(AXES):
        _compare_divided(examiner, dense, axis, f"divided over {name}")
    if examiner.claims("labels"):
        for axis in (0, 2):
            _compare_divided(examiner, _labelled(examiner), axis, f"labels, divided over {AXES[axis]}")
    if examiner.claims("softmax"):
        for axis in (0, 1) if examiner.is_widest else (0,):
            _compare_divided(examiner, _rows(examiner), axis, f"softmax, divided over {AXES[axis]}")


@check("FL-XFM-009")
def divided_sums(examiner: Examiner) -> None:
    for axis in (0, 2):
        call, case = examiner.sample(DIVIDED, seed=9, reduction="sum"), f"sum, divided over {AXES[axis]}"
        got = _gradient_of_divided(examiner, call, axis, case)
        if got is not None:
            compare_sum(examiner, call, got, 1.0, case)
    means = []
    if examiner.claims("labels"):
        means += [("labels", _labelled(examiner), axis) for axis in (0, 2)]
    if examiner.claims("softmax"):
        means.append(("softmax", _rows(examiner), 0))
    for function, plain, axis in means:
        call, case = replace(plain, reduction="mean"), f"mean of {function}, divided over {AXES[axis]}"
        got = _gradient_of_divided(examiner, call, axis, case)
        if got is not None:
            compare_mean(examiner, call, got, call.targets != IGNORE, case)


def _labelled(examiner: Examiner) -> Call:
    """Labels of every class; what the profile can leave out is not evenly shared out."""
    logits, _ = examiner.random(DIVIDED, seed=10)
    labels = np.arange(16).reshape(4, 4) % 8
    if examiner.claims("background"):
        labels[:, 1] = -1
    if examiner.claims("ignore"):
        labels[0, :3] = labels[1, 2] = IGNORE
    return Call(logits, labels, function="loss_from_labels")


def _rows(examiner: Examiner) -> Call:
    call = _labelled(examiner)
    return replace(call, targets=np.where(call.targets == -1, 5, call.targets), alpha=None, function=ROWS)


def _compare_divided(examiner: Examiner, call: Call, axis: int, case: str) -> None:
    _compare_with_direct(examiner, call, case, lambda: examiner.target.divided(call, axis))


def _gradient_of_divided(examiner: Examiner, call: Call, axis: int, case: str) -> Array | None:
    """Compare the gradient of a reduction with that of the direct call, and return the divided one's value."""
    try:
        _, direct = examiner.target.value_and_gradient(call)
        value, gradient = examiner.target.divided(call, axis)
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("value and gradient", call, case, error)
        return None
    if _has_same_bits(examiner):
        examiner.same_bits(case, "gradient", gradient, direct)
    else:
        _near(examiner, call, case, "gradient", gradient, direct)
    return value


def _has_same_bits(examiner: Examiner) -> bool:
    """Float64 results are accurate, not correctly rounded: a transform may take another of the closed forms."""
    return examiner.claims("same_bits") and examiner.dtype != "float64"


def _same_as_direct(examiner: Examiner, transform: str, gamma: float) -> None:
    call = examiner.sample((8, 16), seed=1, gamma=gamma)
    # Saturated, zero and infinite logits as well.
    if examiner.claims("same_bits") and call.function == "loss":
        call.logits[:, 0] = _special(examiner)
    _compare_transformed(examiner, transform, call, f"{transform}/gamma={gamma}")


def _special(examiner: Examiner) -> Array:
    return examiner.array([0.0, -0.0, 30.0, -30.0, 90.0, -90.0, np.inf, -np.inf])


def _compare_transformed(examiner: Examiner, transform: str, call: Call, case: str) -> None:
    _compare_with_direct(examiner, call, case, lambda: examiner.target.transformed(transform, call))


def _compare_with_direct(
    examiner: Examiner, call: Call, case: str, transformed: Callable[[], tuple[Array, Array]]
) -> None:
    """Compare value and gradient of a transform with those of the direct call, or with what is exact."""
    try:
        value, gradient = examiner.target.value_and_gradient(call)
        got_value, got_gradient = transformed()
    except Exception as error:  # a target may raise anything, and the run goes on
        examiner.raised("value and gradient", call, case, error)
        return
    if _has_same_bits(examiner):
        inputs = {"logit": call.logits} if call.function == "loss" else None
        examiner.same_bits(case, "value", got_value, value, inputs)
        examiner.same_bits(case, "gradient", got_gradient, gradient, inputs)
        return
    for quantity, got, direct in (("value", got_value, value), ("gradient", got_gradient, gradient)):
        if call.function == "loss":
            exact = flat(examiner.exact(_broadcast(call))[quantity])
            examiner.accuracy(quantity, call, got.reshape(-1), exact, [case] * got.size)
        else:
            _near(examiner, call, case, quantity, got, direct)


def _near(examiner: Examiner, call: Call, case: str, quantity: str, got: Array, direct: Array) -> None:
    """Twice the budget lies between two accurate results."""
    bound = 2.0 * float(np.max(allowed_errors(examiner, call, 1))) * 2.0 ** (1 - examiner.format.precision)
    near = got.shape == direct.shape and np.allclose(
        got.astype(np.float64), direct.astype(np.float64), rtol=bound, atol=0.0
    )
    examiner.true(near, case, quantity, f"the direct result within {bound:.3g} of it", got)


def _broadcast(call: Call) -> Call:
    """With parameters in the logits' shape."""
    full: dict[str, Any] = {
        name: np.broadcast_to(value, call.logits.shape)
        for name in ("alpha", "gamma")
        if isinstance(value := getattr(call, name), np.ndarray)
    }
    return replace(call, **full)
