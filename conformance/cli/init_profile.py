"""``focal-ref init-profile``: ask a function a few dozen questions and write the profile that fits."""

from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from focal_ref.conformance.inference.answers import NONE_FITS
from focal_ref.conformance.inference.exploring import TRIED
from focal_ref.conformance.inference.profiling import Profiling, profile_function
from focal_ref.conformance.inference.writing import printable
from focal_ref.conformance.reports.files import ReportError, write_text
from focal_ref.conformance.targets import UsageError

NOT_DESCRIBED = 1


@click.command("init-profile")
@click.argument("function")
@click.option("--library", type=click.Choice(TRIED), help="Whose arrays it takes; found out if it is left out.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; shown without it."
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def command(function: str, library: str | None, output: Path | None, force: bool) -> int:
    """Find out the conventions of FUNCTION by calling it, and write them as a profile.

    FUNCTION is package.module:function, or a class that is constructed with the hyper-parameters. It is called with a
    few logits and targets in every way that its signature allows, until known formulas explain all the numbers.

    \b
    Examples:
      focal-ref init-profile optax.losses:sigmoid_focal_loss
      focal-ref init-profile my_package.losses:focal_loss -o focal_loss.toml
      focal-ref conform --profile=focal_loss.toml

    Where nothing fits, the numbers are shown, no file is written and the exit code is 1.
    """
    if output is not None and output.exists() and not force:
        raise click.UsageError(f"-o {output}: it exists; choose another name, or replace it with --force")
    if output is not None and not output.parent.is_dir():
        raise click.UsageError(f"-o {output}: there is no folder {output.parent}")
    try:
        result = profile_function(function, library)
    except UsageError as error:
        raise click.UsageError(" ".join(str(error).split())) from error
    # The profile has standard output for itself where it is not written to a file.
    console = Console(stderr=output is None, width=None)
    _show(console, function, result)
    if result.problem:
        click.echo(f"focal-ref: {function}: {result.problem}; no profile is written", err=True)
        return NOT_DESCRIBED
    if output is None:
        click.echo(result.text, nl=False)
    else:
        try:
            write_text(output, result.text)
        except ReportError as error:
            raise click.UsageError(str(error)) from error
        click.echo(f"{output}: written; next: focal-ref conform --profile={output}")
    return 0


def _show(console: Console, function: str, result: Profiling) -> None:
    """Question, answer and evidence as a table; under it the numbers of what nothing fits."""
    if result.rows:
        table = Table(title=escape(function), title_justify="left")
        for name in ("question", "answer", "seen"):
            table.add_column(name, overflow="fold", no_wrap=name == "question")
        for row in result.rows:
            missing = "not claimed" if row.key.startswith("claims.") else NONE_FITS
            answer = missing if row.value is None else str(row.value)
            table.add_row(escape(row.key), escape(answer), escape(printable(row.seen)))
        console.print(table)
    for line in result.details:
        click.echo(printable(line), err=True)
