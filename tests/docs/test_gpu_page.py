"""The part of docs/performance.md about a GPU: what stands there without results, and the tables made from results."""

import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def page(tmp_path):
    specification = importlib.util.spec_from_file_location("gpu_page", ROOT / "benchmarks" / "gpu" / "page.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    module.PAGE = tmp_path / "performance.md"
    return module


def results(ratios):
    return {
        "card": "NVIDIA Example",
        "cuda": "13.0",
        "date": "2026-01-02",
        "rounds": 3,
        "versions": {"torch": "2.13.0"},
        "measured": [{"rows": 10, "classes": 80, "dtype": "float32", "results": ratios}],
    }


def timed(ratio):
    return {"milliseconds": ratio / 10, "ratio_to_copy": ratio, "extra_megabytes": 49.2}


def test_the_page_says_that_nothing_was_run_as_long_as_there_are_no_results():
    text = (ROOT / "docs" / "performance.md").read_text("utf-8")
    there = (ROOT / "benchmarks" / "results" / "gpu.json").exists()
    assert ("Not yet run on a GPU." in text) == (not there)


def test_every_goal_of_the_page_is_judged_by_ratios_of_one_run(page):
    ratios = {
        "device copy": timed(1.0),
        "focal_ref fast, PyTorch, graph": timed(1.2),
        "focal_ref exact, PyTorch, graph": timed(1.6),
        "focal_ref exact, PyTorch, backward": timed(2.0),
        "torchvision, torch.compile": timed(4.0),
        "torchvision, eager": {"not_run": "OutOfMemoryError: 1 TiB"},
    }
    text = page.tables(results(ratios))
    assert "NVIDIA Example, CUDA 13.0, 2026-01-02, 3 rounds; torch 2.13.0." in text
    assert "| fast, value and gradient: at most 1.25 x a device copy | 10 x 80 float32 | 1.2 x | met |" in text
    assert "| exact, value and gradient: at most 1.5 x a device copy | 10 x 80 float32 | 1.6 x | not met |" in text
    assert "| exact: at most 1/1.5 of torchvision under torch.compile | 10 x 80 float32 | 0.5 x | met |" in text
    assert "| exact: at most 1/10 of torchvision eager | 10 x 80 float32 |  | not run |" in text
    assert "| torchvision, eager | not run: OutOfMemoryError: 1 TiB |  |  |" in text


def test_results_replace_what_stands_between_the_marks_and_nothing_else(page, tmp_path):
    page.PAGE.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n", "utf-8")
    (tmp_path / "gpu.json").write_text(json.dumps(results({"device copy": timed(1.0)})), "utf-8")
    page.write(tmp_path / "gpu.json")
    text = page.PAGE.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "### 10 x 80 float32" in text
