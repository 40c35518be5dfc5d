"""Time, memory and error of this package on the CPU beside others: one command for all of it.

    python benchmarks/cpu/run.py [--only SECTION]... [--rounds N] [--quick] [--out FILE]

Each contestant runs in a process of its own and the rounds are interleaved; what counts is the median of the ratios of
the rounds. Results are written after each section; a section that is run again replaces its old results. Afterwards the
tables of docs/performance.md and its figures are made anew. --quick is for trying whether everything runs: few elements
and rounds, written to build/ and to no page.
"""

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Processes find the modules of this folder and the packages of the checkout.
sys.path[:0] = [str(Path(__file__).parent)]

RESULTS = ROOT / "benchmarks" / "results" / "cpu.json"
QUICK = ROOT / "build" / "cpu-quick.json"
ROUNDS = 11


def main() -> int:
    """Run what the arguments say."""
    from sections import TIMED

    names = [*TIMED, "errors", "start", "matching"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names, help="this section; may be given more than once")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"rounds of each contestant, by default {ROUNDS}")
    parser.add_argument("--quick", action="store_true", help="few elements and 2 rounds, results to build/")
    parser.add_argument("--out", type=Path, help="results, by default benchmarks/results/cpu.json")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: got {options.rounds}; it is at least 1")
    out = options.out or (QUICK if options.quick else RESULTS)
    rounds = 2 if options.quick else options.rounds
    began = time.monotonic()
    for name in options.only or names:
        print(f"{name} ({time.monotonic() - began:.0f} s so far)", flush=True)
        started, load = time.monotonic(), os.getloadavg()[0]
        measured = section(name, rounds, options.quick)
        if measured is not None:
            save(out, name, {**environment(rounds, time.monotonic() - started, load), "measured": measured})
    if not options.quick and options.out is None:
        return subprocess.run([sys.executable, str(Path(__file__).parent / "page.py")]).returncode
    return 0


def section(name: str, rounds: int, quick: bool) -> Any:
    """Measure one section; matching has a file of its own for its results."""
    from contestants import ALL
    from errors import errors
    from sections import TIMED
    from start import start

    if name == "errors":
        return errors(ALL.values(), quick=quick)
    if name == "start":
        return start(rounds, quick)
    if name == "matching":
        out = ROOT / "build" / "matching-quick.json" if quick else ROOT / "benchmarks" / "results" / "matching.json"
        out.parent.mkdir(exist_ok=True)
        command = [sys.executable, str(ROOT / "benchmarks" / "matching.py"), "--out", str(out)]
        subprocess.run([*command, *(["--rounds", "2"] if quick else [])], check=True)
        return None
    return TIMED[name](rounds, quick)


def save(out: Path, name: str, found: dict[str, Any]) -> None:
    """Put one section among the others of the file."""
    results = json.loads(out.read_text(encoding="utf-8")) if out.exists() else {"sections": {}}
    results["sections"][name] = found
    out.parent.mkdir(exist_ok=True)
    unfinished = out.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(out)


def environment(rounds: int, seconds: float, load: float) -> dict[str, Any]:
    """Where and when a section was measured."""
    return {
        "date": datetime.date.today().isoformat(),
        "seconds": round(seconds),
        "rounds": rounds,
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "focal-ref": version("focal-ref"),
        "load_before": round(load, 2),
    }


def _processor() -> str:
    """As the system and Numba's compiler name it."""
    from llvmlite import binding

    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name} ({binding.get_host_cpu_name()})"


if __name__ == "__main__":
    sys.exit(main())
