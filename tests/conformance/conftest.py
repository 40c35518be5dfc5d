"""The real command on small targets of NumPy, in this process."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from focal_ref.conformance import gate as conformance_gate
from focal_ref.conformance import pytest_plugin
from focal_ref.conformance.cli import main
from focal_ref.conformance.cli.conform import run_suite
from focal_ref.conformance.diagnosis import diagnosis
from focal_ref.conformance.gate import Result
from focal_ref.conformance.reports.record import Record

PROFILE = """\
[profile]
name = "mine"
description = "Small functions for the tests of the gate"
package = "focal-ref"
library = "numpy"

[signature]
function = "gate_losses:right"
alpha = "alpha"
gamma = "gamma"

[conventions]
formula = "focal"
prediction = "logits"
multi_class = "sigmoid"
alpha = "pos/1-pos"
alpha_off = "none"
soft_targets = "unsupported"
clipping = "none"
epsilon = 0
mean = "unsupported"
sum = "unsupported"
background = "none"
ignore = "none"
gradient = "none"
subnormals = "kept"

[claims]
capabilities = []

[claims.dtypes]
float32 = "standard"
"""


@pytest.fixture(autouse=True)
def no_known_faults(monkeypatch):
    """Comparing a failing target with the whole catalogue takes seconds, and tests/diagnosis has it."""
    monkeypatch.setattr(diagnosis, "suspects", lambda library, functions: iter(()))


class Gate:
    """Runs commands in a folder of their own."""

    def __init__(self, folder, monkeypatch, capfd):
        self.folder, self.monkeypatch, self.capfd = folder, monkeypatch, capfd
        # Where the command is called, as a maintainer's package may be.
        shutil.copy(Path(__file__).with_name("gate_losses.py"), folder)
        monkeypatch.setattr(sys, "path", list(sys.path))
        monkeypatch.chdir(folder)
        self.write("mine.toml", PROFILE)

    def without_self_checks(self, *names):
        """Spare what other tests run: the built-in implementations, pages of reports, all but some requirements."""
        self.monkeypatch.setattr(conformance_gate, "_self_check", lambda item: Result(item, True, 1))
        self.monkeypatch.setattr(pytest_plugin, "write", self._write)
        if names:
            every = conformance_gate.items_of
            keep = (conformance_gate.SELF_CHECK, *names)
            items_of = lambda profile: tuple(item for item in every(profile) if item.name in keep)  # noqa: E731
            self.monkeypatch.setattr(pytest_plugin, "items_of", items_of)

    @staticmethod
    def _write(run, folder):
        folder.mkdir(exist_ok=True)
        (folder / "mine.jsonl").write_text(Record.of(run).text)

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def command(self, *arguments):
        """Exit code and output of ``focal-ref``."""
        self.monkeypatch.setattr(sys, "argv", ["focal-ref", *arguments])
        with pytest.raises(SystemExit) as done:
            main()
        return SimpleNamespace(code=done.value.code, output="".join(self.capfd.readouterr()))

    def conform(self, function, *arguments):
        """``focal-ref conform`` on one of the functions of `gate_losses`."""
        return self.command("conform", f"--target=gate_losses:{function}", "--profile=mine.toml", *arguments)

    def suite(self, function, *options):
        """The same with options of pytest that the command does not have."""
        target = [f"--target=gate_losses:{function}", "--profile=mine.toml", "--report-dir=focal-ref-report"]
        code = run_suite([*target, *options])
        return SimpleNamespace(code=code, output="".join(self.capfd.readouterr()))

    @property
    def report(self):
        """The lines of the record of the last run, or None."""
        path = self.folder / "focal-ref-report" / "mine.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else None

    def items(self):
        """The items of that record by name."""
        return {
            f"{line['requirement']} {line['dtype']}".strip(): line for line in self.report if line["kind"] == "item"
        }


@pytest.fixture
def gate(tmp_path, monkeypatch, capfd):
    return Gate(tmp_path, monkeypatch, capfd)
