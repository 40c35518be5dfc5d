"""How often the diagnosis names the fault of wrong implementations that are not in the catalogue of mutants.

python benchmarks/diagnosis.py --out benchmarks/results/diagnosis.json

Runs every file of ``tests/diagnosis/development`` and ``tests/diagnosis/held_out`` under the shipped profile of
torchvision, whose signature they have, and compares the causes with ``tests/diagnosis/accepted.toml``.
"""

import argparse
import json
import platform
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "tests" / "diagnosis"
SETS = ("development", "held_out")
MAXIMUM_LISTED = 8


def measure(place: str) -> dict[str, Any]:
    """The causes that a run of the suite names for one implementation, by the failures that they explain."""
    from focal_ref.conformance.diagnosis import Diagnosis
    from focal_ref.conformance.gate import SELF_CHECK, items_of, run_item
    from focal_ref.conformance.profiles import load_profile
    from focal_ref.conformance.reports.causes import likely_causes
    from focal_ref.conformance.targets.python import profile_target

    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    profile = load_profile("torchvision")
    target = profile_target(profile, f"{place.replace('/', '.')}:sigmoid_focal_loss")
    diagnosis = Diagnosis(target)
    items = [item for item in items_of(profile) if item.name != SELF_CHECK]
    failed = [r for r in (run_item(item, target, "", diagnosis=diagnosis) for item in items) if not r.passed]
    counted = [result for result in failed if not result.item.name.startswith("FL-DECL")]
    causes = [
        {"mutant": one.cause["mutant"], "numbers": one.cause["numbers"], "failures": len(one.items)}
        for one in likely_causes(failed)
    ]
    return {
        "failures": len(counted),
        "explained": sum(bool(result.causes) for result in counted),
        "causes": causes[:MAXIMUM_LISTED],
    }


def judged(found: dict[str, Any], accepted: list[list[str]]) -> dict[str, Any]:
    """Which of the faults were named; one without a mutant counts for nothing."""
    names = [cause["mutant"] for cause in found["causes"]]
    known = [fault for fault in accepted if fault]
    named = [fault for fault in known if set(fault) & set(names)]
    return {**found, "faults": len(known), "named": len(named)}


def main() -> int:
    """Measure all, print a line each and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where the results are written")
    parser.add_argument("--set", choices=SETS, action="append", dest="sets", help="one of the two sets")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    options = parser.parse_args()
    accepted = tomllib.loads((FOLDER / "accepted.toml").read_text(encoding="utf-8"))
    results: dict[str, Any] = {}
    with ProcessPoolExecutor(options.jobs, get_context("spawn"), max_tasks_per_child=8) as pool:
        for name in options.sets or SETS:
            files = sorted(file.stem for file in (FOLDER / name).glob("*.py") if not file.stem.startswith("_"))
            results[name] = {}
            for stem, found in zip(files, pool.map(measure, [f"{name}/{stem}" for stem in files]), strict=True):
                one = judged(found, accepted[name].get(stem, []))
                results[name][stem] = one
                causes = ", ".join(f"{cause['mutant']} ({cause['failures']})" for cause in one["causes"])
                print(f"{name}/{stem}: {one['named']} of {one['faults']} faults; {causes}", flush=True)
            faults, named = (sum(one[key] for one in results[name].values()) for key in ("faults", "named"))
            print(f"{name}: {named} of {faults} faults named", flush=True)
    if options.out is not None:
        from focal_ref._version import __version__

        versions = {"focal-ref": __version__, "python": platform.python_version()}
        head = {"date": datetime.now(UTC).date().isoformat(), "versions": versions}
        options.out.write_text(json.dumps({**head, "results": results}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
