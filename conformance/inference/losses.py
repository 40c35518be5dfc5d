"""Formula, prediction, classes, meaning of alpha and soft targets, decided together: each changes the same numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.inference.answers import Answer, Evidence, number
from focal_ref.conformance.inference.formulas import Floats, has_formula, losses
from focal_ref.conformance.inference.subject import Measured, Question, Subject

DECIDED = ("formula", "prediction", "multi_class", "alpha", "soft_targets")
"""The axes decided here."""

PREDICTIONS = np.array([[0.21, 0.34, 0.45], [0.62, 0.11, 0.27], [0.13, 0.71, 0.16], [0.07, 0.55, 0.38]])
"""Rows that are logits and probabilities, the latter of sigmoids and of a softmax."""

LABELS = np.array([1, 0, 2, 1])
ONE_HOT = np.eye(3)[LABELS]
SOFT = np.array([[0.3, 0.5, 0.2], [0.0, 0.8, 0.2], [0.65, 0.1, 0.25], [0.15, 0.25, 0.6]])

PARAMETERS: Sequence[Mapping[str, Any]] = (
    {"alpha": 0.3, "gamma": 2.0, "beta": 1.5, "gamma_positive": 1.0, "gamma_negative": 3.0, "clip": 0.05},
    {"alpha": 0.6, "gamma": 0.5, "beta": 3.0, "gamma_positive": 2.5, "gamma_negative": 1.5, "clip": 0.08},
)
VECTORS = (np.array([0.2, 0.5, 0.35]), np.array([0.7, 0.1, 0.4]))
"""Class weights, in the place of alpha."""

EXPONENTS = (2.0, 1.0, 0.5, 1.5, 2.5, 3.0, 4.0, 5.0, 0.0)
"""Fixed exponents of a function that has no argument for one, the most common first."""

RULES = ("blended", "mixture", "distance")
FORMULAS = tuple(AXES["formula"])
ADDED = tuple(digit * 10.0**-power for power in (6, 5, 4, 3, 2) for digit in (1, 2, 5))
"""Epsilons inside a logarithm that change ordinary losses; smaller ones do not."""

DEEP_LOGITS = tuple(np.where(ONE_HOT == 1, -size, 0.0) for size in (30.0, 60.0))
DEEP_PROBABILITIES = tuple(np.where(ONE_HOT == 1, size, 0.5) for size in (1e-13, 1e-26))
"""Hard elements of two sizes: their losses are as one to two where nothing is clipped."""

HARD_AS_FOCAL = ("quality", "heatmap")
"""Formulas that are the focal loss for hard targets."""

WEIGHTS_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Fit:
    """A combination of values that explains what was measured.

    Attributes
    ----------
    conventions
        One value for each axis of `DECIDED`.
    fixed
        Parameters that the function does not take, with the values that it must have inside.
    renamed
        Parameters that are passed under the name of another one, such as the beta of a loss that calls it gamma.
    weights
        What positives and negatives weigh, where that is no known meaning of alpha.
    added
        An epsilon inside the logarithm that is large enough to show in ordinary losses.
    """

    conventions: Mapping[str, str]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    weights: str = ""
    added: float = 0.0

    def formula(self, **changes: Any) -> dict[str, Any]:
        """The conventions of its losses for hard targets, with some changed."""
        return {**_inside(self.added), **self.conventions, "soft_targets": "mixture", **changes}

    def parameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter of the formula, from those that were given."""
        return _resolved({**self.fixed, **self.renamed}, given)

    def distance(self, declared: Mapping[str, Any]) -> int:
        """The number of axes on which it differs from what is declared."""
        return sum(declared.get(axis) != value for axis, value in self.conventions.items())


def parameters_for(conventions: Mapping[str, Any], index: int = 0) -> dict[str, Any]:
    """Hyper-parameters of a call, alpha as what the conventions say that it is."""
    vector = conventions.get("alpha") == "class-vector"
    return {**PARAMETERS[index], "alpha": VECTORS[index] if vector else PARAMETERS[index]["alpha"]}


def measure(subject: Subject) -> list[Measured]:
    """Two calls with hard targets and one with soft ones; hyper-parameters differ between them."""
    first, second = (parameters_for(subject.conventions, index) for index in (0, 1))
    questions = [Question(PREDICTIONS, ONE_HOT, parameters=parameters) for parameters in (first, second)]
    return [subject.ask(question) for question in (*questions, Question(PREDICTIONS, SOFT, parameters=first))]


def explanations(
    subject: Subject, measured: Sequence[Measured], candidates: Iterable[Mapping[str, str]] | None = None
) -> list[Fit]:
    """Every combination of values that explains the measurements, or every one of some candidates."""
    *hard, soft = measured
    if not all(one.usable and np.any(one.got) for one in hard):
        return []  # zeros are explained by anything
    combinations = list(all_combinations() if candidates is None else candidates)
    fits: list[Fit] = []
    for added in dict.fromkeys((_declared_inside(subject), 0.0)):
        fits = fits or [fit for one in combinations for fit in _fitting(subject, hard, soft, one, added)]
    limit = None if fits else _limit(subject, hard[0].question)
    if limit is not None:
        pairs = [(one, added) for one in combinations for added in _possibly_added(subject, limit, one)]
        fits = [fit for one, added in pairs for fit in _fitting(subject, hard, soft, one, added)]
    # Soft targets that something explains are supported; class weights explain whatever weighs classes.
    explained = [fit for fit in fits if fit.conventions["soft_targets"] != "unsupported"] or fits
    if "alpha" in subject.takes:
        return explained
    return [fit for fit in explained if fit.conventions["alpha"] != "class-vector"] or explained


def _declared_inside(subject: Subject) -> float:
    """The epsilon that is declared to stand inside the logarithm, of any size."""
    added = subject.conventions.get("clipping") == "added"
    return float(subject.conventions["epsilon"]) if added else 0.0


def _inside(added: float) -> dict[str, Any]:
    return {"clipping": "added" if added else "none", "epsilon": added}


def _limit(subject: Subject, question: Question) -> Measured | None:
    """The hardest elements, of logits or of probabilities, if less hard ones have the same loss."""
    for one, other in (DEEP_LOGITS, DEEP_PROBABILITIES):
        pair = [subject.ask(replace(question, predictions=level)) for level in (one, other)]
        if all(measured.usable for measured in pair):
            # What takes logits takes probabilities for logits too, so that these come second.
            near, far = (float(np.abs(np.asarray(measured.got)).max(initial=0.0)) for measured in pair)
            return pair[1] if near > 0 and abs(far / near - 1.0) < 0.01 else None
    return None


def _possibly_added(subject: Subject, limit: Measured, conventions: Mapping[str, str]) -> Sequence[float]:
    """Epsilons inside the logarithm by which the hardest elements have their loss."""
    if conventions["alpha"] != "none" and "alpha" not in subject.takes:
        return ADDED  # with a weight that nobody knows
    question, tiny = limit.question, 1e-13
    parameters = {**PARAMETERS[0], "alpha": None, **subject.given(question)}
    supposed = {**_inside(tiny), **conventions, "soft_targets": "mixture"}
    # The exponents have no effect on them, so that any will do; they are far below 1e-13.
    pair = alike(limit.got, losses(question.predictions, question.targets, supposed, parameters))
    if pair is None:
        return ()
    hardest = np.unravel_index(np.argmax(pair[1]), pair[1].shape)
    epsilon = float(tiny ** (pair[0][hardest] / pair[1][hardest]))
    return (_short(epsilon, 10 * subject.tolerance),) if 0 < epsilon < 0.1 else ()


def all_combinations() -> Iterator[dict[str, str]]:
    """Formula, prediction, classes and alpha of every combination that is a loss."""
    for formula, prediction, classes, alpha in product(
        FORMULAS, AXES["prediction"], AXES["multi_class"], AXES["alpha"]
    ):
        conventions = {"formula": formula, "prediction": prediction, "multi_class": classes, "alpha": alpha}
        if has_formula(conventions):
            yield conventions


def answers(subject: Subject) -> dict[str, Answer]:
    """The answer of each axis of `DECIDED`, in the light of what is declared on the others."""
    declared = {axis: subject.conventions[axis] for axis in DECIDED}
    subject, measured, near = _nearest(subject)
    result = {}
    for axis in DECIDED:
        values = tuple(dict.fromkeys(fit.conventions[axis] for fit in near))
        if WEIGHTS_UNKNOWN in values:
            result[axis] = Answer(axis, (), _evidence(axis, subject, measured, declared), near[0].weights)
        else:
            result[axis] = Answer(axis, values, _evidence(axis, subject, measured, declared))
    return result


def nearest(subject: Subject) -> Fit | None:
    """The explanation that differs least from what is declared, or None where there is none."""
    _, _, near = _nearest(subject)
    return near[0] if near else None


def _nearest(subject: Subject) -> tuple[Subject, list[Measured], list[Fit]]:
    """The explanations that differ least from what is declared, and by which calls they were found."""
    declared = {axis: subject.conventions[axis] for axis in DECIDED}
    measured = measure(subject)
    fits = explanations(subject, measured, [declared]) if has_formula(declared) else []
    if declared not in [dict(fit.conventions) for fit in fits]:
        fits = explanations(subject, measured)
        if not fits:
            subject, measured, fits = _with_other_alpha(subject, measured)
    least = min((fit.distance(declared) for fit in fits), default=0)
    near = [fit for fit in fits if fit.distance(declared) == least]
    # Relatives first: what they explain, a rule for soft targets may make of the focal loss as well.
    return subject, measured, sorted(near, key=lambda fit: fit.conventions["formula"] == "focal")


def _with_other_alpha(subject: Subject, measured: list[Measured]) -> tuple[Subject, list[Measured], list[Fit]]:
    """Ask again with class weights in the place of a number, or the other way round; then allow any weights at all."""
    vector = subject.conventions["alpha"] == "class-vector"
    other = subject.supposing(alpha="uniform" if vector else "class-vector")
    again = measure(other)
    fits = explanations(other, again)
    if fits:
        return other, again, fits
    return subject, measured, _with_any_weights(subject, measured)


def _with_any_weights(subject: Subject, measured: Sequence[Measured]) -> list[Fit]:
    """Explanations in which positives and negatives, or classes, each weigh whatever they do."""
    unweighted = (dict(one, alpha=WEIGHTS_UNKNOWN) for one in all_combinations() if one["alpha"] == "none")
    return explanations(subject, measured, unweighted)


def unknown_weights(subject: Subject, measured: Sequence[Measured]) -> str:
    """What positives and negatives, or classes, weigh where no meaning of alpha explains it; "" if that is unknown."""
    fits = _with_any_weights(subject, measured)
    return fits[0].weights if fits else ""


def _fitting(
    subject: Subject,
    hard: Sequence[Measured],
    soft: Measured,
    conventions: Mapping[str, str],
    added: float,
) -> Iterator[Fit]:
    formula = conventions["formula"]
    given = subject.given(hard[0].question)
    if "alpha" in given and {"uniform": True, "class-vector": False}.get(conventions["alpha"]) == bool(
        np.ndim(given["alpha"])
    ):
        return  # a weight for each class was passed, or none was
    supposed = {**_inside(added), **conventions}
    weighed = formula in ("focal", "star")
    for assigned in _assignments(formula, subject.conventions.get("formula"), given):
        settled = _settled(subject, hard, supposed, assigned)
        if settled is None:
            continue
        found, weights = settled
        whole = {**assigned, **found}
        rules = ("formula",) if not weighed else RULES if formula == "focal" else ()
        following = [
            rule for rule in rules if soft.usable and _agrees(subject, soft, {**supposed, "soft_targets": rule}, whole)
        ]
        if formula in HARD_AS_FOCAL and soft.usable and not following:
            continue  # it is known by its soft targets alone
        fixed = {name: value for name, value in whole.items() if not isinstance(value, str)}
        renamed = {name: value for name, value in whole.items() if isinstance(value, str)}
        for rule in following or ("unsupported",):
            yield Fit({**conventions, "soft_targets": rule}, fixed, renamed, weights, added)


def _assignments(formula: str, declared: str | None, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Where the formula's parameters come from: a number inside the function, or a parameter of another name.

    What has the formula's own name stands for itself, but where another formula is declared: its names may be borrowed.
    """
    exponents = [name for name in ("gamma", "beta", "gamma_negative", "gamma_positive") if name in given]
    passed: Sequence[Any] = exponents or EXPONENTS
    by_formula: dict[str, dict[str, Sequence[Any]]] = {
        "focal": {"gamma": passed},
        "star": {"gamma": passed, "beta": (0.0, 1.0)},
        "quality": {"beta": passed},
        "varifocal": {"alpha": (0.75, 0.25), "gamma": passed},
        "asymmetric": {
            "gamma_positive": (*passed, 0.0, 1.0),
            "gamma_negative": (*passed, 4.0),
            "clip": (0.05, 0.0),
        },
        "heatmap": {"gamma": passed, "beta": (4.0,)},
    }
    foreign = declared is not None and declared != formula
    options: dict[str, Sequence[Any]] = {}
    for name, others in by_formula[formula].items():
        own = (name,) if name in given else ()
        if not own or (foreign and name != "alpha"):
            options[name] = tuple(dict.fromkeys((*own, *others)))
    for values in product(*options.values()):
        chosen = dict(zip(options, values, strict=True))
        if formula != "star" or chosen.get("gamma") != 0:
            yield {name: value for name, value in chosen.items() if value != name}


def _resolved(assigned: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**given, **{name: given[value] if isinstance(value, str) else value for name, value in assigned.items()}}


def _settled(
    subject: Subject, hard: Sequence[Measured], conventions: Mapping[str, Any], assigned: Mapping[str, Any]
) -> tuple[dict[str, Any], str] | None:
    """The alpha that a function without such an argument has inside, where the hard targets fit; or None."""
    supposed = {**conventions, "soft_targets": "mixture"}
    kind = conventions["alpha"]
    unknown = kind == WEIGHTS_UNKNOWN
    if ("alpha" in subject.takes and not unknown) or kind == "none" or "alpha" in assigned:
        return ({}, "") if all(_agrees(subject, one, supposed, assigned) for one in hard) else None
    notes = []
    alphas = []
    for one in hard:
        parameters = _resolved(assigned, subject.given(one.question))
        plain = {**supposed, "alpha": "none"}
        unweighted = losses(one.question.predictions, one.question.targets, plain, parameters)
        pair = alike(one.got, unweighted)
        if pair is None or pair[1].shape != unweighted.shape:
            return None
        ratio = pair[0] / unweighted
        alphas.append(_alpha_inside(kind, ratio, one.question.targets, conventions["multi_class"]))
        notes.append(_weights_text(ratio, one.question.targets, conventions["multi_class"], subject.tolerance))
    if unknown:
        return ({}, "; ".join(dict.fromkeys(notes))) if all(notes) else None
    found = {"alpha": alphas[0]}
    if np.ndim(found["alpha"]) == 0:
        found = {"alpha": _short(found["alpha"], subject.tolerance)}
        if not 0.0 < found["alpha"] < 1.0:
            return None  # a factor, and no weight
    neutral = np.allclose(alphas[0], 1.0, rtol=subject.tolerance)
    if np.any(np.asarray(found["alpha"]) <= 0):
        return None
    if any(np.allclose(found["alpha"], 1 / np.log(base), rtol=subject.tolerance) for base in (2.0, 10.0)):
        return None  # the logarithm to another base, and no weight
    fits = not neutral and all(_agrees(subject, one, supposed, {**assigned, **found}) for one in hard)
    return (found, "") if fits else None


def _alpha_inside(kind: str, ratio: Floats, targets: Floats, classes: str) -> Any:
    """The alpha by which the ratio of weighted and unweighted losses comes about, if it does."""
    if kind == "class-vector":
        if classes == "softmax":
            return np.array([ratio[targets.argmax(axis=-1) == index].mean() for index in range(targets.shape[-1])])
        return ratio.reshape(-1, ratio.shape[-1]).mean(axis=0)
    if classes == "softmax":
        rest = targets.argmax(axis=-1) > 0
        return float(ratio[rest].mean() if kind == "first/rest" else ratio.mean())
    if kind == "neg-only":
        return float(ratio[targets == 0].mean())
    return float(ratio[targets == 1].mean())


def _short(measured: float, tolerance: float) -> float:
    """The number of fewest digits that a measured one may be."""
    rounded = (float(f"{measured:.{digits}g}") for digits in range(1, 6))
    return next((one for one in rounded if abs(one - measured) <= tolerance * abs(measured)), measured)


def _weights_text(ratio: Floats, targets: Floats, classes: str, tolerance: float) -> str:
    """What positives and negatives weigh, if all positives and all negatives weigh the same."""
    if classes == "softmax":
        groups = {f"class {index}": ratio[targets.argmax(axis=-1) == index] for index in range(targets.shape[-1])}
    else:
        groups = {"positives": ratio[targets == 1], "negatives": ratio[targets == 0]}
    if any(np.ptp(group) > 4 * tolerance * np.abs(group).max() for group in groups.values()):
        return ""
    return ", ".join(f"{name} weigh {number(group.mean())}" for name, group in groups.items())


def _agrees(subject: Subject, one: Measured, conventions: Mapping[str, Any], assigned: Mapping[str, Any]) -> bool:
    """Whether a measurement is what the conventions say."""
    parameters = _resolved(assigned, subject.given(one.question))
    expected = losses(one.question.predictions, one.question.targets, conventions, parameters)
    pair = alike(one.got, expected)
    return pair is not None and close(*pair, subject.tolerance)


def close(got: Floats, expected: Floats, tolerance: float) -> bool:
    """Whether all numbers agree within the relative tolerance."""
    scale = float(np.abs(expected).max(initial=0.0))
    return bool(np.isfinite(got).all()) and bool(
        np.all(np.abs(got - expected) <= tolerance * np.abs(expected) + 1e-3 * tolerance * scale)
    )


def alike(got: Floats | None, expected: Floats) -> tuple[Floats, Floats] | None:
    """Both in one shape: whichever has a number for each class is summed to rows where the other has rows."""
    if got is None:
        return None
    if got.ndim == expected.ndim + 1:
        got = got.sum(axis=-1)
    elif expected.ndim == got.ndim + 1:
        expected = expected.sum(axis=-1)
    return (got, expected) if got.shape == expected.shape else None


def _evidence(axis: str, subject: Subject, measured: Sequence[Measured], declared: Mapping[str, Any]) -> list[Evidence]:
    """What was asked, and what each value of the axis would have given, everything else as declared."""
    one = measured[-1] if axis == "soft_targets" else measured[0]
    question = one.question
    given = {name: value for name, value in subject.given(question).items() if not isinstance(value, np.ndarray)}
    called = ", ".join(f"{name}={value:g}" for name, value in given.items())
    row = f"{question.predictions[0].tolist()} with targets {question.targets[0].tolist()}"
    expected = {}
    for value in AXES[axis]:
        conventions = {**_inside(_declared_inside(subject)), **declared, axis: value}
        if conventions["soft_targets"] in ("unsupported", "formula"):
            conventions["soft_targets"] = "blended"
        if value in ("unsupported", "formula") or not has_formula(conventions):
            continue
        given = subject.given(question)
        assigned = next(_assignments(conventions["formula"], declared["formula"], given), {})
        parameters = {"alpha": None, **_resolved(assigned, given)}
        with np.errstate(all="ignore"):
            numbers = losses(question.predictions, question.targets, conventions, parameters)[0]
        expected[value] = _text(numbers)
    got = one.refusal if one.got is None else _text(one.got[0] if one.got.ndim and len(one.got) else one.got)
    return [Evidence(f"{row}{', ' if called else ''}{called}", got, expected)]


def _text(numbers: Any) -> str:
    if np.ndim(numbers) > 1 or not np.size(numbers):
        return f"an array of shape {np.shape(numbers)}"
    row = np.atleast_1d(numbers)
    return f"[{', '.join(map(number, row))}]" if np.ndim(numbers) else number(numbers)
