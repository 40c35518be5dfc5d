"""The installed command, which needs no checkout."""

import subprocess
import sys

from focal_ref.conformance.cli import USAGE
from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.requirements import requirements

VECTOR = "FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"


def run(folder, code, *arguments):
    """Run the command in a folder that is no checkout."""
    start = f"import sys; sys.argv[0] = 'focal-ref'; {code}; from focal_ref.conformance.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", start, *arguments], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_conform_runs_the_suite_and_writes_the_report_where_it_is_called(tmp_path):
    code, output = run(tmp_path, "pass", "conform", "--backend=numpy", f"--case={VECTOR}")
    assert code == ExitCode.INCOMPLETE, output
    assert "incomplete: only case" in output
    written = sorted(path.name for path in (tmp_path / "focal-ref-report").iterdir())
    assert written == ["numpy.badge.json", "numpy.html", "numpy.jsonl", "numpy.junit.xml", "numpy.md"]


def test_an_unavailable_backend_is_exit_code_4(tmp_path):
    code, output = run(tmp_path, "pass", "conform", "--backend=cupy")
    assert code == ExitCode.USAGE, output
    assert "backend 'cupy' cannot run here" in output


def test_backends_says_what_can_run_and_why_not(tmp_path):
    code, output = run(tmp_path, "pass", "backends")
    assert code == 0, output
    assert "numpy             numpy " in output
    assert "cupy              not available: backend 'cupy' cannot run here: cupy: " in output


def test_explain_says_what_a_requirement_asks_for_and_why(tmp_path):
    code, output = run(tmp_path, "pass", "explain", "fl-mat-003")
    assert code == 0, output
    entry = requirements()["FL-MAT-003"]
    assert output.splitlines() == [
        f"FL-MAT-003: {entry.sentence}",
        f"  formula  {entry.formula}",
        f"  source   {entry.source}",
        f"  often    {entry.rationale}",
        "  level    extended, of profiles that claim matching",
    ]
    code, output = run(tmp_path, "pass", "explain", "STAR")
    assert code == 0, output
    of_the_area = [entry for entry in requirements().values() if entry.area == "STAR"]
    assert output.splitlines()[1:] == [f"{entry.id}  {entry.sentence}" for entry in of_the_area]
    code, output = run(tmp_path, "pass", "explain", "FL-VAL-999")
    assert code == USAGE
    assert output.startswith("focal-ref: no requirement 'FL-VAL-999'; areas are VAL, GRAD, ")


def test_without_the_extra_it_says_what_to_install(tmp_path):
    assert USAGE == ExitCode.USAGE
    for missing in ("click", "pytest", "ml_dtypes", "mpmath"):
        code, output = run(tmp_path, f"sys.modules[{missing!r}] = None", "backends")
        assert code == USAGE, output
        assert "install the suite: pip install 'focal-ref[conformance]'" in output
