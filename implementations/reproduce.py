"""Pastes the lines of the results into a shell again, and compares what they print with what the results say.

    python implementations/reproduce.py                     every line, each in a process of its own
    python implementations/reproduce.py --only torchvision

Each line is run by bash where `python` is that of the implementation's environment, as run.py built it. Exit code 0:
all print what they did; 1: some do not; 2: usage.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import results
from catalogue import ROOT, CatalogueError, Implementation, load
from environment import python_of
from reproduction import shell

SAME, DIFFERENT, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="an entry of catalogue.toml; may be repeated")
    parser.add_argument("--results", type=Path, default=results.PLACE, help="the folder with the results")
    given = parser.parse_args(arguments)
    try:
        entries = {entry.name: entry for entry in load().implementations}
        chosen = given.only or list(entries)
        unknown = [name for name in chosen if name not in entries]
        if unknown:
            raise CatalogueError(f"catalogue.toml: no entry has the name {unknown[0]!r}; it has {', '.join(entries)}")
        lines = {name: stored(given.results / f"{name}.json") for name in chosen}
    except (CatalogueError, results.ResultsError) as error:
        print(f"reproduce.py: {error}", file=sys.stderr)
        return USAGE
    different = sum(compared(entries[name], lines[name]) for name in chosen)
    count = sum(map(len, lines.values()))
    print(f"{count - different} of {count} lines print what the results say")
    return DIFFERENT if different else SAME


def stored(path: Path) -> dict[str, str]:
    """From lines to what they printed."""
    faults = results.read(path).get("faults", {})
    return {line["command"]: line["printed"] for fault in faults.values() for line in fault.get("lines", ())}


def compared(entry: Implementation, lines: dict[str, str]) -> int:
    """Run the lines of an implementation; how many print something else."""
    different = 0
    for command, before in lines.items():
        now = shell.run(command, ROOT, python_of(entry.environment)).output
        if now != before:
            different += 1
            print(f"{entry.name}: {command}\n  printed {before!r}\n  now     {now!r}", flush=True)
    print(f"{entry.name}: {len(lines) - different} of {len(lines)}", flush=True)
    return different


if __name__ == "__main__":
    sys.exit(main())
