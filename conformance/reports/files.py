"""Writes the reports of a run as a set: a run that is killed leaves the old set or the new one.

All files are first written into a hidden folder beside them. Renaming that folder is the moment at which the new set
counts; then its files are moved to their places. A process that is killed in between leaves the folder, and whoever
writes or reads these reports next moves the rest. Before that moment the old set is untouched.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from focal_ref.conformance.reports.badge import badge
from focal_ref.conformance.reports.html import html
from focal_ref.conformance.reports.junit import junit
from focal_ref.conformance.reports.markdown import markdown, step_summary
from focal_ref.conformance.reports.record import Record, RecordError, Run, load_record
from focal_ref.conformance.reports.table import terminal

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"
TERMINAL_WIDTH = 120
MAXIMUM_NAME = 80
RECORD = ".jsonl"


class ReportError(Exception):
    """A report that cannot be written; one line of reason."""


def badge_text(record: Record) -> str:
    """The endpoint file."""
    return json.dumps(badge(record), indent=2) + "\n"


def terminal_text(record: Record) -> str:
    """The terminal's report in a file: no colours."""
    return terminal(record, TERMINAL_WIDTH)


FORMATS: Mapping[str, Callable[[Record], str]] = {
    "terminal": terminal_text,
    "markdown": markdown,
    "step-summary": step_summary,
    "html": html,
    "junit": junit,
    "badge": badge_text,
}
"""What can be made of a record."""

SUFFIXES: Mapping[str, str] = {"html": ".html", "markdown": ".md", "junit": ".junit.xml", "badge": ".badge.json"}
"""Of the files that a run writes beside its record."""


def write(run: Run, folder: Path) -> Mapping[str, Path]:
    """Write the record of a run and its pages; append to the CI's step summary where there is one.

    Returns
    -------
    Mapping
        Paths, by "record" and the keys of `SUFFIXES`.

    Raises
    ------
    ReportError
        If the folder cannot be written to; the old reports are still there.
    """
    record = Record.of(run)
    paths = write_record(record, folder)
    summary = os.environ.get(STEP_SUMMARY)
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(step_summary(record))
        except OSError as error:
            # The verdict stands without it.
            print(f"focal-ref: {STEP_SUMMARY}: {summary}: {error.strerror}; nothing was appended", file=sys.stderr)
    return paths


def check_folder(name: str, option: str) -> Path:
    """The folder for the reports; one that cannot be made is refused before anything is run.

    Raises
    ------
    ReportError
        If the name is empty, or that of something else.
    """
    folder = Path(name)
    if not name or any(place.exists() and not place.is_dir() for place in (folder, *folder.parents)):
        raise ReportError(f"{option}: got {name!r}; it is a folder for the reports, which is made if there is none")
    return folder


def write_record(record: Record, folder: Path, stem: str | None = None) -> Mapping[str, Path]:
    """Write a record and the pages made from it, as a set; `stem` by default from the name of the target."""
    stem = stem or stem_of(record.target)
    texts = {"record": (RECORD, record.text)}
    texts |= {format: (suffix, FORMATS[format](record)) for format, suffix in SUFFIXES.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        finish(folder, stem)
        _remove_leftovers(folder, stem)
        temporary = folder / f".{stem}.writing-{os.getpid()}"
        temporary.mkdir()
        for suffix, text in texts.values():
            (temporary / f"{stem}{suffix}").write_text(text, encoding="utf-8", newline="\n")
        temporary.rename(_complete(folder, stem))
        finish(folder, stem)
    except OSError as error:
        raise ReportError(f"report: {folder}: cannot be written: {error.strerror}; name another folder") from error
    return {format: folder / f"{stem}{suffix}" for format, (suffix, _) in texts.items()}


def read_record(path: Path) -> Record:
    """The record in a file, after what a killed run left of it is in place."""
    try:
        finish(path.parent, path.name.removesuffix(RECORD))
    except OSError as error:
        raise RecordError(f"{path}: a newer report beside it cannot be put in place: {error.strerror}") from error
    return load_record(path)


def finish(folder: Path, stem: str) -> None:
    """Move the files of a complete set to their places, if a killed process left one. The record comes first."""
    complete = _complete(folder, stem)
    if not complete.is_dir():
        return
    for file in sorted(complete.iterdir(), key=lambda file: (file.suffix != RECORD, file.name)):
        file.replace(folder / file.name)
    complete.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write one file; it is the old one or the new one, never half."""
    temporary = path.with_name(f".{path.name[:MAXIMUM_NAME]}.writing-{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise ReportError(f"report: {path}: cannot be written: {error.strerror}; name another file") from error


def stem_of(target: str) -> str:
    """A file's name made from that of a target, which may hold anything."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in target).lstrip("-")
    if plain and len(plain) <= MAXIMUM_NAME:
        return plain
    return f"{plain[:MAXIMUM_NAME]}-{hashlib.sha256(target.encode('utf-8', 'replace')).hexdigest()[:8]}".lstrip("-")


def _complete(folder: Path, stem: str) -> Path:
    return folder / f".{stem}.complete"


def _remove_leftovers(folder: Path, stem: str) -> None:
    """Remove what killed processes had not completed."""
    prefix = f".{stem}.writing-"
    for entry in folder.iterdir():
        number = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and number.isdigit() and not _is_other_process(int(number)):
            shutil.rmtree(entry, ignore_errors=True)


def _is_other_process(number: int) -> bool:
    """Whether another process of that number is running, as far as this system tells."""
    if number == os.getpid() or os.name != "posix":
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
