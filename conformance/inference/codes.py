"""Which integer stands for background, and which for elements that do not count."""

from dataclasses import replace

import numpy as np

from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, losses
from focal_ref.conformance.inference.losses import (
    LABELS,
    ONE_HOT,
    PREDICTIONS,
    Fit,
    alike,
    close,
    parameters_for,
)
from focal_ref.conformance.inference.subject import Measured, Question, Subject

CODES = (-1, -2, -100, 255, 3)
"""In use somewhere; 3 is the number of classes here."""

CONTROL = 77
"""In use nowhere: what happens to it happens to every label that is no class."""

ROW = 2
"""The row that gets the code."""


def codes(subject: Subject, fit: Fit) -> tuple[Answer, Answer]:
    """The label of background, and the one that is ignored."""
    classes = PREDICTIONS.shape[-1]
    known = [
        classes if code == "classes" else code
        for code in (subject.conventions.get("background"), subject.conventions.get("ignore"))
        if code is not None
    ]
    candidates = tuple(dict.fromkeys([*(code for code in known if code != "none"), *CODES]))
    seen = {code: _effect(subject, fit, code) for code in (*candidates, CONTROL)}
    if not subject.labels:
        # A target is a number there, and a formula may vanish at it: a code's neighbour is none.
        for code in candidates:
            if seen[code][0] == "ignored" and _effect(subject, fit, code + (1 if code > 0 else -1))[0] == "ignored":
                seen[code] = ("other", f"{seen[code][1]}, as of its neighbour")
    control = seen[CONTROL][0]
    evidence = [Evidence(f"label {code}", text, {}) for code, (_, text) in seen.items() if code != CONTROL]
    answers = []
    for axis, effect in (("background", "background"), ("ignore", "ignored")):
        fits = [code for code in candidates if seen[code][0] == effect]
        if axis == "background" and classes in fits:
            # The number of classes here, and most likely elsewhere.
            fits.insert(fits.index(classes), "classes")
        if control == effect:
            # Not a code: any label that is no class has this effect, and none of them need be declared.
            answers.append(
                Answer(axis, ("none", *fits), evidence, f"so does every label that is no class, {CONTROL} too")
            )
        else:
            answers.append(Answer(axis, tuple(fits) or ("none",), evidence))
    return answers[0], answers[1]


def _effect(subject: Subject, fit: Fit, code: int) -> tuple[str, str]:
    """What a code does to its row: "ignored", "background", "refused" or "other", and the numbers."""
    softmax = fit.conventions["multi_class"] == "softmax"
    targets, labels = ONE_HOT.copy(), LABELS.copy()
    if subject.labels:
        labels[ROW] = code
    else:
        targets[ROW, 1] = code
    question = Question(
        PREDICTIONS, targets, labels=labels if subject.labels else None, parameters=parameters_for(fit.conventions)
    )
    one = subject.ask(question)
    background = ONE_HOT.copy()
    background[ROW] = 0.0
    expected = _expected(subject, fit, replace(question, targets=background))
    pair = alike(one.got, expected)
    if pair is None:
        return "refused", one.refusal or _row(one, ROW)
    got, expected = pair
    others = np.arange(len(LABELS)) != ROW
    row = np.atleast_1d(got[ROW])
    if subject.single and np.isnan(row).all() and close(got[others], expected[others], subject.tolerance):
        return "ignored", "NaN, the mean of nothing"
    if not one.usable:
        return "refused", one.refusal or _row(one, ROW)
    if not close(got[others], expected[others], subject.tolerance):
        return "other", f"other rows change: {_row(one, 0)}"
    if not subject.labels:
        # One element of the row has the code, the others have their targets.
        beside = _expected(subject, fit, replace(question, targets=ONE_HOT))[ROW]
        ignored = row.size > 1 and row[1] == 0 and close(np.delete(row, 1), np.delete(beside, 1), subject.tolerance)
        return "ignored" if ignored else "other", _row(one, ROW)
    if np.all(row == 0):
        return "ignored", "0"
    if not softmax and close(row, expected[ROW], subject.tolerance):
        return "background", "a negative of every class"
    return "other", _row(one, ROW)


def _expected(subject: Subject, fit: Fit, question: Question) -> Floats:
    conventions = fit.formula()
    return losses(question.predictions, question.targets, conventions, fit.parameters(subject.given(question)))


def _row(one: Measured, index: int) -> str:
    if one.got is None or one.got.ndim == 0:
        return one.refusal or "a number"
    return f"[{', '.join(map(number, np.atleast_1d(one.got[index])))}]"
