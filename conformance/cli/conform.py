"""``focal-ref conform``: the suite where there is no checkout."""

import sys
from pathlib import Path

import click
import pytest

from focal_ref import conformance


@click.command("conform")
@click.option("--backend", help="This project's own code on one library, such as numpy, torch:compile or jax:jit.")
@click.option("--device", help="Where the arrays lie: cpu, cuda, cuda:1.")
@click.option("--target", help="Any Python function, as package.module:function; needs --profile.")
@click.option("--profile", help="A shipped profile by name, or the path of a TOML file.")
@click.option("--case", help="One stored vector, as failure texts print it.")
@click.option("--report-dir", default="focal-ref-report", show_default=True, help="Where the report is written.")
def command(**options: str | None) -> None:
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
    sys.exit(run_suite([f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]))


def run_suite(options: list[str]) -> int:
    """Run the suite under pytest with its own options; the exit code of the gate."""
    folder = Path(conformance.__file__).parent
    # A configuration of its own: the caller's pytest settings are not the suite's.
    arguments = [
        str(folder / "test_conformance.py"),
        "-q",
        f"--config-file={folder / 'standalone.ini'}",
        f"--rootdir={folder}",
        "--import-mode=importlib",
        "-p",
        "focal_ref.conformance.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    return int(pytest.main([*arguments, *options]))
