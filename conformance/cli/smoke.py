"""``focal-ref smoke``: a first impression in seconds."""

import sys
from typing import Any

import click

from focal_ref.conformance.cli.target_options import chosen, description_of, target_options
from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.smoke import harness_fault, smoke_format, smoke_rows, smoke_verdict
from focal_ref.conformance.vectors import VectorError
from focal_ref.conformance.versioning import check_data


@click.command("smoke")
@target_options
def command(**options: Any) -> None:
    """Run a dozen vectors, value and gradient, in a few seconds.

    First the harness proves itself: a right implementation passes the same vectors, and wrong ones fail. Exit codes
    are those of conform; 0 says that the smoke test passes, not that the target is conformant.

    \b
    Examples:
      focal-ref smoke --backend=numpy
      focal-ref smoke --profile=optax
      focal-ref smoke --target=my_package.losses:focal_loss --profile=my_profile.toml
      focal-ref smoke --target-cmd=./my_program --profile=my_profile.toml
    """
    target = chosen(options)
    dtype = smoke_format(target)
    try:
        check_data()
        fault = harness_fault()
    except VectorError as error:
        fault = str(error)
    if fault:
        _end(ExitCode.SELF_CHECK, f"self-check failed: {fault}")
    try:
        click.echo(", ".join(f"{name}: {text}" for name, text in description_of(target).items()))
        rows = smoke_rows(target, dtype)
    finally:
        left = target.close()
    for row in rows:
        accuracy = f"{row.error:.4g} of {row.budget:.4g} ulp" if row.budget else ""
        outcome = "pass" if row.passed else "FAIL" if row.failed else "-"
        line = f"{row.requirement:<12}{row.quantity:<10}{row.vectors:>3} {dtype:<9} {outcome:<6}{accuracy:<26} "
        click.echo(line + (row.text or requirements()[row.requirement].sentence))
    if left:
        click.echo(left)
    _end(*smoke_verdict(rows))


def _end(code: ExitCode, reason: str) -> None:
    click.echo(f"verdict: {reason} (exit code {int(code)})")
    sys.exit(int(code))
