"""BOX: encoding and decoding of boxes, and smooth L1."""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import evaluate, near, refused_or, same
from focal_ref.conformance.detection.numeric import CLAMP, decoded, encoded, smooth_l1, smooth_l1_slope
from focal_ref.conformance.detection.scenes import ANCHORS, picture
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array

CODING = 4.0
"""Allowed error in ulp of a delta, or of a side and its place for a corner: a few roundings and one function."""

SMOOTH = 4.0


def _tests(kind: str) -> list[Mapping[str, Any]]:
    return [test for test in load_tests("coding") if test["kind"] == kind]


Convention = tuple[tuple[float, ...], int]
"""Weights and offset."""

PLAIN: Convention = ((1.0, 1.0, 1.0, 1.0), 0)


def _declared(examiner: Examiner) -> Convention:
    """The convention that a call without options follows."""
    profile = examiner.target.profile
    if profile.kind == "loss":
        return PLAIN
    return tuple(map(float, profile.conventions["weights"])), profile.conventions["offset"]


def _groups(examiner: Examiner, kind: str) -> dict[Convention, list[Mapping[str, Any]]]:
    """Tests that one call can run; without options, those of the declared convention."""
    groups: dict[Convention, list[Mapping[str, Any]]] = {}
    for test in _tests(kind):
        convention = (tuple(map(float, test["weights"])), test["offset"])
        stated = examiner.claims("coding_options") or convention == _declared(examiner)
        if stated and (kind == "encode" or examiner.claims("clamp") or not _is_clamped(test)):
            groups.setdefault(convention, []).append(test)
    return groups


def _is_clamped(test: Mapping[str, Any]) -> bool:
    """Whether decoding meets the limit of a side."""
    return any(
        delta / weight > math.log(CLAMP) for delta, weight in zip(test["deltas"][2:], test["weights"][2:], strict=True)
    )


@check("FL-BOX-001")
def encoding(examiner: Examiner) -> None:
    for (weights, offset), tests in _groups(examiner, "encode").items():
        boxes, anchors = (np.resize([test[name] for test in tests], (ANCHORS, 4)) for name in ("box", "anchor"))
        _encode(examiner, f"vectors, weights={weights}, offset={offset}", boxes, anchors, weights, offset)
    anchors, boxes = picture(50)
    _encode(examiner, "picture 50", np.resize(boxes, anchors.shape), anchors, *_declared(examiner))


def _encode(
    examiner: Examiner, case: str, boxes: Array, anchors: Array, weights: tuple[float, ...], offset: int
) -> None:
    arrays = {"gt_boxes": examiner.array(boxes), "anchors": examiner.array(anchors)}
    got = evaluate(examiner, "encode_boxes", arrays, case, **_options(examiner, weights, offset))
    if got is None:
        return
    rows = [encoded(box, anchor, weights, offset) for box, anchor in zip(boxes.tolist(), anchors.tolist(), strict=True)]
    # Half pixels are exact, so that a centre is measured by itself; the logarithm of a ratio near 1 by its rounding.
    scales = [scale for _ in rows for scale in (0, 0, weights[2], weights[3])]
    near(examiner, case, "deltas", got["result"], [number for row in rows for number in row], CODING, scales)


@check("FL-BOX-002")
def decoding(examiner: Examiner) -> None:
    for (weights, offset), tests in _groups(examiner, "decode").items():
        deltas, anchors = (np.resize([test[name] for test in tests], (ANCHORS, 4)) for name in ("deltas", "anchor"))
        _decode(examiner, f"vectors, weights={weights}, offset={offset}", deltas, anchors, weights, offset)
    anchors, _ = picture(51)
    generator = np.random.default_rng(51)
    deltas = generator.normal(0, 1, anchors.shape)
    _decode(examiner, "picture 51", deltas, anchors, *_declared(examiner))


def _decode(
    examiner: Examiner, case: str, deltas: Array, anchors: Array, weights: tuple[float, ...], offset: int
) -> None:
    arrays = {"deltas": examiner.array(deltas), "anchors": examiner.array(anchors)}
    got = evaluate(examiner, "decode_boxes", arrays, case, **_options(examiner, weights, offset))
    if got is None:
        return
    given = arrays["deltas"].tolist()
    rows = [decoded(delta, anchor, weights, offset) for delta, anchor in zip(given, anchors.tolist(), strict=True)]
    scales = []
    for row, delta, anchor in zip(rows, given, anchors.tolist(), strict=True):
        for side in (0, 1):
            place, size = abs(row[side] + row[side + 2]) / 2, abs(row[side + 2] - row[side])
            moved = abs(delta[side] / weights[side]) * (anchor[side + 2] - anchor[side])
            # An exponential of x carries the rounding of x, x times over.
            scales.append(max(place, size * max(1, abs(delta[side + 2] / weights[side + 2])), moved, abs(anchor[side])))
        scales[-2:] = scales[-2:] * 2
    near(examiner, case, "boxes", got["result"], [number for row in rows for number in row], CODING, scales)


def _options(examiner: Examiner, weights: tuple[float, ...], offset: int) -> dict[str, Any]:
    return {} if (weights, offset) == _declared(examiner) else {"weights": weights, "offset": offset}


@check("FL-BOX-003")
def round_trip(examiner: Examiner) -> None:
    anchors, boxes = picture(52)
    boxes = np.resize(boxes, anchors.shape)
    arrays = {"gt_boxes": examiner.array(boxes), "anchors": examiner.array(anchors)}
    deltas = evaluate(examiner, "encode_boxes", arrays, "there")
    if deltas is not None:
        back = {"deltas": deltas["result"], "anchors": arrays["anchors"]}
        got = evaluate(examiner, "decode_boxes", back, "and back")
        if got is not None:
            flat = [Fraction(int(number)) for number in boxes.reshape(-1)]
            near(examiner, "there and back", "boxes", got["result"], flat, 4 * CODING, [128] * len(flat))
    itself = evaluate(examiner, "encode_boxes", {**arrays, "gt_boxes": arrays["anchors"]}, "itself")
    if itself is not None:
        same(examiner, "an anchor itself", "deltas", itself["result"], np.zeros(anchors.shape))
    still = {"deltas": examiner.array(np.zeros(anchors.shape)), "anchors": arrays["anchors"]}
    unmoved = evaluate(examiner, "decode_boxes", still, "no deltas")
    if unmoved is not None:
        same(examiner, "no deltas", "boxes", unmoved["result"], anchors)


@check("FL-BOX-004")
def clamped(examiner: Examiner) -> None:
    largest = float(CLAMP)
    weights, offset = _declared(examiner)
    rows = [[0, 0, 80, 1e30], [0, 0, np.inf, 5], [0, 0, 4, 4], [np.nan, 0, 0, 0], [0, 0, np.nan, 0]]
    deltas = examiner.array(np.array(rows) * weights)
    anchors = examiner.array([[0, 0, 16 - offset, 32 - offset]] * len(rows))
    got = evaluate(examiner, "decode_boxes", {"deltas": deltas, "anchors": anchors}, "large deltas")
    if got is None:
        return
    boxes = got["result"].astype(np.float64)
    sides = boxes[:, 2:] - boxes[:, :2] + offset
    for row, factors in enumerate([(largest, largest), (largest, largest), (np.exp(4), np.exp(4))]):
        for side, length in enumerate((16, 32)):
            wanted = factors[side] * length
            close = abs(sides[row, side] - wanted) <= wanted * 1e-5
            case = f"deltas {deltas[row].tolist()}"
            examiner.true(close, case, "width, height", f"{wanted:.6g}", sides[row, side])
    examiner.true(np.isnan(boxes[3, 0]), "a delta of NaN", "x1", "nan", boxes[3, 0])
    examiner.true(np.isnan(boxes[4, 0]), "a width of NaN", "x1", "nan, not the clamp", boxes[4, 0])
    examiner.true(np.isfinite(boxes[:3]).all(), "beside NaN", "boxes", "finite", boxes[:3].tolist())


@check("FL-BOX-005")
def smooth_l1_values(examiner: Examiner) -> None:
    for beta, tests in _smooth().items():
        prediction, target = _sides(examiner, tests)
        case = f"beta={beta}"
        got = evaluate(examiner, "smooth_l1", {"prediction": prediction, "target": target}, case, beta=beta)
        if got is not None:
            pairs = zip(prediction.tolist(), target.tolist(), strict=True)
            exact = [smooth_l1(one, other, _rounded(examiner, beta)) for one, other in pairs]
            near(examiner, case, "smooth L1", got["result"], exact, SMOOTH)
    # At beta both branches meet.
    distance = np.nextafter(1.0, [0.0, 2.0])
    got = evaluate(
        examiner,
        "smooth_l1",
        {"prediction": examiner.array([*distance, 1.0]), "target": examiner.array([0.0] * 3)},
        "kink",
        beta=1.0,
    )
    if got is not None:
        spread = float(np.ptp(got["result"].astype(np.float64)))
        examiner.true(spread <= 1e-6, "next to beta", "smooth L1", "continuous", got["result"].tolist())


@check("FL-BOX-006")
def smooth_l1_gradients(examiner: Examiner) -> None:
    for beta, tests in _smooth().items():
        prediction, target = _sides(examiner, tests)
        case = f"beta={beta}"
        try:
            arrays = {"prediction": prediction, "target": target}
            got = examiner.target.detection_gradient("smooth_l1", arrays, {"beta": beta}, "prediction", "result")
        except Exception as error:  # a target may raise anything, and the run goes on
            examiner.fail(case, "gradient", "a result", f"{type(error).__name__}: {error}")
            continue
        pairs = zip(prediction.tolist(), target.tolist(), strict=True)
        exact = [smooth_l1_slope(one, other, _rounded(examiner, beta)) for one, other in pairs]
        near(examiner, case, "gradient", got, exact, SMOOTH)


def _smooth() -> dict[float, list[Mapping[str, Any]]]:
    groups: dict[float, list[Mapping[str, Any]]] = {}
    for test in load_tests("losses"):
        if test["kind"] == "smooth_l1":
            groups.setdefault(test["beta"], []).append(test)
    return groups


def _sides(examiner: Examiner, tests: list[Mapping[str, Any]]) -> tuple[Array, Array]:
    return tuple(examiner.array([test[name] for test in tests]) for name in ("prediction", "target"))  # type: ignore[return-value]


def _rounded(examiner: Examiner, beta: float) -> float:
    """A beta in the arrays' format, where implementations compute with it; the difference is within the budget."""
    return float(examiner.array(beta))


@check("FL-BOX-007")
def errors(examiner: Examiner) -> None:
    anchors, boxes = picture(53)
    boxes = np.resize(boxes, anchors.shape)
    good = {"gt_boxes": examiner.array(boxes), "anchors": examiner.array(anchors)}

    def neutral(results: Mapping[str, Array]) -> bool:
        return bool(np.isnan(results["result"][1]).any() and np.isfinite(results["result"][0]).all())

    for name in good:
        spoilt = good[name].copy()
        spoilt[1] = [5, 5, 5, 9]
        case = f"no area in {name}"
        expected = "an error that names the box, or NaN in its deltas alone"
        refused_or(examiner, "encode_boxes", {**good, name: spoilt}, case, name, neutral, expected)
    for weights in ((1.0, 1.0, 0.0, 1.0), (1.0, -1.0, 1.0, 1.0), (1.0, 1.0, 1.0)):
        refused_or(examiner, "encode_boxes", good, f"weights={weights}", "weights", None, "an error", weights=weights)
    pair = {"prediction": examiner.array([1.0]), "target": examiner.array([0.0])}
    refused_or(examiner, "smooth_l1", pair, "beta=-1", "beta", None, "an error", beta=-1.0)
