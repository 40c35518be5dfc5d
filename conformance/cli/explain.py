"""``focal-ref explain``: what a requirement asks for."""

import click

from focal_ref.conformance.requirements import AREAS, requirements


@click.command("explain")
@click.argument("requirement")
def command(requirement: str) -> None:
    """Say what a requirement asks for, why, and where it comes from.

    \b
    Examples:
      focal-ref explain FL-VAL-002
      focal-ref explain MAT            all requirements of an area, a line each
    """
    known, wanted = requirements(), requirement.upper()
    if wanted in AREAS:
        click.echo(f"{wanted}: {AREAS[wanted]}")
        for entry in known.values():
            if entry.area == wanted:
                click.echo(f"{entry.id}  {entry.sentence}")
    elif wanted in known:
        entry = known[wanted]
        click.echo(f"{entry.id}: {entry.sentence}")
        click.echo(f"  formula  {entry.formula}")
        click.echo(f"  source   {entry.source}")
        click.echo(f"  often    {entry.rationale}")
        needs = f", of profiles that claim {', '.join(entry.needs)}" if entry.needs else ""
        click.echo(f"  level    {entry.level}{needs}")
    else:
        raise click.UsageError(f"no requirement {requirement!r}; areas are {', '.join(AREAS)}")
