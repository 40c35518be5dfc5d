"""``focal-ref vectors``: the test vectors, for a test in any language."""

from collections.abc import Callable
from pathlib import Path

import click

from focal_ref.conformance.bundle import archive, lint
from focal_ref.conformance.bundle.contents import contents, describe, set_names
from focal_ref.conformance.vectors import VectorError


@click.group("vectors")
def command() -> None:
    """Hand out the test vectors, verify a copy of them, say what there is.

    \b
    Examples:
      focal-ref vectors export -o focal-ref-vectors.zip
      focal-ref vectors verify focal-ref-vectors.zip
    """


@command.command("export")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="A new folder, or a .zip file.")
@click.option("--sets", multiple=True, metavar="SET", help="Only this one, as `list` prints it; may be repeated.")
def export(output: Path, sets: tuple[str, ...]) -> None:
    """Write the bundle: vectors, schemas, tables, recipes, manifest with hashes, and a README that explains them.

    Nothing else is needed to test an implementation in another language. The same version gives the same bytes.

    \b
    Examples:
      focal-ref vectors export -o vectors
      focal-ref vectors export -o vectors.zip
      focal-ref vectors export -o vectors --sets focal --sets family/softmax_loss
    """
    try:
        made = contents(sets)
        archive.write(made, output)
    except VectorError as error:
        raise click.UsageError(f"vectors export: {error}") from error
    click.echo(f"{output}: {len(made)} files, {sum(map(len, made.values()))} bytes")


@command.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
def verify(bundle: Path) -> int:
    """Say whether a bundle, folder or .zip file, is whole: hashes, schemas, numbers of tests.

    The exit code is 0 if it is, 1 if it is not, 4 if it is no bundle.

    \b
    Example:
      focal-ref vectors verify vectors.zip
    """
    return _reported(f"{bundle}: whole", lambda: list(archive.complaints(bundle)), "verify")


@command.command("lint")
@click.option("--regenerate", is_flag=True, help="Compute the hashes of the exhaustive recipes again.")
def lint_command(regenerate: bool) -> int:
    """Check the installed vectors: schemas, ids that are unique and made of the contents, bits, hashes, counts.

    In a checkout, `make vectors` besides generates every file again and compares the bytes.

    \b
    Example:
      focal-ref vectors lint
    """
    return _reported(
        f"{len(set_names())} sets: nothing found", lambda: list(lint.complaints(regenerate=regenerate)), "lint"
    )


@command.command("list")
def list_command() -> None:
    """List the sets with their number of tests and their subject.

    \b
    Example:
      focal-ref vectors list
    """
    for name in set_names():
        try:
            entry = describe(name)
        except VectorError as error:
            raise click.UsageError(f"vectors list: {error}") from error
        click.echo(f"{name:<32}{entry['tests']:>6}  {entry['subject']}")


def _reported(good: str, check: Callable[[], list[str]], name: str) -> int:
    try:
        found = check()
    except VectorError as error:
        raise click.UsageError(f"vectors {name}: {error}") from error
    for complaint in found:
        click.echo(complaint)
    if not found:
        click.echo(good)
    return 1 if found else 0
