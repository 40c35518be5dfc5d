"""The bundle: its files, its bytes, and what `verify` finds in one that is not whole."""

import csv
import hashlib
import io
import json
import re
import shutil
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from focal_ref.conformance.accuracy import budget
from focal_ref.conformance.bundle import archive, contents
from focal_ref.conformance.bundle.exhaustive import RECIPE
from focal_ref.conformance.cli.vectors import command
from focal_ref.conformance.formats import FORMATS, from_hex
from focal_ref.conformance.vector_searches import worst_inputs
from focal_ref.conformance.vectors import VectorError, load_vectors

SMALL = ("focal/hard", "family/star_loss", "detection/boxes", "exhaustive")
"""Sets that are read quickly, one of each kind."""


@pytest.fixture(scope="module")
def made():
    """The files of a small bundle."""
    return contents.contents(SMALL)


@pytest.fixture
def folder(made, tmp_path):
    """A small bundle as a folder."""
    archive.write(made, tmp_path / "bundle")
    return tmp_path / "bundle"


def run(*arguments):
    """The command in this process: the click command, its exit code and its output."""
    done = CliRunner().invoke(command, list(map(str, arguments)), standalone_mode=False)
    if done.exception is not None and not hasattr(done.exception, "format_message"):
        raise done.exception
    return done.return_value or 0, done.output, getattr(done.exception, "message", "")


def test_the_whole_bundle_has_every_test_of_every_manifest():
    everything = contents.contents()
    manifest = json.loads(everything["manifest.json"])
    stored = 0
    for kind, key in (("", "sets"), ("family/", "functions"), ("detection/", "sets")):
        installed = json.loads((contents.files("focal_ref.conformance") / f"{kind}vectors/manifest.json").read_bytes())
        stored += sum(entry["tests"] for entry in installed[key].values())
    recipes = len(json.loads(everything["exhaustive.json"])["tests"])
    assert manifest["tests"] == stored + recipes
    assert set(manifest["files"]) == set(everything) - {"manifest.json"}
    for name, entry in manifest["files"].items():
        assert entry == {"sha256": hashlib.sha256(everything[name]).hexdigest(), "bytes": len(everything[name])}
    # A row a test; a row a quantity; ids are the last field.
    rows = list(csv.DictReader(io.StringIO(everything["csv/focal.csv"].decode())))
    assert [row["id"] for row in rows] == [
        test["id"]
        for name in manifest["sets"]
        if name.startswith("focal/")
        for group in json.loads(everything[f"{name}.json"])["groups"]
        for test in group["tests"]
    ]


def test_vectors_in_the_bundle_are_the_installed_bytes(made):
    for path, name in (
        ("focal/hard.json", "vectors/hard.json"),
        ("family/star_loss.json", "family/vectors/star_loss.json"),
    ):
        assert made[path] == (contents.files("focal_ref.conformance") / name).read_bytes()


def test_the_licence_is_that_of_the_project(made):
    licence = made["LICENSE"].decode()
    assert licence.startswith("BSD 3-Clause License")
    project = contents.files("focal_ref").joinpath("../LICENSE")
    if project.is_file():
        assert licence == project.read_text()


def test_the_same_contents_are_the_same_bytes_whenever_they_are_written(made, tmp_path):
    for name in ("one.zip", "two.zip"):
        archive.write(contents.contents(SMALL), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as opened:
        assert {entry.date_time for entry in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in opened.infolist()} == {zipfile.ZIP_STORED}
        assert {entry.filename.partition("/")[2] for entry in opened.infolist()} == set(made)


def test_units_in_the_table_are_powers_of_two_of_the_exact_result(made):
    rows = list(csv.DictReader(io.StringIO(made["csv/focal.csv"].decode())))
    exact = {test.id: test.exact for group in load_vectors("hard").groups for test in group.tests}
    scale = {test.id: test.scale for group in load_vectors("hard").groups for test in group.tests}
    checked = 0
    for row in rows:
        format = FORMATS[row["dtype"]]
        for quantity in ("value", "gradient", "second_derivative"):
            text = scale[row["id"]][quantity] or exact[row["id"]][quantity] or "0"
            if text in ("inf", "-inf", "nan"):
                assert row[f"{quantity}_unit"] == ""
                continue
            size, exponent = abs(Fraction(text)), -1100
            while size >= Fraction(2) ** (exponent + 1):
                exponent += 1
            expected = max(exponent, format.minimum_exponent) - format.precision + 1
            assert int(row[f"{quantity}_unit"]) == expected, (row["id"], quantity)
            checked += 1
    assert checked > 200


def test_rows_of_a_softmax_stand_in_the_table_with_spaces_between_them():
    rows = list(csv.DictReader(io.StringIO(contents.contents(["family/softmax_loss"])["csv/family.csv"].decode())))
    gradient = next(row for row in rows if row["quantity"] == "gradient" and row["first"].count(" ") == 2)
    assert gradient["id"].startswith("softmax_loss/")
    assert gradient["expected"].count(" ") == gradient["unit"].count(" ") == 2
    assert len(gradient["expected"].split()[0]) == 16


def test_overlaps_stand_in_the_table_as_bits(made):
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(made["csv/overlaps.csv"].decode()))}
    assert float(from_hex(rows["iou/half"]["float32"], FORMATS["float32"])) == 0.5
    corner = from_hex(rows["iou/same"]["x2_a"], FORMATS["float64"])
    assert float(corner) == 13.0


def test_a_bundle_that_is_whole_has_nothing_to_complain_about(folder, made, tmp_path):
    assert list(archive.complaints(folder)) == []
    archive.write(made, tmp_path / "bundle.zip")
    assert run("verify", tmp_path / "bundle.zip") == (0, f"{tmp_path / 'bundle.zip'}: whole\n", "")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda path: (path / "focal/hard.json").unlink(), "focal/hard.json: is missing"),
        (lambda path: (path / "new.json").write_text("{}"), "new.json: is not in manifest.json"),
        (
            lambda path: (path / "README.md").write_text("other"),
            "README.md: sha256 is d9298a10d1b07358",
        ),
        (
            lambda path: (path / "focal/hard.json").write_text("{"),
            "focal/hard.json: is no JSON: Expecting property name",
        ),
    ],
)
def test_what_is_not_whole_is_named(folder, spoil, complaint):
    spoil(folder)
    code, output, _ = run("verify", folder)
    assert code == 1
    assert complaint in output


def test_a_bundle_with_a_false_manifest_is_found_by_schema_and_count(folder):
    file, manifest = folder / "focal/hard.json", json.loads((folder / "manifest.json").read_text())
    document = json.loads(file.read_text())
    del document["groups"][0]["tests"][0]

    def save():
        file.write_text(json.dumps(document))
        manifest["files"]["focal/hard.json"]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
        manifest["sha256"] = contents.digest_of_all(manifest["files"])
        (folder / "manifest.json").write_text(json.dumps(manifest))

    save()
    assert list(archive.complaints(folder)) == ["focal/hard.json: 79 tests, but manifest.json says 80"]
    document["groups"][0]["tests"][0]["value"] = "0x12"
    save()
    assert next(archive.complaints(folder)).startswith("focal/hard.json: $.groups[0].tests[0].value: '0x12' does")


def test_a_manifest_that_was_changed_is_found_by_its_own_hash(folder):
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    (folder / "README.md").write_text("other")
    manifest["files"]["README.md"]["sha256"] = hashlib.sha256(b"other").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert [line.partition(", but")[0] for line in archive.complaints(folder)] == [
        f"manifest.json: sha256 is {manifest['sha256']}"
    ]


@pytest.mark.parametrize("name", ["focal/hard", "family/star_loss", "detection/boxes", "exhaustive"])
def test_sets_without_their_form_are_found_by_the_schema(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text())
    file = manifest["sets"][name]["file"]
    (folder / file).write_text("[]")
    manifest["files"][file]["sha256"] = hashlib.sha256(b"[]").hexdigest()
    manifest["sha256"] = contents.digest_of_all(manifest["files"])
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert list(archive.complaints(folder)) == [f"{file}: $: [] is not of type 'object'"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "manifest.json: is no JSON: Expecting property name"),
        ("[]", "manifest.json: bundle_version is None, expected 1"),
        ('{"bundle_version": 2}', "manifest.json: bundle_version is 2, expected 1"),
        ('{"bundle_version": 1}', "manifest.json: $: 'suite_version' is a required property"),
    ],
)
def test_what_is_no_bundle_is_a_usage_error(folder, text, reason):
    (folder / "manifest.json").write_text(text)
    _, _, message = run("verify", folder)
    assert message.startswith(f"vectors verify: {reason}")


def test_a_file_that_is_no_archive_and_a_missing_one_are_usage_errors(tmp_path):
    (tmp_path / "bundle.zip").write_text("no archive")
    for name in ("bundle.zip", "nothing"):
        assert "is neither a folder nor a ZIP file that can be read" in run("verify", tmp_path / name)[2]


def test_export_writes_what_verify_takes(tmp_path):
    code, output, _ = run("export", "-o", tmp_path / "out", "--sets", "detection", "--sets", "focal/hard")
    assert code == 0
    assert re.fullmatch(rf"{tmp_path / 'out'}: \d+ files, \d+ bytes\n", output)
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json")}
    assert "detection/matching.json" in written
    assert {name for name in written if name.startswith("focal/")} == {"focal/hard.json", "focal/vectors.schema.json"}
    assert not any(name.startswith("family/") for name in written)
    assert run("verify", tmp_path / "out")[0] == 0


def test_an_unknown_set_is_a_usage_error_and_writes_nothing(tmp_path):
    _, _, message = run("export", "-o", tmp_path / "out", "--sets", "focal/nothing")
    assert message.startswith("vectors export: no set 'focal/nothing'; known are focal, family, detection, focal/grid")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(folder):
    before = sorted(path.name for path in folder.parent.iterdir())
    _, _, message = run("export", "-o", folder, "--sets", "focal/hard")
    assert message == f"vectors export: {folder}: exists and is not an empty folder; name a new one"
    assert sorted(path.name for path in folder.parent.iterdir()) == before


def test_an_export_that_breaks_off_leaves_nothing_behind(made, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    (tmp_path / "old.zip").write_bytes(b"old")
    monkeypatch.setattr(archive.Path, "write_bytes", full)
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: full(None, None))
    for name in ("new", "old.zip"):
        with pytest.raises(VectorError, match=rf"{name}: cannot be written: No space left on device"):
            archive.write(made, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.zip"]
    assert (tmp_path / "old.zip").read_bytes() == b"old"


def test_a_corrupted_installed_file_is_not_exported(tmp_path, monkeypatch):
    copy = tmp_path / "vectors"
    shutil.copytree(contents.files("focal_ref.conformance") / "vectors", copy)
    text = (copy / "hard.json").read_text()
    (copy / "hard.json").write_text(text.replace("hard/float64", "hard/float65", 1))
    monkeypatch.setattr("focal_ref.conformance.vectors._directory", lambda directory: copy)
    with pytest.raises(VectorError, match=r"^hard.json: sha256 is "):
        contents.read("focal/hard")
    _, _, message = run("export", "-o", tmp_path / "out", "--sets", "focal/hard")
    assert message.startswith("vectors export: hard.json: sha256 is ")
    assert not (tmp_path / "out").exists()


def test_list_names_every_set(made):
    code, output, _ = run("list")
    assert code == 0
    assert [line.split()[0] for line in output.splitlines()] == list(contents.set_names())
    assert "focal/hard                          80  Inputs on which" in output


def test_the_readme_says_what_the_code_allows(made):
    text = made["README.md"].decode()
    assert RECIPE in text
    assert '{"bits": ..., "decimal": ...}' in text
    table = re.findall(r"^\| (exact|tight|standard) \| ([a-z0-9, ]+) \| ([^|]+) \|$", text, re.MULTILINE)
    assert [row[0] for row in table] == ["exact", "exact", "tight", "tight", "standard"]
    for tier, dtypes, formula in table:
        for dtype in FORMATS if dtypes == "any" else dtypes.split(", "):
            for gamma, m in ((0.0, 0.0), (2.0, 10.0), (2.5, 100.0)):
                # "16 + 4 gamma + 2 m": a sum of numbers and products.
                terms = [part.split() for part in formula.split(" + ")]
                value = {"gamma": gamma, "m": m}
                written = sum(float(term[0]) * (value[term[1]] if len(term) > 1 else 1.0) for term in terms)
                allowed = budget(tier, FORMATS[dtype], gamma, weighted=False, modulation=m)
                assert np.isclose(allowed, written), (tier, dtype, gamma)


def test_formats_in_the_readme_are_those_of_the_code(made):
    rows = re.findall(r"^\| (\w+) \| (\d+) \| (-\d+) \|$", made["README.md"].decode(), re.MULTILINE)
    assert rows == [(f.name, str(f.precision), str(f.minimum_exponent)) for f in FORMATS.values()]


def test_the_documentation_counts_what_is_there():
    text = (Path(__file__).parents[2] / "docs" / "vectors.md").read_text()
    counts = dict(re.findall(r"^\| `(conformance/[a-z/]+)` \| ([\d,]+)", text, re.MULTILINE))
    for kind, (path, key) in {
        "focal": ("conformance/vectors", "sets"),
        "family": ("conformance/family/vectors", "functions"),
        "detection": ("conformance/detection/vectors", "sets"),
    }.items():
        manifest = json.loads((contents._folder(kind) / "manifest.json").read_bytes())
        assert int(counts[path].replace(",", "")) == sum(entry["tests"] for entry in manifest[key].values())


def test_the_search_for_worst_cases_finds_what_is_stored_again():
    assert worst_inputs().encode() == (contents._folder("focal") / "worst_inputs.json").read_bytes()


@pytest.mark.parametrize("name", ["export", "verify", "lint", "list"])
def test_help_shows_examples_a_line_each(name):
    output = CliRunner().invoke(command, [name, "--help"]).output
    assert re.search(rf"^  Examples?:\n    focal-ref vectors {name}", output, re.MULTILINE), output
    assert "\\b" not in output
