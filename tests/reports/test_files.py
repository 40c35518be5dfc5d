"""The reports of a run are a set: whoever is killed while writing leaves the old one or the new one."""

import json
import os
import subprocess
import sys

import pytest

from focal_ref.conformance.reports import files
from focal_ref.conformance.reports.files import STEP_SUMMARY, ReportError, read_record, stem_of, write, write_text
from focal_ref.conformance.reports.record import Record

from .runs import hostile_record, red_run, run_of

NAMES = ["mine.badge.json", "mine.html", "mine.jsonl", "mine.junit.xml", "mine.md"]


@pytest.fixture(autouse=True)
def _no_summary(monkeypatch):
    monkeypatch.delenv(STEP_SUMMARY, raising=False)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def verdict(folder):
    return json.loads((folder / "mine.jsonl").read_text().splitlines()[-1])["exit_code"]


def assert_one_set(folder):
    """Every page was made from the record that stands beside it."""
    record = read_record(folder / "mine.jsonl")
    assert names(folder) == NAMES
    assert f'content="{record.id}"' in (folder / "mine.html").read_text()
    assert f"Made from the record {record.id}" in (folder / "mine.md").read_text()
    assert f'name="record" value="{record.id}"' in (folder / "mine.junit.xml").read_text()


def test_a_run_writes_its_record_and_four_pages(tmp_path):
    paths = write(red_run(), tmp_path / "new" / "folder")
    assert names(tmp_path / "new" / "folder") == NAMES
    assert sorted(path.name for path in paths.values()) == NAMES
    assert_one_set(tmp_path / "new" / "folder")


def test_the_next_run_replaces_all_of_them(tmp_path):
    write(red_run(), tmp_path)
    write(run_of(), tmp_path)
    assert verdict(tmp_path) == 0
    assert_one_set(tmp_path)


class Killed(BaseException):
    """Stands for the signal that ends a process between two of its steps."""


STEPS = {"mkdir": 1, "write_text": 5, "rename": 1, "replace": 5, "rmdir": 1}
"""What `write` does to files, and how often."""


@pytest.mark.parametrize(("step", "which"), [(step, which) for step, count in STEPS.items() for which in range(count)])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
def test_a_run_that_is_killed_at_any_step_leaves_the_old_set_or_the_new_one(tmp_path, monkeypatch, step, which, late):
    write(red_run(), tmp_path)
    count = iter(range(99))
    whole = getattr(files.Path, step)

    def stop(self, *arguments, **options):
        if step == "mkdir" and not self.name.startswith("."):
            return whole(self, *arguments, **options)
        is_it = next(count) == which
        if is_it and not late:
            if step == "write_text":
                whole(self, "half of it")
            raise Killed
        result = whole(self, *arguments, **options)
        if is_it:
            raise Killed
        return result

    with monkeypatch.context() as patched:
        patched.setattr(files.Path, step, stop)
        with pytest.raises(Killed):
            write(run_of(), tmp_path)
    # Up to the renaming of the folder the old set stands, from then on the new one.
    is_new = step in ("replace", "rmdir") or (step == "rename" and late)
    if not is_new:
        assert verdict(tmp_path) == 1
    if step == "replace" and (which or late):
        # The record comes first: whoever reads it alone has the new verdict from the first move on.
        assert verdict(tmp_path) == 0
    assert read_record(tmp_path / "mine.jsonl").exit_code == (0 if is_new else 1)
    if is_new:
        assert_one_set(tmp_path)
    # The next run leaves nothing of it.
    write(run_of(), tmp_path)
    assert_one_set(tmp_path)


def test_a_run_that_is_killed_by_a_signal_leaves_the_old_set(tmp_path):
    write(red_run(), tmp_path)
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from focal_ref.conformance.reports import files\n"
        "from focal_ref.conformance.reports.files import read_record, write_record\n"
        "folder = Path(sys.argv[1])\n"
        "record = read_record(folder / 'mine.jsonl')\n"
        "Path.rename = lambda self, target: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_record(record, folder)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == -9, done.stderr
    assert len(names(tmp_path)) == 6
    assert verdict(tmp_path) == 1
    write(run_of(), tmp_path)
    assert_one_set(tmp_path)


def test_what_another_running_process_is_writing_is_left_alone(tmp_path):
    other = tmp_path / f".mine.writing-{os.getppid()}"
    other.mkdir()
    write(run_of(), tmp_path)
    assert other.is_dir()


def test_a_folder_that_cannot_be_written_to_is_one_line_and_the_old_report_stays(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ReportError, match=r"^report: .*file: cannot be written: File exists; name another folder$"):
        write(run_of(), file)
    assert file.read_text() == "mine"
    write(red_run(), tmp_path)

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.Path, "write_text", full)
    with pytest.raises(ReportError, match="No space left on device"):
        write(run_of(), tmp_path)
    assert verdict(tmp_path) == 1


def test_in_ci_the_step_summary_is_appended_to(tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv(STEP_SUMMARY, str(summary))
    write(run_of(), tmp_path / "out")
    write(red_run(), tmp_path / "out")
    text = summary.read_text()
    assert text.startswith("before\n### ✅ focal-ref: mine\n")
    assert text.count("### ") == 2


def test_a_step_summary_that_cannot_be_written_changes_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(STEP_SUMMARY, str(tmp_path))
    write(run_of(), tmp_path / "out")
    assert names(tmp_path / "out") == NAMES
    assert "focal-ref: GITHUB_STEP_SUMMARY: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "stem"),
    [
        ("numpy", "numpy"),
        ("torch:compile", "torch-compile"),
        ("../../etc/passwd", "etc-passwd"),
        ("--help", "help"),
        ("a.b:c", "a-b-c"),
    ],
)
def test_the_name_of_a_target_makes_a_name_of_files(target, stem):
    assert stem_of(target) == stem


@pytest.mark.parametrize("target", ["", "数", "/", "x" * 5000, "\ud800", "\x00"])
def test_a_name_that_makes_no_file_gets_a_short_one_of_its_own(target, tmp_path):
    stem = stem_of(target)
    assert 8 <= len(stem) <= 100
    assert stem.isascii()
    assert stem_of(target) != stem_of(target + "a")
    (tmp_path / stem).write_text("")


def test_a_hostile_target_writes_into_its_folder_alone(tmp_path):
    files.write_record(hostile_record(), tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert len(names(tmp_path / "out")) == 5


def test_one_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("old")

    def refuse(self, target):
        raise OSError(1, "no")

    with monkeypatch.context() as patched:
        patched.setattr(files.Path, "replace", refuse)
        with pytest.raises(ReportError, match=r"page\.html: cannot be written: no"):
            write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["page.html"]
    write_text(path, "new")
    assert path.read_text() == "new"


def test_a_record_written_again_is_the_same_to_the_byte(tmp_path):
    record = Record.of(red_run())
    files.write_record(record, tmp_path, "again")
    assert (tmp_path / "again.jsonl").read_text(encoding="utf-8") == record.text
