"""Compares what a target's detection functions give with the truth, and says what differs in terms of boxes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp

from focal_ref.conformance.detection.oracle import PRESETS, Answer, Options, iou
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.formats import FORMATS, from_bits, round_to_format, ulp
from focal_ref.conformance.targets import Array, NotNative
from focal_ref.conformance.targets.matcher import declared_options

Arrays = Mapping[str, Array | None]

STATES = {1: "P", 0: "B", -1: "I"}
"""States of anchors, as the vectors write them."""


def evaluate(
    examiner: Examiner, function: str, arrays: Arrays, case: str, **options: Any
) -> Mapping[str, Array] | None:
    """Results by name; after an exception, which is a finding, None."""
    examiner.cases.ran([case])
    try:
        return examiner.target.detection(function, arrays, options)
    except Exception as error:  # a target may raise anything, and the run goes on
        kind = "" if isinstance(error, NotNative) else f"{type(error).__name__}: "
        first_line = (str(error).strip().splitlines() or [""])[0][:300]
        examiner.comparisons += 1
        inputs = {"call": call_text(function, arrays, options)}
        examiner.findings.append(Finding(case, function, "a result", f"{kind}{first_line}", inputs, signature="raise"))
        return None


def call_text(function: str, arrays: Arrays, options: Mapping[str, Any]) -> str:
    """The call as a line of code."""
    given = [f"{name}[{array.dtype.name}{list(array.shape)}]" for name, array in arrays.items() if array is not None]
    return f"{function}({', '.join([*given, *(f'{name}={value!r}' for name, value in options.items())])})"


def declared(examiner: Examiner) -> Options:
    """The options by which a target matches when none are given."""
    profile = examiner.target.profile
    options = PRESETS["paper"] if profile.kind == "loss" else declared_options(profile)
    return replace(options, format=examiner.dtype)


def corners(boxes: Any) -> list[list[float]]:
    """Boxes as numbers for the oracle."""
    return [[float(number) for number in box] for box in np.asarray(boxes).reshape(-1, 4)]


def codes(got: Mapping[str, Array]) -> list[str]:
    """Each anchor of a picture as text: P and its ground truth, B or I."""
    pairs = zip(got["state"].tolist(), got["gt_index"].tolist(), strict=True)
    return [f"P{index}" if state == 1 else STATES.get(state, f"?{state}") for state, index in pairs]


def same_codes(
    examiner: Examiner,
    case: str,
    got: Mapping[str, Array],
    expected: Sequence[str],
    anchors: Any = None,
    gt_boxes: Any = None,
) -> None:
    """Compare the anchors of one picture with codes; the first one that differs is shown with its overlaps."""
    found = codes(got)
    inconsistent = [
        index
        for index, (state, owner) in enumerate(zip(got["state"].tolist(), got["gt_index"].tolist(), strict=True))
        if (state == 1) != (owner >= 0)
    ]
    examiner.comparisons += max(1, len(expected))
    examiner.cases.ran([case])
    if len(found) != len(expected):
        examiner.fail(case, "matches", f"{len(expected)} anchors", f"{len(found)} anchors")
        return
    bad = [index for index, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other]
    if inconsistent and not bad:
        examiner.fail(
            case, "gt_index", "-1 unless positive", f"{got['gt_index'][inconsistent[0]]} in an anchor that is not"
        )
    if not bad:
        return
    first = bad[0]
    inputs = {"anchor": f"number {first}"}
    if anchors is not None:
        inputs = overlap_text(corners(anchors)[first], corners(gt_boxes), first)
    others = [f"anchor {index}: expected {expected[index]}, got {found[index]}" for index in bad[1:3]]
    examiner.findings.append(
        Finding(
            case, "matches", expected[first], found[first], inputs, failed=len(bad), compared=len(found), others=others
        )
    )


def overlap_text(anchor: Sequence[float], gt_boxes: Sequence[Sequence[float]], index: int) -> dict[str, str]:
    """An anchor and its overlaps, as fractions."""
    texts = []
    for position, box in enumerate(gt_boxes):
        if np.all(np.isfinite(box)) and box[2] > box[0] and box[3] > box[1]:
            overlap = iou(anchor, box)
            if overlap:
                texts.append(f"{overlap} with {position} {_box(box)}")
        else:
            texts.append(f"none with {position} {_box(box)}")
    return {"anchor": f"number {index}: {_box(anchor)}", "IoU": "; ".join(texts[:4]) or "0 with every ground truth"}


def _box(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in box) + "]"


def same_matches(
    examiner: Examiner, case: str, got: Mapping[str, Array], answer: Answer, anchors: Any, gt_boxes: Any
) -> None:
    """Compare the matches of one picture with the oracle's."""
    same_codes(examiner, case, got, answer.codes, anchors, gt_boxes)


def same(
    examiner: Examiner,
    case: str,
    quantity: str,
    got: Array,
    expected: Any,
    inputs: Callable[[tuple[int, ...]], Mapping[str, str]] | None = None,
) -> None:
    """Compare integers or booleans."""
    wanted = np.asarray(expected)
    if got.shape != wanted.shape:
        examiner.fail(case, quantity, f"shape {wanted.shape}", f"shape {got.shape}")
        return
    examiner.comparisons += max(1, wanted.size)
    examiner.cases.ran([case])
    bad = np.argwhere(got != wanted)
    if not len(bad):
        return
    first = tuple(int(position) for position in bad[0])
    shown = {"element": str(list(first)), **(inputs(first) if inputs else {})}
    texts = str(wanted[first]), str(got[first])
    examiner.findings.append(Finding(case, quantity, *texts, shown, failed=len(bad), compared=int(wanted.size)))


def number(exact: Any, dtype: str) -> Any:
    """A fraction or mpf rounded to a format."""
    return from_bits(round_to_format(exact, FORMATS[dtype]), FORMATS[dtype])[()]


def rounded(exact: Any, dtype: str) -> Array:
    """Nested lists of fractions, correctly rounded to a format."""
    if isinstance(exact, list | tuple):
        return np.array([rounded(entry, dtype) for entry in exact], dtype=FORMATS[dtype].dtype)
    return np.asarray(number(exact, dtype))


def same_numbers(examiner: Examiner, case: str, quantity: str, got: Array, exact: Any, inputs: Any = None) -> None:
    """Compare with correctly rounded fractions, bit by bit except for the sign of a zero."""
    wanted = rounded(exact, examiner.dtype)
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        expected = f"{wanted.dtype.name} {wanted.shape}"
        examiner.fail(case, quantity, expected, f"{got.dtype.name} {got.shape}")
        return
    same(examiner, case, quantity, got, wanted, inputs)


def near(
    examiner: Examiner,
    case: str,
    quantity: str,
    got: Array,
    exact: Sequence[Any],
    allowed: float,
    scales: Sequence[Any] | None = None,
) -> None:
    """Compare floats with exact numbers; the error counts in ulp of the larger of the number and its scale."""
    flat = np.asarray(got).reshape(-1)
    dtype = examiner.dtype
    if flat.size != len(exact) or got.dtype.name != dtype:
        examiner.fail(case, quantity, f"{len(exact)} numbers of {dtype}", f"{got.dtype.name} {got.shape}")
        return
    worst, which = -1.0, 0
    for index, (value, truth) in enumerate(zip(flat.tolist(), exact, strict=True)):
        error = error_of(value, truth, 0 if scales is None else scales[index], dtype)
        if not error <= worst:
            worst, which = error, index
        if np.isnan(error):
            break
    examiner.comparisons += max(0, len(exact) - 1)
    if len(exact):
        wanted = number(exact[which], dtype)
        inputs = {"element": str(list(map(int, np.unravel_index(which, got.shape))))}
        examiner.measured(case, quantity, wanted, flat[which], worst, allowed, dtype, inputs)


def error_of(value: float, exact: Any, scale: Any, dtype: str) -> float:
    """Error of one number in ulp; NaN and infinity are infinitely wrong."""
    if not np.isfinite(value):
        return float("inf")
    truth = as_fraction(exact)
    unit = ulp(max(abs(truth), abs(as_fraction(scale))), FORMATS[dtype])
    return float(abs(Fraction(value) - truth) / unit)


def as_fraction(exact: Any) -> Fraction:
    """The rational number that an mpf, float or fraction is."""
    if isinstance(exact, mp.mpf):
        sign, mantissa, exponent, _ = exact._mpf_
        magnitude: Fraction = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
        return -magnitude if sign else magnitude
    return Fraction(exact)


def refused_or(
    examiner: Examiner,
    function: str,
    arrays: Arrays,
    case: str,
    names: str,
    neutral: Callable[[Mapping[str, Array]], bool] | None,
    expected: str,
    **options: Any,
) -> None:
    """Require an error that names the argument; or, where values cannot be read, a result that `neutral` accepts."""
    try:
        results = examiner.target.detection(function, arrays, options)
    except Exception as error:  # which type it is, is the implementation's own convention
        text = f"{type(error).__name__}: {error}"
        examiner.true(names in str(error), case, "error text", f"an error that names {names!r}", text[:300])
        return
    accepted = neutral is not None and neutral(results)
    shown = "; ".join(f"{name} {np.array2string(array, threshold=8)}" for name, array in results.items())
    examiner.true(accepted, case, function, expected, " ".join(shown.split())[:300])
