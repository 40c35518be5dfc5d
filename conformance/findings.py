"""What is said about a failure: requirement, input, expected and got as numbers and bits, error against budget."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from focal_ref.conformance.family.vectors import function_names
from focal_ref.conformance.formats import FORMATS, hex_bits
from focal_ref.conformance.requirements import Requirement
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.functions import parameter_names
from focal_ref.conformance.vectors import vector_set_names

if TYPE_CHECKING:
    from focal_ref.conformance.diagnosis import Explanation

REPRO = "focal-ref repro"
"""What repeats a failure where the suite is installed."""

OWN = ("made_by", "element", "wrong")
"""Of a finding: what is no part of the record."""

MAXIMUM_LISTED = 3
"""Failed elements that are named beside the worst one."""


@dataclass(frozen=True)
class Finding:
    """The worst failed element of one comparison, and how many others failed.

    Attributes
    ----------
    case
        Id of a stored vector, or a name of the comparison that says what was done.
    quantity
        What was compared, such as "value" or "gradient".
    inputs
        Inputs of the element, each as (number, bits) or as text.
    expected, got
        Likewise.
    error, budget
        In ulp; None where it is no matter of accuracy.
    failed, compared
        Elements that failed, and elements that were compared.
    others
        Ids of other failed elements.
    signature
        The way in which the worst element failed, a key of `focal_ref.conformance.cases.SIGNATURES`.
    made_by, element, wrong
        The call, the position in it of the worst element, and those of all that failed, where there are; no part of
        the record.
    """

    case: str
    quantity: str
    expected: str
    got: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    error: float | None = None
    budget: float | None = None
    failed: int = 1
    compared: int = 1
    others: Sequence[str] = ()
    signature: str = "other"
    made_by: Call | None = field(default=None, compare=False, repr=False)
    element: int | None = None
    wrong: Sequence[int] | None = field(default=None, compare=False, repr=False)

    def record(self) -> dict[str, Any]:
        """The finding as JSON data."""
        record = {one.name: getattr(self, one.name) for one in fields(self) if one.name not in OWN}
        record.update(inputs=dict(self.inputs), others=list(self.others))
        for name in ("error", "budget"):
            value = record[name]
            if isinstance(value, float) and not np.isfinite(value):
                record[name] = repr(value)
        return record


def shown(number: Any, dtype: str) -> str:
    """A number and its bits, such as ``0.25  3e800000``."""
    format = FORMATS[dtype]
    scalar = np.asarray(number).astype(format.dtype)[()]
    # numpy's shortest text that reads back as the same number of the format.
    return f"{scalar!s:<26}{hex_bits(scalar, format)}"


def signature(call: Call) -> str:
    """The canonical call as a line of code."""
    own = ("alpha", "gamma") if call.function == "loss" else parameter_names(call.function)
    values = {name: getattr(call, name) for name in ("alpha", "gamma") if name in own} | dict(call.parameters)
    parts = [f"{name}={_short(value)}" for name, value in values.items()]
    for name, default in (("encoding", "binary"), ("weights", None), ("reduction", "none"), ("normalizer", None)):
        value = getattr(call, name)
        if value is not default and not (isinstance(value, str) and value == default):
            parts.append(f"{name}={_short(value)}")
    if call.precision != "exact":
        parts.append(f"precision={call.precision!r}")
    logits, targets = (f"{array.dtype.name}{list(array.shape)}" for array in (call.logits, call.targets))
    if call.function == "loss":
        targets = call.targets.dtype.name
    return f"{call.function}(logits[{logits}], targets[{targets}], {', '.join(parts)})"


def failure_text(
    requirement: Requirement,
    dtype: str,
    findings: Sequence[Finding],
    command: str,
    explanation: "Explanation | None" = None,
) -> str:
    """The message of one requirement and dtype: the worst finding in full, the rest counted.

    Parameters
    ----------
    requirement
        What was not met.
    dtype
        In which format; "" for requirements that are verified once.
    findings
        At least one.
    command
        The command of the run; what narrows it to this requirement, or to the worst stored vector, is added.
    explanation
        Which known faults explain the findings; None if that was not asked.
    """
    worst = max(findings, key=lambda finding: np.inf if finding.error is None else finding.error)
    lines = [f"{requirement.id}{' ' + dtype if dtype else ''}: {requirement.sentence}"]
    lines.append(_row("formula", requirement.formula))
    lines.append(_row("source", requirement.source))
    lines.append(_row("case", worst.case))
    lines += [_row(name, text) for name, text in worst.inputs.items()]
    lines.append(_row("quantity", worst.quantity))
    lines.append(_row("expected", worst.expected))
    lines.append(_row("got", worst.got))
    if worst.error is not None and worst.budget is not None:
        lines.append(_row("error", f"{_ulps(worst.error)} ulp, budget {_ulps(worst.budget)} ulp"))
    failed, compared = sum(f.failed for f in findings), sum(f.compared for f in findings)
    lines.append(_row("failed", f"{failed} of {compared} in {len(findings)} comparison{'s' * (len(findings) > 1)}"))
    others = [other for finding in findings for other in (finding.case, *finding.others) if other != worst.case]
    if others:
        more = len(others) - MAXIMUM_LISTED
        lines.append(_row("also", "; ".join(others[:MAXIMUM_LISTED]) + (f"; and {more} more" if more > 0 else "")))
    lines.append(_row("often", requirement.rationale))
    if explanation is not None:
        lines += [_row(name, text) for name, text in explanation.rows()]
    lines.append(_row("repeat", _repeating(command, requirement.id, dtype, worst)))
    return "\n".join(lines)


def is_loss_vector(case: str) -> bool:
    """Whether a case looks like the id of a stored vector of a loss."""
    return case.partition("/")[0] in (*vector_set_names(), *function_names())


def _repeating(command: str, identifier: str, dtype: str, finding: Finding) -> str:
    """The command that runs one requirement and dtype, or one stored vector of it."""
    is_vector = is_loss_vector(finding.case) and f"/{dtype}/" in finding.case
    case = f"{identifier}/{dtype}/{finding.case}"
    if command.startswith(REPRO):
        what = case if is_vector else f"{identifier}/{dtype}".rstrip("/")
        return f"{REPRO} {shlex.quote(what)}{command.removeprefix(REPRO)}"
    if is_vector:
        return f"{command} --case={shlex.quote(case)}"
    return f"{command} -k {identifier}-{dtype}" if dtype else f"{command} -k {identifier}"


def _short(value: Any) -> str:
    return f"array{list(value.shape)}" if isinstance(value, np.ndarray) else repr(value)


def _row(name: str, text: str) -> str:
    return f"  {name:<10}{text}"


def _ulps(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else str(value)
