"""MIN and INF: what is kept of the anchors for a loss, and of the detections of a picture."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import corners, evaluate, same
from focal_ref.conformance.detection.scenes import ANCHORS, at_threshold, picture
from focal_ref.conformance.detection.selection import detections, greedy_nms, hard_negatives
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.targets import Array


def _tests(kind: str) -> list[Mapping[str, Any]]:
    return [test for test in load_tests("selection") if test["kind"] == kind]


@check("FL-MIN-001")
def hardest_negatives(examiner: Examiner) -> None:
    tests = [test for test in _tests("hard_negatives") if (test["ratio"], test["minimum"]) == (3, 0)]
    longest = max(len(test["losses"]) for test in tests)
    for test in tests:
        # Ignored anchors fill up.
        more = longest - len(test["losses"])
        _mine(examiner, test["id"], test["losses"] + [99.0] * more, test["state"] + [-1] * more)
    generator = np.random.default_rng(70)
    losses = generator.permutation(48).reshape(2, 24) / 8.0
    state = generator.choice([-1, 0, 0, 0, 0, 0, 0, 1], (2, 24))
    _mine(examiner, "two pictures", losses, state)
    _mine(examiner, "two pictures, ratio=1.5", losses, state, ratio=1.5)


def _mine(examiner: Examiner, case: str, losses: Any, state: Any, ratio: float = 3, minimum: int = 0) -> None:
    arrays = {"losses": examiner.array(losses), "state": np.array(state, np.int8)}
    options: dict[str, Any] = {} if ratio == 3 else {"ratio": float(ratio)}
    options |= {"min_negatives": minimum} if minimum else {}
    got = evaluate(examiner, "hard_negative_mining", arrays, case, **options)
    if got is not None:
        rows = zip(np.atleast_2d(arrays["losses"]).tolist(), np.atleast_2d(state).tolist(), strict=True)
        exact = [_kept(row, states, ratio, minimum) for row, states in rows]
        same(examiner, case, "kept", got["result"], exact if np.ndim(state) == 2 else exact[0])


def _kept(losses: list[float], state: list[int], ratio: float, minimum: int) -> list[bool]:
    positives = state.count(1)
    return hard_negatives(losses, state, 0, max(minimum, int(ratio * positives)))


@check("FL-MIN-002")
def no_positive(examiner: Examiner) -> None:
    for minimum in (0, 2, 50):
        _mine(examiner, f"no positive, min_negatives={minimum}", [3.0, 1.0, 2.0, 5.0], [0, 0, 0, 0], minimum=minimum)
    _mine(examiner, "nothing but ignored anchors", [3.0, 1.0, 2.0, 5.0], [-1, -1, -1, -1], minimum=2)


@check("FL-MIN-003")
def online_hard_examples(examiner: Examiner) -> None:
    _, boxes = picture(71, boxes=12)
    losses = examiner.array((np.arange(12) * 7 % 12) / 4)
    for count in (3, 12):
        arrays = {"losses": losses, "boxes": examiner.array(boxes)}
        case = f"the hardest {count}"
        got = evaluate(examiner, "ohem", arrays, case, count=count, iou_threshold=0.25)
        if got is not None:
            kept = greedy_nms(corners(boxes), losses.tolist(), Fraction(1, 4))[:count]
            same(examiner, case, "kept", got["result"], [index in kept for index in range(12)])


@check("FL-MIN-004")
def random_samples(examiner: Examiner) -> None:
    generator = np.random.default_rng(72)
    state = generator.choice([-1, 0, 0, 0, 0, 1, 1], (2, 24)).astype(np.int8)
    for count, fraction in ((8, 0.25), (16, 0.75)):
        case = f"count={count}, positive_fraction={fraction}"
        options = {"count": count, "positive_fraction": fraction}
        first = _sample(examiner, case, state, seed=3, **options)
        again = _sample(examiner, case, state, seed=3, **options)
        if first is None or again is None:
            continue
        same(examiner, f"{case}, twice", "kept", again, first)
        positives = np.minimum((state == 1).sum(axis=1), int(count * fraction))
        negatives = np.minimum((state == 0).sum(axis=1), count - positives)
        same(examiner, case, "positives", (first & (state == 1)).sum(axis=1), positives)
        same(examiner, case, "negatives", (first & (state == 0)).sum(axis=1), negatives)
        same(examiner, case, "ignored", (first & (state == -1)).sum(axis=1), [0, 0])


def _sample(examiner: Examiner, case: str, state: Array, **options: Any) -> Array | None:
    got = evaluate(examiner, "sample_anchors", {"state": state}, case, **options)
    return None if got is None else got["result"]


@check("FL-INF-001")
def suppression(examiner: Examiner) -> None:
    boxes, _ = picture(73)
    scores = np.random.default_rng(73).permutation(ANCHORS) / 32
    for threshold in (Fraction(1, 2), Fraction(1, 4)):
        options: dict[str, Any] = {} if threshold == Fraction(1, 2) else {"iou_threshold": float(threshold)}
        _nms(examiner, f"IoU above {threshold}", boxes, scores, threshold, **options)
    _nms(examiner, "four classes", boxes, scores, Fraction(1, 2), labels=np.arange(ANCHORS) % 4)
    for test in _tests("nms"):
        _nms(examiner, test["id"], test["boxes"], test["scores"], Fraction(*test["threshold"]))


def _nms(
    examiner: Examiner,
    case: str,
    boxes: Any,
    scores: Any,
    threshold: Fraction,
    labels: Array | None = None,
    **options: Any,
) -> None:
    given = np.asarray(scores).shape[0]
    masked = np.arange(ANCHORS) < given
    arrays = {
        "boxes": examiner.array(np.resize(boxes, (ANCHORS, 4))),
        "scores": examiner.array(np.resize(scores, ANCHORS)),
        "labels": labels,
        "valid": masked,
    }
    got = evaluate(examiner, "nms", arrays, case, max_output=ANCHORS, **options)
    if got is None:
        return
    classes = None if labels is None else labels.tolist()
    kept = greedy_nms(corners(boxes), examiner.array(scores).tolist(), threshold, classes)
    same(examiner, case, "kept", got["result"], kept + [-1] * (ANCHORS - len(kept)))


@check("FL-INF-002")
def threshold_and_ties(examiner: Examiner) -> None:
    anchors, _ = at_threshold(Fraction(1, 2))
    # The widest of each group goes first; the ones at exactly 1/2 stay and the wider ones leave.
    widths = anchors[:, 2] - anchors[:, 0]
    _nms(examiner, "IoU of exactly 1/2", anchors, widths / 1024, Fraction(1, 2))
    _nms(examiner, "equal scores", anchors, np.full(len(anchors), 0.5), Fraction(1, 2))
    _nms(examiner, "equal scores, in another order", anchors[::-1], np.full(len(anchors), 0.5), Fraction(1, 2))


@check("FL-INF-003")
def best_detections(examiner: Examiner) -> None:
    anchors, _ = picture(74)
    logits = np.random.default_rng(74).permutation(24 * 3).reshape(24, 3) / 8 - 6
    arrays = {
        "class_logits": examiner.array(logits),
        "box_deltas": examiner.array(np.zeros((24, 4))),
        "anchors": examiner.array(anchors),
    }
    for top_k, limit in ((1000, 100), (9, 5)):
        case = f"top_k={top_k}, max_detections={limit}"
        options = {} if top_k == 1000 else {"top_k": top_k, "max_detections": limit}
        got = evaluate(examiner, "detections", arrays, case, **options)
        if got is None:
            continue
        exact = detections(logits.tolist(), corners(anchors), top_k=top_k, max_detections=limit)
        empty = limit - len(exact)
        same(examiner, case, "num", got["num"], len(exact))
        same(examiner, case, "labels", got["labels"], [label for _, label in exact] + [-1] * empty)
        places = [anchors[anchor].tolist() for anchor, _ in exact] + [[0] * 4] * empty
        same(examiner, case, "boxes", got["boxes"], np.array(places, dtype=np.float64))
        with np.errstate(all="ignore"):
            chosen = np.array([logits[pair] for pair in exact])
            wanted = np.append(1 / (1 + np.exp(-chosen)), np.zeros(empty))
        close = np.allclose(got["scores"], wanted, rtol=1e-6, atol=0)
        examiner.true(close, case, "scores", "sigmoid of the logits", got["scores"].tolist())
