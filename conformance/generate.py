"""Write the vector files: ``python -m focal_ref.conformance.generate [--check]``.

Every expected number is computed twice, by the oracle (mpmath) and by balls (Arb), and written only
if both round to the same bits. The files depend on nothing but the inputs: running the command
again gives the same bytes, and ``--check`` says so without writing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import sys
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from mpmath import mp

from focal_ref.conformance import certify, oracle, scales
from focal_ref.conformance.formats import FORMATS, Format, exact_value, hex_bits
from focal_ref.conformance.vector_inputs import SETS, Case, cases
from focal_ref.conformance.vector_searches import worst_inputs

__all__ = ["FORMAT_VERSION", "build", "check", "main", "manifest", "test_of"]

#: Version of the files' layout. Readers refuse one that they don't know.
FORMAT_VERSION = 1

#: Significant digits of the exact results, and of the scales.
EXACT_DIGITS = 45
SCALE_DIGITS = 17

#: Below this power of ten a result is a zero in every format, and no decimal string is written:
#: its exponent may have hundreds of digits.
TINY_EXPONENT = -5000

DIRECTORY = Path(__file__).parent / "vectors"

_FUNCTIONS = (oracle.loss, oracle.gradient, oracle.second_derivative)


def build(name: str, workers: int = 1) -> str:
    """Text of a set's file.

    Parameters
    ----------
    name : str
        One of `focal_ref.conformance.vector_inputs.SETS`.
    workers : int
        Number of processes.

    Returns
    -------
    str
    """
    inputs = cases(name)
    if workers > 1:
        with multiprocessing.get_context("spawn").Pool(workers) as pool:
            tests = pool.map(_test_of_set, [(name, case) for case in inputs], chunksize=8)
    else:
        tests = [test_of(name, case) for case in inputs]
    return _text(name, inputs, tests)


def test_of(name: str, case: Case) -> dict[str, Any]:
    """Complete test, as it stands in the file, of the inputs of a case.

    Raises
    ------
    ArithmeticError
        If mpmath and Arb do not give the same bits.
    """
    format = case.format
    x, target = _number(case.logit, format), _number(case.target, format)
    arguments = (x, target, case.alpha, case.gamma)
    identifier = _identifier(name, case)
    flags = set(case.flags)
    bits: dict[str, str] = {}
    exact: dict[str, str | None] = {}
    for quantity, function in zip(oracle.QUANTITIES, _FUNCTIONS, strict=True):
        rounded = oracle.rounded(quantity, *arguments, format)
        certified = certify.certified_bits(quantity, *arguments, format)
        if rounded != certified:
            raise ArithmeticError(f"{identifier}: {quantity} is {rounded:x} by mpmath but {certified:x} by Arb")
        number = function(*arguments)
        bits[quantity] = f"{rounded:0{format.bits // 4}x}"
        exact[f"exact_{quantity}"] = _decimal(number, EXACT_DIGITS)
        magnitude = rounded & ~format.sign_bit
        if magnitude == 0 and number != 0:
            flags.add(f"{quantity}_underflows")
        elif 0 < magnitude < 1 << (format.precision - 1):
            flags.add(f"{quantity}_subnormal")
    flags |= _input_flags(x, target, case.alpha)
    return {
        "id": identifier,
        "logit": f"{case.logit:0{format.bits // 4}x}",
        "target": f"{case.target:0{format.bits // 4}x}",
        **bits,
        **exact,
        "gradient_scale": _decimal(scales.gradient_scale(*arguments), SCALE_DIGITS),
        "second_derivative_scale": _decimal(scales.second_derivative_scale(*arguments), SCALE_DIGITS),
        "flags": sorted(flags),
        "note": case.note,
    }


def manifest(texts: dict[str, str]) -> str:
    """Text of the manifest: hash and counts of every set, and hashes of the other data files."""
    sets = {}
    for name, text in texts.items():
        groups = json.loads(text)["groups"]
        per_dtype = {
            dtype: sum(len(group["tests"]) for group in groups if group["dtype"] == dtype) for dtype in FORMATS
        }
        sets[name] = {
            "file": f"{name}.json",
            "sha256": _sha256(text),
            "groups": len(groups),
            "tests": sum(per_dtype.values()),
            "tests_per_dtype": per_dtype,
        }
    others = ("documented.toml", "hard_inputs.json", "worst_inputs.json", "vectors.schema.json")
    hashes = {name: _sha256((DIRECTORY / name).read_text(encoding="utf-8")) for name in others}
    document = {"format_version": FORMAT_VERSION, "sets": sets, "other_files": hashes}
    return json.dumps(document, indent=2) + "\n"


def check(names: Iterable[str], workers: int = 1, directory: Path = DIRECTORY) -> list[str]:
    """Generate sets again and compare with the files; a sentence about each that differs."""
    complaints = []
    texts = {name: build(name, workers) for name in names}
    documents = {f"{name}.json": text for name, text in texts.items()}
    if set(texts) == set(SETS):
        documents["manifest.json"] = manifest({name: texts[name] for name in SETS})
    for file, text in documents.items():
        path = directory / file
        committed = path.read_text(encoding="utf-8") if path.exists() else ""
        if committed != text:
            complaints.append(f"{file}: {_first_difference(committed, text)}")
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m focal_ref.conformance.generate")
    parser.add_argument("sets", nargs="*", metavar="SET", help="sets to generate; default: all")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--search-worst", action="store_true", help="search worst_inputs.json anew")
    parser.add_argument("--workers", type=int, default=2, help="number of processes")
    options = parser.parse_args(arguments)
    unknown = set(options.sets) - set(SETS)
    if unknown:
        parser.error(f"unknown sets {sorted(unknown)}; known are {list(SETS)}")
    if options.search_worst:
        (DIRECTORY / "worst_inputs.json").write_text(worst_inputs(), encoding="utf-8")
        return 0
    names = options.sets or list(SETS)
    if options.check:
        complaints = check(names, options.workers)
        for complaint in complaints:
            print(complaint, file=sys.stderr)
        return 1 if complaints else 0
    for name in names:
        text = build(name, options.workers)
        (DIRECTORY / f"{name}.json").write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.splitlines())} lines, {len(text)} bytes")
    # The manifest describes all sets: those that were not asked for are taken as they stand.
    texts = {name: (DIRECTORY / f"{name}.json").read_text(encoding="utf-8") for name in SETS}
    (DIRECTORY / "manifest.json").write_text(manifest(texts), encoding="utf-8")
    return 0


def _test_of_set(job: tuple[str, Case]) -> dict[str, Any]:
    return test_of(*job)


def _number(bits: int, format: Format) -> float | Fraction:
    magnitude = bits & ~format.sign_bit
    if magnitude > format.infinity_bits:
        return math.nan
    if magnitude == format.infinity_bits:
        return -math.inf if bits & format.sign_bit else math.inf
    return exact_value(bits, format)


def _input_flags(x: float | Fraction, target: float | Fraction, alpha: float | None) -> set[str]:
    flags = set()
    if math.isnan(x):
        flags.add("nan")
    if math.isinf(x):
        flags.add("infinite_logit")
    if oracle.weight(target, alpha) == 0:
        flags.add("zero_weight")
    return flags


def _decimal(number: Any, digits: int) -> str | None:
    """Decimal string; None for no number, and for one below 10**TINY_EXPONENT."""
    if number is None:
        return None
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


def _identifier(name: str, case: Case) -> str:
    digits = case.format.bits // 4
    target = _short(_number(case.target, case.format), case.format)
    return (
        f"{name}/{case.dtype}/gamma={_parameter(case.gamma)}/alpha={_parameter(case.alpha)}"
        f"/target={target}/logit={case.logit:0{digits}x}"
    )


def _short(number: float | Fraction, format: Format) -> str:
    """Shortest decimal number that rounds to the given one in the format."""
    for digits in range(1, 18):
        text = f"{float(number):.{digits}g}"
        if hex_bits(Fraction(text), format) == hex_bits(number, format):
            return text
    raise ValueError(f"{number} is no number of {format.name}")


def _parameter(number: float | None) -> str:
    return "none" if number is None else repr(number).removesuffix(".0")


def _text(name: str, inputs: list[Case], tests: list[dict[str, Any]]) -> str:
    """JSON with one test a line, grouped by dtype and parameters in order of first appearance."""
    groups: dict[tuple[str, float | None, float, str], list[str]] = {}
    for case, test in zip(inputs, tests, strict=True):
        key = (case.dtype, case.alpha, case.gamma, case.encoding)
        groups.setdefault(key, []).append(f"        {json.dumps(test)}")
    lines = [
        "{",
        f'  "format_version": {FORMAT_VERSION},',
        f'  "name": {json.dumps(name)},',
        f'  "subject": {json.dumps(SETS[name].subject)},',
        '  "groups": [',
    ]
    blocks = []
    for (dtype, alpha, gamma, encoding), rows in groups.items():
        blocks.append(
            "    {\n"
            f'      "dtype": "{dtype}",\n'
            f'      "alpha": {_hyperparameter(alpha)},\n'
            f'      "gamma": {_hyperparameter(gamma)},\n'
            f'      "encoding": "{encoding}",\n'
            '      "tests": [\n' + ",\n".join(rows) + "\n      ]\n    }"
        )
    return "\n".join(lines) + "\n" + ",\n".join(blocks) + "\n  ]\n}\n"


def _hyperparameter(number: float | None) -> str:
    if number is None:
        return "null"
    bits = hex_bits(number, FORMATS["float64"])
    return json.dumps({"bits": bits, "decimal": repr(number)})


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
