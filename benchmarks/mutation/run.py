"""Mutants of this project's own code against its tests.

    python benchmarks/mutation/run.py [--share S] [--file FILE]...    try mutants, write the results and the page
    python benchmarks/mutation/run.py --again                         try the survivors, with the tests as they are

Mutants are made by cosmic-ray in a copy of the checkout, build/mutation. `modules.toml` says which files are mutated
and which tests are run on each; `equivalent.toml` why a survivor is no fault. Exit code 1 if a survivor has no reason.
"""

import argparse
import compileall
import os
import sys
from collections.abc import Iterator
from pathlib import Path

# Before NumPy: forked processes must not find threads that only their parent had.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
sys.path.insert(0, str(Path(__file__).parent))

from operators import Site, described, mutated, sample, sites_of
from page import PAGE, page
from results import MODULES, RESULTS, Module, Results, Survivor, load, load_modules, reason_of, save, unexplained
from tree import ROOT, copy_tree, place_of
from trial import FAILED, PASSED, TIMED_OUT, preload, processor_seconds, run_tests

TREE = ROOT / "build" / "mutation"
SEED = 20170807
FIRST_LIMIT = 600.0
SLACK = 20.0
"""Seconds that a mutant may take beyond three times the tests' own time."""


class Broken(Exception):
    """Tests that fail without a mutant."""


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0, help="part of the mutants of each file that is tried")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--file", action="append", help="a file of modules.toml; all if left out")
    parser.add_argument("--limit", type=float, help="seconds of the processor for a mutant; measured if left out")
    parser.add_argument("--more", action="store_true", help="go on from the last run's share to a larger one")
    parser.add_argument("--again", action="store_true", help="only the survivors of the last run")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--tree", type=Path, default=TREE, help="where the copy of the checkout is made")
    arguments = parser.parse_args()
    known = load_modules()
    for file in arguments.file or ():
        if file not in known:
            parser.error(f"--file: got {file!r}; {MODULES.name} has {', '.join(known)}")
    tree = arguments.tree.resolve()
    copy_tree(tree)
    # Beside the copy, which is made anew each time.
    os.environ["NUMBA_CACHE_DIR"] = str(tree.with_name(f"{tree.name}-kernels"))
    preload()
    prepare(tree, sorted({test for file in known for test in known[file] if test.startswith("tests/")}))
    results = load(arguments.out) if arguments.again or arguments.more or arguments.file else Results()
    results.describe(arguments.seed, arguments.share, keep=arguments.again)
    failed = []
    for file in arguments.file or known:
        try:
            if arguments.again:
                try_again(tree, file, known[file], arguments.limit, results)
            else:
                if not arguments.more:
                    results.modules.pop(file, None)
                for _ in try_all(tree, file, known[file], arguments.limit, results, arguments.share, arguments.seed):
                    save(results, arguments.out)
        except Broken as broken:
            print(broken, flush=True)
            failed.append(file)
        save(results, arguments.out)
    if arguments.out == RESULTS:
        PAGE.write_text(page(results), encoding="utf-8")
    for file in failed:
        print(f"{file}: not tried, its tests fail without a mutant")
    left = unexplained(results)
    for file, survivor in left:
        print(f"{file}:{survivor.line}: survives without a reason: {survivor.was}  ->  {survivor.became}")
    return 1 if left or failed else 0


def try_all(
    tree: Path, file: str, tests: list[str], limit: float | None, results: Results, share: float, seed: int
) -> Iterator[None]:
    """Try a share of the mutants of one file, or what it lacks of it; the record is up to date after each."""
    path = tree / place_of(file)
    limit = allowed(tree, tests, limit)
    sites = sites_of(path)
    module = results.modules.setdefault(file, Module(tests, len(sites), 0, commit=results.run["commit"]))
    chosen = sample(sites, share, seed, file, module.tried)
    before = processor_seconds() - module.seconds
    for number, site in enumerate(chosen, start=1):
        outcome, test, survivor = try_one(tree, path, site, tests, limit)
        module.tried += 1
        module.killed += outcome == FAILED
        module.timed_out += outcome == TIMED_OUT
        if outcome == PASSED:
            module.survivors = sorted([*module.survivors, survivor], key=lambda one: one.line)
        module.seconds = round(processor_seconds() - before)
        said = f"{file}:{survivor.line} {number}/{len(chosen)} {outcome} {test}  {survivor.was}  ->  {survivor.became}"
        print(said, flush=True)
        yield


def try_again(tree: Path, file: str, tests: list[str], limit: float | None, results: Results) -> None:
    """Try the survivors of one file that have no reason, and note which test finds them now."""
    module = results.modules.get(file)
    left = [one for one in (module.survivors if module else ()) if not one.closed_by and not reason_of(file, one)]
    if module is None or not left:
        return
    path = tree / place_of(file)
    module.tests = tests
    limit = allowed(tree, tests, limit)
    sites = sites_of(path)
    for survivor in left:
        site = found_again(path, sites, survivor)
        if site is None:
            print(f"{file}: {survivor.was}  ->  {survivor.became}: the file has no such line any more; try all of it")
            continue
        outcome, test, _ = try_one(tree, path, site, tests, limit)
        survivor.closed_by = test or ("" if outcome == PASSED else outcome)
        print(f"{file}:{survivor.line} {outcome} {test}  {survivor.was}  ->  {survivor.became}", flush=True)


def found_again(path: Path, sites: list[Site], survivor: Survivor) -> Site | None:
    """The mutant that a survivor was, wherever its line stands now."""
    source = path.read_text()
    candidates = [site for site in sites if site.operator == f"core/{survivor.operator}"]
    # Its own line first: others may read the same.
    candidates.sort(key=lambda site: abs(site.line - survivor.line))
    for site in candidates:
        change = described(source, mutated(source, site), site)
        if (change.was, change.became) == (survivor.was, survivor.became):
            return site
    return None


def try_one(tree: Path, path: Path, site: Site, tests: list[str], limit: float) -> tuple[str, str, Survivor]:
    """Mutate a file of the copy, run tests, and put it back."""
    source, times = path.read_text(), path.stat()
    code = mutated(source, site)
    change = described(source, code, site)
    path.write_text(code)
    try:
        trial = run_tests(tree, tests, limit)
    finally:
        path.write_text(source)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    return trial.outcome, trial.test, Survivor(change.line, change.operator, change.was, change.became)


def prepare(tree: Path, tests: list[str]) -> None:
    """Keep the bytecode of everything, which no run with a mutant writes."""
    compileall.compile_dir(tree / "focal_ref", quiet=1)
    collected = run_tests(tree, ["--collect-only", *tests], FIRST_LIMIT, write_bytecode=True)
    if collected.outcome != PASSED:
        raise SystemExit(f"the tests cannot be collected\n{collected.output}")


def allowed(tree: Path, tests: list[str], limit: float | None) -> float:
    """Seconds that tests may take, unless given, from a run without a mutant, which has to pass."""
    trial = run_tests(tree, tests, FIRST_LIMIT, write_bytecode=True)
    if trial.outcome != PASSED:
        raise Broken(f"without a mutant: {' '.join(tests)} {trial.outcome}\n{trial.output}")
    return limit or 3 * trial.seconds + SLACK


if __name__ == "__main__":
    sys.exit(main())
