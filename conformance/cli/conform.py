"""``focal-ref conform``: the suite where there is no checkout."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

from focal_ref import conformance
from focal_ref.conformance.cli.target_options import target_options

SETTINGS = {"PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""Of the environment: the options and plugins of the caller's own tests are not the suite's."""


@click.command("conform")
@target_options
@click.option("--waivers", metavar="FILE", help="Expected failures; red unless they are exactly what fails.")
@click.option("--level", metavar="RELEASE", help="Count what that release required, such as 0.1.")
@click.option("--case", metavar="ID", help="One stored vector, as failure texts print it.")
@click.option(
    "--no-diagnosis", is_flag=True, help="Do not compare failures with the known faults, which takes seconds."
)
@click.option("-k", "select", metavar="WORDS", help="Run some items only, which is never green.")
@click.option("-n", "workers", metavar="WORKERS", help="Processes, such as 2 or auto; needs pytest-xdist.")
@click.option("--report-dir", metavar="DIR", default="focal-ref-report", show_default=True, help="For the report.")
def command(select: str | None, workers: str | None, no_diagnosis: bool, **options: Any) -> None:
    """Run the suite; the exit code is the verdict.

    \b
    0 conformant; or no failure but waived ones  5 nothing was run
    1 not conformant                             6 incomplete: skipped or filtered
    2 interrupted                                7 a waiver does not fit
    3 internal error                             8 self-check failed, or the vectors
    4 usage, unknown or unavailable backend        are not those of the release

    \b
    This project's own code, on two processes:
      focal-ref conform --backend=torch -n 2
    A released package with a shipped profile:
      focal-ref conform --profile=optax
    A function of your own, with expected failures:
      focal-ref conform --target=my_package.losses:focal_loss \\
          --profile=my_profile.toml --waivers=waivers.toml
    A program in any language:
      focal-ref conform --target-cmd=./my_program --profile=my_profile.toml
    Then, with the id that a failure text prints:
      focal-ref repro FL-VAL-002/float32 --profile=optax
    """
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    if no_diagnosis:
        arguments.append("--no-diagnosis")
    if select is not None:
        arguments += ["-k", select]
    if workers is not None:
        if find_spec("xdist") is None:
            raise click.UsageError("-n needs pytest-xdist: pip install pytest-xdist")
        if workers not in ("auto", "logical") and not workers.isdecimal():
            raise click.UsageError(f"-n: got {workers!r}; it is a number of processes, or auto")
        arguments += ["-p", "xdist", "-n", workers]
    sys.exit(run_suite(arguments))


def run_suite(options: Sequence[str]) -> int:
    """Run the suite under pytest with its own options; the exit code of the gate."""
    folder = Path(conformance.__file__).parent
    # A configuration of its own: the caller's pytest settings are not the suite's.
    arguments = [
        str(folder / "test_conformance.py"),
        "-q",
        # What failed stands in the table, just above the verdict.
        "-rN",
        f"--config-file={folder / 'standalone.ini'}",
        f"--rootdir={folder}",
        "--import-mode=importlib",
        "-p",
        "focal_ref.conformance.pytest_plugin",
        "-p",
        "no:cacheprovider",
    ]
    with _own_settings():
        return int(pytest.main([*arguments, *options]))


@contextmanager
def _own_settings() -> Iterator[None]:
    kept = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
