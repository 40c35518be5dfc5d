"""The suite under pytest: options, items, gate and report.

Loaded with ``-p focal_ref.conformance.pytest_plugin`` and never registered for everybody's pytest.
"""

import shlex
import signal
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from datetime import date
from typing import Any, NoReturn

import pytest

from focal_ref.conformance.diagnosis import Diagnosis
from focal_ref.conformance.findings import REPRO
from focal_ref.conformance.gate import ExitCode, Item, Result, expect, items_of, misfits, run_item, verdict
from focal_ref.conformance.profiles import ProfileError
from focal_ref.conformance.reports import write
from focal_ref.conformance.reports.files import ReportError, check_folder
from focal_ref.conformance.reports.record import Run
from focal_ref.conformance.reports.table import summary
from focal_ref.conformance.targets import Target, UsageError
from focal_ref.conformance.targets.chosen import TARGET_OPTIONS, chosen_target, described
from focal_ref.conformance.targets.python import backend_names
from focal_ref.conformance.vectors import VectorError
from focal_ref.conformance.versioning import LevelError, check_data, level_named
from focal_ref.conformance.waivers import Facts, WaiverError, load_waivers

RESULT = "focal_ref.result"
LEFT = "focal_ref.left"
STANDALONE = "standalone.ini"
GATE = "focal-ref-gate"


class Session:
    """What one run has to do, and what came of it so far."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        self.case: str | None = option("--case")
        self.folder = check_folder(option("--report-dir"), "--report-dir")
        self.unwritten = ""
        self.misfits: list[str] = []
        self.results: dict[Item, Result] = {}
        self.broken: list[str] = []
        self.left: list[str] = []
        self.run: Run | None = None
        arguments = {name: option(f"--{name}") for name in TARGET_OPTIONS}
        self.target: Target | None = chosen_target(**{key.replace("-", "_"): text for key, text in arguments.items()})
        is_wanted = self.target is not None and not option("--no-diagnosis")
        self.diagnosis = Diagnosis(self.target) if self.target is not None and is_wanted else None
        self.description: dict[str, str] = {}
        self.level = level_named(option("--level"))
        path = option("--waivers")
        self.waivers = None if path is None else load_waivers(path)
        self.facts: Facts | None = None
        if self.target is not None:
            check_data()
            self.description = described(self.target)
            self.facts = Facts.of(self.description, date.today())
        names = [] if self.target is None else list(dict.fromkeys((self.target.name, self.target.profile.name)))
        if self.waivers is not None and names and self.waivers.target not in names:
            known = " or ".join(names)
            raise UsageError(f"--waivers: {path}: target: got {self.waivers.target!r}; that of this run is {known}")
        given = " ".join(f"--{name}={shlex.quote(str(text))}" for name, text in arguments.items() if text is not None)
        # The configuration tells which of the two commands was given.
        is_installed = config.inipath is not None and config.inipath.name == STANDALONE
        self.command = f"focal-ref conform {given}" if is_installed else f"pytest conformance {given}"
        self.repeat = f"{REPRO} {given}" if is_installed else self.command
        self.expected = () if self.target is None else items_of(self.target.profile)
        if self.case is not None:
            self.expected = tuple(item for item in self.expected if self.case.startswith(f"{item.name}/{item.dtype}/"))
            if self.target is not None and not self.expected:
                raise UsageError(f"--case: got {self.case!r}; it is REQUIREMENT/DTYPE/VECTOR, as in failure texts")

    def vector(self, item: Item) -> str | None:
        """The stored vector to which ``--case`` narrows an item."""
        return None if self.case is None else self.case.removeprefix(f"{item.name}/{item.dtype}/")

    def result(self, item: Item) -> Result:
        """Run one item."""
        assert self.target is not None
        start = time.perf_counter()
        result = run_item(item, self.target, self.repeat, self.vector(item), self.level, self.diagnosis)
        if self.waivers is not None and self.facts is not None:
            result = expect(result, self.waivers, self.facts)
        return replace(result, seconds=time.perf_counter() - start)


SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("focal-ref", "conformance of focal losses")
    group.addoption("--backend", metavar="NAME", help=f"this project's own code: {', '.join(backend_names())}")
    group.addoption("--device", metavar="DEVICE", help="where the arrays lie: cpu, cuda, cuda:1")
    group.addoption("--target", metavar="MODULE:FUNCTION", help="any Python function; needs --profile")
    group.addoption("--profile", metavar="NAME|FILE", help="how to call the function, and what it claims")
    group.addoption("--target-cmd", metavar="COMMAND", help="a program that speaks the protocol, docs/protocol.md")
    group.addoption("--time-limit", metavar="SECONDS", type=float, help="for one answer of the program")
    group.addoption("--waivers", metavar="FILE", help="expected failures, docs/gate.md")
    group.addoption("--level", metavar="RELEASE", help="count what that release required, docs/versioning.md")
    group.addoption("--no-diagnosis", action="store_true", help="do not compare failures with the known faults")
    group.addoption("--case", metavar="ID", help="one stored vector: REQUIREMENT/DTYPE/VECTOR")
    group.addoption("--report-dir", metavar="DIR", default="build/conformance", help="where the report is written")


TERMINATED = pytest.StashKey[Any]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if not is_worker and threading.current_thread() is threading.main_thread():
        # A run that is told to end ends as one that is interrupted: with its exit code, its processes, the old report.
        config.stash[TERMINATED] = signal.signal(signal.SIGTERM, _interrupted)
    try:
        config.stash[SESSION] = Session(config)
    except (UsageError, ProfileError, WaiverError, LevelError, ReportError) as error:
        raise pytest.UsageError(" ".join(str(error).split())) from error
    except VectorError as error:
        pytest.exit(f"self-check failed: {error} (exit code {int(ExitCode.SELF_CHECK)})", int(ExitCode.SELF_CHECK))
    if config.stash[SESSION].target is not None and getattr(config.option, "dist", "no") == "load":
        # Each worker starts with a piece of the items in their order, and takes from the others when it is done.
        config.option.dist = "worksteal"


def pytest_unconfigure(config: pytest.Config) -> None:
    previous = config.stash.get(TERMINATED, None)
    if previous is not None:
        signal.signal(signal.SIGTERM, previous)


def _interrupted(number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conformance_item" in metafunc.fixturenames:
        expected = metafunc.config.stash[SESSION].expected
        metafunc.parametrize("conformance_item", expected, ids=str)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = any("conformance_item" in getattr(item, "fixturenames", ()) for item in items)
    if asked and config.stash[SESSION].target is None:
        raise pytest.UsageError(
            f"name what to test: --backend={'|'.join(backend_names())}, or --target=MODULE:FUNCTION --profile=NAME"
        )
    if asked and hasattr(config, "workerinput"):
        # What is compiled is compiled for a format: its items stand together, so that few workers have to.
        order = {dtype: position for position, dtype in enumerate(("", "float64", "float32", "float16", "bfloat16"))}
        items.sort(key=lambda item: order.get(_dtype_of(item), 0))


def _dtype_of(item: pytest.Item) -> str:
    return str(item.callspec.params["conformance_item"].dtype) if hasattr(item, "callspec") else ""


@pytest.fixture
def run_conformance(conformance_item: Item, request: pytest.FixtureRequest) -> Result:
    """Run one item and hand its result to the gate, through the report so that workers can send it."""
    result = request.config.stash[SESSION].result(conformance_item)
    request.node.user_properties.append((RESULT, result.record()))
    return result


class Gate:
    """Collects results on the controller and turns them into the exit code."""

    def __init__(self, config: pytest.Config) -> None:
        self.session = config.stash[SESSION]
        self.is_interrupted = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        found = [record for name, record in report.user_properties if name == RESULT]
        if report.failed and not found:
            # A check that raised, or a worker that died.
            self.session.broken.append(report.nodeid)
        if report.when != "call":
            return
        for record in found:
            result = Result.from_record(record)  # type: ignore[arg-type]
            known = self.session.results.get(result.item)
            # Run again until it passes it is a failure all the same.
            if known is None or known.passed:
                self.session.results[result.item] = result

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # pytest and pytest-xdist stop themselves by kinds of KeyboardInterrupt as well, such as with --maxfail.
        # Neither these nor pytest.exit, with a return code of its own, is an interruption.
        self.is_interrupted = excinfo.type is KeyboardInterrupt

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: Any) -> None:
        self.session.left += getattr(node, "workeroutput", {}).get(LEFT, [])

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        run = self.session
        if run.target is None or self.is_interrupted or exitstatus not in (0, 1, 2, 5):
            return
        results = list(run.results.values())
        code, reason = verdict(run.expected, results, run.case, run.waivers, run.facts)
        broken = f"a check broke down, see its traceback: {', '.join(run.broken[:3])}" if run.broken else ""
        if broken and code in (ExitCode.NOT_CONFORMANT, ExitCode.SELF_CHECK):
            reason += f"; {broken}"
        elif broken:
            code, reason = ExitCode.INTERNAL, broken
        elif exitstatus in (1, 2) and code in (ExitCode.CONFORMANT, ExitCode.NOTHING):
            code, reason = ExitCode.INTERNAL, "pytest failed outside of the suite; see above"
        run.misfits = misfits(run.expected, results, run.case, run.waivers, run.facts)
        made = Run(run.description, run.target.profile, results, code, reason, run.level, run.command, run.expected)
        # A run of nothing is none, and the report of the one before stays.
        try:
            if results:
                write(made, run.folder)
        except ReportError as error:
            run.unwritten = str(error)
            if code is ExitCode.CONFORMANT:
                # Who waits for a report must not find an old one beside a green run.
                made = replace(made, exit_code=ExitCode.INTERNAL, reason=f"the report is not written; {reason}")
        run.run = made
        session.exitstatus = made.exit_code

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run = self.session.run
        if run is None:
            if self.is_interrupted and self.session.target is not None:
                terminalreporter.line(
                    f"verdict: interrupted; no report was written (exit code {int(ExitCode.INTERRUPTED)})"
                )
            return
        terminalreporter.section("conformance")
        wide = terminalreporter._tw.fullwidth if terminalreporter.isatty else max(100, terminalreporter._tw.fullwidth)
        for line in summary(run, wide, color=terminalreporter.hasmarkup) if run.results else ():
            terminalreporter.line(line)
        for line in self.session.left:
            terminalreporter.line(line)
        # The reason names the first alone.
        for line in self.session.misfits[1:]:
            terminalreporter.line(f"also: {line}")
        written = self.session.unwritten or f"report: {self.session.folder}"
        terminalreporter.line(written if run.results else "report: none")
        terminalreporter.line(f"verdict: {run.reason} (exit code {int(run.exit_code)})")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        return
    if session.config.pluginmanager.register(Gate(session.config), GATE) is None:
        raise pytest.UsageError(f"-p no:{GATE}: without its gate a run has no verdict")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    run = session.config.stash.get(SESSION, None)
    if run is None or run.target is None:
        return
    left = run.target.close()
    if left and hasattr(session.config, "workeroutput"):
        session.config.workeroutput[LEFT] = [left]
    elif left:
        run.left.append(left)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed requirement is its text, not a traceback of the suite."""
    report = yield
    for name, record in item.user_properties:
        if name == RESULT and report.when == "call" and report.failed and record["text"]:  # type: ignore[index]
            report.longrepr = record["text"]  # type: ignore[index]
    return report
