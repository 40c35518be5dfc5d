"""``focal-ref score``: the loss of logged predictions, larger than memory, with an account of every row."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from focal_ref._parameters import ENCODINGS, PRECISIONS
from focal_ref.scoring import Report, ScoringError, as_text, score
from focal_ref.scoring.run import Progress

NOT_ALL = 1


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """A number, or several with commas between them; "none" where the loss takes None."""
    if value is None or value.lower() == "none":
        return None
    try:
        numbers = tuple(float(number) for number in value.split(","))
    except ValueError as error:
        text = f"got {value!r}; it is a number, or one for each class: 0.1,0.2,0.7"
        raise click.BadParameter(text, context, parameter) from error
    return numbers if len(numbers) > 1 else numbers[0]


@click.command("score")
@click.argument("inputs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--results", required=True, type=click.Path(path_type=Path), help="Directory of the run; new, or its own."
)
@click.option("--logits", default="logits", show_default=True, help="Column of a logit a row, or of lists of them.")
@click.option("--targets", default="targets", show_default=True, help="Column of targets or labels.")
@click.option("--labels", is_flag=True, help="Targets are class numbers, with one sigmoid a class.")
@click.option("--softmax", is_flag=True, help="Targets are class numbers, with one softmax over the classes.")
@click.option("--alpha", callback=_numbers, metavar="NUMBERS", help="Weight of positives or of each class; none: 1.")
@click.option("--gamma", callback=_numbers, metavar="NUMBERS", default="2", show_default=True, help="Exponent.")
@click.option("--encoding", type=click.Choice(ENCODINGS), default="binary", show_default=True)
@click.option("--precision", type=click.Choice(PRECISIONS), default="exact", show_default=True)
@click.option(
    "--classes", type=int, help="Length of the lists; by default as the column's type or its first list has it."
)
@click.option("--group-by", multiple=True, metavar="COLUMN", help="Sums for each value of a column; repeatable.")
@click.option("--by-class", is_flag=True, help="Sums for each class.")
@click.option("--allow-infinite", is_flag=True, help="Score infinite logits as their limits.")
@click.option("--part-rows", type=int, help="Rows after which a part is kept; default about 17 million logits.")
@click.option("--workers", type=int, help="Parts that are scored at once here; default: processors.")
@click.option("--scheduler", metavar="ADDRESS", help="A dask.distributed scheduler that does it instead.")
@click.option("--accept-rejected", is_flag=True, help="Exit code 0 although rows were rejected.")
@click.option("--accept-unreadable", is_flag=True, help="Exit code 0 although files or pieces cannot be read.")
@click.option("--progress/--no-progress", default=None, help="By default if standard error is a terminal.")
@click.option("--format", "form", type=click.Choice(["terminal", "json"]), default="terminal", show_default=True)
@click.pass_context
def command(context: click.Context, /, inputs: tuple[Path, ...], results: Path, form: str, **given: Any) -> int:
    """Score logged predictions in Parquet files or Zarr stores.

    Finished parts are kept in the directory of --results: the same command, run again after a kill, goes on, and counts
    nothing twice. Rows that cannot be scored are written to rejects/*.jsonl there, with file, row and reason.

    \b
    Examples:
      focal-ref score predictions/ --results=scores
      focal-ref score predictions.zarr --results=scores --labels --by-class --group-by=camera
      focal-ref score predictions/ --results=scores --scheduler=tcp://10.0.0.1:8786

    \b
    Exit codes:
      0  every row is in the sums
      1  rows were rejected, or files, row groups or chunks cannot be read
      2  interrupted
      4  the input, the options or the results directory do not fit, or the cluster failed
    """
    accepted = {name: given.pop(f"accept_{name}") for name in ("rejected", "unreadable")}
    shown = given.pop("progress")
    labels, softmax = given.pop("labels"), given.pop("softmax")
    if labels and softmax:
        raise click.UsageError("--labels and --softmax: got both; one sigmoid a class, or one softmax")
    given["loss"] = "labels" if labels else "softmax" if softmax else "binary"
    if context.get_parameter_source("alpha") == click.core.ParameterSource.DEFAULT:
        del given["alpha"]
    try:
        with _progress(sys.stderr.isatty() if shown is None else shown) as progress:
            report = score(inputs, results, progress=progress, **given)
    except (ScoringError, TypeError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(json.dumps(report.data, indent=1) + "\n" if form == "json" else _text(report, results), nl=False)
    rejected = report.rows_rejected > 0 and not accepted["rejected"]
    unreadable = bool(report.unreadable) and not accepted["unreadable"]
    return NOT_ALL if rejected or unreadable else 0


def _text(report: Report, results: Path) -> str:
    text = as_text(report)
    if report.rows_rejected:
        text += f"rejected rows are in {results / 'rejects'}\n"
    return text + f"report: {results / 'report.json'}\n"


@contextmanager
def _progress(shown: bool) -> Iterator[Progress | None]:
    if not shown:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("rows"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
