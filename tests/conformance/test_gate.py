"""The gate is honest: every exit code, provoked through the real command, and no way around it to a green one."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import focal_ref
from focal_ref.conformance import checks as checks_module
from focal_ref.conformance import examiner, pytest_plugin, versioning
from focal_ref.conformance.cli.conform import run_suite
from focal_ref.conformance.gate import ExitCode, Item, Result, items_of, verdict
from focal_ref.conformance.profiles import parse_profile
from focal_ref.conformance.reports.files import ReportError
from focal_ref.conformance.targets.builtin import CAUGHT_BY

from .conftest import PROFILE

ROOT = Path(__file__).parents[2]


def test_0_everything_passes_and_the_report_says_so(gate):
    done = gate.conform("right")
    assert done.code == ExitCode.CONFORMANT, done.output
    expected = items_of(parse_profile(PROFILE, "mine.toml"))
    assert f"verdict: conformant: {len(expected)} items passed (exit code 0)" in done.output
    assert len(gate.items()) == len(expected)
    assert all(item["passed"] and item["comparisons"] > 0 for item in gate.items().values())
    assert {name for name in gate.items() if name.startswith("self-check")} == {
        f"self-check {name}" for name in ("right", *CAUGHT_BY)
    }


def test_1_what_fails_is_named_with_the_command_that_repeats_it(gate):
    gate.without_self_checks()
    done = gate.conform("swaps_alpha")
    assert done.code == ExitCode.NOT_CONFORMANT, done.output
    assert "verdict: not conformant: " in done.output
    repeat = next(line for line in done.output.splitlines() if line.startswith("  repeat"))
    assert repeat.startswith("  repeat    focal-ref repro FL-")
    assert repeat.endswith("--target=gate_losses:swaps_alpha --profile=mine.toml")
    assert gate.items()["FL-VAL-004 float32"]["passed"] is False


@pytest.mark.parametrize("function", ["interrupted", "terminated"])
def test_2_an_interruption_and_a_termination_leave_the_old_report(gate, function):
    gate.without_self_checks()
    (gate.folder / "focal-ref-report").mkdir()
    gate.write("focal-ref-report/mine.jsonl", "the old one\n")
    done = gate.conform(function)
    assert done.code == ExitCode.INTERRUPTED, done.output
    assert "verdict: interrupted; no report was written (exit code 2)" in done.output
    assert (gate.folder / "focal-ref-report" / "mine.jsonl").read_text() == "the old one\n"


def test_3_a_check_that_breaks_down_is_no_verdict_on_the_target(gate):
    gate.without_self_checks()

    def broken(examiner):
        raise ZeroDivisionError("a slip in the check")

    known = dict(checks_module.checks())
    gate.monkeypatch.setattr("focal_ref.conformance.gate.checks", lambda: {**known, "FL-DET-001": broken})
    done = gate.conform("right")
    assert done.code == ExitCode.INTERNAL, done.output
    assert "verdict: a check broke down, see its traceback: " in done.output
    assert "FL-DET-001-float32" in done.output
    done = gate.conform("nan_at_infinity")
    assert done.code == ExitCode.NOT_CONFORMANT
    assert "1 requirement not met; 1 of " in done.output
    assert "; a check broke down, see its traceback: " in done.output


def test_3_an_error_inside_pytest_is_an_internal_one(gate):
    gate.without_self_checks()

    def broken(report):
        raise ZeroDivisionError("a slip in a plugin")

    gate.monkeypatch.setattr(pytest_plugin.Gate, "pytest_runtest_logreport", lambda self, report: broken(report))
    assert gate.conform("right").code == ExitCode.INTERNAL
    assert gate.report is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "name what to test: --backend=numpy|torch|torch:compile|jax|jax:jit|cupy|array_api_strict, or --target="),
        (("--backend=tensorflow",), "unknown backend 'tensorflow'; known are numpy, torch, torch:compile, jax"),
        (("--backend=numpy:jit",), "unknown backend 'numpy:jit'; known are numpy"),
        (("--backend=cupy",), "backend 'cupy' cannot run here: cupy: No module named 'cupy'; install the build for"),
        (("--backend=numpy", "--device=cuda"), "backend 'numpy' cannot run here: numpy: no device 'cuda'"),
        (("--target=nowhere:loss", "--profile=mine.toml"), "--target: cannot import 'nowhere'"),
        (("--target=gate_losses:nothing", "--profile=mine.toml"), "--target: 'gate_losses' has no 'nothing'"),
        (("--target=gate_losses", "--profile=mine.toml"), "--target: got 'gate_losses'; it is package.module:function"),
        (("--target=:right", "--profile=mine.toml"), "--target: got ':right'; it is package.module:function"),
        (("--target=..:right", "--profile=mine.toml"), "--target: got '..:right'; it is package.module:function"),
        (("--target=broken:loss", "--profile=mine.toml"), "--target: cannot import 'broken': ZeroDivisionError: "),
        (("--backend=numpy", "--report-dir=mine.toml"), "--report-dir: got 'mine.toml'; it is a folder for"),
        (("--backend=numpy", "--report-dir=mine.toml/reports"), "--report-dir: got 'mine.toml/reports'; it is"),
        (("--backend=numpy", "--report-dir="), "--report-dir: got ''; it is a folder for"),
        (("--target=gate_losses:right",), "--target needs --profile=FILE or one of"),
        (("--target=gate_losses:raises_always", "--profile=mine.toml"), "RuntimeError: out of paper"),
        (("--profile=torch",), "profile 'torch' describes this project's own code; run that with --backend=torch"),
        (("--profile=built-in",), "profile 'built-in' describes the suite's own implementations"),
        (("--profile=nothing",), "profile: got 'nothing'; it is neither a file nor one of"),
        (("--backend=numpy", "--profile=mine.toml"), "--backend runs this project's own code"),
        (("--backend=numpy", "--target-cmd=./program"), "--target-cmd runs a program; give --backend or --target-cmd"),
        (("--target=a:b", "--target-cmd=./program"), "--target-cmd runs a program; give --target or --target-cmd"),
        (("--target-cmd=./program", "--device=cuda"), "--device is for Python targets"),
        (("--backend=numpy", "--time-limit=3"), "--time-limit is for programs; give --target-cmd with it"),
        (("--backend=numpy", "--case=nonsense"), "--case: got 'nonsense'; it is REQUIREMENT/DTYPE/VECTOR"),
        (("--backend=numpy", "--level=9.9"), "--level: got '9.9'; releases are 0.1"),
        (("--backend=numpy", "--waivers=nothing.toml"), "--waivers: nothing.toml: cannot be read"),
        (("--backend=numpy", "-n", "two"), "-n: got 'two'; it is a number of processes, or auto"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_4_what_cannot_be_tested_has_one_line_of_reason(gate, options, reason):
    gate.write("broken.py", "1 / 0")
    done = gate.command("conform", *options)
    assert done.code == ExitCode.USAGE, done.output
    lines = [line for line in done.output.splitlines() if reason in line]
    assert len(lines) == 1, done.output
    assert not (gate.folder / "focal-ref-report").exists(), "no report of a run that was none"


@pytest.mark.parametrize("options", [["-k", "no-such-requirement"], ["--co"], ["--collect-only", "-q"]])
def test_5_a_run_of_nothing_is_not_green_and_writes_no_report(gate, options):
    done = gate.suite("right", *options)
    assert done.code == ExitCode.NOTHING, done.output
    assert "verdict: nothing was run (exit code 5)" in done.output
    assert gate.report is None


SKIP = """
import pytest
def pytest_collection_modifyitems(items):
    for item in items:
        if "FL-VAL-001" in item.name:
            item.add_marker(pytest.mark.{mark})
"""


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "FL-VAL"],
        ["--deselect=test_conformance.py::test_requirement[FL-VAL-001-float32]"],
        ["--case=FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"],
        ["--setup-only", "-k", "FL-VAL-001 or FL-DET"],
        ["-p", "skip"],
        ["-p", "xfail"],
        ["-p", "leave"],
    ],
    ids=" ".join,
)
def test_6_what_is_filtered_or_skipped_is_never_green(gate, options):
    gate.without_self_checks()
    gate.write("skip.py", SKIP.format(mark="skip"))
    gate.write("xfail.py", SKIP.format(mark="xfail(run=False)"))
    gate.write("leave.py", "import pytest\ndef pytest_runtest_setup(item):\n    pytest.exit('enough', returncode=0)\n")
    gate.monkeypatch.syspath_prepend(str(gate.folder))
    done = gate.suite("right", *options)
    # Of a run in which no check came to its end, nothing was run.
    nothing = "--setup-only" in options or "leave" in options
    assert done.code == (ExitCode.NOTHING if nothing else ExitCode.INCOMPLETE), done.output
    if not nothing:
        assert "verdict: incomplete: " in done.output
        assert gate.report[-1]["exit_code"] == 6
        assert all(item["passed"] for item in gate.items().values())
    for name in ("skip", "xfail", "leave"):
        sys.modules.pop(name, None)


def test_6_of_a_run_that_stops_at_a_failure_the_rest_is_counted(gate):
    gate.without_self_checks()
    for option in ("-x", "--maxfail=1"):
        done = gate.suite("nan_at_infinity", option)
        assert done.code == ExitCode.NOT_CONFORMANT, done.output
        assert "not conformant: 1 requirement not met; " in done.output
        assert "items were skipped or filtered" in done.output


def test_marks_of_another_plugin_do_not_turn_a_failure_into_a_pass(gate):
    gate.without_self_checks()
    gate.write("expects.py", SKIP.replace("VAL-001", "EXT-001").format(mark="xfail"))
    gate.monkeypatch.syspath_prepend(str(gate.folder))
    done = gate.suite("nan_at_infinity", "-p", "expects")
    sys.modules.pop("expects", None)
    assert done.code == ExitCode.NOT_CONFORMANT, done.output


def test_a_failure_that_passes_when_it_is_run_again_stays_a_failure(gate):
    gate.without_self_checks()
    gate.write(
        "again.py",
        "from _pytest.runner import runtestprotocol\n"
        "def pytest_runtest_protocol(item, nextitem):\n"
        "    for _ in range(2):\n"
        "        for report in runtestprotocol(item, nextitem=nextitem, log=False):\n"
        "            item.ihook.pytest_runtest_logreport(report=report)\n"
        "        import gate_losses\n"
        "        item.user_properties.clear()\n"
        "        item.config.stash[__import__('focal_ref.conformance.pytest_plugin', fromlist=['S']).SESSION]"
        ".target.function = gate_losses.right\n"
        "    return True\n",
    )
    gate.monkeypatch.syspath_prepend(str(gate.folder))
    done = gate.suite("nan_at_infinity", "-p", "again", "-k", "FL-EXT-001")
    sys.modules.pop("again", None)
    assert done.code == ExitCode.NOT_CONFORMANT, done.output


def test_the_gate_itself_cannot_be_left_out(gate):
    done = gate.suite("right", "-p", f"no:{pytest_plugin.GATE}", "-k", "FL-VAL-001")
    assert done.code == ExitCode.USAGE
    assert "-p no:focal-ref-gate: without its gate a run has no verdict" in done.output


def test_options_and_plugins_of_the_environment_are_not_those_of_the_command(gate):
    gate.without_self_checks()
    gate.monkeypatch.setenv("PYTEST_ADDOPTS", "-k FL-VAL-001")
    gate.monkeypatch.setenv("PYTEST_PLUGINS", "no_such_plugin")
    assert gate.conform("right").code == ExitCode.CONFORMANT


def test_from_a_checkout_options_of_the_environment_only_take_away_green(gate):
    gate.without_self_checks()
    gate.monkeypatch.setenv("PYTEST_ADDOPTS", "-k FL-VAL-001")
    gate.monkeypatch.chdir(ROOT)
    profile = gate.folder / "mine.toml"
    options = ["--target=gate_losses:right", f"--profile={profile}", f"--report-dir={gate.folder / 'focal-ref-report'}"]
    code = pytest.main(["conformance", "-q", "-p", "no:cacheprovider", *options])
    assert code == ExitCode.INCOMPLETE, gate.capfd.readouterr()
    assert gate.report[0]["command"].startswith("pytest conformance --target=")


def test_two_workers_come_to_the_same_verdict(gate):
    done = gate.conform("nan_at_infinity", "-n", "2")
    assert done.code == ExitCode.NOT_CONFORMANT, done.output
    assert "verdict: not conformant: 1 requirement not met (exit code 1)" in done.output
    assert len(gate.items()) == len(items_of(parse_profile(PROFILE, "mine.toml")))


def test_a_worker_that_dies_and_one_that_stops_early_are_never_green(gate):
    done = gate.suite("dies", "-p", "xdist", "-n", "2", "-k", "FL-VAL or FL-EXT", "--maxfail=1")
    assert done.code == ExitCode.INTERNAL, done.output
    assert "a check broke down, see its traceback: " in done.output
    assert "crashed while running" in done.output


def test_two_workers_that_stop_at_a_failure_are_a_verdict_and_no_interruption(gate):
    done = gate.suite("swaps_alpha", "-p", "xdist", "-n", "2", "-k", "FL-VAL", "--maxfail=1")
    assert done.code == ExitCode.NOT_CONFORMANT, done.output
    assert "items were skipped or filtered (exit code 1)" in done.output
    assert gate.report[-1]["exit_code"] == ExitCode.NOT_CONFORMANT


@pytest.mark.parametrize(
    ("function", "code", "reason"),
    [
        ("right", ExitCode.INTERNAL, "verdict: the report is not written; conformant: "),
        ("accepts_any_shape", ExitCode.NOT_CONFORMANT, "verdict: not conformant: 1 requirement not met"),
    ],
)
def test_3_a_report_that_cannot_be_written_is_never_green(gate, function, code, reason):
    def full(run, folder):
        raise ReportError(f"report: {folder}: cannot be written: No space left on device; name another folder")

    gate.without_self_checks("FL-SHP-002")
    gate.monkeypatch.setattr(pytest_plugin, "write", full)
    done = gate.conform(function)
    assert done.code == code, done.output
    assert "\nreport: focal-ref-report: cannot be written: No space left on device" in done.output
    assert f"\n{reason}" in done.output
    assert "Traceback" not in done.output


def test_8_requirements_that_are_not_those_of_the_release_are_named(gate):
    known = dict(versioning.requirements())
    del known["FL-VAL-002"]
    gate.monkeypatch.setattr(versioning, "requirements", lambda: known)
    done = gate.conform("right")
    assert done.code == ExitCode.SELF_CHECK, done.output
    assert "requirements.toml: altered: FL-VAL-002 is not as in released/0.1.json" in done.output
    assert gate.report is None


def test_8_a_comparison_that_passes_everything_is_found(gate):
    gate.monkeypatch.setattr(examiner, "error_in_ulps", lambda got, exact, **options: np.zeros(np.shape(got)))
    done = gate.conform("right", "-k", "FL-SHP-004 or self-check")
    assert done.code == ExitCode.SELF_CHECK, done.output
    assert "does not find the built-in wrong implementation" in done.output


def test_8_a_comparison_that_fails_everything_is_found(gate):
    gate.monkeypatch.setattr(examiner, "error_in_ulps", lambda got, exact, **options: np.full(np.shape(got), 1e30))
    done = gate.conform("right", "-k", "FL-SHP-004 or self-check")
    assert done.code == ExitCode.SELF_CHECK, done.output
    assert "verdict: self-check failed: the built-in right implementation fails " in done.output


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A copy of the data of the suite, which can be spoilt."""
    folder = tmp_path_factory.mktemp("data")
    source = Path(versioning.__file__).parent
    for name in ("vectors", "family/vectors", "detection/vectors", "released"):
        shutil.copytree(source / name, folder / name)
    return folder


@pytest.mark.parametrize(
    ("file", "spoil", "reason"),
    [
        ("vectors/grid.json", "byte", "vectors/grid.json: altered: its sha256 is not the one in vectors/manifest.json"),
        ("family/vectors/star_loss.json", "missing", "family/vectors/star_loss.json: cannot be read: No such file"),
        (
            "detection/vectors/boxes.json",
            "empty",
            "detection/vectors/boxes.json: altered: its sha256 is not the one in",
        ),
        ("vectors/documented.toml", "byte", "vectors/documented.toml: altered"),
        (
            "vectors/manifest.json",
            "byte",
            "vectors/manifest.json: altered: its sha256 is not the one in released/0.1.json",
        ),
        ("family/vectors/manifest.json", "missing", "family/vectors/manifest.json: cannot be read: No such file"),
        ("released/0.1.json", "missing", "released/0.1.json: cannot be read: FileNotFoundError"),
        ("released/0.1.json", "empty", "released/0.1.json: cannot be read: JSONDecodeError"),
    ],
)
def test_8_a_spoilt_file_of_vectors_is_named(gate, data, file, spoil, reason):
    path = data / file
    content = path.read_bytes()
    check = versioning.check_data
    gate.monkeypatch.setattr(pytest_plugin, "check_data", lambda: check(data))
    try:
        if spoil == "missing":
            path.unlink()
        else:
            path.write_bytes(b"" if spoil == "empty" else content[:-1] + b" ")
        done = gate.conform("right")
    finally:
        path.write_bytes(content)
    assert done.code == ExitCode.SELF_CHECK, done.output
    lines = [line for line in done.output.splitlines() if reason in line]
    assert len(lines) == 1
    assert "Traceback" not in done.output
    assert gate.report is None


def test_8_an_installed_suite_with_a_spoilt_file_says_so(tmp_path):
    package = tmp_path / "focal_ref"
    ignored = shutil.ignore_patterns("__pycache__")
    for name, place in (("focal_ref", ""), ("adapters", "adapters"), ("conformance", "conformance")):
        shutil.copytree(ROOT / name, package / place, ignore=ignored, dirs_exist_ok=True)
    with (package / "conformance" / "vectors" / "alpha.json").open("a") as file:
        file.write(" ")
    # Not the one of the checkout: its finder of editable packages comes after this folder.
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.argv[0] = 'focal-ref'"
    code = f"{start}; from focal_ref.conformance.cli import main; main()"
    command = [sys.executable, "-c", code, "conform", "--backend=numpy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == ExitCode.SELF_CHECK, done.stdout + done.stderr
    assert "self-check failed: vectors/alpha.json: altered" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


ITEMS = (Item("FL-VAL-001", "float32"), Item("FL-VAL-002", "float32"), Item("self-check", "right"))


def results(*outcomes, **fields):
    return [Result(item, passed, 1, **fields) for item, passed in zip(ITEMS, outcomes, strict=False)]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        ((), ExitCode.NOTHING),
        ((True,), ExitCode.INCOMPLETE),
        ((False,), ExitCode.NOT_CONFORMANT),
        ((True, True, True), ExitCode.CONFORMANT),
        ((True, False, True), ExitCode.NOT_CONFORMANT),
        ((False, True, False), ExitCode.SELF_CHECK),
    ],
)
def test_the_first_reason_in_the_documented_order_counts(outcomes, code):
    assert verdict(ITEMS, results(*outcomes), None)[0] == code


def test_one_stored_vector_is_repeated_alone_and_an_unknown_one_is_a_failure(gate):
    vector = "FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"
    done = gate.conform("right", f"--case={vector}")
    assert done.code == ExitCode.INCOMPLETE, done.output
    assert "incomplete: only case FL-VAL-002/float32/saturation/" in done.output
    done = gate.conform("right", "--case=FL-VAL-002/float32/saturation/none")
    assert done.code == ExitCode.NOT_CONFORMANT, done.output
    assert "nothing was compared; no vector has the id 'saturation/none'" in done.output


def test_a_broken_loss_of_this_project_turns_the_suite_red(gate):
    """By broadcasting, which needs no new kernels; `test_gate_finds_faults.py` breaks what is compiled."""
    loss = focal_ref.loss

    def spoilt(logits, targets, /, **options):
        return loss(*np.broadcast_arrays(logits, targets), **options)

    gate.monkeypatch.setattr(focal_ref, "loss", spoilt)
    code = run_suite(["--backend=numpy", "-k", "FL-SHP-002"])
    assert code == ExitCode.NOT_CONFORMANT, gate.capfd.readouterr()
