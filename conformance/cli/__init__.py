"""The command line: one module a command, found by its name."""

import sys
from importlib import import_module

USAGE = 4
INTERRUPTED = 2
INTERNAL = 3
"""As `focal_ref.conformance.gate.ExitCode`, where the gate cannot be imported."""

COMMANDS = (
    "conform",
    "smoke",
    "repro",
    "explain",
    "report",
    "matrix",
    "diff",
    "expect",
    "vectors",
    "init-profile",
    "backends",
    "score",
)
"""In the order of the help: first what most people need. Each is a module beside this one with a `command`."""


def main() -> None:
    """Entry point of the command ``focal-ref``."""
    try:
        # The suite is an extra; each of these needs a part of it.
        import click
        import pytest  # noqa: F401

        import focal_ref.conformance.gate  # noqa: F401
    except ImportError as error:
        print(f"focal-ref: {error}; install the suite: pip install 'focal-ref[conformance]'", file=sys.stderr)
        sys.exit(USAGE)

    class InOrder(click.Group):
        """Imports the module of a command when it is asked for."""

        def list_commands(self, ctx: click.Context) -> list[str]:
            return list(COMMANDS)

        def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
            if name not in COMMANDS:
                return None
            module = import_module(f"{__name__}.{name.replace('-', '_')}")
            command: click.Command = module.command
            return command

    @click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
    @click.version_option(package_name="focal-ref")
    def cli() -> None:
        """Focal loss: the reference, and the conformance suite for everybody else's."""

    try:
        # Not standalone: click's own exit code for bad usage, 2, means interrupted here.
        code = cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        sys.exit(USAGE)
    except OSError as error:
        # A full disk behind the terminal, or a reader of the output that has gone.
        print(f"focal-ref: the output cannot be written: {error.strerror}", file=sys.stderr)
        sys.exit(INTERNAL)
    except click.ClickException as error:
        print(f"focal-ref: {error.format_message()}", file=sys.stderr)
        sys.exit(USAGE)
    sys.exit(code if isinstance(code, int) else 0)
