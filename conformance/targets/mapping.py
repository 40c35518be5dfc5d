"""From the canonical call to a function's own terms, and back: what the table [signature] of a profile says."""

from collections.abc import Callable
from typing import Any

import numpy as np

from focal_ref.conformance.conventions.calls import OFF
from focal_ref.conformance.family.functions import FUNCTIONS, IGNORE
from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.profiles.signature import OPTIONS, PARAMETERS, Signature
from focal_ref.conformance.targets import ROWS, Array, Call
from focal_ref.conformance.targets.library import Library, Native

Function = Callable[..., Any]

BACKGROUND = -1
"""Label of the canonical call that is a negative of every class."""


class Mapped:
    """A function that takes and gives what the canonical call does, in native arrays.

    Logits and targets come in the canonical layout, with classes along the last axis, and keyword arguments under their
    canonical names; reshaping is part of the function, so that derivatives and transforms go through it.

    Parameters
    ----------
    function
        As the profile names it.
    profile
        With its signature and conventions.
    library
        Whose arrays they are.
    gradient
        Whether the function returns derivatives with respect to the logits instead of the loss.

    Attributes
    ----------
    own_shape
        Shape of the last result without reduction as the function returned it; None where the profile gives the
        function another layout than that of the call, so that the shape says nothing.
    """

    def __init__(self, function: Function, profile: Profile, library: Library, *, gradient: bool = False) -> None:
        self.function = function
        self.library = library
        self.signature = profile.signature
        self.rows = profile.function == ROWS
        self.classes = self.rows or profile.function == "loss_from_labels"
        self.off = OFF.get(profile.conventions["alpha_off"])
        self.flagged = profile.conventions["alpha_off"] == "flag"
        self.gradient = gradient
        self.own_shape: tuple[int, ...] | None = None

    def __call__(self, logits: Native, targets: Native, **keywords: Any) -> Native:
        self.own_shape = None
        shape, reduction = tuple(logits.shape), keywords.get("reduction", "none")
        if self.signature.targets == "signed":
            targets = 2 * targets - 1
        fits = tuple(targets.shape) in ((shape, shape[:-1]) if self.classes else (shape,))
        # Targets that do not fit are for the function itself to refuse.
        if self.signature.returns == "sum" and reduction == "none" and not self.gradient and fits:
            return self._one_by_one(logits, targets, keywords)
        rank = max(len(shape), self.signature.minimum_rank)
        x = self._laid_out(logits, rank)
        more = rank - len(shape)
        if self.classes and len(targets.shape) < len(shape):
            t = self._padded(targets, len(targets.shape) + more)
        else:
            t = self._laid_out(targets, len(targets.shape) + more)
        result = self._called(x, t, keywords)
        if reduction != "none":
            return result
        # Numbers are compared whatever their shape; that it is another one is for FL-SHP-001 to say.
        if x is logits and not self.classes and not self.gradient:
            self.own_shape = tuple(getattr(result, "shape", shape))
        return self._back(result, shape, rank)

    def _called(self, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        own = self._own_keywords(keywords)
        given = {"logits": logits, "targets": targets}
        positional = [given[name] for name in self.signature.order if name not in self.signature.arguments]
        named = {name: given[key] for key, name in self.signature.arguments.items()}
        if self.signature.construct:
            result = self.function(**own)(*positional, **named)
        else:
            result = self.function(*positional, **named, **own)
        return self._of_pair(result) if self.signature.pair else result

    def _of_pair(self, result: Any) -> Native:
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise TypeError("signature.pair is true, but the function returns no pair")
        return result[1 if self.gradient else 0]

    def _own_keywords(self, keywords: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments under the function's own names, with what it calls no alpha and its reductions."""
        signature = self.signature
        own = dict(signature.constants)
        for name, value in keywords.items():
            if name == "alpha":
                if self.flagged:
                    own |= signature.alpha_off if value is None else signature.alpha_on
                    if value is None:
                        continue
                value = self.off if value is None else value
            elif name == "reduction":
                if not signature.reduction:
                    continue
                value = signature.reductions.get(value, value)
            own[getattr(signature, name)] = value
        return own

    def _laid_out(self, array: Native, rank: int) -> Native:
        """With the dimensions that the function wants, and classes where it has them."""
        array = self._padded(array, rank)
        if self.signature.trailing_axis:
            array = array.reshape((*array.shape, 1))
        if self.classes and self.signature.class_axis % rank != rank - 1:
            array = self.library.adapter.moved(array, -1, self.signature.class_axis)
        return array

    @staticmethod
    def _padded(array: Native, rank: int) -> Native:
        missing = rank - len(array.shape)
        return array.reshape((1,) * missing + tuple(array.shape)) if missing > 0 else array

    def _back(self, result: Native, shape: tuple[int, ...], rank: int) -> Native:
        """A result without reduction in the canonical layout."""
        axis = self.signature.class_axis
        moved = self.classes and axis % rank != rank - 1
        if self.rows and not self.gradient:
            if self.signature.returns == "classes":
                result = result.sum(axis)
            return _reshaped(result, shape[:-1])
        if moved and len(result.shape) == rank:
            result = self.library.adapter.moved(result, axis, -1)
        return _reshaped(result, shape)

    def _one_by_one(self, logits: Native, targets: Native, keywords: dict[str, Any]) -> Native:
        """The loss of each element, or of each row, from a function that gives one number."""
        shape = tuple(logits.shape[:-1] if self.rows else logits.shape)
        width = tuple(logits.shape[-1:]) if self.rows else ()
        dense = len(targets.shape) == len(logits.shape)
        flat, others = logits.reshape((-1, *width)), targets.reshape((-1, *width) if dense else (-1,))
        if not flat.shape[0]:
            return logits.sum(-1) if self.rows else logits
        rank = max(1 + len(width), self.signature.minimum_rank)
        results = []
        for i in range(flat.shape[0]):
            t = others[i : i + 1]
            own = self._laid_out(t, rank) if dense else self._padded(t, rank - 1)
            results.append(self._called(self._laid_out(flat[i : i + 1], rank), own, keywords).reshape(()))
        return self.library.stacked(results).reshape(shape)


def _reshaped(result: Native, shape: tuple[int, ...]) -> Native:
    """In another shape of as many elements; results of another size are left as they are, and found wrong."""
    found = tuple(getattr(result, "shape", shape))
    if found == shape or int(np.prod(found)) != int(np.prod(shape)):
        return result
    return result.reshape(shape)


def is_canonical(profile: Profile) -> bool:
    """Whether a function takes the canonical call as it is."""
    signature = profile.signature
    same: dict[str, Any] = {name: name for name in (*PARAMETERS, *OPTIONS) if getattr(signature, name)}
    plain = Signature(
        **same,
        function=signature.function,
        gradient=signature.gradient,
        targets=signature.targets,
        returns=signature.returns,
    )
    reshaped = signature.returns in ("sum", "flat") or signature.targets == "signed"
    return plain == signature and profile.conventions["alpha_off"] == "none" and not reshaped


def canonical_keywords(call: Call, profile: Profile) -> dict[str, Any]:
    """The keyword arguments of a call that the function has, under their canonical names."""
    signature = profile.signature
    values = {"alpha": call.alpha, "gamma": call.gamma, **call.parameters}
    values |= {name: getattr(call, name) for name in OPTIONS}
    if signature.binding:
        named = FUNCTIONS["loss" if call.function == "loss_from_labels" else call.function].parameters
        kept = (*named, "reduction") if call.reduction != "none" else named
        return {name: value for name, value in values.items() if name in kept}
    return {
        name: value
        for name, value in values.items()
        # What gives nothing but a sum has to know whether it is asked for one.
        if (getattr(signature, name, "") or (name == "reduction" and signature.returns == "sum"))
        and (value is not None or name == "alpha")
    }


def own_targets(call: Call, profile: Profile) -> Array:
    """The targets of a call as the function wants them."""
    kind = profile.signature.targets
    if kind in ("floating", "signed"):
        # The caller's own array where it is one already, so that what is written into it is seen.
        return np.asarray(call.targets.astype(call.logits.dtype, copy=False))
    if kind == "integer":
        # What is no integer is for the function to refuse.
        whole = call.targets.dtype.kind == "b" or bool(np.all(np.isin(call.targets, (0, 1))))
        return np.asarray(call.targets.astype(np.int64)) if whole else call.targets
    if call.targets.dtype.kind not in "iu" or call.targets.ndim == call.logits.ndim or kind == "same":
        return call.targets
    classes = call.logits.shape[-1]
    if kind == "one-hot":
        hot = np.equal.outer(call.targets, np.arange(classes))
        return np.asarray(hot.reshape(*call.targets.shape, classes).astype(call.logits.dtype))
    codes = {BACKGROUND: profile.conventions["background"], IGNORE: profile.conventions["ignore"]}
    labels = call.targets.copy()
    for code, value in codes.items():
        if value != "none":
            labels[call.targets == code] = classes if value == "classes" else value
    return labels


__all__ = ["Mapped", "canonical_keywords", "is_canonical", "own_targets"]
