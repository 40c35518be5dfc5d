"""Runs that never ran: results written by hand, so that what a report must say of them is known."""

import json

from focal_ref.conformance.findings import Finding
from focal_ref.conformance.gate import SELF_CHECK, ExitCode, Item, Result
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.reports.record import Record, Run, parse_record

HOSTILE = (
    "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\x1b[31m\x00\u202e|`*_[x](javascript:0)"
)
"""HTML, terminal escapes, XML's forbidden characters, a mark of direction, Markdown."""

REGIMES = (
    {
        "quantity": "value",
        "axis": "margin",
        "bins": [
            ["-inf", 0.0, 16.0, 2, "extremes/a"],
            [-2, 0.5, 16.0, 10, "grid/b"],
            [0, 4.0, 16.0, 20, "grid/c"],
            [2, 80.0, 20.0, 5, "grid/d"],
            ["above", "inf", 16.0, 1, "grid/e"],
        ],
    },
)


def passed(name, dtype="float32", error=0.25, budget=0.501, **more):
    """An item that met its requirement."""
    return Result(Item(name, dtype), True, 100, error, budget, **more)


def failed(name, dtype="float32", error=48.0, budget=16.0, text="", **more):
    """An item that did not."""
    finding = Finding("grid/d", "value", "1.0", "2.0", {"logit": "3.0"}, error, budget, 1, 5)
    text = text or f"{name} {dtype}: it is wrong.\n  got       2.0"
    return Result(Item(name, dtype), False, 100, error, budget, text, [finding.record()] * 2, **more)


GREEN = (
    Result(Item(SELF_CHECK, "right"), True, 50),
    passed("FL-VAL-001", "float64", 2.0, 9.0),
    passed("FL-VAL-001", "float32", regimes=REGIMES),
    passed("FL-VAL-002", "float32", 0.5, 0.501),
    passed("FL-SHP-002", "", 0.0, 0.0),
)


def run_of(results=GREEN, code=ExitCode.CONFORMANT, reason="conformant: 5 items passed", profile="numpy", **more):
    """A finished run."""
    description = {"target": "mine", "version": "mine 1.2", "library": "numpy 2.4.6", "device": "cpu"}
    description |= more.pop("description", {})
    more.setdefault("command", "pytest conformance --profile=mine")
    return Run(description, load_profile(profile), results, code, reason, **more)


def red_run(**more):
    """A run with a failure, a waived one, one that does not count yet, and an item that was not run."""
    results = (
        Result(Item(SELF_CHECK, "right"), True, 50),
        passed("FL-VAL-001", "float64", 2.0, 9.0),
        failed("FL-VAL-001", "float32", regimes=REGIMES),
        failed("FL-VAL-002", "float32", waiver="known, issue 12"),
        failed("FL-VAL-003", "float32", error=float("inf"), tentative=True),
    )
    expected = (*(result.item for result in results), Item("FL-VAL-004", "float32"))
    more.setdefault("expected", expected)
    return run_of(results, ExitCode.NOT_CONFORMANT, "not conformant: 1 requirement not met", **more)


def waived_run():
    """A run whose only failure is expected."""
    results = (*GREEN, failed("FL-VAL-004", waiver="known, issue 12"))
    return run_of(results, ExitCode.CONFORMANT, "no unexpected failure: 1 waived requirement, not conformant")


def hostile_record():
    """The record of a run in which everything that comes from outside is an attack: a record may be anybody's."""
    lines = [json.loads(line) for line in Record.of(_hostile_run()).text.splitlines()]
    for line in lines:
        if line["kind"] == "requirement":
            line |= {name: HOSTILE for name in line if name not in ("kind", "id")}
        if line["kind"] == "not-claimed":
            line["capability"] = HOSTILE
        if line["kind"] == "item" and line["dtype"] == "float32":
            line["dtype"] = HOSTILE
        for finding in line.get("findings", []):
            finding |= dict.fromkeys(("case", "quantity", "expected", "got"), HOSTILE)
    lines[0] |= dict.fromkeys(("date", "platform", "level", "command"), HOSTILE)
    lines[0]["profile"] |= {"name": HOSTILE, "tiers": {HOSTILE: HOSTILE}}
    return parse_record("".join(json.dumps(line) + "\n" for line in lines), "hostile")


def _hostile_run():
    results = (
        Result(Item(SELF_CHECK, "right"), True, 50),
        failed("FL-VAL-001", text=f"FL-VAL-001: {HOSTILE}\n{HOSTILE}"),
        failed("FL-VAL-002", waiver=HOSTILE),
    )
    return run_of(results, ExitCode.NOT_CONFORMANT, HOSTILE, description={"target": HOSTILE, HOSTILE: HOSTILE})
