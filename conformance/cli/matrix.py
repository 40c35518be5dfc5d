"""``focal-ref matrix``: implementations by requirements."""

import os
from pathlib import Path

import click

from focal_ref.conformance.cli.report import read, refuse_same_file
from focal_ref.conformance.reports.files import RECORD, SUFFIXES, ReportError, write_text
from focal_ref.conformance.reports.matrix import Column, link_to, matrix_html, matrix_markdown
from focal_ref.conformance.reports.record import Record

RENDERERS = {"markdown": matrix_markdown, "html": matrix_html}


@click.command("matrix")
@click.argument("records", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--format", "form", type=click.Choice(list(RENDERERS)), default="markdown", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file to write; by default the terminal.")
def command(records: tuple[Path, ...], form: str, output: Path | None) -> None:
    """Put the records of several runs side by side: a row a requirement, a column an implementation.

    Cells link to the requirement on the HTML page of the run, where that page stands beside the record.

    \b
    Examples:
      focal-ref matrix focal-ref-report/*.jsonl
      focal-ref matrix optax.jsonl kornia.jsonl --format=html -o matrix.html
    """
    folder = output.parent if output is not None else Path()
    columns = []
    for path in records:
        record = read(path)
        columns.append(Column(record, _page(path, record, folder)))
    text = RENDERERS[form](columns)
    if output is None:
        click.echo(text, nl=False)
        return
    refuse_same_file(output, *records)
    try:
        write_text(output, text)
    except ReportError as error:
        raise click.UsageError(str(error)) from error


def _page(path: Path, record: Record, folder: Path) -> str:
    """The page of a run as seen from a folder, if it stands beside the record and was made from it."""
    page = path.with_name(path.name.removesuffix(RECORD) + SUFFIXES["html"])
    try:
        begin = page.read_bytes()[:4096].decode("utf-8", "replace")
    except OSError:
        return ""
    if f'content="{record.id}"' not in begin:
        return ""
    return link_to(Path(os.path.relpath(page, folder)).as_posix())
