"""The vector files of the other losses: well-formed, unaltered, complete, and what the oracle says today."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import focal_ref.conformance.family.generate as generator
from focal_ref.conformance.accuracy import error_in_ulps
from focal_ref.conformance.family.functions import FUNCTIONS
from focal_ref.conformance.family.inputs import cases
from focal_ref.conformance.family.vectors import FunctionVectors, VectorError, function_names, load_vectors

every_function = pytest.mark.parametrize("function", FUNCTIONS)


@pytest.fixture(scope="module")
def vectors() -> dict[str, FunctionVectors]:
    return {function: load_vectors(function) for function in FUNCTIONS}


@pytest.fixture(scope="module")
def schema() -> Any:
    return json.loads((generator.DIRECTORY / generator.SCHEMA).read_text(encoding="utf-8"))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(generator.DIRECTORY, tmp_path / "vectors"))


def document_of(function: str, folder: Path = generator.DIRECTORY) -> Any:
    return json.loads((folder / f"{function}.json").read_text(encoding="utf-8"))


def alter(folder: Path, function: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a document and make the manifest agree with the new file."""
    document = document_of(function, folder)
    change(document)
    text = json.dumps(document)
    (folder / f"{function}.json").write_text(text, encoding="utf-8")
    manifest = document_of("manifest", folder)
    manifest["functions"][function]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@every_function
def test_the_file_satisfies_the_schema(function: str, schema: Any) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    document = document_of(function)
    # A few tests of every group: all of them would take a minute.
    for group in document["groups"]:
        group["tests"] = group["tests"][::7]
    assert [error.json_path for error in validator.iter_errors(document)] == []


def test_the_schema_refuses_bits_of_the_wrong_width(schema: Any) -> None:
    for function, place in (("star_loss", "bits"), ("softmax_loss", "exact")):
        document = document_of(function)
        document["groups"] = document["groups"][:1]
        document["groups"][0]["tests"][0]["expected"]["value"][place] = "3f80x"
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(document, schema)


def test_the_manifest_lists_every_function_and_every_file() -> None:
    manifest = document_of("manifest")
    assert function_names() == tuple(FUNCTIONS)
    listed = {entry["file"] for entry in manifest["functions"].values()} | set(manifest["other_files"])
    assert listed == {path.name for path in generator.DIRECTORY.iterdir()} - {"manifest.json"}
    for name, digest in manifest["other_files"].items():
        assert hashlib.sha256((generator.DIRECTORY / name).read_bytes()).hexdigest() == digest


@every_function
def test_the_file_holds_exactly_its_inputs_in_groups_of_their_own(
    function: str, vectors: dict[str, FunctionVectors]
) -> None:
    groups = vectors[function].groups
    stored = [
        (group.dtype, tuple(group.parameters.items()), json.dumps(dict(test.inputs)))
        for group in groups
        for test in group.tests
    ]
    expected = [(case.dtype, case.parameters, json.dumps(generator.test_inputs(case))) for case in cases(function)]
    assert sorted(stored, key=repr) == sorted(expected, key=repr)
    identifiers = [test.id for group in groups for test in group.tests]
    assert len(set(identifiers)) == len(identifiers)
    assert all(identifier.startswith(f"{function}/") for identifier in identifiers)
    keys = {(group.dtype, tuple(group.parameters.items()), group.classes, group.input_names) for group in groups}
    assert len(keys) == len(groups)


@every_function
def test_expected_numbers_lie_within_half_an_ulp_of_the_exact_results(
    function: str, vectors: dict[str, FunctionVectors]
) -> None:
    count = 0
    for group in vectors[function].groups:
        for name, expected in group.expected.items():
            error = error_in_ulps(expected.numbers, expected, flushed=0.0, format=group.format)
            assert np.all(error <= 0.5), (group.dtype, dict(group.parameters), name)
            assert np.all(expected.scale_ulp_exponent >= expected.ulp_exponent)
            count += error.size
    assert count > 500


@every_function
def test_arrays_have_the_shapes_of_their_quantities(function: str, vectors: dict[str, FunctionVectors]) -> None:
    for group in vectors[function].groups:
        row = () if group.classes is None else (group.classes,)
        for name, array in group.inputs.items():
            assert array.dtype == (np.int64 if name == "labels" else group.format.dtype)
            assert array.shape == (len(group.tests), *(() if name == "labels" else row))
        for name, expected in group.expected.items():
            entries = {"value": (), "gamma": (), "beta": (), "second_derivative": row * 2}.get(name, row)
            assert expected.numbers.shape == expected.high.shape == (len(group.tests), *entries)
            assert expected.numbers.dtype == group.format.dtype


def test_a_nan_input_gives_nan_everywhere_but_in_rows_to_ignore(vectors: dict[str, FunctionVectors]) -> None:
    seen = set()
    for function, loaded in vectors.items():
        for group in loaded.groups:
            for index, test in enumerate(group.tests):
                if "nan" in test.flags:
                    ignored = test.inputs.get("labels") == -2
                    seen.add((function, ignored))
                    for expected in group.expected.values():
                        numbers = np.asarray(expected.numbers[index]).astype(np.float64)
                        assert np.all(numbers == 0) if ignored else np.all(np.isnan(numbers))
    assert seen == {(function, False) for function in FUNCTIONS} | {("softmax_loss", True)}


def test_no_finite_input_gives_nan(vectors: dict[str, FunctionVectors]) -> None:
    for loaded in vectors.values():
        for group in loaded.groups:
            for index, test in enumerate(group.tests):
                if "nan" not in test.flags:
                    for expected in group.expected.values():
                        assert not np.any(np.isnan(expected.high[index])), test.id


@every_function
def test_generating_a_sample_again_gives_the_stored_tests(function: str) -> None:
    stored = {test["id"]: test for group in document_of(function)["groups"] for test in group["tests"]}
    sample = cases(function)[5::67]
    assert len(sample) >= 3
    for case in sample:
        test = generator.test_of(case)
        assert test == stored[test["id"]]


def test_the_text_of_a_file_is_a_function_of_its_tests() -> None:
    for function in ("star_loss", "softmax_loss"):
        document = document_of(function)
        tests = {test["id"]: test for group in document["groups"] for test in group["tests"]}
        text = generator.text_of(function, [(case, tests[generator.identifier(case)]) for case in cases(function)])
        assert text == (generator.DIRECTORY / f"{function}.json").read_text(encoding="utf-8")


def test_generation_stops_where_mpmath_and_arb_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator.certify, "certified_bits", lambda *arguments: 1)
    with pytest.raises(ArithmeticError, match=r"star_loss/float64/.*by mpmath but 1 by Arb"):
        generator.test_of(cases("star_loss")[0])


def test_a_file_that_the_manifest_does_not_describe_is_an_error(copied: Path) -> None:
    path = copied / "star_loss.json"
    path.write_text(path.read_text(encoding="utf-8").replace("3f", "3e", 1), encoding="utf-8")
    with pytest.raises(VectorError, match=r"star_loss\.json: sha256 is .*functions\.star_loss\.sha256"):
        load_vectors("star_loss", copied)
    load_vectors("loss", copied)


def test_a_missing_file_and_an_unknown_function_are_errors(copied: Path) -> None:
    (copied / "star_loss.json").unlink()
    with pytest.raises(VectorError, match=r"star_loss\.json: can't be read"):
        load_vectors("star_loss", copied)
    with pytest.raises(VectorError, match=r"no function 'star'; known are loss, "):
        load_vectors("star", copied)


def test_malformed_bits_and_missing_keys_are_named_by_file_and_place(copied: Path) -> None:
    def spoil(document: dict[str, Any]) -> None:
        document["groups"][1]["tests"][0]["expected"]["gradient"]["bits"] = "xyz"

    def remove(document: dict[str, Any]) -> None:
        del document["groups"][0]["tests"][0]["inputs"]["targets"]

    alter(copied, "star_loss", spoil)
    with pytest.raises(VectorError, match=r"star_loss\.json: groups\[1\]\.tests\[0\]\.expected\.gradient\.bits: 'xyz'"):
        load_vectors("star_loss", copied)
    alter(copied, "loss", remove)
    with pytest.raises(VectorError, match=r"loss\.json: groups\[0\]\.tests\[0\]\.inputs: key 'targets' is missing"):
        load_vectors("loss", copied)


def test_the_command_refuses_an_unknown_function(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        generator.main(["nonsense"])
    assert "unknown functions ['nonsense']" in capsys.readouterr().err
