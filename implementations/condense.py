"""Makes results/NAME.json of a run: what it found, with a line for each fault that is executed here and now.

    python implementations/condense.py NAME

Run inside the environment of the implementation. Reads build/implementations/NAME.jsonl, the record of the run, or
NAME.failure.json, the reason why there is none. Exit code 0: written; 1: written, but a line does not show its fault;
2: there is nothing to condense.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import results
from catalogue import ROOT, CatalogueError, Implementation, load

RECORDS = ROOT / "build" / "implementations"
WRITTEN, NOT_SHOWN, NOTHING = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of an entry of catalogue.toml")
    parser.add_argument("--record", type=Path, help="the record; by default build/implementations/NAME.jsonl")
    parser.add_argument("--results", type=Path, default=results.PLACE, help="the folder to write to")
    parser.add_argument("--no-lines", action="store_true", help="leave out the reproducing lines")
    given = parser.parse_args(arguments)
    try:
        entries = {entry.name: entry for entry in load().implementations}
        if given.name not in entries:
            raise CatalogueError(f"catalogue.toml: no entry has the name {given.name!r}; it has {', '.join(entries)}")
        data, missed = condensed(entries[given.name], given.record, with_lines=not given.no_lines)
    except (CatalogueError, OSError, ValueError) as error:
        print(f"condense.py: {error}", file=sys.stderr)
        return NOTHING
    results.write(data, given.results)
    for text in missed:
        print(f"condense.py: {given.name}: {text}", file=sys.stderr)
    return NOT_SHOWN if missed else WRITTEN


def condensed(entry: Implementation, path: Path | None, *, with_lines: bool) -> tuple[dict[str, Any], list[str]]:
    """The results of one implementation, and what its lines do not show."""
    path = path or RECORDS / f"{entry.name}.jsonl"
    failure = path.with_name(f"{entry.name}.failure.json")
    if not path.exists() and failure.exists():
        why = json.loads(failure.read_text(encoding="utf-8"))
        kept = {name: str(why[name]) for name in ("outcome", "reason", "date")}
        return {"name": entry.name, "status": "not run", **kept}, []
    # A reason is written without the suite, which may be what is not installed.
    from summary import summary

    from focal_ref.conformance.reports.record import load_record

    data = summary(entry, load_record(path))
    missed: list[str] = []
    if with_lines:
        from reproduction import reproduced

        try:
            lines, missed = reproduced(entry, {name: fault["dtypes"] for name, fault in data["faults"].items()})
        except Exception as error:  # what the run found is kept without lines
            lines, missed = {}, [f"no lines: {type(error).__name__}: {error}"]
        for name, found in lines.items():
            data["faults"][name]["lines"] = found
    return data, missed


if __name__ == "__main__":
    sys.exit(main())
