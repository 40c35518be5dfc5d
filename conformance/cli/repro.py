"""``focal-ref repro``: one failure again, alone."""

import sys
from typing import Any

import click
import numpy as np

from focal_ref.conformance.claims import not_claimed
from focal_ref.conformance.cli.target_options import chosen, target_options
from focal_ref.conformance.diagnosis import Diagnosis, Recording
from focal_ref.conformance.findings import REPRO, failure_text
from focal_ref.conformance.gate import ExitCode, Item, examine, items_of
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Target
from focal_ref.conformance.vectors import VectorError
from focal_ref.conformance.versioning import check_data


@click.command("repro")
@click.argument("identifier", metavar="ID")
@target_options
def command(identifier: str, **options: Any) -> None:
    """Run one requirement or one stored vector again, and show the failure with code that reproduces it.

    ID is what failure texts print: REQUIREMENT, REQUIREMENT/DTYPE or REQUIREMENT/DTYPE/VECTOR. Exit code 1 if it
    fails, 0 if it passes; for a verdict on the whole run conform.

    \b
    Examples:
      focal-ref repro FL-VAL-002/float32 --profile=optax
      focal-ref repro FL-MAT-003 --profile=torchvision_matcher
      focal-ref repro FL-VAL-001/float32/grid/float32/gamma=2/alpha=none/target=1/logit=3f800000 --backend=numpy
    """
    given = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    path = options.get("target")
    name, _, rest = identifier.partition("/")
    dtype, _, vector = rest.partition("/")
    name = name.upper()
    if name not in requirements():
        raise click.UsageError(f"no requirement {name!r}; `focal-ref explain VAL` lists those of an area")
    target = chosen(options)
    try:
        check_data()
    except VectorError as error:
        click.echo(f"focal-ref: self-check failed: {error}", err=True)
        sys.exit(int(ExitCode.SELF_CHECK))
    failed = False
    try:
        for item in _items(target, name, dtype):
            failed |= _repeated(target, item, vector or None, " ".join([REPRO, *given]), path)
    finally:
        target.close()
    sys.exit(int(failed))


def _repeated(target: Target, item: Item, vector: str | None, command: str, path: str | None) -> bool:
    """Run one item and show it; whether it fails."""
    requirement = requirements()[item.name]
    target.begin()
    recording = Recording(target)
    outcome = examine(requirement, target if requirement.area == "DECL" else recording, item.dtype, vector)
    if not outcome.comparisons:
        raise click.UsageError(f"{item}: nothing was compared" + (f"; no vector {vector!r}" if vector else ""))
    if not outcome.findings:
        accuracy = f", error {outcome.error:.4g} of {outcome.budget:.4g} ulp" if outcome.budget else ""
        click.echo(f"{item}: passes ({outcome.comparisons} compared{accuracy})")
        return False
    explanation = None
    if requirement.area != "DECL":
        explanation = Diagnosis(target).explanation(requirement, outcome.findings, recording.answers)
    click.echo(failure_text(requirement, item.dtype, outcome.findings, command, explanation))
    # Loaded here: targets of other kinds need none of it.
    from focal_ref.conformance.snippet import snippet

    worst = max(outcome.findings, key=lambda finding: np.inf if finding.error is None else finding.error)
    click.echo("\n" + snippet(target, worst, path))
    return True


def _items(target: Target, name: str, dtype: str) -> list[Item]:
    known = [item for item in items_of(target.profile) if item.name == name]
    if not known:
        lacking = {requirement.id: capability for requirement, capability in not_claimed(target.profile)}
        reason = (
            f"it needs {lacking[name]!r}" if name in lacking else "it is no requirement of what the profile describes"
        )
        raise click.UsageError(f"{name}: the profile {target.profile.name!r} does not claim it: {reason}")
    items = [item for item in known if item.dtype == dtype] if dtype else known
    if not items:
        formats = ", ".join(item.dtype for item in known if item.dtype) or "no format: it is verified once"
        raise click.UsageError(f"{name}: got format {dtype!r}; the profile has {formats}")
    return items
