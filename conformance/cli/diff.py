"""``focal-ref diff``: what changed between two runs."""

import json
from pathlib import Path

import click

from focal_ref.conformance.cli.report import read
from focal_ref.conformance.reports.difference import as_data, as_text, difference

WORSE = 1


@click.command("diff")
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@click.option(
    "--factor",
    type=click.FloatRange(min=1),
    default=2.0,
    show_default=True,
    help="By how much an error beyond half an ulp has to grow or shrink to be named.",
)
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
def command(first: Path, second: Path, factor: float, form: str) -> int:
    """Compare the records of two runs: outcomes, errors, versions, claims, vectors.

    \b
    Examples:
      focal-ref diff main/optax.jsonl branch/optax.jsonl
      focal-ref diff old.jsonl new.jsonl --factor=1.2 --format=json

    \b
    Exit codes:
      0  nothing got worse
      1  something did: it passed and does not any more, or an error grew by more than the factor
      4  a record cannot be read
    """
    if factor != factor:
        raise click.UsageError("--factor: got nan; it is a number from 1 on")
    found = difference(read(first), read(second), factor)
    click.echo(json.dumps(as_data(found), indent=2) + "\n" if form == "json" else as_text(found), nl=False)
    return WORSE if found.worse else 0
