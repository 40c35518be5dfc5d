"""The command line: the suite where there is no checkout, and what can run here."""

import sys
from pathlib import Path
from typing import Any

USAGE = 4
"""`focal_ref.conformance.gate.ExitCode.USAGE`, where the gate cannot be imported."""


def main() -> None:
    """Entry point of the command ``focal-ref``."""
    try:
        # The suite is an extra; each of these needs a part of it.
        import click  # noqa: F401
        import pytest  # noqa: F401

        import focal_ref.conformance.gate  # noqa: F401
    except ImportError as error:
        print(f"focal-ref: {error}; install the suite: pip install 'focal-ref[conformance]'", file=sys.stderr)
        sys.exit(USAGE)
    _commands()()


def _commands() -> Any:
    import click

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(package_name="focal-ref")
    def cli() -> None:
        """Focal loss: the reference, and the conformance suite for everybody else's."""

    @cli.command()
    @click.option("--backend", help="This project's own code on one library, such as numpy, torch:compile or jax:jit.")
    @click.option("--device", help="Where the arrays lie: cpu, cuda, cuda:1.")
    @click.option("--target", help="Any Python function, as package.module:function; needs --profile.")
    @click.option("--profile", help="A shipped profile by name, or the path of a TOML file.")
    @click.option("--case", help="One stored vector, as failure texts print it.")
    @click.option("--report-dir", default="focal-ref-report", show_default=True, help="Where the report is written.")
    def conform(**options: str | None) -> None:
        r"""Run the suite; the exit code is the verdict.

        \b
        0 conformant        4 usage, unknown or unavailable backend
        1 not conformant    5 nothing was run
        2 interrupted       6 incomplete: skipped or filtered
        3 internal error    8 self-check failed

        \b
        Examples:
          focal-ref conform --backend=torch
          focal-ref conform --profile=optax
          focal-ref conform --target=my_package.losses:focal_loss --profile=my_profile.toml
        """
        import pytest

        suite = Path(__file__).with_name("test_conformance.py")
        # A configuration of its own: the caller's pytest settings are not the suite's.
        configuration = Path(__file__).with_name("standalone.ini")
        arguments = [
            str(suite),
            "-q",
            f"--config-file={configuration}",
            f"--rootdir={suite.parent}",
            "--import-mode=importlib",
            "-p",
            "focal_ref.conformance.pytest_plugin",
            "-p",
            "no:cacheprovider",
        ]
        arguments += [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
        sys.exit(int(pytest.main(arguments)))

    @cli.command()
    def backends() -> None:
        """List every backend, and why one cannot run here."""
        from focal_ref.conformance.targets import UsageError
        from focal_ref.conformance.targets.python import backend_names, backend_target

        for name in backend_names():
            try:
                described = backend_target(name, None).describe()
                click.echo(f"{name:<18}{described['library']} on {described['device']}")
            except UsageError as error:
                click.echo(f"{name:<18}not available: {error}")

    @cli.command()
    @click.argument("requirement")
    def explain(requirement: str) -> None:
        r"""Say what a requirement asks for, why, and where it comes from.

        \b
        Examples:
          focal-ref explain FL-VAL-002
          focal-ref explain MAT            all requirements of an area, a line each
        """
        from focal_ref.conformance.requirements import AREAS, requirements

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
            click.echo(f"focal-ref: no requirement {requirement!r}; areas are {', '.join(AREAS)}", err=True)
            sys.exit(USAGE)

    return cli
