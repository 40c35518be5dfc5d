"""The vector files: well-formed, unaltered, complete, and what the oracle says today."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import focal_ref.conformance.generate as generator
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.vector_inputs import SETS, cases
from focal_ref.conformance.vectors import (
    QUANTITIES,
    VectorError,
    VectorSet,
    load_all_vectors,
    load_vectors,
    vector_set_names,
)

every_set = pytest.mark.parametrize("name", SETS)


@pytest.fixture(scope="module")
def vector_sets() -> dict[str, VectorSet]:
    return {vectors.name: vectors for vectors in load_all_vectors()}


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(generator.DIRECTORY, tmp_path / "vectors"))


def alter(folder: Path, name: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a set's document and make the manifest agree with the new file."""
    path = folder / f"{name}.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    text = json.dumps(document)
    path.write_text(text, encoding="utf-8")
    manifest_path = folder / "manifest.json"
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    manifest["sets"][name]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    manifest_path.write_text(json.dumps(manifest), encoding="utf-8")


@every_set
def test_the_file_satisfies_the_schema(name: str) -> None:
    schema = json.loads((generator.DIRECTORY / "vectors.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    document = json.loads((generator.DIRECTORY / f"{name}.json").read_text(encoding="utf-8"))
    errors = [error.json_path for error in validator.iter_errors(document)]
    assert errors == []


def test_the_schema_refuses_bits_of_the_wrong_width() -> None:
    schema = json.loads((generator.DIRECTORY / "vectors.schema.json").read_text(encoding="utf-8"))
    document = json.loads((generator.DIRECTORY / "zero.json").read_text(encoding="utf-8"))
    document["groups"][0]["tests"][0]["value"] = "3f80"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, schema)


def test_the_manifest_lists_every_set_and_every_file(vector_sets: dict[str, VectorSet]) -> None:
    assert vector_set_names() == tuple(SETS) == tuple(vector_sets)
    manifest = json.loads((generator.DIRECTORY / "manifest.json").read_text(encoding="utf-8"))
    listed = {entry["file"] for entry in manifest["sets"].values()} | set(manifest["other_files"])
    present = {path.name for path in generator.DIRECTORY.iterdir()} - {"manifest.json"}
    assert listed == present
    for name, digest in manifest["other_files"].items():
        content = (generator.DIRECTORY / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest, name


def test_ids_are_unique_and_begin_with_their_set(vector_sets: dict[str, VectorSet]) -> None:
    seen: set[str] = set()
    for vectors in vector_sets.values():
        for group in vectors.groups:
            for test in group.tests:
                assert test.id not in seen
                assert test.id.startswith(f"{vectors.name}/{group.dtype}/gamma=")
                seen.add(test.id)


@every_set
def test_the_set_holds_exactly_its_inputs(name: str, vector_sets: dict[str, VectorSet]) -> None:
    stored = {
        (group.dtype, group.alpha, group.gamma, test.logit, test.target)
        for group in vector_sets[name].groups
        for test in group.tests
    }
    expected = set()
    for case in cases(name):
        digits = case.format.bits // 4
        bits = f"{case.logit:0{digits}x}", f"{case.target:0{digits}x}"
        expected.add((case.dtype, case.alpha, case.gamma, *bits))
    assert stored == expected


@every_set
def test_expected_bits_lie_within_half_an_ulp_of_the_exact_result(name: str, vector_sets: dict[str, VectorSet]) -> None:
    for group in vector_sets[name].groups:
        for quantity in QUANTITIES:
            expected = group.arrays.expected[quantity]
            numbers = expected.numbers.astype(np.float64)
            finite = np.isfinite(numbers) & np.isfinite(expected.high)
            scaled = np.ldexp(numbers[finite], -expected.ulp_exponent[finite])
            error = np.abs((scaled - expected.high[finite]) - expected.low[finite])
            assert np.all(error <= 0.5)
            same = np.array_equal(numbers[~finite], expected.high[~finite], equal_nan=True)
            assert same
            assert not np.any(expected.scale < 0)


def test_arrays_have_the_dtype_and_the_order_of_the_tests(
    vector_sets: dict[str, VectorSet],
) -> None:
    for group in vector_sets["soft"].groups:
        arrays = group.arrays
        assert arrays.logits.dtype == arrays.targets.dtype == FORMATS[group.dtype].dtype
        assert len(arrays.logits) == len(group.tests)
        expected = arrays.expected["gradient"]
        mixed = [test.scale["gradient"] is not None for test in group.tests]
        assert np.array_equal(np.isfinite(expected.scale), mixed)
        assert np.all(expected.scale_ulp_exponent[mixed] >= expected.ulp_exponent[mixed])


def test_a_nan_logit_gives_nan_everywhere(vector_sets: dict[str, VectorSet]) -> None:
    count = 0
    for group in vector_sets["extremes"].groups:
        for index, test in enumerate(group.tests):
            if "nan" in test.flags:
                count += 1
                for quantity in QUANTITIES:
                    assert math.isnan(float(group.arrays.expected[quantity].numbers[index]))
    assert count > 0


def test_a_file_that_the_manifest_does_not_describe_is_an_error(copied: Path) -> None:
    path = copied / "zero.json"
    path.write_text(path.read_text(encoding="utf-8").replace("3f", "3e", 1), encoding="utf-8")
    with pytest.raises(VectorError, match=r"zero\.json: sha256 is .*manifest.*sets\.zero\.sha256"):
        load_vectors("zero", copied)


def test_a_missing_file_and_an_unknown_set_are_errors(copied: Path) -> None:
    (copied / "zero.json").unlink()
    with pytest.raises(VectorError, match=r"zero\.json: can't be read"):
        load_vectors("zero", copied)
    with pytest.raises(VectorError, match=r"no set 'zeros'; known are grid, "):
        load_vectors("zeros", copied)


def test_malformed_bits_are_named_by_file_and_key(copied: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        document["groups"][1]["tests"][2]["gradient"] = "xyz"

    alter(copied, "zero", change)
    with pytest.raises(VectorError, match=r"zero\.json: groups\[1\]\.tests\[2\]\.gradient: 'xyz'"):
        load_vectors("zero", copied)


def test_a_missing_key_is_named(copied: Path) -> None:
    def change(document: dict[str, Any]) -> None:
        del document["groups"][0]["tests"][0]["exact_value"]

    alter(copied, "zero", change)
    with pytest.raises(VectorError, match=r"tests\[0\]: key 'exact_value' is missing"):
        load_vectors("zero", copied)


def test_generating_a_set_again_gives_the_committed_bytes() -> None:
    assert generator.check(["hard"]) == []


def test_a_tampered_bit_is_found_by_generating_again(copied: Path) -> None:
    path = copied / "hard.json"
    text = path.read_text(encoding="utf-8")
    start = text.index('"value": "') + len('"value": "')
    digit = "0" if text[start + 15] != "0" else "1"
    path.write_text(text[: start + 15] + digit + text[start + 16 :], encoding="utf-8")
    (complaint,) = generator.check(["hard"], directory=copied)
    assert complaint.startswith("hard.json: line ")
    assert "hard/float64/gamma=" in complaint


def test_generation_stops_where_mpmath_and_arb_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator.certify, "certified_bits", lambda *arguments: 1)
    with pytest.raises(ArithmeticError, match=r"hard/float64/.*by mpmath but 1 by Arb"):
        generator.test_of("hard", cases("hard")[0])


def test_the_command_refuses_an_unknown_set(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generator.main(["nonsense"])
    assert "unknown sets ['nonsense']" in capsys.readouterr().err
