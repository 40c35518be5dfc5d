"""``focal-ref backends``: what can run here, and why not."""

import click

from focal_ref.conformance.targets import UsageError
from focal_ref.conformance.targets.python import backend_names, backend_target


@click.command("backends")
def command() -> None:
    """List every backend, and why one cannot run here."""
    for name in backend_names():
        try:
            described = backend_target(name, None).describe()
            click.echo(f"{name:<18}{described['library']} on {described['device']}")
        except UsageError as error:
            click.echo(f"{name:<18}not available: {error}")
