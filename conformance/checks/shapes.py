"""SHP: shapes, dtypes, strides, arguments."""

from dataclasses import replace
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.inference.subject import refusal_text
from focal_ref.conformance.targets import ROWS, Call, TargetFault
from focal_ref.conformance.targets.functions import CAPABILITY_OF

Shapes = tuple[tuple[int, ...], tuple[int, ...]]


@check("FL-SHP-001")
def shapes_and_dtypes(examiner: Examiner) -> None:
    elements = ((), (1,), (0,), (5,), (2, 3, 4), (0, 3), (1, 1, 2, 1))
    rows = ((1, 2), (5, 3), (0, 3), (2, 3, 4), (1, 1, 2, 5))
    for shape in rows if examiner.of_rows else elements:
        call = examiner.sample(shape, seed=1)
        call = replace(call, logits=np.asarray(call.logits), targets=np.asarray(call.targets))
        for quantity in examiner.quantities:
            # `run` requires shape, dtype, library and device; the numbers are compared besides.
            got = examiner.run(quantity, call, f"shape {shape}")
            if got is not None:
                wanted = call.shape_of(quantity)
                examiner.true(got.shape == wanted, f"shape {shape}", quantity, str(wanted), got.shape)
                own = getattr(getattr(examiner.target, "function", None), "own_shape", None)
                if quantity == "value" and own is not None and got.shape == wanted:
                    examiner.true(own == wanted, f"shape {shape}", quantity, str(wanted), own)
        if 0 not in shape:
            examiner.compare("value", call, f"shape {shape}")


@check("FL-SHP-002")
def no_broadcasting(examiner: Examiner) -> None:
    elements: tuple[Shapes, ...] = (((4, 1), (4,)), ((4,), (1,)), ((2, 3), (3,)), ((3,), (2, 3)), ((4,), ()))
    rows: tuple[Shapes, ...] = (
        ((4, 3), (1,)),
        ((4, 3), (3,)),
        ((4, 3), (4, 1)),
        ((2, 5, 3), (5,)),
        ((2, 5, 3), (2, 1)),
    )
    for logits_shape, targets_shape in rows if examiner.of_rows else elements:
        call = examiner.sample(logits_shape, seed=2)
        ones = np.ones(targets_shape)
        targets = ones.astype(np.int64) if examiner.of_rows else examiner.array(ones)
        examiner.refuses(f"logits {logits_shape}, targets {targets_shape}", replace(call, targets=targets))


@check("FL-SHP-003")
def views(examiner: Examiner) -> None:
    whole = examiner.sample((12, 10), seed=3)
    base, targets = whole.logits, whole.targets
    selections: dict[str, Any] = {
        "transposed": lambda a: a.T,
        "every other": lambda a: a[::2, 1::3],
        "reversed": lambda a: a[::-1, ::-1],
        "a column": lambda a: a[:, 3],
        "a broadcast row": lambda a: np.broadcast_to(a[:1], (12, 10)),
    }
    if examiner.of_rows:
        del selections["a column"]
    for name, view in selections.items():
        if examiner.of_rows:
            labels = np.arange(2 * view(base).shape[0])[::2] % view(base).shape[1]
            seen = replace(whole, logits=view(base), targets=labels)
        else:
            seen = replace(whole, logits=view(base), targets=view(targets))
        logits, labels_or_targets = (np.ascontiguousarray(array) for array in (seen.logits, seen.targets))
        copied = replace(seen, logits=logits, targets=labels_or_targets)
        for quantity in examiner.quantities:
            got, expected = examiner.run(quantity, seen, name), examiner.run(quantity, copied, name)
            if got is not None and expected is not None and examiner.claims("same_bits"):
                examiner.same_bits(name, quantity, got, expected, {"logit": copied.logits})
        examiner.compare("value", seen, name)


@check("FL-SHP-004")
def inputs_are_constants(examiner: Examiner) -> None:
    call = examiner.sample((9, 7), seed=4)
    kept = call.logits.copy(), call.targets.copy()
    examiner.run("value", call, "value")
    if examiner.claims("gradient"):
        examiner.run("gradient", call, "gradient")
    examiner.same_bits("logits after the calls", "logits", call.logits, kept[0])
    unchanged = bool(np.array_equal(call.targets, kept[1]))
    examiner.true(unchanged, "targets after the calls", "targets", "those before", call.targets)


@check("FL-SHP-005")
def target_dtypes(examiner: Examiner) -> None:
    plain = examiner.sample((16, 4), seed=5)
    logits, targets = plain.logits, plain.targets
    dtypes = (np.bool_, np.int64, np.int32, np.uint8)
    taken = [dtype for dtype in dtypes if _takes(examiner, replace(plain, targets=targets.astype(dtype), gamma=0.5))]
    for gamma in (0.5, 2.0):
        for quantity in ("value", "gradient"):
            expected = examiner.run(quantity, replace(plain, gamma=gamma), "floating-point targets")
            for dtype in taken:
                call = replace(plain, targets=targets.astype(dtype), gamma=gamma)
                got = examiner.run(quantity, call, f"{np.dtype(dtype).name} targets")
                if got is not None and expected is not None:
                    case = f"{np.dtype(dtype).name} targets/gamma={gamma}"
                    examiner.same_bits(case, quantity, got, expected, {"logit": logits})


def _takes(examiner: Examiner, call: Call) -> bool:
    """Whether the dtype of the targets is taken, as is claimed; a refusal is a finding."""
    try:
        examiner.target.value(call)
    except TargetFault:
        return True  # it is told what happened where the result is asked for
    except Exception as error:  # a target may raise anything, and the run goes on
        name = call.targets.dtype.name
        text = f"claimed integer_targets, but refuses {name}: {refusal_text(error)}"
        examiner.fail(f"{name} targets", "dtype of targets", f"{name} taken", text, "dtype")
        return False
    return True


@check("FL-SHP-006")
def bad_arguments(examiner: Examiner) -> None:
    logits, targets = examiner.random((4, 3), seed=6)
    for alpha in (1.5, -0.25, float("nan"), float("inf")):
        examiner.refuses(f"alpha={alpha}", Call(logits, targets, alpha=alpha), "alpha")
    for gamma in (-1.0, float("nan"), float("inf")):
        examiner.refuses(f"gamma={gamma}", Call(logits, targets, gamma=gamma), "gamma")
    examiner.refuses("integer logits", Call(np.ones((4, 3), np.int64), np.ones((4, 3), np.int64)), "logits")
    examiner.refuses("encoding 'onehot'", Call(logits, targets, encoding="onehot"), "encoding")
    examiner.refuses("precision 'best'", Call(logits, targets, precision="best"), "precision")
    wrong_length = np.full(5, 0.5)
    examiner.refuses("alpha of shape (5,)", Call(logits, targets, alpha=wrong_length), "alpha")
    examiner.refuses("weights of shape (5,)", Call(logits, targets, weights=wrong_length), "weights")


@check("FL-SHP-007")
def bad_targets(examiner: Examiner) -> None:
    logits, targets = examiner.random(16, seed=7)
    for bad in (-1.0, 2.0, 1.5, float("nan"), 255.0):
        spoilt = targets.copy()
        spoilt[5] = bad
        for quantity in ("value", "gradient"):
            call = Call(logits, spoilt)
            try:
                value, gradient = examiner.target.value_and_gradient(call)
            except ValueError as error:
                named = "targets" in str(error) and "5" in str(error)
                examiner.true(named, f"target {bad}", "error text", "the argument and the position", error)
                continue
            except Exception as error:  # a target may raise anything, and the run goes on
                examiner.raised(quantity, call, f"target {bad}", error)
                continue
            got = value if quantity == "value" else gradient
            examiner.true(bool(np.isnan(got[5])), f"target {bad}", quantity, "nan or an error", got[5])
            # Its neighbours stay as accurate as ever; which of the closed forms they take is not prescribed.
            others = np.arange(16) != 5
            good = Call(logits[others], targets[others])
            exact = examiner.exact(good)[quantity]
            examiner.accuracy(quantity, good, got[others], exact, [f"beside target {bad}"] * 15)


@check("FL-SHP-009")
def bad_arguments_of_the_family(examiner: Examiner) -> None:
    logits, targets = examiner.random((4, 3), seed=9)
    nan, infinity = float("nan"), float("inf")
    wrong: dict[str, dict[str, tuple[float, ...]]] = {
        "loss_from_probabilities": {"alpha": (1.5, -0.25), "gamma": (-1.0,)},
        "star_loss": {"alpha": (1.5,), "beta": (nan, infinity)},
        # Integers, because compiling targets get floats as arrays, whose values nobody reads.
        "quality_focal_loss": {"beta": (-1, nan, infinity)},
        "varifocal_loss": {"alpha": (-0.25, nan), "gamma": (-1.0,)},
        "asymmetric_loss": {"gamma_positive": (-1.0,), "gamma_negative": (-1.0, nan), "clip": (-0.05, 1.0, nan)},
        "heatmap_focal_loss": {"gamma": (-1.0,), "beta": (-1, infinity)},
    }
    others = {"star_loss": {"beta": 1.0}}
    for function, arguments in wrong.items():
        if not examiner.claims(CAPABILITY_OF[function]):
            continue
        first = examiner.array(np.full((4, 3), 0.5)) if function == "loss_from_probabilities" else logits
        for name, numbers in arguments.items():
            for number in numbers:
                own: dict[str, Any] = {name: number} if name in ("alpha", "gamma") else {}
                given = {**others.get(function, {}), **({} if own else {name: number})}
                call = Call(first, targets, function=function, parameters=given, **own)
                examiner.refuses(f"{function}, {name}={number}", call, name)
        column = Call(first, targets[:, :1], function=function)
        examiner.refuses(f"{function}, targets of shape (4, 1)", column, "targets")
    if examiner.claims("softmax"):
        rows = Call(logits, np.array([0, 1, 2, 0]), None, function=ROWS)
        for name, wrong_call in {
            "alpha": replace(rows, alpha=np.array([1.0, 1.0])),
            "gamma": replace(rows, gamma=-1.0),
            "axis": replace(rows, parameters={"axis": 2}),
            "labels": replace(rows, targets=np.zeros((4, 1), np.int64)),
        }.items():
            examiner.refuses(f"softmax_loss, bad {name}", wrong_call, name)
