"""run.py: what comes to no verdict is shown as that, and nothing is half written."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "implementations"
VERDICT = '{"kind": "verdict", "exit_code": 1, "reason": "not conformant: 9 requirements not met"}'
WRITES = "import pathlib, sys; f = pathlib.Path(sys.argv[1]); f.mkdir(parents=True); "
"""Of a run that leaves a record: its folder comes last on the command line."""


@pytest.fixture
def run(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(FOLDER))
    import run

    monkeypatch.setattr(run, "PLACE", tmp_path)
    monkeypatch.setattr(run.environment, "variables", lambda jobs: dict(os.environ))
    return run


@pytest.fixture
def entry(run):
    from catalogue import Implementation

    return Implementation("mine", "package", "package:loss", "torch", "optax", "loss")


@pytest.fixture
def ran(run, entry, monkeypatch):
    """Run code in the place of the suite."""

    def ran(code, limit=60):
        monkeypatch.setattr(run, "conform_command", lambda entry, folder: [sys.executable, "-c", code, str(folder)])
        return run.run_entry(entry, run.Processes(), limit, 1)

    return ran


def test_the_record_of_a_run_is_put_in_its_place(ran, tmp_path):
    (tmp_path / "mine.failure.json").write_text("{}", encoding="utf-8")
    assert ran(f"{WRITES} (f / 'mine.jsonl').write_text({VERDICT!r}); sys.exit(1)") == (
        "not conformant: 9 requirements not met"
    )
    assert (tmp_path / "mine.jsonl").read_text(encoding="utf-8") == VERDICT
    assert not (tmp_path / "mine.failure.json").exists()


@pytest.mark.parametrize(
    ("code", "outcome", "reason", "exit_code"),
    [
        ("import os; os.kill(os.getpid(), 11)", "crashed", "killed by SIGSEGV", -11),
        ("print('loading'); raise SystemExit(77)", "crashed", "exit code 77: loading", 77),
        (
            "import sys; print('focal-ref: no module'); print('x'); sys.exit(4)",
            "not started",
            "focal-ref: no module",
            4,
        ),
        ("import sys; sys.exit(8)", "no verdict", "exit code 8", 8),
        ("import sys; sys.exit(0)", "no verdict", "the run ended with 0 and left 0 records", 0),
    ],
)
def test_a_run_without_a_verdict_says_why(ran, code, outcome, reason, exit_code):
    failure = ran(code)
    assert (failure.outcome, failure.exit_code) == (outcome, exit_code)
    assert reason in failure.reason


def test_a_run_that_hangs_is_killed_with_all_that_it_started(ran, tmp_path):
    pid = tmp_path / "pid"
    start = time.monotonic()
    child = f"import subprocess, sys, pathlib; p = subprocess.Popen(['sleep', '60']); pathlib.Path({str(pid)!r})"
    failure = ran(f"{child}.write_text(str(p.pid)); p.wait()", limit=3)
    assert (failure.outcome, failure.reason) == ("timed out", "no verdict within 3 s")
    assert time.monotonic() - start < 45
    stat = Path(f"/proc/{pid.read_text()}/stat")
    while is_running(stat):
        assert time.monotonic() - start < 60
        time.sleep(0.05)


def is_running(stat):
    """Whether a process is there that is more than an entry that nobody has asked for yet."""
    try:
        return not stat.read_text(encoding="utf-8").rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_command_that_is_not_there_is_no_verdict(run, entry, monkeypatch):
    monkeypatch.setattr(run, "conform_command", lambda entry, folder: ["/nowhere/focal-ref"])
    failure = run.run_entry(entry, run.Processes(), 5, 1)
    assert (failure.outcome, failure.reason) == ("not started", "/nowhere/focal-ref: No such file or directory")


def test_a_failure_takes_the_place_of_an_older_record(run, entry, tmp_path):
    (tmp_path / "mine.jsonl").write_text(VERDICT, encoding="utf-8")
    run.note_failure(entry, run.Failure("timed out", "no verdict within 900 s"))
    assert not (tmp_path / "mine.jsonl").exists()
    written = json.loads((tmp_path / "mine.failure.json").read_text(encoding="utf-8"))
    assert {**written, "date": ""} == {
        "name": "mine",
        "outcome": "timed out",
        "exit_code": None,
        "reason": "no verdict within 900 s",
        "date": "",
    }


@pytest.mark.parametrize(("result", "code"), [("not conformant: 9 requirements not met", 0), (None, 1)])
def test_only_what_could_not_be_run_makes_the_whole_fail(run, entry, monkeypatch, capsys, tmp_path, result, code):
    monkeypatch.setattr(run.environment, "PLACE", tmp_path / "environments")
    monkeypatch.setattr(run.environment, "build", lambda name, keep, run: [])
    outcome = result or run.Failure("crashed", "killed by SIGSEGV", -11)
    monkeypatch.setattr(run, "run_entry", lambda entry, processes, limit, jobs: outcome)
    monkeypatch.setattr(run, "condense", lambda entry, processes, jobs: "")
    options = run.argparse.Namespace(keep=True, jobs=1, time_limit=5)
    assert run.run_all([entry], options, run.Processes()) == code
    printed = capsys.readouterr().out
    assert (result or "NOT RUN, crashed: killed by SIGSEGV") in printed
    assert (tmp_path / "mine.failure.json").exists() == bool(code)


def test_an_environment_that_cannot_be_built_fails_each_of_its_entries(run, entry, monkeypatch, capsys, tmp_path):
    def build(name, *, keep, run):
        raise run_module.EnvironmentFailure("environment torch cannot be built: ERROR: no such release")

    run_module = run
    monkeypatch.setattr(run.environment, "PLACE", tmp_path / "environments")
    monkeypatch.setattr(run.environment, "build", build)
    monkeypatch.setattr(run, "condense", lambda entry, processes, jobs: "")
    options = run.argparse.Namespace(keep=True, jobs=1, time_limit=5)
    assert run.run_all([entry], options, run.Processes()) == 1
    written = json.loads((tmp_path / "mine.failure.json").read_text(encoding="utf-8"))
    assert written["outcome"] == "no environment"
    assert written["reason"].endswith("ERROR: no such release")


def test_a_run_without_an_environment_gets_a_result_all_the_same(run, entry, monkeypatch, tmp_path):
    (tmp_path / "condense.py").write_text("import sys; sys.exit(' '.join([sys.executable, *sys.argv[1:]]))")
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    monkeypatch.setattr(run.environment, "PLACE", tmp_path)
    assert run.condense(entry, run.Processes(), 1) == f"condense.py: {sys.executable} mine"
    own = tmp_path / "torch"
    (own / "bin").mkdir(parents=True)
    (own / "bin" / "python").symlink_to(sys.executable)
    (own / run.environment.BUILT).write_text("{}", encoding="utf-8")
    assert run.condense(entry, run.Processes(), 1) == f"condense.py: {own / 'bin' / 'python'} mine"


def test_an_interruption_ends_what_runs_and_changes_no_file(run, entry, monkeypatch, tmp_path):
    (tmp_path / "mine.jsonl").write_text(VERDICT, encoding="utf-8")
    monkeypatch.setattr(run, "conform_command", lambda entry, folder: ["sleep", "300"])
    processes = run.Processes()
    timer = threading.Timer(0.5, processes.end)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        run.run_entry(entry, processes, 60, 1)
    timer.join()
    with pytest.raises(KeyboardInterrupt):
        processes.run(["true"], variables={}, limit=5)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.jsonl"]
    assert (tmp_path / "mine.jsonl").read_text(encoding="utf-8") == VERDICT


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--only", "gone"], "run.py: --only: got 'gone'; allowed are "),
        (["--environment", "gone"], "run.py: --environment: got 'gone'; allowed are "),
        (["--jobs", "0"], "run.py: argument --jobs: got '0'; it is a whole number, 1 or more"),
        (["--fast"], "run.py: unrecognized arguments: --fast"),
    ],
)
def test_bad_options_are_exit_code_4_and_one_line(run, capsys, arguments, text):
    assert run.main(arguments) == run.USAGE == 4
    error = capsys.readouterr().err
    assert error.startswith(text)
    assert error.count("\n") == 1


def test_pip_s_error_is_the_reason(run):
    with pytest.raises(run.EnvironmentFailure) as raised:
        run.environment._installed(lambda command: (1, "Looking\nERROR: No matching distribution\nnotice\n"), [], "x")
    assert str(raised.value) == "environment x cannot be built: ERROR: No matching distribution"


def test_signals_have_names(run):
    assert run.failure_of(run.Ended(-signal.SIGKILL, ""), 5).reason == "killed by SIGKILL"
