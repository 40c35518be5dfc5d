"""Other people's matchers, box coders and overlaps as targets: functions of boxes, as the profile declares them."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np

from focal_ref.conformance.detection.oracle import IGNORED, NEGATIVE, POSITIVE, Options
from focal_ref.conformance.profiles import MATCHER_AXES, MATCHER_THRESHOLDS, Profile
from focal_ref.conformance.targets import Array
from focal_ref.conformance.targets.library import Library
from focal_ref.conformance.targets.python import PythonTarget, _version

# Codes of background and of ignored anchors, and the first ground truth's. With those of detectron2 a matcher returns
# the pair that detectron2's ``Matcher`` does: indices, and labels 1, 0 and -1.
CODES = {"torchvision": (-1, -2, 0), "effdet": (-1, -2, 0), "mmdet": (0, -1, 1)}


class BoxTarget(PythonTarget):
    """Functions of two arrays of boxes, beside which there is no loss.

    Parameters
    ----------
    name, profile, library
        As in `PythonTarget`.
    functions
        By their names in `focal_ref.detection`; None where there is none.
    """

    ARGUMENTS: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "match_anchors": ("anchors", "gt_boxes"),
        "box_iou": ("boxes1", "boxes2"),
        "encode_boxes": ("gt_boxes", "anchors"),
        "decode_boxes": ("deltas", "anchors"),
    }

    def __init__(
        self, name: str, functions: Mapping[str, Callable[..., Any] | None], profile: Profile, library: Library
    ) -> None:
        self.by_name = {key: function for key, function in functions.items() if function is not None}
        super().__init__(name, next(iter(self.by_name.values())), profile, library)

    def describe(self) -> Mapping[str, str]:
        box = np.array([[0, 0, 10, 10]], dtype=next(iter(self.profile.tiers)))
        with self._scope(box.dtype.name):
            native = self.library.native(box)
            result = self.function(native, native)
            first = result[0] if isinstance(result, tuple) else result
            self.library.to_numpy(first, "the result")
            device = self.library.adapter.device_name(first)
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
        names = self.ARGUMENTS[function]
        if self.profile.kind == "iou" and "crowd" in given:
            names = (*names, "crowd")
        if function not in self.by_name or options or set(given) != set(names):
            raise NotImplementedError(f"a {self.profile.kind} has no {function} with {', '.join([*given, *options])}")
        own = [given[name] for name in names]
        with self._scope(own[0].dtype.name):
            result = self.by_name[function](*(self.library.native(array) for array in own))
            several = result if isinstance(result, tuple) else (result,)
            return self._named(function, [self.library.to_numpy(array, "the result") for array in several])

    def _named(self, function: str, results: list[Array]) -> Mapping[str, Array]:
        if function == "match_anchors":
            return _decoded(results, str(self.profile.conventions["codes"]))
        return {"result": results[0]}


def declared_options(profile: Profile) -> Options:
    """What the conventions of a matcher mean to the oracle."""
    declared: dict[str, Any] = {name: profile.conventions[name] for name in MATCHER_AXES if name != "codes"}
    declared |= {name: Fraction(str(profile.conventions[name])) for name in MATCHER_THRESHOLDS}
    return Options(**declared)


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
