"""The commands of docs/scoring.md, in their order, print what the page says; its Python runs."""

import json
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from focal_ref.conformance.cli.score import command

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scoring.md").read_text(encoding="utf-8")


def printed(line, folder):
    """What a command prints, its exit code at the end unless that is 0; in this process where it is ours."""
    name, *arguments = shlex.split(line)
    if name == "focal-ref":
        assert arguments[0] == "score"
        result = CliRunner().invoke(command, arguments[1:], standalone_mode=False)
        if result.exception is not None:
            return f"focal-ref: {result.exception.format_message()}\nexit code 4\n"
        return result.output + (f"exit code {result.return_value}\n" if result.return_value else "")
    if name == "python":
        sys.argv = arguments
        runpy.run_path(str(folder / arguments[0]), run_name="__main__")
        return ""
    return subprocess.run(line, shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_commands_print_what_the_page_says(tmp_path, monkeypatch):
    (tmp_path / "log_predictions.py").write_bytes((ROOT / "examples" / "score" / "log_predictions.py").read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    count = 0
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, expected = part.partition("\n")
            assert printed(line, tmp_path).replace(f"{tmp_path}/", "") == expected, line
            count += 1
    assert count == 7


def test_the_commands_of_the_example_are_those_of_the_page():
    readme = (ROOT / "examples" / "score" / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    (.*)$", readme, re.MULTILINE)
    assert len(commands) == 2
    assert all(f"$ {line}\n" in PAGE for line in commands)


def test_the_python_of_the_page_runs():
    (code,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    scope = {}
    exec(compile(code.replace("1_000_000", "1_000").replace("100_000", "300"), "scoring.md", "exec"), scope)
    assert scope["mean"].compute() > 0
    assert scope["gradient"].compute().shape == (1000, 80)


def test_the_numbers_of_the_large_run_are_those_of_its_record():
    record = json.loads((ROOT / "benchmarks" / "results" / "score.json").read_text())
    text = " ".join(PAGE.split())
    assert record["rows"] == 10**9
    assert record["loss"]["sum"] == record["expected_sum"]
    assert record["peak_rss_bytes"] < record["limit"]["bytes"] == 1 << 30
    assert f"{record['seconds']:.0f} s by {record['workers']} workers" in text
    assert f"peak memory of {record['peak_rss_bytes'] / 2**20:.0f} MiB under a limit of 1 GiB" in text
    assert f"{record['files']} files, {record['bytes'] / 1e9:.1f} GB" in text


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", PAGE))))
def test_options_that_the_page_names_exist(option):
    assert option in {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
