"""The simplest boxes that show the fault of a matcher, or of a function of overlaps."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
from catalogue import FOLDER, Implementation

from focal_ref.conformance.accuracy import Array
from focal_ref.conformance.checks import checks
from focal_ref.conformance.detection.comparison import corners, declared, number
from focal_ref.conformance.detection.numeric import decoded, encoded
from focal_ref.conformance.detection.oracle import iou, match
from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.matcher import CODES, BoxTarget

from .faults import VISIBLE, Shown
from .lines import python_line
from .search import Reproduction
from .texts import IMPORTS, array_text

EXPRESSIONS = FOLDER / "expressions.toml"
BOXES = "boxes"
"""The way in which overlaps and matches are wrong."""

Pair = tuple[Array, Array]
_NAMES = re.compile(r"[\w.]+")


def box_reproductions(target: BoxTarget, entry: Implementation, name: str, dtype: str) -> Iterator[Reproduction]:
    """A line for a failing requirement of a matcher or of overlaps, if one shows it."""
    dtype = dtype or next(one for one in ("float32", *FORMATS) if one in target.profile.tiers)
    examiner = Examiner(target, requirements()[name], dtype)
    calls = _calls(target, examiner, name)
    for function, wrong in JUDGES.items():
        expression = _expressions().get(entry.name, {}).get(function)
        if expression is None:
            continue
        for pair in calls.get(function, []):
            shown = wrong(examiner, pair)
            if shown is None:
                continue
            small = _smaller(pair, lambda two, judge=wrong: judge(examiner, two) is not None)
            shown = wrong(examiner, small)
            assert shown is not None
            command = _line(target, entry, expression, small)
            yield Reproduction(dtype, function, command, shown.right, shown)
            return


def _calls(target: BoxTarget, examiner: Examiner, name: str) -> dict[str, list[Pair]]:
    """The pairs of arrays with which the check calls each function."""
    calls: dict[str, list[Pair]] = {}
    plain = target.detection

    def remembered(function: str, arrays: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        names = target.ARGUMENTS[function]
        if not options and set(arrays) == set(names):
            calls.setdefault(function, []).append((arrays[names[0]], arrays[names[1]]))
        return plain(function, arrays, options)

    vars(target)["detection"] = remembered
    try:
        checks()[name](examiner)
    finally:
        del vars(target)["detection"]
    return calls


def _wrong_matches(examiner: Examiner, pair: Pair) -> Shown | None:
    convention = str(examiner.target.profile.conventions["codes"])
    if convention not in CODES or not (len(pair[0]) and len(pair[1])):
        return None
    background, ignored, first = CODES[convention]
    try:
        answer = match(corners(pair[0]), corners(pair[1]), declared(examiner))
        got = examiner.target.detection("match_anchors", {"anchors": pair[0], "gt_boxes": pair[1]}, {})
    except Exception:  # neither the truth nor a result is known of such boxes
        return None

    def coded(states: Any, owners: Any) -> Array:
        codes = {1: first, 0: background, -1: ignored}
        states, owners = np.asarray(states).tolist(), np.asarray(owners).tolist()
        return np.array(
            [codes[state] + (owner if state == 1 else 0) for state, owner in zip(states, owners, strict=True)]
        )

    if not np.isin(got["state"], (1, 0, -1)).all():
        return None
    found, wanted = coded(got["state"], got["gt_index"]), coded(answer.state, answer.gt_index)
    return None if np.array_equal(found, wanted) else Shown(BOXES, wanted, found, str(wanted.tolist()))


def _wrong_overlaps(examiner: Examiner, pair: Pair) -> Shown | None:
    if len(pair[0]) * len(pair[1]) > 1:
        return next((Shown(BOXES, None, None, "") for two in _pairs(pair) if _wrong_overlaps(examiner, two)), None)
    try:
        exact = iou(corners(pair[0])[0], corners(pair[1])[0])
        got = examiner.target.detection("box_iou", {"boxes1": pair[0], "boxes2": pair[1]}, {})["result"]
    except Exception:  # likewise
        return None
    wanted = number(exact, examiner.dtype)
    whole = all(float(one) == int(one) for one in np.concatenate([pair[0], pair[1]]).reshape(-1))
    allowed = 0.0 if whole else 8.0 * float(np.finfo(got.dtype).eps)
    if got.shape == (1, 1) and abs(float(got[0, 0]) - float(wanted)) <= allowed * float(wanted):
        return None
    return Shown(BOXES, np.array([wanted]), got.reshape(-1), str(wanted))


def _wrong_coding(examiner: Examiner, pair: Pair, function: str) -> Shown | None:
    """Of rows that belong together; where the error is seen without counting digits."""
    conventions = examiner.target.profile.conventions
    convention = tuple(map(float, conventions["weights"])), conventions["offset"]
    rule = encoded if function == "encode_boxes" else decoded
    names = examiner.target.ARGUMENTS[function]  # type: ignore[attr-defined]
    try:
        rows = zip(corners(pair[0]), corners(pair[1]), strict=True)
        exact = [[float(number) for number in rule(one, other, *convention)] for one, other in rows]
        got = examiner.target.detection(function, dict(zip(names, pair, strict=True)), {})["result"]
    except Exception:  # likewise
        return None
    wanted = np.array(exact)
    if got.shape != wanted.shape:
        return None
    far = np.abs(got - wanted) > VISIBLE * np.maximum(np.abs(wanted), 1e-3)
    if not np.any(far | ~np.isfinite(got)):
        return None
    return Shown(BOXES, wanted.astype(got.dtype), got, str([float(f"{x:.7g}") for x in wanted.reshape(-1)]))


JUDGES: Mapping[str, Callable[[Examiner, Pair], Shown | None]] = {
    "match_anchors": _wrong_matches,
    "box_iou": _wrong_overlaps,
    "encode_boxes": partial(_wrong_coding, function="encode_boxes"),
    "decode_boxes": partial(_wrong_coding, function="decode_boxes"),
}
"""What is wrong with the results of a pair of arrays, by function."""


def _pairs(pair: Pair) -> Iterator[Pair]:
    """Each box of one with each of the other; those of one place first, as vectors have them."""
    first, second = (len(boxes) for boxes in pair)
    order = sorted(((i, j) for i in range(first) for j in range(second)), key=lambda at: at[0] != at[1])
    for i, j in order:
        yield pair[0][i : i + 1], pair[1][j : j + 1]


def _smaller(pair: Pair, still: Callable[[Pair], bool]) -> Pair:
    """Without boxes that the fault does not need."""
    single = next((two for two in _pairs(pair) if still(two)), None)
    if single is not None:
        return single
    if len(pair[0]) == len(pair[1]):
        return pair
    for side in (0, 1, 0):
        index = 0
        while index < len(pair[side]):
            fewer = [*pair]
            fewer[side] = np.delete(pair[side], index, axis=0)
            if len(fewer[side]) and still((fewer[0], fewer[1])):
                pair = (fewer[0], fewer[1])
            else:
                index += 1
    return pair


def _line(target: BoxTarget, entry: Implementation, expression: str, pair: Pair) -> str:
    framework = target.library.adapter.name
    texts = dict(zip("ab", (array_text(boxes, framework) for boxes in pair), strict=True))
    imports = [part for part in _imports(entry) if any(name in expression for name in _NAMES.findall(part)[3:])]
    first = [IMPORTS[framework], *imports, *(f"{name} = {text}" for name, text in texts.items())]
    return python_line([*first, f"print({expression}.reshape(-1).tolist())"], target.profile.environment)


def _imports(entry: Implementation) -> list[str]:
    return [part.strip() for part in _expressions()[entry.name].get("imports", "").split(";") if part.strip()]


@cache
def _expressions() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(EXPRESSIONS.read_text(encoding="utf-8"))
