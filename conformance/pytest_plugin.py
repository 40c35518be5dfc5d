"""The suite under pytest: options, items, gate and report.

Loaded with ``-p focal_ref.conformance.pytest_plugin`` and never registered for everybody's pytest.
"""

import shlex
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from focal_ref.conformance.gate import ExitCode, Item, Result, items_of, run_item, verdict
from focal_ref.conformance.profiles import ProfileError
from focal_ref.conformance.reports import write
from focal_ref.conformance.reports.record import Run
from focal_ref.conformance.reports.table import summary
from focal_ref.conformance.targets import Target, UsageError
from focal_ref.conformance.targets.python import backend_names, backend_target, function_target

RESULT = "focal_ref.result"


class Session:
    """What one run has to do, and what came of it so far."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.getoption
        self.case: str | None = option("--case")
        self.folder = Path(option("--report-dir"))
        self.results: dict[Item, Result] = {}
        self.target: Target | None = None
        self.description: dict[str, str] = {}
        self.run: Run | None = None
        backend, target, profile, device = (option(f"--{name}") for name in ("backend", "target", "profile", "device"))
        if backend is not None and (target is not None or profile is not None):
            raise UsageError("--backend runs this project's own code; give --target and --profile instead of it")
        if backend is not None:
            self.target = backend_target(backend, device)
        elif target is not None or profile is not None:
            self.target = function_target(target, profile, device)
        if self.target is not None:
            self.description = dict(self.target.describe())
        arguments = [("--backend", backend), ("--target", target), ("--profile", profile), ("--device", device)]
        self.options = " ".join(f"{name}={shlex.quote(value)}" for name, value in arguments if value is not None)
        self.expected = () if self.target is None else items_of(self.target.profile)
        if self.case is not None:
            self.expected = tuple(item for item in self.expected if self.case.startswith(f"{item.name}/{item.dtype}/"))
            if self.target is not None and not self.expected:
                raise UsageError(f"--case: got {self.case!r}; it is REQUIREMENT/DTYPE/VECTOR, as in failure texts")

    @property
    def command(self) -> str:
        """The command of this run."""
        return f"pytest conformance {self.options}"

    def vector(self, item: Item) -> str | None:
        """The stored vector to which ``--case`` narrows an item."""
        return None if self.case is None else self.case.removeprefix(f"{item.name}/{item.dtype}/")


SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("focal-ref", "conformance of focal losses")
    group.addoption("--backend", metavar="NAME", help=f"this project's own code: {', '.join(backend_names())}")
    group.addoption("--device", metavar="DEVICE", help="where the arrays lie: cpu, cuda, cuda:1")
    group.addoption("--target", metavar="MODULE:FUNCTION", help="any Python function; needs --profile")
    group.addoption("--profile", metavar="NAME|FILE", help="how to call the function, and what it claims")
    group.addoption("--case", metavar="ID", help="one stored vector: REQUIREMENT/DTYPE/VECTOR")
    group.addoption("--report-dir", metavar="DIR", default="build/conformance", help="where the report is written")


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[SESSION] = Session(config)
    except (UsageError, ProfileError) as error:
        raise pytest.UsageError(" ".join(str(error).split())) from error


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


@pytest.fixture
def run_conformance(conformance_item: Item, request: pytest.FixtureRequest) -> Result:
    """Run one item and hand its result to the gate, through the report so that workers can send it."""
    session = request.config.stash[SESSION]
    assert session.target is not None
    start = time.perf_counter()
    result = run_item(conformance_item, session.target, session.command, session.vector(conformance_item))
    seconds = time.perf_counter() - start
    record = replace(result, seconds=seconds).record()
    request.node.user_properties.append((RESULT, record))
    return result


class Gate:
    """Collects results on the controller and turns them into the exit code."""

    def __init__(self, config: pytest.Config) -> None:
        self.session = config.stash[SESSION]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call":
            return
        for name, record in report.user_properties:
            if name == RESULT:
                result = Result.from_record(record)  # type: ignore[arg-type]
                self.session.results[result.item] = result

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        # Interruptions and internal errors keep pytest's own codes, which are the gate's too.
        if self.session.target is None or exitstatus not in (0, 1, 5):
            return
        results = list(self.session.results.values())
        code, reason = verdict(self.session.expected, results, self.session.case)
        if exitstatus == 1 and code in (ExitCode.CONFORMANT, ExitCode.INCOMPLETE):
            code, reason = ExitCode.INTERNAL, "a check broke down; see the traceback"
        self.session.run = Run(self.session.description, self.session.target.profile, results, code, reason)
        session.exitstatus = code
        write(self.session.run, self.session.folder)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        run = self.session.run
        if run is None:
            return
        terminalreporter.section("conformance")
        for line in summary(run, max(100, terminalreporter._tw.fullwidth)):
            terminalreporter.line(line)
        terminalreporter.line(f"report: {self.session.folder}")
        terminalreporter.line(f"verdict: {run.reason} (exit code {int(run.exit_code)})")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        session.config.pluginmanager.register(Gate(session.config), "focal-ref-gate")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed requirement is its text, not a traceback of the suite."""
    report = yield
    for name, record in item.user_properties:
        if name == RESULT and report.when == "call" and report.failed and record["text"]:  # type: ignore[index]
            report.longrepr = record["text"]  # type: ignore[index]
    return report
