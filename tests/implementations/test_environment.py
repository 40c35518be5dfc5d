"""Environments are built from their pins, kept while nothing has changed, and never taken for built before they are."""

import fcntl
import sys
import threading
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "implementations"


@pytest.fixture
def environment(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    import environment

    for name in ("PINS", "SHIMS", "ROOT"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(environment, name, tmp_path / name)
    (tmp_path / "ROOT" / "package.py").write_text("value = 1\n", encoding="utf-8")
    monkeypatch.setattr(environment, "FOLDER", tmp_path)
    monkeypatch.setattr(environment, "PLACE", tmp_path / "place")
    monkeypatch.setattr(environment, "SOURCES", ("package.py",))
    (tmp_path / "PINS" / "suite.txt").write_text("pytest==9.2.0\n", encoding="utf-8")
    (tmp_path / "PINS" / "mine.txt").write_text("torch==2.13.0\n", encoding="utf-8")
    (tmp_path / "SHIMS" / "helper.py").write_text("", encoding="utf-8")
    return environment


class Machine:
    """Stands in for pip and venv, and keeps what they were asked for."""

    def __init__(self, installed="", fails_at=""):
        self.commands, self.installed, self.fails_at = [], installed, fails_at

    def __call__(self, command):
        self.commands.append(" ".join(command))
        if "venv" in command:
            (Path(command[-1]) / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
        if self.fails_at and self.fails_at in self.commands[-1]:
            return 1, "ERROR: No matching distribution"
        return 0, self.installed if "list" in command else ""

    def asked(self, word):
        return any(word in command for command in self.commands)


def test_an_environment_is_made_of_its_pins_and_the_checkout(environment, tmp_path):
    (tmp_path / "PINS" / "mine-no-deps.txt").write_text("torchvision==0.29.2\n", encoding="utf-8")
    machine = Machine()
    assert environment.build("mine", keep=False, run=machine) == []
    made, pins, alone, wheel, _ = machine.commands
    assert "-m venv" in made
    assert "suite.txt" in pins
    assert "mine.txt" in pins
    assert "--no-deps" in alone
    assert "mine-no-deps.txt" in alone
    assert "--no-deps --no-build-isolation --force-reinstall" in wheel
    (packages,) = (tmp_path / "place" / "mine" / "lib").glob("*/site-packages")
    assert (packages / environment.START_UP).read_text(encoding="utf-8") == "import helper\n"
    assert (packages / "helper.py").exists()


def test_nothing_is_installed_where_nothing_has_changed(environment):
    environment.build("mine", keep=True, run=Machine())
    again = Machine()
    environment.build("mine", keep=True, run=again)
    assert again.commands == []


def test_a_changed_source_is_installed_without_the_pins(environment, tmp_path):
    environment.build("mine", keep=True, run=Machine())
    (tmp_path / "ROOT" / "package.py").write_text("value = 2\n", encoding="utf-8")
    again = Machine()
    environment.build("mine", keep=True, run=again)
    assert again.asked("--force-reinstall")
    assert not again.asked("-r ")
    assert not again.asked("venv")


def test_changed_pins_are_installed_and_without_keep_all_is_built_anew(environment, tmp_path):
    environment.build("mine", keep=True, run=Machine())
    (tmp_path / "PINS" / "mine.txt").write_text("torch==2.14.0\n", encoding="utf-8")
    again = Machine()
    environment.build("mine", keep=True, run=again)
    assert again.asked("mine.txt")
    assert not again.asked("venv")
    anew = Machine()
    environment.build("mine", keep=False, run=anew)
    assert anew.asked("venv")


def test_what_was_not_built_to_its_end_is_built_anew(environment):
    environment.build("mine", keep=True, run=Machine())
    with pytest.raises(environment.EnvironmentFailure, match="environment mine cannot be built: ERROR: No matching"):
        environment.build("mine", keep=False, run=Machine(fails_at="mine.txt"))
    assert environment.any_python("mine") == Path(sys.executable)
    again = Machine()
    environment.build("mine", keep=True, run=again)
    assert again.asked("venv")


def test_what_is_pinned_nowhere_is_named(environment):
    machine = Machine(installed="pip==26.3\nfocal-ref==0.1.0\nPyTest==9.2.0\ntorch==2.13.0+cpu\ntzdata==2026.6\n")
    assert environment.build("mine", keep=False, run=machine) == ["tzdata==2026.6"]


def test_the_checkout_is_not_built_in_place(environment, tmp_path):
    machine = Machine()
    environment.build("mine", keep=False, run=machine)
    source = Path(machine.commands[-2].rpartition(" ")[2])
    assert tmp_path / "ROOT" not in (source, *source.parents)
    assert [path.name for path in (tmp_path / "ROOT").iterdir()] == ["package.py"]


def test_who_waits_to_build_is_not_overtaken_by_runs(environment):
    order, waiting = [], threading.Event()

    def builds():
        waiting.set()
        with environment._locked("mine", fcntl.LOCK_EX):
            order.append("build")

    def runs():
        with environment.in_use("mine"):
            order.append("run")

    with environment.in_use("mine"):
        first = threading.Thread(target=builds)
        first.start()
        waiting.wait()
        time.sleep(0.3)
        second = threading.Thread(target=runs)
        second.start()
        time.sleep(0.3)
        assert order == []
    first.join()
    second.join()
    assert order == ["build", "run"]
