"""How weighting is switched off."""

from dataclasses import replace

import numpy as np

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import losses
from focal_ref.conformance.inference.losses import (
    ONE_HOT,
    PARAMETERS,
    PREDICTIONS,
    Fit,
    alike,
    close,
)
from focal_ref.conformance.inference.subject import Measured, Question, Subject

NATURAL = ("pos-only", "neg-only", "uniform", "class-vector")
"""Meanings of alpha for which 1 is no weight at all."""

NUMBERS = {"-1": -1.0, "0": 0.0, "1": 1.0}
"""Values of the axis that are passed as any other alpha is."""


def alpha_off(subject: Subject, fit: Fit) -> Answer:
    """Which value of alpha switches weighting off."""
    if fit.conventions["alpha"] == "none" or fit.conventions["formula"] == "varifocal":
        # Without a weight, or with one that is part of the formula, there is nothing to switch off.
        return Answer("alpha_off", ("none", *(value for value in AXES["alpha_off"] if value != "none")))
    if "alpha" not in subject.takes:
        return Answer("alpha_off", ("unsupported",), note="there is no argument for alpha")
    plain = fit.formula(alpha="none")
    question = Question(PREDICTIONS, ONE_HOT, parameters={**PARAMETERS[0], "alpha": None})
    parameters = fit.parameters(subject.given(question))
    unweighted = losses(PREDICTIONS, ONE_HOT, plain, parameters)
    natural = ("1",) if fit.conventions["alpha"] in NATURAL else ()
    declared = subject.conventions.get("alpha_off")
    candidates = [value for value in AXES["alpha_off"] if value != "unsupported"]
    fits, evidence = [], []
    for value in sorted(candidates, key=lambda value: value != declared):
        one = _switched_off(subject, fit, question, value)
        pair = alike(one.got, unweighted)
        shown = one.refusal if one.got is None else number(np.ravel(one.got)[0])
        evidence.append(Evidence(f"alpha off by {value}", shown, {"off": number(np.ravel(unweighted)[0])}))
        if pair is not None and close(*pair, subject.tolerance):
            fits.append(value)
            if value == declared:
                break
    values = tuple(value for value in fits if value not in natural)
    return Answer("alpha_off", (*(values or ("unsupported",)), *natural), evidence)


def _switched_off(subject: Subject, fit: Fit, question: Question, value: str) -> Measured:
    """The result where a value of the axis says that there is no alpha."""
    if value in NUMBERS:
        numbers = {**question.parameters, "alpha": NUMBERS[value]}
        return subject.ask(replace(question, parameters=numbers))
    return subject.supposing(alpha_off=value).ask(question)
