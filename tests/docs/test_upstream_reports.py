"""The reports for maintainers stay true: their examples print what they say, their proposals are those measured."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
import torch

from focal_ref.conformance.targets import torchvision_source

REPORTS = Path(__file__).parents[2] / "docs" / "reports"
SCRIPTS = REPORTS / "scripts"
NAMES = ("torchvision", "keras", "transformers")


@pytest.fixture
def blocks(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import blocks

    yield blocks
    del sys.modules["blocks"]


def test_the_examples_about_torchvision_print_what_is_said(blocks, monkeypatch):
    torchvision_source.sigmoid_focal_loss(*2 * [torch.zeros(1)])  # found before it is replaced
    package, ops = ModuleType("torchvision"), ModuleType("torchvision.ops")
    ops.sigmoid_focal_loss = torchvision_source.sigmoid_focal_loss
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.ops", ops)
    assert blocks.differences(REPORTS / "torchvision.md") == []


def test_the_examples_about_keras_print_what_is_said():
    ran = subprocess.run(
        [sys.executable, str(SCRIPTS / "blocks.py"), str(REPORTS / "keras.md")],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "torch"},
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 examples, 0 print something else" in ran.stdout


@pytest.mark.parametrize("name", NAMES)
def test_what_a_report_proposes_is_what_was_measured(blocks, name):
    measured = textwrap.dedent((SCRIPTS / f"{name}_proposal.py").read_text(encoding="utf-8"))
    proposed = blocks.proposals(REPORTS / f"{name}.md")
    assert proposed
    for block in proposed:
        assert block in measured


def test_an_example_that_prints_something_else_is_shown_with_both_texts(blocks, tmp_path):
    report = tmp_path / "mine.md"
    report.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n", encoding="utf-8")
    (shown,) = blocks.differences(report)
    assert shown == "mine.md: an example prints\n2\nthe report says\n3\nof\nprint(1 + 1)\n"
    assert blocks.main([str(report)]) == 1


def test_a_report_without_examples_is_an_error(blocks, tmp_path, capsys):
    report = tmp_path / "empty.md"
    report.write_text("nothing", encoding="utf-8")
    assert blocks.main([str(report)]) == 2
    assert "at least one example" in capsys.readouterr().err


def test_the_profiles_of_the_keras_proposals_differ_from_the_released_ones_in_what_is_proposed_alone():
    shipped = Path(torchvision_source.__file__).parents[1] / "profiles"
    for kind in ("binary", "binary_jax", "categorical", "categorical_jax"):
        before = tomllib.loads((shipped / f"keras_{kind}.toml").read_text(encoding="utf-8"))
        after = tomllib.loads((SCRIPTS / f"keras_{kind}_proposal.toml").read_text(encoding="utf-8"))
        assert after["conventions"] == before["conventions"] | {"clipping": "none", "epsilon": 0}
        assert after["signature"] == before["signature"] | {
            "function": before["signature"]["function"].replace("keras.losses:", "keras_proposal:")
        }
        assert after["claims"]["capabilities"] == before["claims"]["capabilities"]


@pytest.mark.parametrize("name", NAMES)
def test_the_files_that_a_report_links_to_are_there(name):
    text = (REPORTS / f"{name}.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^):]+)\)", text)
    assert links
    for link in links:
        assert (REPORTS / link).is_file()
