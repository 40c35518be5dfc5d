"""The kill matrix in the docs is what a run gives."""

import json
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance import kill_matrix
from focal_ref.conformance.findings import Finding
from focal_ref.conformance.kill_matrix import (
    EXCEPTION,
    PAGE,
    PROPERTY,
    VECTORS,
    claimed_requirements,
    found_by,
    idle,
    page,
    row_of,
    stored,
    survivors,
    way_of,
)
from focal_ref.conformance.mutants import mutant, mutants
from focal_ref.conformance.requirements import requirements

ROOT = Path(__file__).parents[2]
SAMPLES = 12
SLOW = ("FL-RED-001", "FL-RED-009", "FL-SMX-012")
"""Requirements whose checks take seconds."""


def samples():
    """Cells of the matrix, as many that are found as that are not; others with every change of the catalogue."""
    generator = np.random.default_rng(len(mutants()))
    quick = [one for one in mutants() if (one.library, one.dtype, one.tier) == ("numpy", "float32", "standard")]
    for index, one in enumerate(generator.permutation(len(quick))[:SAMPLES]):
        chosen = quick[int(one)]
        row = stored()[chosen.name]
        names = [name for name in claimed_requirements(chosen.target().profile) if name not in SLOW]
        names = [name for name in names if (name in row) == bool(index % 2)] or names
        yield chosen.name, names[int(generator.integers(len(names)))]


@pytest.mark.parametrize(("name", "requirement"), list(samples()))
def test_a_cell_of_the_matrix_is_true(name, requirement):
    one = mutant(name)
    way, findings = found_by(requirements()[requirement], one.target(), one.dtype)
    assert way == stored()[name].get(requirement, ""), findings


def test_every_mutant_is_found_by_the_requirement_that_it_names_and_as_it_says():
    assert survivors(stored()) == ()


def test_every_requirement_finds_a_mutant_by_a_comparison():
    assert idle(stored()) == ()


def test_the_data_are_about_the_mutants_and_requirements_that_there_are():
    assert list(stored()) == [one.name for one in mutants()]
    assert {name for row in stored().values() for name in row} <= set(requirements())
    assert {way for row in stored().values() for way in row.values()} <= {VECTORS, PROPERTY, EXCEPTION}


def test_the_page_is_generated_from_the_data():
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(stored())


def test_a_survivor_and_an_idle_requirement_are_named():
    rows = {name: dict(row) for name, row in stored().items()}
    rows["star_without_beta"]["FL-STAR-001"] = EXCEPTION
    del rows["fast_is_another_formula"]["FL-VAL-012"]
    assert survivors(rows) == ("fast_is_another_formula", "star_without_beta")
    assert idle(rows) == ("FL-VAL-012",)


def test_a_row_does_not_run_what_never_calls_the_function_at_fault():
    row = row_of(mutant("star_without_beta"), only=("FL-STAR-001", "FL-VAL-001"))
    assert row == {"FL-STAR-001": VECTORS}


@pytest.mark.parametrize(
    ("finding", "way"),
    [
        (Finding("grid/float32/gamma=2/logit=0", "value", "1", "2", error=9.0, budget=1.0), VECTORS),
        (Finding("powers of two", "value", "1", "2", error=9.0, budget=1.0), PROPERTY),
        (Finding("alpha=1.5", "value", "an error", "a result", signature="accepted"), PROPERTY),
        (
            Finding("alpha=1.5", "error text", "an error that names 'alpha'", "ValueError: no", signature="raise"),
            PROPERTY,
        ),
        (Finding("grid/float32/gamma=2/logit=0", "value", "a result", "ValueError: no", signature="raise"), EXCEPTION),
        (Finding("picture 1", "box_iou", "a result", "ValueError: no"), EXCEPTION),
    ],
)
def test_the_way_of_a_finding(finding, way):
    assert way_of(finding) == way


def test_the_command_writes_page_and_data(tmp_path, capsys):
    for folder in ("docs", "conformance/mutants"):
        (tmp_path / folder).mkdir(parents=True)
    assert kill_matrix.main(["--mutant=star_without_beta", f"--out={tmp_path}"]) == 0
    assert capsys.readouterr().out.startswith("star_without_beta: found by ")
    written = json.loads((tmp_path / "conformance/mutants/kill_matrix.json").read_text(encoding="utf-8"))
    assert written["mutants"] == stored()
    assert (tmp_path / PAGE).read_text(encoding="utf-8") == page(stored())


def test_the_command_says_what_is_found_otherwise_than_in_the_data(monkeypatch, capsys):
    monkeypatch.setattr(kill_matrix, "row_of", lambda one: {})
    assert kill_matrix.main(["--mutant=star_without_beta", "--check"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert "star_without_beta: not found as it says" in errors
    assert "star_without_beta: found otherwise than in the data" in errors
