"""The badge of a run: an endpoint file for shields.io."""

from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.reports.record import Record

LABEL = "focal loss"


def badge(record: Record) -> dict[str, object]:
    """What the badge says. Green only for a run that was conformant and needed no waiver."""
    message, color = _said(record)
    return {"schemaVersion": 1, "label": LABEL, "message": message, "color": color}


def _said(record: Record) -> tuple[str, str]:
    if record.exit_code == ExitCode.NOT_CONFORMANT or (record.exit_code == ExitCode.CONFORMANT and record.failed):
        return "not conformant", "red"
    if record.exit_code == ExitCode.WAIVERS:
        return "waivers out of date", "orange"
    if record.exit_code in (ExitCode.NOTHING, ExitCode.INCOMPLETE):
        return "incomplete", "lightgrey"
    if record.is_conformant:
        return "conformant", "brightgreen"
    if record.exit_code == ExitCode.CONFORMANT and record.waived and not record.not_run:
        return f"{len({result.item.name for result in record.waived})} waived", "yellow"
    return "no verdict", "lightgrey"
