"""``focal-ref expect``: holds a waiver file against the record of a run, and shrinks it."""

import os
import sys
from datetime import date
from pathlib import Path

import click

from focal_ref.conformance.gate import SELF_CHECK, ExitCode
from focal_ref.conformance.narrowing import Change, narrowed, rewritten
from focal_ref.conformance.reports.record import Record, RecordError, load_record
from focal_ref.conformance.waivers import Facts, Failure, WaiverError, load_waivers, parse_waivers


@click.command("expect")
@click.argument("record", type=click.Path(path_type=Path), metavar="RECORD.jsonl")
@click.argument("waivers", type=click.Path(path_type=Path), metavar="WAIVERS.toml")
@click.option("--narrow", is_flag=True, help="Rewrite the file; without it, only say what would change.")
def command(record: Path, waivers: Path, narrow: bool) -> None:
    """Shrink a waiver file to exactly what fails.

    Waivers of what passes now are dropped, formats and vectors that pass are taken out. Nothing is ever added: a new
    failure needs a person who writes down why. Comments stay. Without --narrow the exit code is 7 if anything would
    change.

    \b
    Examples:
      focal-ref conform --profile=mine.toml --waivers=waivers.toml
      focal-ref expect focal-ref-report/mine.jsonl waivers.toml
      focal-ref expect --narrow focal-ref-report/mine.jsonl waivers.toml
    """
    try:
        run, file = load_record(record), load_waivers(waivers)
    except (RecordError, WaiverError) as error:
        raise click.UsageError(" ".join(str(error).split())) from error
    names = {run.target, str(run.head["profile"]["name"])}
    if file.target not in names:
        raise click.UsageError(f"{waivers}: target: got {file.target!r}; the record is of {' or '.join(sorted(names))}")
    if SELF_CHECK not in {item.name for item in (*run.not_run, *(result.item for result in run.results))}:
        raise click.UsageError(f"{record}: of one case alone; give the record of a whole run")
    items = [
        Failure(result.item.name, result.item.dtype, result.failing, result.passing)
        for result in run.results
        if result.item.name != SELF_CHECK
    ]
    changes = narrowed(file, items, _left_out(run), Facts.of(run.head["target"], date.today()))
    for change in changes:
        click.echo(f"{waivers}: {change.waiver.name}: {change.text}")
    edits = [change for change in changes if change.is_edit]
    if not edits:
        click.echo(f"{waivers}: nothing to narrow")
        sys.exit(int(ExitCode.WAIVERS if changes else ExitCode.CONFORMANT))
    if not narrow:
        click.echo(f"{waivers}: {len(edits)} of {len(file.waivers)} waivers would change; --narrow rewrites the file")
        sys.exit(int(ExitCode.WAIVERS))
    _replace(waivers, edits)
    click.echo(f"{waivers}: {len(edits)} of {len(file.waivers)} waivers changed")


def _left_out(run: Record) -> list[str]:
    """Requirements that the run did not run in full: one that was narrowed to a case, or whose items are missing."""
    return [item.name for item in run.not_run]


def _replace(path: Path, changes: list[Change]) -> None:
    """The old file or the new one, never half; the new one is read again before it counts."""
    text = rewritten(path.read_text(encoding="utf-8"), changes)
    parse_waivers(text, str(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise click.UsageError(f"{path}: cannot be written: {error.strerror}; it is as it was") from error
