"""Write the vector files: ``python -m focal_ref.conformance.family.generate [--check]``.

Every expected number is computed twice, by the oracle (mpmath) and by balls (Arb), and written only if both round to
the same bits. Running the command again gives the same bytes, and ``--check`` says so without writing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from mpmath import mp

from focal_ref.conformance.family import certify, oracle
from focal_ref.conformance.family.functions import FUNCTIONS, quantities_of
from focal_ref.conformance.family.inputs import SUBJECTS, Case, cases
from focal_ref.conformance.family.scales import scales
from focal_ref.conformance.formats import FORMATS, hex_bits

__all__ = [
    "DIRECTORY",
    "FORMAT_VERSION",
    "SCHEMA",
    "build",
    "check",
    "identifier",
    "main",
    "manifest",
    "stored_quantities",
    "test_inputs",
    "test_of",
    "text_of",
]

#: Version of the files' layout. Readers refuse one that they don't know.
FORMAT_VERSION = 1

#: Significant digits of the exact results, and of the scales.
EXACT_DIGITS = 40
SCALE_DIGITS = 6

#: Below this power of ten a result is a zero in every format, and no decimal string is written.
TINY_EXPONENT = -5000

#: Rows with more classes have no matrix of second derivatives in the files.
MATRIX_CLASSES = 4

DIRECTORY = Path(__file__).parent / "vectors"
SCHEMA = "family.schema.json"


def stored_quantities(case: Case) -> tuple[str, ...]:
    """Quantities that the files have of a case: all of its group have the same."""
    defined = quantities_of(case.function, dict(case.parameters), case.inputs)
    large = isinstance(case.first, tuple) and len(case.first) > MATRIX_CLASSES
    return tuple(
        name
        for name in FUNCTIONS[case.function].stored
        if name in defined and not (name == "second_derivative" and large)
    )


def build(function: str, workers: int = 1) -> str:
    """Text of a function's file.

    Parameters
    ----------
    function : str
        One of `focal_ref.conformance.family.functions.FUNCTIONS`.
    workers : int
        Number of processes.

    Returns
    -------
    str
    """
    inputs = cases(function)
    if workers > 1:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            tests = pool.map(test_of, inputs, chunksize=8)
    else:
        tests = [test_of(case) for case in inputs]
    return text_of(function, list(zip(inputs, tests, strict=True)))


def test_of(case: Case) -> dict[str, Any]:
    """Complete test, as it stands in the file, of the inputs of a case.

    Raises
    ------
    ArithmeticError
        If mpmath and Arb do not give the same bits.
    """
    names = stored_quantities(case)
    arguments = (case.inputs, dict(case.parameters))
    yardsticks = scales(case.function, names, *arguments)
    flags, expected = _input_flags(case), {}
    for name in names:
        number = oracle.quantity(case.function, name, *arguments)
        rounded = oracle.round_all(number, case.format)
        certified = certify.certified_bits(case.function, name, *arguments, case.format)
        bits = _agreed(rounded, certified, case, name)
        magnitudes = [number & ~case.format.sign_bit for number in _flat(bits)]
        smallest_normal = 1 << (case.format.precision - 1)
        if any(size == 0 and entry != 0 for size, entry in zip(magnitudes, _flat(number), strict=True)):
            flags.add(f"{name}_underflows")
        if any(0 < size < smallest_normal for size in magnitudes):
            flags.add(f"{name}_subnormal")
        expected[name] = {
            "bits": _nested(lambda entry: f"{entry:0{case.format.bits // 4}x}", bits),
            "exact": _nested(lambda entry: _decimal(entry, EXACT_DIGITS), number),
            "scale": _scale(yardsticks[name], number),
        }
    return {
        "id": identifier(case),
        "inputs": test_inputs(case),
        "expected": expected,
        "flags": sorted(flags),
        "note": case.note,
    }


def manifest(texts: dict[str, str]) -> str:
    """Text of the manifest: hash and counts of every file."""
    functions = {}
    for function, text in texts.items():
        groups = json.loads(text)["groups"]
        per_dtype = {
            dtype: sum(len(group["tests"]) for group in groups if group["dtype"] == dtype) for dtype in FORMATS
        }
        functions[function] = {
            "file": f"{function}.json",
            "sha256": _sha256(text),
            "groups": len(groups),
            "tests": sum(per_dtype.values()),
            "tests_per_dtype": per_dtype,
        }
    hashes = {SCHEMA: _sha256((DIRECTORY / SCHEMA).read_text(encoding="utf-8"))}
    document = {"format_version": FORMAT_VERSION, "functions": functions, "other_files": hashes}
    return json.dumps(document, indent=2) + "\n"


def check(functions: Iterable[str], workers: int = 1, directory: Path = DIRECTORY) -> list[str]:
    """Generate files again and compare with what stands there; a sentence about each that differs."""
    texts = {function: build(function, workers) for function in functions}
    documents = {f"{function}.json": text for function, text in texts.items()}
    if set(texts) == set(FUNCTIONS):
        documents["manifest.json"] = manifest({function: texts[function] for function in FUNCTIONS})
    complaints = []
    for file, text in documents.items():
        path = directory / file
        committed = path.read_text(encoding="utf-8") if path.exists() else ""
        if committed != text:
            complaints.append(f"{file}: {_first_difference(committed, text)}")
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m focal_ref.conformance.family.generate")
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", help="files to generate; default: all")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    options = parser.parse_args(arguments)
    unknown = set(options.functions) - set(FUNCTIONS)
    if unknown:
        parser.error(f"unknown functions {sorted(unknown)}; known are {list(FUNCTIONS)}")
    names = options.functions or list(FUNCTIONS)
    if options.check:
        complaints = check(names, options.workers)
        for complaint in complaints:
            print(complaint, file=sys.stderr)
        return 1 if complaints else 0
    for name in names:
        text = build(name, options.workers)
        (DIRECTORY / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.splitlines())} lines, {len(text)} bytes")
    # The manifest describes all files: those that were not asked for are taken as they stand.
    texts = {name: (DIRECTORY / f"{name}.json").read_text(encoding="utf-8") for name in FUNCTIONS}
    (DIRECTORY / "manifest.json").write_text(manifest(texts), encoding="utf-8")
    return 0


def _agreed(rounded: Any, certified: Any, case: Case, name: str) -> Any:
    """Bits that both ways give; a zero whose sign they don't agree on is positive."""
    if isinstance(rounded, list):
        return [_agreed(one, other, case, name) for one, other in zip(rounded, certified, strict=True)]
    if rounded == certified:
        return rounded
    if {rounded, certified} == {0, case.format.sign_bit}:
        return 0
    raise ArithmeticError(f"{identifier(case)}: {name} is {rounded:x} by mpmath but {certified:x} by Arb")


def _input_flags(case: Case) -> set[str]:
    flags = set()
    first = _flat(case.inputs[0])
    if any(map(math.isnan, first)):
        flags.add("nan")
    if any(map(math.isinf, first)):
        flags.add("infinite_logit")
    if case.function == "loss_from_probabilities" and first[0] in (0, 1):
        flags.add("certain_probability")
    return flags


def test_inputs(case: Case) -> dict[str, Any]:
    """Inputs of a test, as they stand in the file."""
    digits = case.format.bits // 4
    names = FUNCTIONS[case.function].inputs
    stored = {names[0]: _nested(lambda bits: f"{bits:0{digits}x}", case.first)}
    if _has_label(case):
        stored["labels"] = case.target
    else:
        stored[names[1]] = _nested(lambda bits: f"{bits:0{digits}x}", case.target)
    return stored


def _has_label(case: Case) -> bool:
    return isinstance(case.first, tuple) and not isinstance(case.target, tuple)


def _scale(scales_: Any, numbers: Any) -> Any:
    """Scales as decimal numbers, nested as the bits are; None if all of them are None."""
    if scales_ is None:
        return None
    texts = _single_scale(scales_, numbers)
    return None if all(text is None for text in _flat(texts)) else texts


def _single_scale(scale: Any, number: Any) -> Any:
    """None where the scale is the magnitude of the result itself, or where there is none."""
    if isinstance(scale, list):
        return [_single_scale(one, other) for one, other in zip(scale, number, strict=True)]
    if not mp.isfinite(number):
        return None
    mantissa, exponent = (int(part) for part in scale.mid().man_exp())
    with mp.workprec(200):
        magnitude = mp.ldexp(mantissa, exponent)
        if magnitude <= abs(number) * (1 + mp.mpf(10) ** -6):
            return None
        return _decimal(magnitude, SCALE_DIGITS)


def _decimal(number: Any, digits: int) -> str | None:
    """Decimal string; None for a number below 10**TINY_EXPONENT."""
    if mp.isnan(number):
        return "nan"
    if mp.isinf(number):
        return "inf" if number > 0 else "-inf"
    if number == 0:
        return "0"
    if mp.mag(number) < TINY_EXPONENT / math.log10(2):
        return None
    text: str = mp.nstr(number, digits, min_fixed=0, max_fixed=0, strip_zeros=True)
    return text


def identifier(case: Case) -> str:
    """Id of a test, made of its parameters and inputs."""
    parameters = "/".join(f"{name}={_parameter_name(number)}" for name, number in case.parameters)
    inputs = "/".join(f"{name}={_joined(entry)}" for name, entry in test_inputs(case).items())
    return f"{case.function}/{case.dtype}/{parameters}/{inputs}"


def _parameter_name(number: Any) -> str:
    if isinstance(number, tuple):
        return ",".join(map(_parameter_name, number))
    return "none" if number is None else repr(number).removesuffix(".0")


def _joined(entry: Any) -> str:
    return ",".join(entry) if isinstance(entry, list) else str(entry)


def _hyperparameter(number: Any) -> Any:
    if isinstance(number, tuple):
        return [_hyperparameter(entry) for entry in number]
    return None if number is None else {"bits": hex_bits(number, FORMATS["float64"]), "decimal": repr(number)}


def text_of(function: str, tests: Sequence[tuple[Case, dict[str, Any]]]) -> str:
    """JSON of a function's cases and their tests, one a line.

    Grouped by what one call can run, in the order of first appearance.
    """
    groups: dict[tuple[Any, ...], list[str]] = {}
    for case, test in tests:
        classes = len(case.first) if isinstance(case.first, tuple) else None
        key = (case.dtype, case.parameters, classes, tuple(test["inputs"]), tuple(test["expected"]))
        groups.setdefault(key, []).append(f"        {json.dumps(test)}")
    blocks = []
    for (dtype, parameters, classes, names, quantities), rows in groups.items():
        stored = {name: _hyperparameter(number) for name, number in parameters}
        blocks.append(
            "    {\n"
            f'      "dtype": "{dtype}",\n'
            f'      "parameters": {json.dumps(stored)},\n'
            f'      "classes": {json.dumps(classes)},\n'
            f'      "inputs": {json.dumps(names)},\n'
            f'      "quantities": {json.dumps(quantities)},\n'
            '      "tests": [\n' + ",\n".join(rows) + "\n      ]\n    }"
        )
    lines = [
        "{",
        f'  "format_version": {FORMAT_VERSION},',
        f'  "function": {json.dumps(function)},',
        f'  "subject": {json.dumps(SUBJECTS[function])},',
        f'  "source": {json.dumps(FUNCTIONS[function].source)},',
        '  "groups": [',
    ]
    return "\n".join(lines) + "\n" + ",\n".join(blocks) + "\n  ]\n}\n"


def _nested(convert: Callable[[Any], Any], entries: Any) -> Any:
    if isinstance(entries, list | tuple):
        return [_nested(convert, entry) for entry in entries]
    return convert(entries)


def _flat(entries: Any) -> list[Any]:
    if isinstance(entries, list | tuple):
        return [number for entry in entries for number in _flat(entry)]
    return [entries]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _first_difference(committed: str, generated: str) -> str:
    if not committed:
        return "the file is missing"
    old, new = committed.splitlines(), generated.splitlines()
    for number, (before, after) in enumerate(zip(old, new, strict=False), start=1):
        if before != after:
            return f"line {number} is\n  {before.strip()}\ngenerated\n  {after.strip()}"
    return f"{len(old)} lines, generated {len(new)}"


if __name__ == "__main__":
    raise SystemExit(main())
