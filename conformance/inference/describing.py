"""From a way to call a function to everything that a profile declares, each with what was seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference import arithmetic, clipping, codes, options, reductions
from focal_ref.conformance.inference.answers import Answer, number
from focal_ref.conformance.inference.exploring import Found
from focal_ref.conformance.inference.formulas import losses
from focal_ref.conformance.inference.losses import (
    DECIDED,
    LABELS,
    ONE_HOT,
    PARAMETERS,
    PREDICTIONS,
    Fit,
    alike,
    close,
    explanations,
    measure,
    parameters_for,
)
from focal_ref.conformance.inference.raw import SINGLE, RawSubject
from focal_ref.conformance.inference.subject import Measured, Question
from focal_ref.conformance.profiles.signature import PARAMETERS as NAMES
from focal_ref.conformance.profiles.signature import Signature

MEAN_NAMES = ("mean", "average", "avg", "batchmean", "elementwise_mean", "sum_over_batch_size", 1)
SUM_NAMES = ("sum", "total", "add", 0)
"""What reductions are called; 1 and 0 where a flag decides, because a profile has no booleans there."""

EASY = {"float64": 40.0, "float32": 20.0, "float16": 9.0, "bfloat16": 7.0}
"""Margins of which 1 - p is 1 in the format, while the loss is a normal number."""


@dataclass(frozen=True)
class Row:
    """One line of what was found out: the key of the profile, its value and what was seen."""

    key: str
    value: Any
    seen: str


@dataclass(frozen=True)
class Description:
    """Everything that was found out about a function.

    Attributes
    ----------
    signature
        How a profile calls it.
    conventions
        One value for each axis; of those that nothing fits, None.
    tiers
        Formats that it takes and gives back, with a tier that it may claim.
    rows
        What was seen, by key.
    unknown
        Answers of the axes on which it behaves as none of the known values.
    """

    signature: Signature
    conventions: Mapping[str, Any]
    tiers: Mapping[str, str]
    rows: Sequence[Row]
    unknown: Sequence[Answer]


def describe(
    function: Callable[..., Any],
    found: Found,
    slopes: Mapping[str, Callable[..., Any]] = MappingProxyType({}),
    usual_reduction: Any = None,
) -> Description:
    """Decide every axis, given how the function is called.

    Parameters
    ----------
    function
        What is described.
    found
        How it is called.
    slopes
        From paths to functions that may return its derivative.
    usual_reduction
        The value of its argument for the reduction by default.
    """
    fit = _chosen(function, found)
    subject = found.subject.supposing(**{axis: fit.conventions[axis] for axis in ("alpha", "multi_class", "formula")})
    signature = _renamed(subject.signature, fit)
    rows = [Row(f"conventions.{axis}", fit.conventions[axis], _seen_of(axis, found, fit)) for axis in DECIDED]
    subject = subject.called_by(_with_returns(signature, found, fit))
    # Parameters have their canonical names from here on.
    fit = replace(fit, renamed={}, fixed={name: fit.fixed[name] for name in fit.fixed if name not in subject.takes})
    subject, layout = _laid_out(subject, fit)
    subject, fit = _widest(subject, fit)
    answers = dict(zip(("background", "ignore"), codes.codes(subject, fit), strict=True))
    subject = subject.supposing(**{axis: answer.fits[0] for axis, answer in answers.items()})
    subject, of_reductions = _reductions(subject, fit, usual_reduction)
    answers |= of_reductions
    answers |= {"alpha_off": _alpha_off(subject, fit)}
    answers |= dict(zip(("clipping", "epsilon"), clipping.clipping(subject, fit), strict=True))
    subject, of_slope, answers["gradient"] = _gradient(subject, fit, slopes)
    tiers, dtype_rows = _tiers(subject, fit, answers)
    answers["subnormals"] = arithmetic.subnormals([subject.in_format(dtype) for dtype in tiers or ("float32",)], fit)
    unknown = [answer for answer in answers.values() if not answer.fits]
    conventions = {**fit.conventions, **{axis: next(iter(answer.fits), None) for axis, answer in answers.items()}}
    if conventions["clipping"] == "none":
        conventions["epsilon"] = 0
    rows += [Row(f"conventions.{axis}", conventions[axis], _seen(answer)) for axis, answer in answers.items()]
    final = replace(
        subject.signature,
        fixed=dict(_numbers(fit.fixed)),
        targets=_targets(subject.signature, fit),
        pair=found.measured[0].pair,
        gradient=of_slope if conventions["gradient"] == "function" else "",
    )
    return Description(final, conventions, tiers, [*layout, *rows, *dtype_rows], unknown)


def _chosen(function: Callable[..., Any], found: Found) -> Fit:
    """The explanation to declare: what is told apart by no number is told by names."""
    name = getattr(function, "__name__", type(function).__name__).lower()
    hinted = {"quality": ("quality", "qfl")}

    def rank(fit: Fit) -> tuple[int, int]:
        formula = fit.conventions["formula"]
        wanted = any(part in name for part in hinted.get(formula, ())) or "beta" in found.subject.takes
        return (0 if (formula == "focal") != wanted else 1, len(fit.fixed))

    return min(found.fits, key=rank)


def _renamed(signature: Signature, fit: Fit) -> Signature:
    """Each argument under the canonical name of what it turned out to be."""
    names = {name: getattr(signature, name) for name in NAMES}
    own = {name: names[source] for name, source in fit.renamed.items()}
    kept = {
        name: value
        for name, value in names.items()
        if value and name not in fit.fixed and name not in own and value not in own.values()
    }
    wanted: dict[str, Any] = dict.fromkeys(NAMES, "") | kept | own
    if fit.conventions["alpha"] == "none":
        wanted["alpha"] = ""
    relevant = _parameters_of(fit.conventions)
    for name in set(wanted) - set(relevant):
        wanted[name] = ""
    return replace(signature, **wanted)


def _parameters_of(conventions: Mapping[str, Any]) -> tuple[str, ...]:
    return {
        "star": ("alpha", "gamma", "beta"),
        "quality": ("beta",),
        "asymmetric": ("gamma_positive", "gamma_negative", "clip"),
        "heatmap": ("gamma", "beta"),
    }.get(conventions["formula"], ("alpha", "gamma"))


def _with_returns(signature: Signature, found: Found, fit: Fit) -> Signature:
    if signature.returns == SINGLE or fit.conventions["multi_class"] != "softmax":
        return signature
    (got,) = (one.got for one in found.measured[:1])
    return replace(signature, returns="classes" if got is not None and got.ndim == PREDICTIONS.ndim else "rows")


def _targets(signature: Signature, fit: Fit) -> str:
    """What a profile calls the form of the targets: dense ones of a softmax are one-hot rows."""
    dense = signature.targets == "floating"
    return "one-hot" if dense and fit.conventions["multi_class"] == "softmax" else signature.targets


def _numbers(fixed: Mapping[str, Any]) -> Mapping[str, float]:
    return {name: float(value) for name, value in fixed.items() if np.ndim(value) == 0}


def _laid_out(subject: RawSubject, fit: Fit) -> tuple[RawSubject, list[Row]]:
    """Where the classes are, and how many dimensions there have to be."""
    rows = []
    parameters = parameters_for(fit.conventions)
    by_class = fit.conventions["multi_class"] == "softmax" or subject.labels
    if by_class and subject.signature.returns != SINGLE:
        shape = (2, 2, 3)
        labels = None
        question = Question(PREDICTIONS.reshape(shape), ONE_HOT.reshape(shape), labels, parameters)
        for axis in (-1, 1) if subject.signature.class_axis == -1 else (1,):
            signature = replace(subject.signature, class_axis=axis)
            other = subject.called_by(signature)
            if _explains(other, fit, other.ask(question)):
                subject = other
                rows.append(Row("signature.class_axis", axis, f"logits of shape (2, 2, 3) with classes in axis {axis}"))
                break
        else:
            rows.append(Row("signature.class_axis", -1, "only logits of two dimensions are taken"))
    if not by_class and subject.signature.class_axis != -1:
        # Where the classes are makes no difference to elements.
        subject = subject.called_by(replace(subject.signature, class_axis=-1))
    if subject.signature.minimum_rank:
        rows.append(Row("signature.minimum_rank", subject.signature.minimum_rank, "fewer dimensions are not taken"))
        return subject, rows
    if subject.signature.returns == SINGLE and not by_class:
        one = subject.called_by(replace(subject.signature, returns="elements"))
        measured = one.ask(Question(PREDICTIONS[0, :1], ONE_HOT[0, :1], parameters=parameters))
        if measured.got is None:
            subject = subject.called_by(replace(subject.signature, minimum_rank=2))
            rows.append(Row("signature.minimum_rank", 2, f"one dimension is not taken: {measured.refusal}"))
    for rank in (0, 1, 2):
        predictions, targets = _of_rank(rank, by_class)
        if predictions is None or subject.signature.returns in (SINGLE, "flat"):
            continue
        if _explains(subject, fit, subject.ask(Question(predictions, targets, parameters=parameters))):
            if rank > (1 if by_class else 0):
                signature = replace(subject.signature, minimum_rank=rank)
                subject = subject.called_by(signature)
                rows.append(Row("signature.minimum_rank", rank, f"logits of {rank - 1} dimensions are not taken"))
            break
    return subject, rows


def _of_rank(rank: int, by_class: bool) -> tuple[Any, Any]:
    if rank == 2:
        return PREDICTIONS, ONE_HOT
    if rank == 1:
        return (PREDICTIONS[0], ONE_HOT[0])
    return (None, None) if by_class else (np.asarray(PREDICTIONS[0, 0]), np.asarray(ONE_HOT[0, 0]))


def _explains(subject: RawSubject, fit: Fit, one: Measured) -> bool:
    conventions = fit.formula()
    given = fit.parameters(subject.given(one.question))
    pair = alike(one.got, losses(one.question.predictions, one.question.targets, conventions, given))
    return pair is not None and close(*pair, subject.tolerance)


def _reductions(subject: RawSubject, fit: Fit, usual: Any) -> tuple[RawSubject, dict[str, Answer]]:
    """What mean and sum are called, and what they do."""
    answers = {}
    names = dict(subject.signature.reductions)
    for axis, known, decide in (("mean", MEAN_NAMES, reductions.mean), ("sum", SUM_NAMES, reductions.total)):
        answers[axis] = Answer(axis, ("unsupported",), note="no argument, and no number comes back")
        # Strings are true, whatever they say, so that a flag gets the number.
        of_flag = isinstance(names.get("none"), int)
        candidates: tuple[Any, ...] = ("",) if subject.signature.returns == SINGLE else ()
        if subject.signature.reduction:
            own = (usual,) if isinstance(usual, str) and usual not in known else ()
            candidates = known[-1:] if of_flag else (*known, *own)
        for name in candidates:
            signature = replace(subject.signature, reductions={**names, axis: name} if name != "" else names)
            other = subject.called_by(signature)
            answer = decide(other, fit)
            if answer.fits and answer.fits != ("unsupported",):
                subject, names, answers[axis] = other, dict(signature.reductions), answer
                break
            if answers[axis].fits and name != usual:
                # What its argument is by default is one of both: it need not be this one.
                answers[axis] = answer
        if of_flag and axis not in names:
            # A flag has two values: what is no mean, or no sum, is what comes back otherwise.
            names[axis] = known[-1]
            subject = subject.called_by(replace(subject.signature, reductions=dict(names)))
    return subject, answers


def _alpha_off(subject: RawSubject, fit: Fit) -> Answer:
    answer = options.alpha_off(subject, fit)
    # 1 switches off what multiplies; it is said only where nothing else does.
    values = tuple(value for value in answer.fits if value != "unsupported") or answer.fits
    return replace(answer, fits=values)


def _gradient(
    subject: RawSubject, fit: Fit, slopes: Mapping[str, Callable[..., Any]]
) -> tuple[RawSubject, str, Answer]:
    """Where the derivative comes from, and the path of the function that returns it if there is one."""
    answer = arithmetic.gradient(subject, fit, verified=True)
    if "none" in answer.fits:
        for path, slope in slopes.items():
            other = subject.with_slope(slope)
            again = arithmetic.gradient(other, fit, verified=True)
            if "function" in again.fits:
                return other, path, again
    return subject, "", answer


def _widest(subject: RawSubject, fit: Fit) -> tuple[RawSubject, Fit]:
    """Asked in float64, where the function takes that, with the digits that it shows of numbers inside the function."""
    wide = subject.in_format("float64")
    measured = measure(wide)
    if measured[0].dtype != "float64":
        return subject, fit
    for again in explanations(wide, measured, [fit.conventions]):
        if set(again.fixed) == set(fit.fixed) and not again.renamed:
            return wide, replace(fit, fixed=again.fixed, added=again.added)
    return subject, fit


def _tiers(subject: RawSubject, fit: Fit, answers: Mapping[str, Answer]) -> tuple[dict[str, str], list[Row]]:
    """Formats that come back as they went in, with their gradient."""
    tiers, rows = {}, []
    question = Question(PREDICTIONS, ONE_HOT, parameters=parameters_for(fit.conventions))
    for dtype in FORMATS:
        one = subject.in_format(dtype)
        measured = one.ask(question)
        if measured.dtype != dtype or not _explains(one, fit, measured):
            text = measured.refusal or (
                f"it gives back {measured.dtype}" if measured.dtype != dtype else "it is inaccurate"
            )
            rows.append(Row(f"claims.dtypes.{dtype}", None, text))
            continue
        source = answers["gradient"].fits[0]
        if source != "none":
            try:
                gradient = np.asarray(one.supposing(gradient=source).gradient(question))
            except Exception as error:  # a function may raise anything
                rows.append(Row(f"claims.dtypes.{dtype}", None, f"its gradient raises {type(error).__name__}"))
                continue
            if gradient.dtype.name != dtype or not np.isfinite(gradient.astype(np.float64)).all():
                rows.append(Row(f"claims.dtypes.{dtype}", None, f"its gradient is {gradient.dtype.name}"))
                continue
        tiers[dtype], seen = _tier(one, fit, answers)
        rows.append(Row(f"claims.dtypes.{dtype}", tiers[dtype], seen))
    return tiers, rows


def _tier(subject: RawSubject, fit: Fit, answers: Mapping[str, Answer]) -> tuple[str, str]:
    if answers["clipping"].fits != ("none",):
        return "clipped", "taken and given back; epsilon limits its accuracy"
    if fit.conventions["prediction"] == "probabilities":
        return "standard", "taken and given back"
    margin = EASY[subject.dtype]
    elementwise = fit.conventions["multi_class"] == "sigmoid"
    predictions = np.where(ONE_HOT == 1, margin, -margin if elementwise else 0.0)
    parameters = {**PARAMETERS[1], "alpha": parameters_for(fit.conventions, 1)["alpha"]}
    question = Question(predictions, ONE_HOT, parameters=parameters)
    conventions = fit.formula()
    expected = losses(predictions, ONE_HOT, conventions, fit.parameters(subject.given(question)))
    pair = alike(subject.ask(question).got, expected)
    if pair is not None and bool(np.all(np.abs(pair[0] - pair[1]) <= 0.1 * np.abs(pair[1]))):
        return "standard", f"margins of {margin:g} keep their loss"
    return "cancellation-limited", f"the loss of margins of {margin:g} is lost: 1 - p_t has cancelled"


def _seen_of(axis: str, found: Found, fit: Fit) -> str:
    """The numbers by which the formula was recognised."""
    one = found.measured[-1] if axis == "soft_targets" else found.measured[0]
    if axis == "soft_targets" and not one.usable:
        return one.refusal or "NaN for targets between 0 and 1"
    others = sorted({other.conventions[axis] for other in found.fits} - {fit.conventions[axis]})
    undecided = f"; {' and '.join(others)} would give the same" if others else ""
    if axis in ("formula", "soft_targets") and one.got is not None:
        row = np.atleast_1d(one.got)[0]
        numbers = ", ".join(map(number, np.atleast_1d(row)))
        first, targets = one.question.predictions[0].tolist(), one.question.targets[0].tolist()
        return f"{first}, targets {targets} give {numbers}{undecided}"
    if axis == "soft_targets":
        return undecided
    return f"explains the numbers of {len(found.measured) - 1} calls of {LABELS.size} rows{undecided}"


def _seen(answer: Answer) -> str:
    parts = [answer.note] if answer.note else []
    for evidence in answer.evidence[:3]:
        parts.append(f"{evidence.asked}: {evidence.got}")
    if len(answer.fits) > 1:
        parts.append(f"{', '.join(map(str, answer.fits[1:]))} would fit as well")
    return "; ".join(parts)
