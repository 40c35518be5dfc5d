"""The lint of stored vectors finds what it is for, and nothing in those that are stored."""

import copy
import json
import shutil

import pytest
from click.testing import CliRunner

from focal_ref.conformance import vectors as focal_vectors
from focal_ref.conformance.bundle import contents, lint
from focal_ref.conformance.bundle.contents import read
from focal_ref.conformance.cli import vectors
from focal_ref.conformance.cli.vectors import command
from focal_ref.conformance.detection import vectors as detection_vectors
from focal_ref.conformance.family import vectors as family_vectors
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.vectors import VectorError


@pytest.fixture(scope="module")
def stored():
    """Two small sets, as data."""
    return {name: json.loads(read(name)) for name in ("focal/hard", "family/star_loss")}


def found(name, document, seen=None):
    return list(lint.set_complaints(name, document, {} if seen is None else seen))


def test_nothing_is_found_in_what_is_stored(monkeypatch):
    # `make vectors` does it for all sets; half of the time goes into the schema.
    some = ("focal/hard", "focal/zero", "family/star_loss", "detection/boxes", "detection/coding", "exhaustive")
    for module in (lint, vectors):
        monkeypatch.setattr(module, "set_names", lambda: some)
    done = CliRunner().invoke(command, ["lint"], standalone_mode=False)
    assert done.output == "6 sets: nothing found\n"
    assert done.return_value == 0


def test_an_id_that_stands_twice_is_found(stored):
    seen = {}
    assert found("focal/hard", stored["focal/hard"], seen) == []
    again = found("focal/hard", stored["focal/hard"], seen)
    assert len(again) == 80
    assert again[0].endswith("stands in focal/hard as well")


@pytest.mark.parametrize(
    ("name", "change", "complaint"),
    [
        (
            "focal/hard",
            lambda test: test.update(value="4086466666666667"),
            "value: 4086466666666667 is not",
        ),
        (
            "focal/hard",
            lambda test: test.update(gradient="3ff0000000000000"),
            "gradient: 3ff0000000000000 is not",
        ),
        ("focal/hard", lambda test: test.update(logit="c086466666666667"), "is not the id of its contents"),
        ("focal/hard", lambda test: test.update(value="12"), "'12' does not match"),
        ("focal/hard", lambda test: test.update(tolerance=1), "Additional properties are not allowed"),
        ("family/star_loss", lambda test: test["inputs"].update(logits="0000000000000001"), "is not the id of its"),
        (
            "family/star_loss",
            lambda test: test["expected"]["value"].update(bits="3ff0000000000000"),
            "value: bits are not exact after rounding",
        ),
    ],
)
def test_what_was_changed_by_hand_is_found(stored, name, change, complaint):
    document = copy.deepcopy(stored[name])
    change(document["groups"][0]["tests"][0])
    assert any(complaint in line for line in found(name, document)), found(name, document)


def test_a_number_on_a_tie_to_all_stored_digits_may_be_rounded_to_either_side():
    # 1 + 2^-24 lies half way between two float32 numbers; the decimal string may have lost what breaks the tie.
    half_way = "1.000000059604644775390625"
    for bits in ("3f800000", "3f800001"):
        assert lint._rounds_to(half_way, bits, FORMATS["float32"])
    assert not lint._rounds_to(half_way, "3f800002", FORMATS["float32"])
    assert not lint._rounds_to("0", "00000001", FORMATS["float32"])
    assert lint._rounds_to("-1e-50", "80000000", FORMATS["float32"])
    assert not lint._rounds_to("-1", "3f800000", FORMATS["float32"])


@pytest.mark.parametrize(
    ("kind", "load", "file"),
    [
        ("focal", focal_vectors.load_vectors, "hard"),
        ("family", family_vectors.load_vectors, "star_loss"),
        ("detection", detection_vectors.load_tests, "boxes"),
    ],
)
@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda folder, name: (folder / f"{name}.json").unlink(), "{name}.json: can't be read: "),
        (lambda folder, name: (folder / f"{name}.json").write_bytes(b"{}"), "{name}.json: sha256 "),
        (lambda folder, name: (folder / "manifest.json").unlink(), "manifest.json: can't be read: "),
        (lambda folder, name: (folder / "manifest.json").write_text("{"), "manifest.json: is no JSON: "),
        (lambda folder, name: (folder / "manifest.json").write_text("[]"), "manifest.json: is no JSON object"),
        (
            lambda folder, name: (folder / "manifest.json").write_text("{}"),
            "manifest.json: key 'format_version' is missing",
        ),
        (
            lambda folder, name: (folder / "manifest.json").write_text('{"format_version": 9}'),
            "manifest.json: format_version is 9, expected 1",
        ),
    ],
)
def test_every_reader_says_what_is_wrong_with_its_files(tmp_path, kind, load, file, spoil, text):
    folder = tmp_path / kind
    shutil.copytree(contents._folder(kind), folder)
    spoil(folder, file)
    with pytest.raises(VectorError) as caught:
        load(file, folder)
    assert str(caught.value).startswith(text.format(name=file))
