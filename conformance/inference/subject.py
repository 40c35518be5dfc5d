"""What is asked, and who answers: a function behind one small interface, with the parameters that it takes."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from focal_ref.conformance.family.functions import IGNORE
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.formulas import Floats
from focal_ref.conformance.targets import ROWS, Call, Target, TargetFault
from focal_ref.conformance.targets.functions import parameter_names
from focal_ref.conformance.targets.mapping import BACKGROUND, Mapped
from focal_ref.conformance.targets.python import PythonTarget

TOLERANCES = MappingProxyType({"float64": 1e-5, "float32": 5e-4, "float16": 2e-2, "bfloat16": 6e-2})
"""Relative; far above what any implementation loses at moderate inputs, far below what conventions differ by."""


@dataclass(frozen=True)
class Question:
    """One call, in terms of the formulas.

    Attributes
    ----------
    predictions
        Logits or probabilities, as the function takes them; the classes are the last axis.
    targets
        Numbers in the same shape; of a function that takes labels they are one-hot.
    labels
        Integer labels that stand in the place of the targets, with codes that no one-hot row has.
    parameters
        Hyper-parameters by their canonical names. Those that the function does not take are left out; an alpha of None
        switches weighting off.
    reduction
        "none", "mean" or "sum".
    """

    predictions: Floats
    targets: Floats
    labels: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reduction: str = "none"


@dataclass(frozen=True)
class Measured:
    """What came of a question: numbers, their dtype and whether they are the first of a pair, or why there are none."""

    question: Question
    got: Floats | None
    refusal: str = ""
    dtype: str = ""
    pair: bool = False

    @property
    def usable(self) -> bool:
        """Whether there are numbers, all of them finite."""
        return self.got is not None and bool(np.isfinite(self.got).all())


class Subject(ABC):
    """A function whose conventions are to be found out.

    Attributes
    ----------
    conventions
        What is declared or supposed so far.
    takes
        Canonical names of the hyper-parameters that can be passed.
    fixed
        Hyper-parameters that cannot, with the values at which they are said to stand.
    labels
        Whether it takes integer labels in the place of targets.
    reduces
        Whether it has an argument for the reduction; without one, a number that comes back has one meaning.
    single
        Whether it returns one number, so that elements, or rows, are asked for one after the other.
    dtype
        In which format it is asked.
    pair
        Whether its last result was a pair, of value and gradient.
    """

    conventions: Mapping[str, Any]
    takes: frozenset[str]
    fixed: Mapping[str, float]
    labels: bool
    reduces: bool
    single: bool
    dtype: str
    pair = False

    @abstractmethod
    def value(self, question: Question) -> Any:
        """The result as a NumPy array; whatever the function raises is raised."""

    @abstractmethod
    def gradient(self, question: Question) -> Any:
        """The derivative of the sum of the results with respect to the predictions."""

    @abstractmethod
    def supposing(self, **conventions: Any) -> "Subject":
        """The same function, called as if other conventions were declared."""

    @property
    def tolerance(self) -> float:
        """Largest relative deviation from a formula that the function follows."""
        return TOLERANCES[self.dtype]

    def given(self, question: Question) -> dict[str, Any]:
        """The parameters of a question that reach the function, and those that stand in it."""
        return {**self.fixed, **{name: value for name, value in question.parameters.items() if name in self.takes}}

    def ask(self, question: Question) -> Measured:
        """The answer to a question; an exception is an answer too, but not that of a program that hangs or crashes."""
        try:
            result = np.asarray(self.value(question))
            return Measured(question, result.astype(np.float64), dtype=result.dtype.name, pair=self.pair)
        except TargetFault:
            raise
        except Exception as error:  # a function may raise anything
            return Measured(question, None, refusal_text(error))


def refusal_text(error: Exception) -> str:
    """An exception in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


class TargetSubject(Subject):
    """A target of the suite, called as its profile says.

    Parameters
    ----------
    target
        Whose profile has the declarations.
    dtype
        One of the claimed formats; the widest by default.
    function
        Of the canonical call; by default that which the profile describes.
    """

    def __init__(self, target: Target, dtype: str = "", function: str = "") -> None:
        self.target = target
        profile = target.profile
        self.conventions = profile.conventions
        self.dtype = dtype or next(name for name in FORMATS if name in profile.tiers)
        self.function = function or profile.function
        signature = profile.signature
        named = parameter_names(self.function)
        self.fixed = {name: value for name, value in signature.fixed.items() if name in named}
        if profile.library != "process" and not signature.binding:
            self.takes = frozenset(name for name in named if getattr(signature, name))
        else:
            self.takes = frozenset(named) - set(self.fixed)
            if self.conventions["alpha"] == "none":
                self.takes -= {"alpha"}
        self.labels = self.function in ("loss_from_labels", ROWS)
        self.single = signature.returns == "sum"
        self.reduces = bool(signature.reduction or signature.binding) or profile.library == "process"

    def value(self, question: Question) -> Any:
        target, call = self._call(question)
        return target.value(call)

    def gradient(self, question: Question) -> Any:
        target, call = self._call(question)
        source, direct = self.conventions["gradient"], getattr(target, "direct", None)
        if source == "function" and direct is None and isinstance(target, PythonTarget):
            raise NotImplementedError("it has no function that returns the gradient")
        if source == "autodiff" and not isinstance(target, PythonTarget):
            raise NotImplementedError("a program has no automatic differentiation of ours")
        if source == "autodiff" and direct is not None:
            target = copy.copy(target)
            target.direct = None  # type: ignore[attr-defined]
        return target.value_and_gradient(call)[1]

    def supposing(self, **conventions: Any) -> "TargetSubject":
        if all(self.conventions.get(axis) == value for axis, value in conventions.items()):
            return self
        return TargetSubject(_as_if(self.target, conventions), self.dtype, self.function)

    def _call(self, question: Question) -> tuple[Target, Call]:
        parameters = self.given(question)
        target, targets = self._targets(question)
        call = Call(
            np.asarray(question.predictions.astype(FORMATS[self.dtype].dtype)),
            targets,
            alpha=self._in_format(parameters.get("alpha")),
            gamma=parameters.get("gamma", 2.0),
            reduction=question.reduction,
            function=self.function,
            parameters={name: value for name, value in parameters.items() if name not in ("alpha", "gamma")},
        )
        return target, call

    def _in_format(self, alpha: Any) -> Any:
        """Class weights in the dtype of the logits: others would decide the dtype of the result."""
        return np.asarray(alpha.astype(FORMATS[self.dtype].dtype)) if isinstance(alpha, np.ndarray) else alpha

    def _targets(self, question: Question) -> tuple[Target, Any]:
        """The targets of the canonical call, and the target that hands its codes on as those of the question."""
        if question.labels is None:
            hard = np.isin(question.targets, (0.0, 1.0)).all() and (question.targets.sum(axis=-1) == 1).all()
            if hard and self.labels:
                return self.target, question.targets.argmax(axis=-1)
            return self.target, np.asarray(question.targets.astype(FORMATS[self.dtype].dtype))
        labels, classes = np.array(question.labels), question.predictions.shape[-1]
        if self.function != self.target.profile.function:
            return self.target, labels
        declared = {self.conventions["background"]: BACKGROUND, self.conventions["ignore"]: IGNORE}
        if "classes" in declared:
            declared[classes] = declared["classes"]
        target = self.target
        for code in set(labels[(labels < 0) | (labels >= classes)].tolist()):
            if code not in declared:
                # The canonical call has no such label: it is what stands for another one.
                target = _as_if(target, {"ignore": code})
            labels = np.where(question.labels == code, declared.get(code, IGNORE), labels)
        return target, labels


def _as_if(target: Target, conventions: Mapping[str, Any]) -> Target:
    """A target that is called as if its profile declared something else."""
    other = copy.copy(target)
    other.profile = replace(target.profile, conventions={**target.profile.conventions, **conventions})
    if isinstance(other, PythonTarget) and "alpha_off" in conventions:
        inner = other.function.function if isinstance(other.function, Mapped) else other.function
        other.function = Mapped(inner, other.profile, other.library)
    return other
