"""docs/performance.md says what the results of the benchmark give, and the benchmark's own arithmetic is right."""

import importlib
import json
import re
import statistics
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance import oracle
from focal_ref.conformance.formats import FORMATS, ulp

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "cpu"
PAGE = ROOT / "docs" / "performance.md"
RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"


@pytest.fixture
def load(monkeypatch):
    """Import files of the benchmark by their names, and forget them after the test."""
    before = dict(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name, module in list(sys.modules.items()):
        if name not in before and str(getattr(module, "__file__", None)).startswith(str(FOLDER)):
            del sys.modules[name]


def sections():
    return json.loads(RESULTS.read_text())["sections"]


def check(*options):
    command = [sys.executable, str(FOLDER / "page.py"), "--check", *options]
    return subprocess.run(command, capture_output=True, text=True)


def measured(**heats):
    """Results of one workload: the seconds of each contestant by round, all in one heat."""
    names = {name.replace("_", " "): seconds for name, seconds in heats.items()}
    return {"rounds": 3, "contestants": {name: {} for name in names}, "heats": [names]}


def cells(heading):
    """The rows of the table under a heading of the page, by their first column."""
    part = PAGE.read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {row[0].strip("*"): row[1:] for row in rows[2:]}


def shown(text):
    """The interval of numbers that print so with three significant digits."""
    figure = float(text.replace(",", ""))
    return pytest.approx(figure, rel=0.051 if "e" in text else 0.0051)


with_results = pytest.mark.skipif(
    not RESULTS.exists(), reason="nothing is measured with this version yet, which the page has to say"
)


def test_a_page_without_results_says_that_nothing_was_measured_and_one_with_results_does_not():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert ("Not measured with this version yet." in page) == (not RESULTS.exists())


@with_results
def test_the_page_and_its_figures_are_those_of_the_results():
    done = check()
    assert done.returncode == 0, done.stdout + done.stderr


@with_results
def test_a_changed_number_of_the_page_is_found(tmp_path):
    text = PAGE.read_text()
    position = re.search(r"\d", text[text.index("### One step of RetinaNet") :]).start()
    position += text.index("### One step of RetinaNet")
    page = tmp_path / "page.md"
    page.write_text(text[:position] + str((int(text[position]) + 1) % 10) + text[position + 1 :])
    done = check("--page", str(page))
    assert done.returncode == 1
    assert "is not what the results give: run python benchmarks/cpu/page.py" in done.stdout


@with_results
def test_times_and_ratios_of_the_table_are_medians_of_the_recorded_rounds():
    rows = cells("One step of RetinaNet")
    assert len(rows) >= 15
    for mode, column in (("fresh", 1), ("reused", 3)):
        heats = sections()["detection"]["measured"][mode]["heats"]
        for name, row in rows.items():
            if not row[column]:
                assert name == "streaming floor"
                continue
            seconds = [each for heat in heats for each in heat.get(name, [])]
            ratios = [
                a / b
                for heat in heats
                if name in heat
                for a, b in zip(heat[name], heat["streaming floor"], strict=True)
            ]
            assert 1e3 * statistics.median(seconds) == shown(row[column])
            assert statistics.median(ratios) == shown(row[column + 1])


@with_results
def test_memory_and_errors_of_the_table_are_those_recorded():
    found = sections()
    about = found["detection"]["measured"]["fresh"]["contestants"]
    errors = found["errors"]["measured"]
    for name, row in cells("One step of RetinaNet").items():
        if name == "streaming floor":
            assert row[5:] == ["", "", ""]
            continue
        assert float(row[5].replace(",", "")) == pytest.approx(about[name]["extra_bytes"] / 1e6, abs=0.051, rel=0.0051)
        recorded = errors[name.replace(", one-hot built", "")]["labels float32"]
        for text, error in zip(row[6:], (recorded["value"], recorded["gradient"]), strict=True):
            assert text == error if isinstance(error, str) else error == shown(text)


@with_results
def test_every_contestant_of_the_catalogue_is_in_the_results_or_has_a_reason(load):
    catalogue = load("contestants")
    about = sections()["detection"]["measured"]["fresh"]["contestants"]
    for contestant in catalogue.able("labels", "float32"):
        assert contestant.name in about
        assert "failed" not in about[contestant.name] or about[contestant.name]["failed"] in PAGE.read_text()
        assert not (contestant.is_ours and "failed" in about[contestant.name])


@with_results
def test_the_full_run_is_what_is_committed():
    for name, section in sections().items():
        assert section["rounds"] >= 5, name


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds(load):
    # The medians of both are 4 and 2, but no round has that ratio.
    section = measured(slow=[4.0, 3.0, 9.0], quick=[4.0, 1.0, 2.0])
    assert load("summary").ratio(section, "slow", "quick") == 3.0


def test_contestants_of_different_heats_are_compared_through_the_floor(load):
    one = {"streaming floor": [1.0, 2.0], "slow": [6.0, 12.0]}
    other = {"streaming floor": [2.0, 4.0], "quick": [4.0, 8.0]}
    assert load("summary").ratio({"heats": [one, other]}, "slow", "quick") == 3.0


def test_who_was_not_measured_has_no_ratio(load):
    assert load("summary").ratio(measured(slow=[1.0]), "slow", "streaming floor") is None


def test_those_that_failed_are_listed_with_their_reason_and_have_no_row(load):
    section = {
        "contestants": {"streaming floor": {}, "optax, jax.jit": {"failed": "ImportError: optax is not installed"}},
        "heats": [{"streaming floor": [0.004]}],
    }
    text = load("page")._workload_tables({"detection": {"measured": {"fresh": section, "reused": section}}})
    assert "Not run: optax, jax.jit: ImportError: optax is not installed." in text
    assert "| optax" not in text
    assert "| streaming floor | none |  |  | 4 | 1 |" in text


def test_who_failed_in_one_mode_alone_is_listed_with_it(load):
    right, wrong = {"contestants": {"floor": {}}}, {"contestants": {"floor": {"failed": "MemoryError"}}}
    assert load("summary").failures({"fresh": right, "memory reused": wrong}) == ["floor (memory reused): MemoryError"]


@pytest.mark.parametrize(("slowest", "verdict"), [(1.9, "met"), (2.1, "not met")])
def test_the_goal_of_the_floor_is_met_up_to_twice_its_time(load, slowest, verdict):
    goals, catalogue = load("goals"), load("contestants")
    section = {"heats": [{catalogue.FLOOR.name: [1.0] * 3, catalogue.FAST.name: [slowest] * 3}]}
    found = {goal.what: goal for goal in goals._speed({"fresh": section, "reused": section})}
    goal = found["fast, `out=`: at most 2.0 x the streaming floor"]
    assert goal.measured == {"NumPy": (slowest, slowest <= 2.0)}
    assert goal.verdict == verdict


def test_the_nearest_peer_decides_whether_a_goal_is_met(load):
    goals, catalogue = load("goals"), load("contestants")
    heat = {
        catalogue.FLOOR.name: [1.0],
        catalogue.EXACT.name: [2.0],
        "torchvision, torch.compile": [8.0],
        "stable formula in JAX, jax.jit": [2.5],
        "torchvision, eager": [50.0],
    }
    section = {"heats": [heat]}
    found = {goal.what: goal.measured for goal in goals._speed({"fresh": section, "reused": section})}
    assert found["exact, new arrays: at least 1.5 x the fastest compiled peer"] == {"NumPy": (1.25, False)}
    assert found["exact, new arrays: at least 20 x torchvision eager"] == {"NumPy": (25.0, True)}


def test_memory_is_counted_beside_the_results(load):
    goals, catalogue = load("goals"), load("contestants")
    about = {catalogue.EXACT.name: {"extra_bytes": 98_900_000, "result_bytes": 98_300_000}}
    goal = goals._memory_with_gradient({"contestants": about, "heats": [{catalogue.EXACT.name: [1.0]}]})
    (figure, met) = goal.measured["NumPy"]
    assert (figure, met) == (pytest.approx(0.6), True)


def test_the_exponent_of_growth_is_that_of_the_power(load):
    name = load("contestants").EXACT.name
    growth = {str(10**power): {"heats": [{name: [1e-9 * 10 ** (1.5 * power)]}]} for power in (4, 5, 6)}
    assert load("goals").exponent(growth, name, 10**4) == pytest.approx(1.5)


@pytest.mark.parametrize("storage", ["float32", "bfloat16"])
def test_errors_are_in_units_of_the_last_place_of_the_exact_result(load, storage):
    # Next to powers of two, where the unit changes, and off by a known part of it.
    exact = np.array([1.0, 1.5, 0.999, 2.0**-20, 3e-30])
    for index, number in enumerate(exact):
        unit = float(ulp(Fraction(number), FORMATS[storage]))
        got = exact.copy()
        got[index] += 0.25 * unit
        assert load("errors").largest_error(got, exact, storage) == pytest.approx(0.25, rel=1e-3)


def test_not_a_number_is_an_infinite_error(load):
    assert load("errors").largest_error(np.array([np.nan]), np.array([1.0]), "float32") == np.inf


def test_a_contestant_of_another_loss_is_refused(load):
    interleave, worker, catalogue = load("interleave"), load("worker"), load("contestants")
    workload = load("workload").Workload("labels", 50, 80)
    job = worker.Job(catalogue.EXACT, workload)
    right = interleave.expected(workload)[0]
    assert interleave.other_loss(job, right) is None
    reason = interleave.other_loss(job, {**right, "value": 1.01 * right["value"]})
    assert reason.startswith("another loss: the value adds up to ")
    assert interleave.other_loss(job, {**right, "gradient": float("nan")}).startswith("another loss: the gradient")


@pytest.mark.parametrize("kind", ["labels", "binary"])
def test_the_sums_that_contestants_are_held_against_are_those_of_the_printed_formula(load, kind):
    module = load("workload")
    inputs = module.make(module.Workload(kind, 4, 3))
    total = 0.0
    for row in range(4):
        for column in range(3):
            label = inputs.labels[row, column] if kind == "binary" else inputs.labels[row]
            if label != module.IGNORE:
                positive = label == 1 if kind == "binary" else label == column
                logit = float(inputs.logits[row, column])
                total += float(oracle.loss(logit, float(positive), module.ALPHA, module.GAMMA))
    assert load("interleave").expected(inputs.workload)[0]["value"] == pytest.approx(
        total / inputs.normalizer, rel=1e-9
    )


def test_the_workload_has_the_shares_that_the_page_says(load):
    module = load("workload")
    labels = module.make(module.Workload("labels", 10_000, 2)).labels
    assert np.count_nonzero(labels >= 0) == 10
    assert np.count_nonzero(labels == module.IGNORE) == 200


def test_the_floor_reads_every_logit_and_writes_every_number(load):
    module = load("workload")
    inputs = module.make(module.Workload("binary", 1000, 300))
    floor = load("floor")
    written = floor.prepare("", inputs, reused=True, gradient=True)()
    assert np.array_equal(written, -inputs.logits.reshape(-1))
    total = floor.prepare("", inputs, reused=True, gradient=False)()
    assert total == pytest.approx(inputs.logits.sum(dtype=np.float64), rel=1e-3)
