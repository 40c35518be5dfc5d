"""Write the vectors of the detection side: ``python -m focal_ref.conformance.detection.generate [--check]``."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpmath import mp

from focal_ref.conformance.detection import numeric, selection
from focal_ref.conformance.detection.inputs import CODED, DELTAS, OVERLAPS, SCENES, SMOOTH, Scene
from focal_ref.conformance.detection.oracle import PRESETS, BadBox, Box, Options, coverage, iou, match
from focal_ref.conformance.formats import FORMATS, exact_value, hex_bits, round_to_format

DIRECTORY = Path(__file__).with_name("vectors")
FORMAT_VERSION = 1
SCHEMA = "detection.schema.json"
DTYPES = ("float32", "float64")

Test = dict[str, Any]

SUBJECTS = {
    "boxes": "Overlap of two boxes as a fraction, and correctly rounded",
    "matching": "States and owners of anchors, by the paper and by each preset",
    "coding": "Deltas of boxes and boxes of deltas to 40 digits, and correctly rounded",
    "losses": "Smooth L1 as a fraction; normalizers; the sum of the first step",
    "selection": "Hard negatives, and what non-maximum suppression keeps",
}


def build(name: str) -> str:
    """The JSON text of one file, one test a line."""
    tests = {"boxes": boxes, "matching": matching, "coding": coding, "losses": losses, "selection": selected}[name]()
    head = [f'  "format_version": {FORMAT_VERSION}', f'  "subject": {json.dumps(SUBJECTS[name])}']
    rows = ",\n".join(f"    {json.dumps(test)}" for test in tests)
    return "{\n" + ",\n".join(head) + ',\n  "tests": [\n' + rows + "\n  ]\n}\n"


def boxes() -> list[Test]:
    """Pairs of boxes, as they are, as a crowd and by the legacy convention."""
    tests = []
    for name, one, other in OVERLAPS:
        for kind, exact in (
            ("iou", iou(one, other)),
            ("crowd", coverage(one, other)),
            ("legacy", iou(one, other, offset=1)),
        ):
            bits = {dtype: _bits(exact, dtype) for dtype in DTYPES}
            fraction = [exact.numerator, exact.denominator]
            tests.append({"id": f"{kind}/{name}", "kind": kind, "boxes": [one, other], "exact": fraction, **bits})
    return tests


def matching() -> list[Test]:
    """Every scene under the presets whose answer it defines."""
    return [_scene(scene) for scene in SCENES]


def _scene(scene: Scene) -> Test:
    test: Test = {"id": scene.id, "note": scene.note, "anchors": scene.anchors, "gt_boxes": _numbers(scene.gt_boxes)}
    if scene.gt_valid is not None:
        test["gt_valid"] = scene.gt_valid
    bad = _raises(scene, PRESETS["paper"])
    test["expected"] = {}
    for name, options in {**PRESETS, "drop": Options(invalid="drop")}.items():
        # What libraries make of bad boxes is stored where it was derived by hand too, and dropping where there are any.
        if (bad and name not in scene.by_hand) or (name == "drop" and not bad):
            continue
        if bad and name != "paper" and name != "drop":
            options = replace(options, invalid="keep")
        answers = {dtype: _codes(scene, replace(options, format=dtype)) for dtype in DTYPES}
        by_hand = scene.by_hand.get(name)
        if by_hand is not None and answers["float32"] != by_hand:
            raise ArithmeticError(f"{scene.id}: {name} is {answers['float32']} by the oracle but {by_hand} by hand")
        test["expected"][name] = answers["float32"]
        if answers["float64"] != answers["float32"]:
            test.setdefault("expected_float64", {})[name] = answers["float64"]
    return test


def _raises(scene: Scene, options: Options) -> bool:
    return _codes(scene, options) == "raises"


def _codes(scene: Scene, options: Options) -> str:
    try:
        return " ".join(match(scene.anchors, scene.gt_boxes, options, gt_valid=scene.gt_valid).codes)
    except BadBox:
        return "raises"


def coding() -> list[Test]:
    """Encoding and decoding."""
    tests = []
    for name, box, anchor, weights, offset in CODED:
        exact = numeric.encoded(box, anchor, weights, offset)
        given = {"box": box, "anchor": anchor, "weights": weights, "offset": offset}
        tests.append({"id": f"encode/{name}", "kind": "encode", **given, **_decimals(exact)})
    for name, deltas, anchor, weights, offset in DELTAS:
        exact = numeric.decoded(deltas, anchor, weights, offset)
        given = {"deltas": deltas, "anchor": anchor, "weights": weights, "offset": offset}
        tests.append({"id": f"decode/{name}", "kind": "decode", **given, **_decimals(exact)})
    return tests


def losses() -> list[Test]:
    """Smooth L1, normalizers, the first step."""
    tests: list[Test] = []
    for prediction, target, beta in SMOOTH:
        exact = numeric.smooth_l1(prediction, target, beta)
        name = f"smooth_l1/beta={beta}/prediction={prediction}/target={target}"
        given: Test = {"prediction": prediction, "target": target, "beta": beta}
        slope = numeric.smooth_l1_slope(prediction, target, beta)
        bits = {dtype: [_bits(exact, dtype), _bits(slope, dtype)] for dtype in DTYPES}
        tests.append(
            {"id": name, "kind": "smooth_l1", **given, "exact": _fraction(exact), "slope": _fraction(slope), **bits}
        )
    for rule in ("per_picture", "batch", "plus_one", "plus_one_per_picture"):
        exact = numeric.normalized([Fraction(40), Fraction(40)], [10, 0], rule)
        given = {"rule": rule, "sums": [40, 40], "positives": [10, 0]}
        tests.append({"id": f"normalizer/{rule}", "kind": "normalizer", **given, "exact": _fraction(exact)})
    anchors, classes = numeric.anchor_count(800, 800), 80
    total = numeric.background_sum(anchors * classes)
    given = {"anchors": anchors, "classes": classes, "prior": [1, 100]}
    tests.append({"id": "first_step/800x800", "kind": "first_step", **given, "exact": _decimal(total)})
    return tests


def selected() -> list[Test]:
    """Hard negatives and non-maximum suppression."""
    tests: list[Test] = []
    negatives = {
        "three-a-positive": ([9.0, 1.0, 5.0, 3.0, 4.0, 2.0], [1, 0, 0, 0, 0, 0], 3, 0),
        "ties-in-order": ([1.0, 2.0, 2.0, 2.0, 2.0, 0.5], [1, 0, 0, 0, 0, 0], 3, 0),
        "no-positive": ([3.0, 1.0, 2.0, 5.0], [0, 0, 0, 0], 3, 0),
        "no-positive-minimum": ([3.0, 1.0, 2.0, 5.0], [0, 0, 0, 0], 3, 2),
        "ignored": ([9.0, 8.0, 7.0, 1.0, 2.0], [-1, -1, 1, 0, 0], 1, 0),
        "fewer-than-wanted": ([1.0, 2.0, 3.0], [1, 1, 0], 3, 0),
    }
    for name, (values, state, ratio, minimum) in negatives.items():
        kept = selection.hard_negatives(values, state, ratio, minimum)
        given = {"losses": values, "state": state, "ratio": ratio, "minimum": minimum}
        tests.append({"id": f"hard_negatives/{name}", "kind": "hard_negatives", **given, "kept": kept})
    pictures: dict[str, tuple[list[Box], list[float]]] = {
        "exactly-the-threshold": ([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 6]], [0.9, 0.8, 0.7]),
        "a-chain": ([[0, 0, 10, 10], [3, 0, 13, 10], [6, 0, 16, 10]], [0.5, 0.9, 0.75]),
        "equal-scores": ([[0, 0, 10, 10], [1, 0, 11, 10], [100, 0, 110, 10]], [0.5, 0.5, 0.5]),
        "the-best-is-last": ([[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 9]], [0.25, 0.5, 0.75]),
        "apart": ([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], [0.25, 0.75, 0.5]),
    }
    for name, (corners, scores) in pictures.items():
        test = {"boxes": corners, "scores": scores, "threshold": [1, 2], "kept": selection.greedy_nms(corners, scores)}
        tests.append({"id": f"nms/{name}", "kind": "nms", **test})
    return tests


def _bits(exact: Any, dtype: str) -> str:
    return hex_bits(float(exact_value(round_to_format(exact, FORMATS[dtype]), FORMATS[dtype])), FORMATS[dtype])


def _fraction(exact: Fraction) -> list[int]:
    return [exact.numerator, exact.denominator]


def _decimals(numbers: Sequence[Any]) -> Test:
    bits = {dtype: [_bits(number, dtype) for number in numbers] for dtype in DTYPES}
    return {"exact": [_decimal(number) for number in numbers], **bits}


def _decimal(number: Any) -> str:
    with mp.workdps(numeric.DIGITS):
        text: str = mp.nstr(number, 40, min_fixed=0, max_fixed=0, strip_zeros=True)
        return text


def _numbers(boxes: Sequence[Box]) -> list[list[Any]]:
    """JSON has no NaN."""
    return [["nan" if number != number else number for number in box] for box in boxes]


def manifest(texts: dict[str, str]) -> str:
    """Hashes of all files, and how many tests they have."""
    entries = {
        name: {
            "file": f"{name}.json",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "tests": len(json.loads(text)["tests"]),
        }
        for name, text in texts.items()
    }
    schema = hashlib.sha256((DIRECTORY / SCHEMA).read_bytes()).hexdigest()
    document = {"format_version": FORMAT_VERSION, "sets": entries, "other_files": {SCHEMA: schema}}
    return json.dumps(document, indent=2) + "\n"


def documents() -> dict[str, str]:
    """Everything that is written, by the names of the files."""
    texts = {name: build(name) for name in SUBJECTS}
    return {**{f"{name}.json": text for name, text in texts.items()}, "manifest.json": manifest(texts)}


def check(directory: Path = DIRECTORY) -> list[str]:
    """Names of the files that differ from what is generated."""
    return [
        f"{file}: differs from what is generated"
        for file, text in documents().items()
        if not (directory / file).exists() or (directory / file).read_text(encoding="utf-8") != text
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m focal_ref.conformance.detection.generate")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if parser.parse_args(arguments).check:
        complaints = check()
        print("".join(f"{complaint}\n" for complaint in complaints), end="", file=sys.stderr)
        return 1 if complaints else 0
    for file, text in documents().items():
        (DIRECTORY / file).write_text(text, encoding="utf-8")
        print(f"{file}: {len(text)} bytes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
