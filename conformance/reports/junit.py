"""The run as JUnit XML: one suite, and a case for each row of the report.

A failure that is waived or tentative, and what is not claimed or not run, is skipped with its reason. The last case,
"verdict", fails unless the exit code is 0, so that no reader of JUnit takes a run for green that was not.
"""

from xml.etree import ElementTree

from focal_ref.conformance.gate import SELF_CHECK
from focal_ref.conformance.reports.escaping import safe_text
from focal_ref.conformance.reports.record import Record
from focal_ref.conformance.reports.rows import FAIL, NOT_CLAIMED, NOT_RUN, TENTATIVE, WAIVED, Row, rows


def junit(record: Record) -> str:
    """The file."""
    table = rows(record)
    skipped = sum(row.outcome in (WAIVED, TENTATIVE, NOT_CLAIMED, NOT_RUN) for row in table)
    errors = sum(row.outcome == FAIL and row.name == SELF_CHECK for row in table)
    counts = {
        "tests": str(len(table) + 1),
        "failures": str(sum(row.outcome == FAIL for row in table) - errors + bool(record.exit_code)),
        "errors": str(errors),
        "time": f"{sum(row.result.seconds for row in table if row.result):.3f}",
    }
    root = ElementTree.Element("testsuites", {"name": "focal-ref", **counts})
    about = {"name": safe_text(record.target), "skipped": str(skipped), "timestamp": _timestamp(record)}
    suite = ElementTree.SubElement(root, "testsuite", {**about, **counts})
    properties = ElementTree.SubElement(suite, "properties")
    described = record.described
    described |= {"profile": record.head["profile"]["name"], "level": record.head["level"], "record": record.id}
    for name, value in described.items():
        ElementTree.SubElement(properties, "property", {"name": safe_text(name), "value": safe_text(value)})
    for row in table:
        _case(suite, row, record)
    case = _element(suite, record, "verdict", 0.0)
    if record.exit_code:
        message = f"{safe_text(record.reason)} (exit code {record.exit_code})"
        ElementTree.SubElement(case, "failure", {"message": message, "type": "verdict"})
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(suite: ElementTree.Element, row: Row, record: Record) -> None:
    which = row.sentence.removeprefix("built in: ") if row.name == SELF_CHECK else row.dtype
    name = f"{row.name}-{which}" if which else row.name
    case = _element(suite, record, name, row.result.seconds if row.result else 0.0, row.area)
    if row.outcome == FAIL:
        assert row.result is not None
        text = safe_text(row.result.text, lines=True)
        kind = "error" if row.name == SELF_CHECK else "failure"
        first = (text.splitlines() or [""])[0]
        ElementTree.SubElement(case, kind, {"message": first, "type": row.name}).text = text
    elif row.outcome == WAIVED:
        assert row.result is not None
        ElementTree.SubElement(case, "skipped", {"message": f"waived: {safe_text(row.result.waiver)}"})
    elif row.outcome == TENTATIVE:
        ElementTree.SubElement(case, "skipped", {"message": "tentative: it failed, and does not count at this level"})
    elif row.outcome in (NOT_CLAIMED, NOT_RUN):
        words = row.outcome.lower().replace("-", " ")
        reason = f"{words}: {row.accuracy}" if row.accuracy else words
        ElementTree.SubElement(case, "skipped", {"message": safe_text(reason)})


def _element(
    suite: ElementTree.Element, record: Record, name: str, seconds: float, area: str = ""
) -> ElementTree.Element:
    group = ".".join(part for part in ("focal-ref", safe_text(record.target), safe_text(area)) if part)
    attributes = {"classname": group, "name": safe_text(name), "time": f"{seconds:.3f}"}
    return ElementTree.SubElement(suite, "testcase", attributes)


def _timestamp(record: Record) -> str:
    """Without the zone, which the schema of Jenkins does not know; it is UTC."""
    return safe_text(str(record.head["date"]))[:19]
