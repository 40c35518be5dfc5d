"""Other people's matchers as targets: a function of anchors and boxes, whose codes the profile names."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from focal_ref.conformance.detection.oracle import IGNORED, NEGATIVE, POSITIVE, Options
from focal_ref.conformance.profiles import MATCHER_AXES, Profile
from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.library import Library
from focal_ref.conformance.targets.python import PythonTarget, _version

# Codes of background and of ignored anchors, and the first ground truth's.
CODES = {"torchvision": (-1, -2, 0), "effdet": (-1, -2, 0), "mmdet": (0, -1, 1)}


class MatcherTarget(PythonTarget):
    """A matcher of one library.

    Parameters
    ----------
    name, profile, library
        As in `PythonTarget`.
    function
        Takes anchors (A, 4) and boxes (G, 4) and returns A codes; with detectron2's codes the pair that its ``Matcher``
        returns: indices, and labels 1, 0 and -1.
    iou
        Takes two sets of boxes, or None.
    """

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        iou: Callable[..., Any] | None,
        profile: Profile,
        library: Library,
    ) -> None:
        super().__init__(name, function, profile, library, detection=_none)
        self.iou = iou

    def describe(self) -> Mapping[str, str]:
        box = np.array([[0, 0, 10, 10]], dtype=next(iter(self.profile.tiers)))
        with self._scope(box.dtype.name):
            native = self.library.native(box)
            codes = self._codes(self.function(native, native))
            for code in codes:
                self.library.to_numpy(code, "the codes")
            device = self.library.adapter.device_name(codes[0])
        return {
            "target": self.name,
            "version": _version(self.profile.package),
            "library": f"{self.library.name} {self.library.adapter.version()}",
            "device": device,
        }

    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        given = {name: array for name, array in arrays.items() if array is not None}
        names = {"match_anchors": ("anchors", "gt_boxes"), "box_iou": ("boxes1", "boxes2")}.get(function, ())
        if options or tuple(given) != names or (function == "box_iou" and self.iou is None):
            raise NotImplementedError(f"a matcher has no {function} with {', '.join([*given, *options])}")
        first, second = (given[name] for name in names)
        with self._scope(first.dtype.name):
            native = self.library.native(first), self.library.native(second)
            if function == "box_iou":
                assert self.iou is not None
                return {"result": self.library.to_numpy(self.iou(*native), "the IoU")}
            codes = [self.library.to_numpy(code, "the codes") for code in self._codes(self.function(*native))]
        return _decoded(codes, str(self.profile.conventions["codes"]))

    def _codes(self, result: Any) -> tuple[Any, ...]:
        return tuple(result) if self.profile.conventions["codes"] == "detectron2" else (result,)


def declared_options(profile: Profile) -> Options:
    """What the conventions of a matcher mean to the oracle."""
    declared = {name: profile.conventions[name] for name in MATCHER_AXES if name != "codes"}
    thresholds = {name: Fraction(str(profile.conventions[name])) for name in ("positive", "negative")}
    return Options(**declared, **thresholds)


def _decoded(codes: list[Array], convention: str) -> Mapping[str, Array]:
    if convention == "detectron2":
        index, labels = codes
        state = labels.astype(np.int8)
        return {"state": state, "gt_index": np.where(state == POSITIVE, index, -1)}
    (code,) = codes
    background, ignored, first = CODES[convention]
    state = np.where(code >= first, POSITIVE, np.where(code == background, NEGATIVE, IGNORED))
    # A code that means nothing must not pass for one that does.
    state = np.where((code < first) & (code != background) & (code != ignored), 2, state)
    return {"state": state.astype(np.int8), "gt_index": np.where(code >= first, code - first, -1)}


def _none(name: str) -> Any:
    raise NotImplementedError(f"a matcher has no {name}")
