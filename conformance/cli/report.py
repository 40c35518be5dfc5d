"""``focal-ref report``: any page of a run, made again from its record."""

import os
import shutil
import sys
from pathlib import Path

import click

from focal_ref.conformance.reports.files import FORMATS, RECORD, ReportError, read_record, write_record, write_text
from focal_ref.conformance.reports.record import Record, RecordError
from focal_ref.conformance.reports.table import terminal


@click.command("report")
@click.argument("record", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS, "all"]),
    default="terminal",
    show_default=True,
    help="What to make; all: everything that a run writes.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write, replaced whole; for all, the folder. By default the terminal, and the record's folder.",
)
def command(record: Path, form: str, output: Path | None) -> None:
    """Make a report from the record of a run; needs nothing but the record.

    \b
    Examples:
      focal-ref report focal-ref-report/optax.jsonl
      focal-ref report optax.jsonl --format=html -o optax.html
      focal-ref report optax.jsonl --format=step-summary >> "$GITHUB_STEP_SUMMARY"
      focal-ref report optax.jsonl --format=all

    The exit code is 0 when the report was made, whatever its verdict, and 4 for a record that cannot be read.
    """
    known = read(record)
    try:
        if form == "all":
            folder = output or record.parent
            for path in write_record(known, folder, record.name.removesuffix(RECORD)).values():
                click.echo(path)
        elif output is not None:
            refuse_same_file(output, record)
            write_text(output, FORMATS[form](known))
        elif form == "terminal":
            is_terminal = sys.stdout.isatty()
            color = is_terminal and not os.environ.get("NO_COLOR")
            columns = shutil.get_terminal_size().columns
            click.echo(
                terminal(known, columns if is_terminal else max(100, columns), color=color), nl=False, color=color
            )
        else:
            click.echo(FORMATS[form](known), nl=False)
    except ReportError as error:
        raise click.UsageError(str(error)) from error


def read(path: Path) -> Record:
    """The record in a file; anything else is bad usage."""
    try:
        return read_record(path)
    except RecordError as error:
        raise click.UsageError(f"record: {error}") from error


def refuse_same_file(output: Path, *records: Path) -> None:
    """A report in the place of its record would destroy it."""
    for record in records:
        if output.resolve() == record.resolve():
            raise click.UsageError(f"--output: got {str(output)!r}, which is the record itself; name another file")
