"""TGT: from matches to targets, normalizers, and the loss of a detector."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
from mpmath import mp

from focal_ref.conformance import oracle as focal
from focal_ref.conformance.checks import check
from focal_ref.conformance.detection.comparison import as_fraction, corners, evaluate, near, same
from focal_ref.conformance.detection.numeric import background_sum, encoded, focal_loss, normalized, smooth_l1
from focal_ref.conformance.detection.oracle import Answer, match
from focal_ref.conformance.detection.scenes import ANCHORS, BOXES, picture
from focal_ref.conformance.detection.vectors import load_tests
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.targets import Array

BACKGROUND = -1
CLASSES = 3
LOSS = 16.0
"""Allowed error of a sum in ulp; its terms are positive."""


def _scene(examiner: Examiner, seed: int) -> tuple[dict[str, Array], Answer, Array]:
    """A picture with labels, its matches and the label of each anchor."""
    anchors, boxes = picture(seed)
    labels = np.arange(BOXES) % CLASSES
    answer = match(corners(anchors), corners(boxes))
    named = [labels[owner] if state == 1 else (BACKGROUND if state == 0 else IGNORE) for state, owner in _pairs(answer)]
    arrays = {"anchors": examiner.array(anchors), "gt_boxes": examiner.array(boxes), "gt_labels": labels}
    return arrays, answer, np.array(named)


def _pairs(answer: Answer) -> list[tuple[int, int]]:
    return list(zip(answer.state, answer.gt_index, strict=True))


@check("FL-TGT-001")
def labels(examiner: Examiner) -> None:
    arrays, _, expected = _scene(examiner, 60)
    got = evaluate(examiner, "targets", arrays, "picture 60", num_classes=CLASSES)
    if got is not None:
        same(examiner, "picture 60", "labels", got["labels"], expected)
        rows = expected[:, np.newaxis] == np.arange(CLASSES)
        same(examiner, "picture 60", "rows of targets", got["one_hot"] > 0, rows)
        same(examiner, "picture 60", "weights", got["weights"], (expected != IGNORE)[:, np.newaxis].astype(np.float32))
    padded = {name: arrays[name][:0] for name in ("gt_boxes", "gt_labels")}
    got = evaluate(examiner, "targets", {**arrays, **padded}, "no ground truth", num_classes=CLASSES)
    if got is not None:
        same(examiner, "no ground truth", "labels", got["labels"], np.full(ANCHORS, BACKGROUND))
        same(examiner, "no ground truth", "deltas", got["deltas"], np.zeros((ANCHORS, 4)))


@check("FL-TGT-002")
def deltas(examiner: Examiner) -> None:
    arrays, answer, _ = _scene(examiner, 61)
    got = evaluate(examiner, "targets", arrays, "picture 61", num_classes=CLASSES)
    if got is None:
        return
    exact: list[Any] = []
    for anchor, (state, owner) in zip(corners(arrays["anchors"]), _pairs(answer), strict=True):
        exact += encoded(corners(arrays["gt_boxes"])[owner], anchor) if state == 1 else [0] * 4
    scales = [1 if number else 0 for number in exact]
    near(examiner, "picture 61", "deltas", got["deltas"], exact, 4.0, scales)
    padded = {**arrays, "gt_boxes": np.concatenate([arrays["gt_boxes"], examiner.array([[np.nan] * 4])])}
    padded |= {"gt_labels": np.append(arrays["gt_labels"], -7), "gt_valid": np.arange(BOXES + 1) < BOXES}
    beside = evaluate(examiner, "targets", padded, "padding of NaN", num_classes=CLASSES)
    if beside is not None:
        for name in ("labels", "deltas"):
            same(examiner, "padding of NaN", name, beside[name], got[name])


@check("FL-TGT-003")
def normalizers(examiner: Examiner) -> None:
    for test in load_tests("losses"):
        if test["kind"] != "normalizer":
            continue
        arrays = {"sums": examiner.array(test["sums"]), "num_positive": np.array(test["positives"], np.int32)}
        got = evaluate(examiner, "normalize_loss", arrays, test["id"], normalizer=test["rule"])
        if got is not None:
            near(examiner, test["id"], "loss", got["result"], [Fraction(*test["exact"])], 2.0)
    for counts in ([0, 0], [3, 4]):
        sums = examiner.array([6.0, 2.0])
        arrays = {"sums": sums, "num_positive": np.array(counts, np.int32)}
        got = evaluate(examiner, "normalize_loss", arrays, f"positives {counts}")
        if got is not None:
            exact = normalized([Fraction(6), Fraction(2)], counts, "per_picture")
            near(examiner, f"positives {counts}", "loss", got["result"], [exact], 4.0)


@check("FL-TGT-004")
def first_step(examiner: Examiner) -> None:
    """120,087 anchors; 4 of the 80 classes, so that the sum is a twentieth of the printed one."""
    (test,) = (test for test in load_tests("losses") if test["kind"] == "first_step")
    classes, share = 4, 20
    number = test["anchors"]
    logit = examiner.array(-np.log(99.0))
    corner = np.arange(number) % 1000
    anchors = examiner.array(np.stack([corner, corner, corner + 8, corner + 8], axis=-1))
    arrays = {
        "class_logits": np.full((number, classes), logit),
        "box_deltas": examiner.array(np.zeros((number, 4))),
        "anchors": anchors,
        "gt_boxes": examiner.array(np.zeros((0, 4))),
        "gt_labels": np.zeros(0, np.int32),
    }
    got = evaluate(examiner, "retinanet_loss", arrays, test["id"])
    if got is None:
        return
    total = share * float(got["classification"])
    text = f"{float(background_sum(number * test['classes'])):.4f}, printed as 7.2415"
    examiner.true(abs(total - 7.2415) < 5e-5 * 2, test["id"], "classification times 20", text, total)
    same(examiner, test["id"], "boxes", got["boxes"], np.zeros(()))


def _batch(examiner: Examiner) -> tuple[dict[str, Array], list[tuple[Answer, Array]]]:
    scenes = [_scene(examiner, seed) for seed in (62, 63)]
    arrays = {name: np.stack([scene[0][name] for scene in scenes]) for name in scenes[0][0]}
    arrays["gt_valid"] = np.array([[True] * BOXES, [True, True, False, False, False]])
    generator = np.random.default_rng(62)
    arrays["class_logits"] = examiner.array(generator.normal(0, 3, (2, ANCHORS, CLASSES)))
    arrays["box_deltas"] = examiner.array(generator.normal(0, 0.5, (2, ANCHORS, 4)))
    answers = []
    for index, (given, _, _) in enumerate(scenes):
        answer = match(
            corners(given["anchors"]), corners(given["gt_boxes"]), gt_valid=arrays["gt_valid"][index].tolist()
        )
        named = [given["gt_labels"][o] if s == 1 else (BACKGROUND if s == 0 else IGNORE) for s, o in _pairs(answer)]
        answers.append((answer, np.array(named)))
    return arrays, answers


@check("FL-TGT-005")
def by_the_parts(examiner: Examiner) -> None:
    arrays, answers = _batch(examiner)
    class_sums, box_sums, positives = [], [], []
    beta = float(examiner.array(0.11))
    for index, (answer, named) in enumerate(answers):
        with mp.workdps(40):
            terms = [
                focal_loss(arrays["class_logits"][index, anchor, label], named[anchor] == label)
                for anchor in range(ANCHORS)
                if named[anchor] != IGNORE
                for label in range(CLASSES)
            ]
            class_sums.append(as_fraction(mp.fsum(terms)))
        total = Fraction(0)
        for anchor, (state, owner) in enumerate(_pairs(answer)):
            if state == 1:
                wanted = encoded(arrays["gt_boxes"][index, owner].tolist(), arrays["anchors"][index, anchor].tolist())
                for got, exact in zip(arrays["box_deltas"][index, anchor].tolist(), wanted, strict=True):
                    total += smooth_l1(got, as_fraction(exact), beta)  # type: ignore[arg-type]
        box_sums.append(total)
        positives.append(sum(state == 1 for state, _ in _pairs(answer)))
    for rule in ("per_picture", "batch"):
        options = {} if rule == "per_picture" else {"normalizer": rule}
        got = evaluate(examiner, "retinanet_loss", arrays, rule, **options)
        if got is None:
            continue
        same(examiner, rule, "num_positive", got["num_positive"], positives)
        parts = [normalized(sums, positives, rule) for sums in (class_sums, box_sums)]
        near(examiner, rule, "classification", got["classification"], parts[:1], LOSS)
        # Smooth L1 of small distances carries the rounding of the deltas.
        near(examiner, rule, "boxes", got["boxes"], parts[1:], 4 * LOSS)
        near(examiner, rule, "total", got["total"], [sum(parts)], 4 * LOSS)


@check("FL-TGT-006")
def ignored(examiner: Examiner) -> None:
    arrays, answers = _batch(examiner)
    before = evaluate(examiner, "retinanet_loss", arrays, "as it is")
    spoilt = _spoilt(arrays, answers)
    after = evaluate(examiner, "retinanet_loss", spoilt, "NaN where anchors are ignored")
    if before is not None and after is not None:
        for name in ("classification", "boxes", "total"):
            same(examiner, "NaN where anchors are ignored", name, after[name], before[name])


def _spoilt(arrays: Mapping[str, Array], answers: list[tuple[Answer, Array]]) -> dict[str, Array]:
    """NaN in the logits of ignored anchors, in the deltas of all that are not positive, and in the padding."""
    named = np.stack([names for _, names in answers])
    spoilt = {name: array.copy() for name, array in arrays.items()}
    spoilt["class_logits"][named == IGNORE] = np.nan
    spoilt["box_deltas"][named < 0] = np.nan
    spoilt["gt_boxes"][~spoilt["gt_valid"]] = np.nan
    return spoilt


@check("FL-TGT-007")
def gradients(examiner: Examiner) -> None:
    arrays, answers = _batch(examiner)
    spoilt = _spoilt(arrays, answers)
    named = np.stack([names for _, names in answers])
    positives = [sum(state == 1 for state, _ in _pairs(answer)) for answer, _ in answers]
    for argument in ("class_logits", "box_deltas"):
        try:
            got = examiner.target.detection_gradient("retinanet_loss", spoilt, {}, argument, "total")
        except Exception as error:  # a target may raise anything, and the run goes on
            examiner.fail(argument, "gradient", "a result", f"{type(error).__name__}: {error}")
            continue
        left_out = named == IGNORE if argument == "class_logits" else named < 0
        same(examiner, f"{argument} left out", "gradient", got[left_out], np.zeros(got[left_out].shape))
        examiner.true(np.isfinite(got).all(), argument, "gradient", "finite", "nan or infinite elements")
        if argument == "class_logits":
            exact = []
            for picture_, anchor, label in np.argwhere(np.broadcast_to(~left_out[..., None], got.shape)):
                slope = focal.gradient(
                    float(spoilt[argument][picture_, anchor, label]), int(named[picture_, anchor] == label), 0.25, 2.0
                )
                with mp.workdps(40):
                    exact.append(slope / (2 * max(1, positives[picture_])))
            near(examiner, argument, "gradient", got[~left_out].reshape(-1), exact, 16.0)
