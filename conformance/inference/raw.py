"""A callable without a profile, called by a supposed signature."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.inference.subject import Question, Subject
from focal_ref.conformance.profiles.signature import PARAMETERS, Signature
from focal_ref.conformance.targets.library import Library

SINGLE = "sum"
"""What a function returns that gives a number alone: elements are had one call each."""


class RawSubject(Subject):
    """A function, or a class that is constructed with the hyper-parameters.

    Parameters
    ----------
    function
        What is to be described.
    signature
        How it is supposed to be called.
    library
        Whose arrays it is supposed to take.
    dtype
        In which format it is asked.
    conventions
        What is supposed so far; alpha and alpha_off decide how alpha is passed.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        signature: Signature,
        library: Library,
        dtype: str = "float32",
        conventions: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.signature = signature
        self.library: Any = library
        self.dtype = dtype
        self.conventions = dict(conventions or {})
        self.fixed: Mapping[str, float] = {}
        self.takes = frozenset(name for name in PARAMETERS if getattr(signature, name))
        self.labels = signature.targets == "labels"
        self.slope: Callable[..., Any] | None = None
        self.reduces = bool(signature.reduction)
        self.single = signature.returns == SINGLE
        self.pair = False

    def supposing(self, **conventions: Any) -> "RawSubject":
        return self._like(conventions={**self.conventions, **conventions})

    def called_by(self, signature: Signature) -> "RawSubject":
        """The same function, called in another way."""
        return self._like(signature=signature)

    def in_format(self, dtype: str) -> "RawSubject":
        """The same function, asked in another format."""
        return self._like(dtype=dtype)

    def with_slope(self, slope: Callable[..., Any]) -> "RawSubject":
        """The same function, with one that may return its derivative."""
        other = self._like()
        other.slope = slope
        return other

    def _like(self, **changes: Any) -> "RawSubject":
        own = {name: getattr(self, name) for name in ("signature", "library", "dtype", "conventions")}
        other = RawSubject(self.function, **{**own, **changes})
        other.slope = self.slope
        return other

    def value(self, question: Question) -> Any:
        with self._scope():
            keywords = self._keywords(question)
            if self.signature.returns == SINGLE and question.reduction == "none":
                return self._one_by_one(question, keywords)
            arrays = self._arrays(question)
            return self._restored(self._result(self._called(*arrays, **keywords)), question)

    def gradient(self, question: Question) -> Any:
        with self._scope():
            keywords = self._keywords(question)
            arrays = self._arrays(question)
            if self.conventions.get("gradient") == "function" and self.slope is not None:
                keywords.pop(self.signature.reduction, None)
                result = self._called_with(self.slope, *arrays, **keywords)
                return self._restored(self.library.to_numpy(result, "the gradient"), question)
            if self.conventions.get("gradient") == "function":
                result = self._called(*arrays, **keywords)
                if not isinstance(result, tuple | list) or len(result) != 2:
                    raise TypeError("it returns no pair of value and gradient")
                return self._restored(self.library.to_numpy(result[1], "the gradient"), question)
            _, gradient = self.library.value_and_gradient(self._first, *arrays, keywords, None)
            return self._restored(self.library.to_numpy(gradient, "the gradient"), question)

    @contextmanager
    def _scope(self) -> Iterator[None]:
        with warnings.catch_warnings(), self.library.scope(self.dtype), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            yield

    def _called(self, predictions: Any, targets: Any, **keywords: Any) -> Any:
        """Call the function, or an instance of the class."""
        if self.signature.construct:
            return self._called_with(self.function(**keywords), predictions, targets)
        return self._called_with(self.function, predictions, targets, **keywords)

    def _called_with(self, function: Callable[..., Any], predictions: Any, targets: Any, **keywords: Any) -> Any:
        data = {"logits": predictions, "targets": targets}
        if self.signature.arguments:
            named = {self.signature.arguments[role]: array for role, array in data.items()}
            return function(**named, **keywords)
        return function(*(data[role] for role in self.signature.order), **keywords)

    def _first(self, predictions: Any, targets: Any, **keywords: Any) -> Any:
        result = self._called(predictions, targets, **keywords)
        return result[0] if isinstance(result, tuple | list) else result

    def _result(self, result: Any) -> Any:
        self.pair = isinstance(result, tuple | list) and len(result) == 2
        return self.library.to_numpy(result[0] if self.pair else result, "the result")

    def _keywords(self, question: Question) -> dict[str, Any]:
        signature = self.signature
        keywords = dict(signature.constants)
        parameters = dict(question.parameters)
        if parameters.get("alpha", 0.5) is None:
            off = self.conventions.get("alpha_off", "none")
            if off == "flag":
                keywords |= signature.alpha_off
                parameters["alpha"] = 0.25
            else:
                keywords |= signature.alpha_on
                parameters["alpha"] = {"none": None, "-1": -1.0, "0": 0.0, "1": 1.0}[off]
        else:
            keywords |= signature.alpha_on
        for name in self.takes:
            value = parameters[name]
            is_array = isinstance(value, np.ndarray)
            keywords[getattr(signature, name)] = (
                self.library.native(value.astype(FORMATS[self.dtype].dtype)) if is_array else value
            )
        if signature.reduction:
            keywords[signature.reduction] = signature.reductions.get(question.reduction, question.reduction)
        return keywords

    def _arrays(self, question: Question) -> tuple[Any, Any]:
        signature = self.signature
        dtype = FORMATS[self.dtype].dtype
        predictions = np.asarray(question.predictions.astype(dtype))
        if signature.targets == "labels":
            if question.labels is None and not np.isin(question.targets, (0.0, 1.0)).all():
                raise TypeError("it takes labels, which are never soft")
            labels = question.targets.argmax(axis=-1) if question.labels is None else question.labels
            targets = np.asarray(labels).astype(np.int64)
        else:
            integers = signature.targets == "integer"
            if integers and np.any(question.targets != np.rint(question.targets)):
                raise TypeError("it takes integers, which are never soft")
            numbers = 2.0 * question.targets - 1.0 if signature.targets == "signed" else question.targets
            targets = np.asarray(numbers.astype(np.int64 if integers else dtype))
        missing = max(0, signature.minimum_rank - predictions.ndim)
        if missing:
            predictions, targets = (array.reshape((1,) * missing + array.shape) for array in (predictions, targets))
        if signature.class_axis != -1:
            predictions = np.moveaxis(predictions, -1, signature.class_axis)
            targets = targets if signature.targets == "labels" else np.moveaxis(targets, -1, signature.class_axis)
        if signature.trailing_axis:
            predictions, targets = predictions[..., np.newaxis], targets[..., np.newaxis]
        return self.library.native(np.ascontiguousarray(predictions)), self.library.native(
            np.ascontiguousarray(targets)
        )

    def _restored(self, result: Any, question: Question) -> Any:
        """A result in the shape of the predictions, where it has one number for each, or for each row."""
        if question.reduction != "none":
            return result
        shape, signature = question.predictions.shape, self.signature
        rank = max(len(shape), signature.minimum_rank)
        if result.ndim == rank and signature.class_axis != -1:
            result = np.moveaxis(result, signature.class_axis, -1)
        padded = signature.minimum_rank > len(shape) and result.ndim
        if result.size == np.prod(shape) and (padded or signature.returns == "flat" or signature.trailing_axis):
            return result.reshape(shape)
        return result.reshape(shape[:-1]) if padded and result.size == np.prod(shape[:-1]) else result

    def _one_by_one(self, question: Question, keywords: dict[str, Any]) -> Any:
        """Each element, or each row of what is combined over the classes, in a call of its own."""
        rows = self.signature.targets == "labels" or self.conventions.get("multi_class") == "softmax"
        shape = question.predictions.shape
        width = shape[-1] if rows else 1
        predictions, targets = question.predictions.reshape(-1, 1, width), question.targets.reshape(-1, 1, width)
        labels = [None] * len(predictions) if question.labels is None else np.asarray(question.labels).reshape(-1, 1)
        results = []
        for x, t, label in zip(predictions, targets, labels, strict=True):
            one = Question(x, t, label, question.parameters)
            results.append(np.asarray(self._result(self._called(*self._arrays(one), **keywords))).reshape(()))
        return np.stack(results).reshape(shape[:-1] if rows else shape)
