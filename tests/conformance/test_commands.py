"""``focal-ref smoke`` and ``focal-ref repro``."""

import contextlib
import io
import time

import numpy as np
import pytest

from focal_ref.conformance import smoke
from focal_ref.conformance.cli import repro as repro_command
from focal_ref.conformance.cli import smoke as smoke_command
from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.vectors import VectorError

TARGET = ("--profile=mine.toml",)


def test_smoke_shows_a_dozen_vectors_and_a_verdict_within_seconds(gate):
    start = time.process_time()
    done = gate.command("smoke", *TARGET)
    assert time.process_time() - start < 5
    assert done.code == ExitCode.CONFORMANT, done.output
    assert "target: mine, version: focal-ref " in done.output
    rows = [line.split() for line in done.output.splitlines() if line.startswith("FL-")]
    assert sum(int(row[2]) for row in rows if row[1] == "value") == 12
    assert all(row[4] == "pass" for row in rows)
    assert "verdict: the smoke test passes; `focal-ref conform` gives the verdict (exit code 0)" in done.output


def test_smoke_finds_what_is_wrong(gate):
    done = gate.command("smoke", "--target=gate_losses:swaps_alpha", *TARGET)
    assert done.code == ExitCode.NOT_CONFORMANT, done.output
    (row,) = (line for line in done.output.splitlines() if line.startswith("FL-VAL-004"))
    assert " FAIL " in row
    assert "expected " in row
    assert "verdict: not conformant: " in done.output


@pytest.mark.parametrize(
    ("always", "reason"),
    [
        (1e30, "the built-in right implementation fails FL-VAL-001"),
        (0.0, "the built-in wrong implementation 'loses-easy-elements' is not found"),
    ],
)
def test_smoke_proves_the_harness_first(gate, always, reason):
    gate.monkeypatch.setattr(
        "focal_ref.conformance.examiner.error_in_ulps", lambda got, exact, **options: np.full(np.shape(got), always)
    )
    done = gate.command("smoke", *TARGET)
    assert done.code == ExitCode.SELF_CHECK
    assert f"verdict: self-check failed: {reason} (exit code 8)" in done.output


def test_smoke_does_not_trust_spoilt_vectors(gate):
    def spoilt():
        raise VectorError("vectors/grid.json: altered")

    gate.monkeypatch.setattr(smoke_command, "check_data", spoilt)
    done = gate.command("smoke", *TARGET)
    assert done.code == ExitCode.SELF_CHECK
    assert "verdict: self-check failed: vectors/grid.json: altered" in done.output


def test_repro_does_not_trust_spoilt_vectors(gate):
    def spoilt():
        raise VectorError("vectors/grid.json: altered")

    gate.monkeypatch.setattr(repro_command, "check_data", spoilt)
    done = gate.command("repro", "FL-VAL-001", *TARGET)
    assert done.code == ExitCode.SELF_CHECK
    assert "focal-ref: self-check failed: vectors/grid.json: altered" in done.output


STAR = """
import numpy as np

def star(logits, targets, *, gamma, beta):
    scaled = gamma * (2 * targets - 1) * logits.astype(np.float64) + beta
    return (np.logaddexp(0, -scaled) / gamma).astype(logits.dtype)

def not_divided(logits, targets, *, gamma, beta):
    return star(logits, targets, gamma=gamma, beta=beta) * logits.dtype.type(gamma)
"""


@pytest.mark.parametrize(
    ("function", "code"), [("star", ExitCode.CONFORMANT), ("not_divided", ExitCode.NOT_CONFORMANT)]
)
def test_smoke_of_another_loss_runs_its_first_requirements(gate, function, code):
    gate.write("star.py", STAR)
    text = (gate.folder / "mine.toml").read_text()
    for old, new in {
        "gate_losses:right": f"star:{function}",
        'alpha = "alpha"\n': "",
        'gamma = "gamma"': 'gamma = "gamma"\nbeta = "beta"',
        'formula = "focal"': 'formula = "star"',
        'alpha = "pos/1-pos"': 'alpha = "none"',
    }.items():
        assert old in text
        text = text.replace(old, new)
    gate.write("star.toml", text)
    done = gate.command("smoke", "--profile=star.toml")
    assert done.code == code, done.output
    assert "FL-STAR-001 " in done.output


def test_without_a_command_the_help_is_shown(gate):
    done = gate.command()
    assert done.code == ExitCode.USAGE
    assert done.output.startswith("Usage: ")
    assert "conform" in done.output


def test_an_output_that_cannot_be_written_is_one_line_and_an_internal_error(gate):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    gate.monkeypatch.setattr("click.echo", full)
    done = gate.command("explain", "FL-VAL-001")
    assert done.code == ExitCode.INTERNAL
    assert done.output == "focal-ref: the output cannot be written: No space left on device\n"


def test_smoke_runs_in_the_format_that_is_claimed(gate):
    gate.write("mine.toml", (gate.folder / "mine.toml").read_text().replace("float32 = ", "float64 = "))
    done = gate.command("smoke", *TARGET)
    assert done.code == ExitCode.CONFORMANT, done.output
    assert " float64 " in done.output


def test_a_smoke_test_that_compares_nothing_is_no_pass():
    row = smoke.Row("FL-VAL-001", "value", 0, 0.0, 0.0, 0, "")
    assert smoke.smoke_verdict([row])[0] == ExitCode.NOTHING


@pytest.mark.parametrize("command", ["smoke", "conform", "repro"])
def test_a_target_that_is_not_named_or_cannot_be_called_is_a_usage_error(gate, command):
    more = ["FL-VAL-001"] if command == "repro" else []
    done = gate.command(command, *more)
    assert done.code == ExitCode.USAGE
    assert "name what to test: --backend=" in done.output
    done = gate.command(command, *more, "--backend=tensorflow")
    assert done.code == ExitCode.USAGE
    assert "unknown backend 'tensorflow'" in done.output


def snippet_of(output):
    return output.partition("\n\n")[2]


def run_snippet(code):
    """What a user sees who pastes it."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "snippet", "exec"), {})
    return printed.getvalue()


def test_repro_shows_the_failure_and_code_that_shows_it_again(gate):
    done = gate.command("repro", "FL-VAL-004/float32", "--target=gate_losses:swaps_alpha", *TARGET)
    assert done.code == 1, done.output
    assert done.output.startswith("FL-VAL-004 float32: ")
    code = snippet_of(done.output)
    assert "from gate_losses import swaps_alpha" in code
    assert "float.fromhex(" in code
    expected, got = (line.split(": ")[1].strip() for line in code.splitlines()[-2:])
    assert expected != got
    # The shortest text that reads back as the same float32.
    assert np.float32(run_snippet(code).strip().strip("[]")) == np.float32(got)


def test_repro_of_an_error_raises_it_again(gate):
    done = gate.command("repro", "FL-SHP-001/float32", "--target=gate_losses:raises_for_no_elements", *TARGET)
    assert done.code == 1, done.output
    with pytest.raises(IndexError, match="no elements"):
        run_snippet(snippet_of(done.output))


def test_the_command_in_a_failure_text_repeats_that_failure(gate):
    gate.without_self_checks()
    failed = gate.conform("swaps_alpha", "-k", "FL-VAL-004")
    (repeat,) = (line for line in failed.output.splitlines() if line.startswith("  repeat"))
    words = repeat.removeprefix("  repeat    focal-ref ").split()
    done = gate.command(*words)
    assert done.code == 1
    # The same worst element; of a single vector nothing else failed.
    for name in ("case", "expected", "got", "error"):
        first, second = (
            next(line for line in text.splitlines() if line.startswith(f"  {name} "))
            for text in (failed.output, done.output)
        )
        assert first == second


def test_a_case_that_is_no_vector_of_a_loss_is_repeated_alone_too(gate):
    for identifier, profile in (
        ("FL-IOU-001/float32/vectors iou", "torchvision_matcher"),
        ("FL-MAT-003/float32/ground truths far from all anchors", "torchvision_matcher"),
    ):
        done = gate.command("repro", identifier, f"--profile={profile}")
        assert done.code == 1, done.output
        assert f"  case      {identifier.partition('float32/')[2]}\n" in done.output
        assert "in 1 comparison\n" in done.output
    done = gate.command("repro", "FL-IOU-001/float32/vectors none", "--profile=torchvision_matcher")
    assert done.code == ExitCode.USAGE
    done = gate.conform("accepts_any_shape", "--case=FL-SHP-002//logits (4,), targets (1,)")
    assert done.code == ExitCode.NOT_CONFORMANT
    assert "failed    1 of 1 in 1 comparison" in done.output
    done = gate.conform("right", "--case=FL-SHP-002//logits (4,), targets (1,)")
    assert done.code == ExitCode.INCOMPLETE, done.output


def test_repro_of_what_passes_says_so(gate):
    done = gate.command("repro", "fl-val-004", *TARGET)
    assert done.code == 0
    assert done.output.startswith("FL-VAL-004-float32: passes (")


def test_repro_in_a_library_with_automatic_differentiation_differentiates(gate):
    gate.write(
        "torch_losses.py",
        "import torch\n"
        "def half(logits, targets, *, alpha, gamma):\n"
        "    margin = torch.where(targets == 1, logits, -logits)\n"
        "    a_t = 1 if alpha is None else alpha * targets + (1 - alpha) * (1 - targets)\n"
        "    softplus = torch.nn.functional.softplus\n"
        "    return 0.5 * a_t * torch.exp(-gamma * softplus(margin)) * softplus(-margin)\n",
    )
    profile = (gate.folder / "mine.toml").read_text()
    profile = profile.replace('library = "numpy"', 'library = "torch"').replace(
        '"none"\nsubnormals', '"autodiff"\nsubnormals'
    )
    gate.write("torch.toml", profile)
    done = gate.command("repro", "FL-GRAD-001/float32", "--target=torch_losses:half", "--profile=torch.toml")
    assert done.code == 1, done.output
    code = snippet_of(done.output)
    assert "logits.requires_grad_()" in code
    got = code.splitlines()[-1].split(": ")[1].strip()
    assert float(got) == pytest.approx(float(run_snippet(code).strip().removeprefix("tensor([").rstrip("])")), rel=1e-4)


@pytest.mark.parametrize(
    ("identifier", "reason"),
    [
        ("FL-XYZ-001", "no requirement 'FL-XYZ-001'; `focal-ref explain VAL` lists those of an area"),
        ("FL-LAB-001", "FL-LAB-001: the profile 'mine' does not claim it: it needs 'labels'"),
        ("FL-VAL-001/float64", "FL-VAL-001: got format 'float64'; the profile has float32"),
        ("FL-VAL-009/float32", "FL-VAL-009: got format 'float32'; the profile has no format: it is verified once"),
        ("FL-VAL-001/float32/grid/none", "FL-VAL-001-float32: nothing was compared; no vector 'grid/none'"),
    ],
)
def test_repro_of_what_is_not_there_is_a_usage_error(gate, identifier, reason):
    done = gate.command("repro", identifier, *TARGET)
    assert done.code == ExitCode.USAGE
    assert f"focal-ref: {reason}" in done.output


@pytest.mark.parametrize("command", ["conform", "smoke", "repro", "expect"])
def test_the_help_teaches_with_examples(gate, command):
    done = gate.command(command, "--help")
    assert done.code == 0
    assert f"focal-ref {command} " in done.output.partition("Options:")[0].partition("\n")[2]
