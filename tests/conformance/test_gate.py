"""The gate is honest: exit codes, reasons, reports, and a red suite where the loss is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from focal_ref.conformance.targets.builtin import CAUGHT_BY

ROOT = Path(__file__).parents[2]

QUICK = ["-k", "FL-VAL-002-float32 or FL-DET-001-float32 or self-check"]


def run(tmp_path, *options, plugin=None):
    """Run `pytest conformance` in a process of its own."""
    options = ["conformance", "-q", "-p", "no:cacheprovider", f"--report-dir={tmp_path}", *options]
    command = [sys.executable, "-m", "pytest"]
    if plugin is not None:
        (tmp_path / "spoil.py").write_text(plugin)
        start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import spoil, pytest"
        command = [sys.executable, "-c", f"{start}; sys.exit(pytest.main(sys.argv[1:]))"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ((), "name what to test: --backend=numpy|torch|torch:compile|jax|jax:jit|cupy|array_api_strict, or --target="),
        (("--backend=tensorflow",), "unknown backend 'tensorflow'; known are numpy, torch, torch:compile, jax"),
        (("--backend=numpy:jit",), "unknown backend 'numpy:jit'; known are numpy"),
        (("--backend=cupy",), "backend 'cupy' cannot run here: cupy: No module named 'cupy'; install the build for"),
        (("--backend=numpy", "--device=cuda"), "backend 'numpy' cannot run here: numpy: no device 'cuda'"),
        (("--backend=torch", "--device=cuda"), "backend 'torch' cannot run here: torch: no device 'cuda'"),
        (("--backend=jax", "--device=cuda"), "backend 'jax' cannot run here: jax: no device 'cuda'"),
        (("--target=nowhere:loss", "--profile=optax"), "--target: cannot import 'nowhere'"),
        (("--target=optax:nothing", "--profile=optax"), "--target: 'optax' has no 'nothing'"),
        (("--target=optax", "--profile=optax"), "--target: got 'optax'; it is package.module:function"),
        (("--target=optax:sigmoid_focal_loss",), "--target needs --profile=FILE or one of"),
        (("--profile=nothing",), "profile: got 'nothing'; it is neither a file nor one of"),
        (("--backend=numpy", "--profile=optax"), "--backend runs this project's own code"),
        (("--backend=numpy", "--case=nonsense"), "--case: got 'nonsense'; it is REQUIREMENT/DTYPE/VECTOR"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_tested_is_exit_code_4_with_one_line_of_reason(tmp_path, options, reason):
    code, output = run(tmp_path, *options)
    assert code == 4, output
    lines = [line for line in output.splitlines() if reason in line]
    assert len(lines) == 1, output
    assert not list(tmp_path.iterdir()), "no report of a run that was none"


def test_a_filtered_run_is_incomplete_and_writes_so(tmp_path):
    code, output = run(tmp_path, "--backend=numpy", *QUICK)
    assert code == 6, output
    assert "incomplete:" in output
    record = [json.loads(line) for line in (tmp_path / "numpy.jsonl").read_text().splitlines()]
    assert record[0]["kind"] == "run"
    assert record[-1] == {"kind": "verdict", "exit_code": 6, "reason": record[-1]["reason"]}
    assert {entry["requirement"] for entry in record if entry["kind"] == "item"} == {
        "FL-VAL-002",
        "FL-DET-001",
        "self-check",
    }
    assert all(entry["comparisons"] > 0 for entry in record if entry["kind"] == "item")
    assert "FL-VAL-002" in (tmp_path / "numpy.md").read_text()


def test_a_run_on_two_workers_comes_to_the_same_verdict(tmp_path):
    code, output = run(tmp_path, "--backend=numpy", "-n", "2", *QUICK)
    assert code == 6, output
    record = [json.loads(line) for line in (tmp_path / "numpy.jsonl").read_text().splitlines()]
    # Two requirements, the right implementation and the wrong ones.
    assert sum(entry["kind"] == "item" for entry in record) == 3 + len(CAUGHT_BY)


def test_nothing_collected_is_exit_code_5(tmp_path):
    code, output = run(tmp_path, "--backend=numpy", "-k", "no-such-requirement")
    assert code == 5, output
    assert "nothing was run" in output


def test_one_stored_vector_is_repeated_alone_and_is_no_pass(tmp_path):
    vector = "FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"
    code, output = run(tmp_path, "--backend=numpy", f"--case={vector}")
    assert code == 6, output
    assert "incomplete: only case" in output


def test_an_unknown_vector_is_a_failure(tmp_path):
    code, output = run(tmp_path, "--backend=numpy", "--case=FL-VAL-002/float32/saturation/none")
    assert code == 1, output
    assert "nothing was compared; no vector has the id 'saturation/none'" in output


SPOILT = {
    "a factor in the closed form": (
        "import focal_ref._formulas as formulas\n"
        "build = formulas.hard_forms\n"
        "def spoilt(primitives, exponent=None, **options):\n"
        "    forms = build(primitives, exponent, **options)\n"
        "    value, both = forms.value, forms.value_and_gradient\n"
        "    close = primitives.number(1.0 + 2.0**-23)\n"
        "    @primitives.compiled\n"
        "    def wrong(margin, gamma, tail):\n"
        "        return value(margin, gamma, tail) * close\n"
        "    @primitives.compiled\n"
        "    def wrong_both(margin, gamma, tail):\n"
        "        v, g = both(margin, gamma, tail)\n"
        "        return v * close, g\n"
        "    return forms._replace(value=wrong, value_and_gradient=wrong_both)\n"
        "formulas.hard_forms = spoilt\n",
        "FL-VAL-001-float32",
    ),
    "a gradient without the log term": (
        "import focal_ref._formulas as formulas\n"
        "build = formulas.hard_forms\n"
        "def spoilt(primitives, exponent=None, **options):\n"
        "    forms = build(primitives, exponent, **options)\n"
        "    both = forms.value_and_gradient\n"
        "    zero = primitives.number(0.0)\n"
        "    @primitives.compiled\n"
        "    def wrong_both(margin, gamma, tail):\n"
        "        value = both(margin, gamma, tail)[0]\n"
        "        return value, -value\n"
        "    return forms._replace(value_and_gradient=wrong_both)\n"
        "formulas.hard_forms = spoilt\n",
        "FL-GRAD-001-float32",
    ),
    "a sum in float32": (
        "import numpy as np\n"
        "import focal_ref._kernels.host as host\n"
        "total = host.total\n"
        "def spoilt(logits, targets, parameters):\n"
        "    value = np.empty(logits.shape, logits.dtype)\n"
        "    host.elementwise(logits, targets, parameters, value=value)\n"
        "    result = np.float32(0)\n"
        "    for term in value.ravel().astype(np.float32):\n"
        "        result += term\n"
        "    return float(result)\n"
        "host.total = spoilt\n",
        "FL-RED-001-float32",
    ),
    "a mean over the first axis": (
        "import focal_ref.losses as losses\n"
        "from focal_ref.adapters.numpy import NumpyAdapter\n"
        "total = NumpyAdapter.total\n"
        "def spoilt(self, logits, targets, parameters, normalizer):\n"
        "    return total(self, logits, targets, parameters, logits.shape[0] if normalizer else None)\n"
        "NumpyAdapter.total = spoilt\n",
        "FL-RED-002-float32",
    ),
    "broadcast targets": (
        "import numpy as np\n"
        "import focal_ref\n"
        "loss = focal_ref.loss\n"
        "def spoilt(logits, targets, /, **options):\n"
        "    logits, targets = np.broadcast_arrays(logits, targets)\n"
        "    return loss(logits, targets, **options)\n"
        "focal_ref.loss = spoilt\n",
        "FL-SHP-002",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_breaking_our_own_code_turns_the_suite_red(tmp_path, name):
    plugin, item = SPOILT[name]
    code, output = run(tmp_path, "--backend=numpy", "-k", item, plugin=plugin)
    assert code == 1, output
    assert f"FAILED conformance/test_conformance.py::test_requirement[{item}]" in output


@pytest.mark.parametrize(
    ("plugin", "implementation"),
    [
        (
            "import focal_ref.conformance.examiner as examiner, numpy as np\n"
            "examiner.error_in_ulps = lambda got, exact, **options: np.zeros(np.shape(got))\n",
            "does not find the built-in wrong implementation",
        ),
        (
            "import focal_ref.conformance.examiner as examiner, numpy as np\n"
            "examiner.error_in_ulps = lambda got, exact, **options: np.full(np.shape(got), 1e30)\n",
            "the built-in right implementation fails",
        ),
    ],
    ids=["a comparison that passes everything", "a comparison that fails everything"],
)
def test_a_suite_that_cannot_tell_right_from_wrong_is_exit_code_8(tmp_path, plugin, implementation):
    code, output = run(tmp_path, "--backend=numpy", "-k", "FL-SHP-004-float32 or self-check", plugin=plugin)
    assert code == 8, output
    assert implementation in output
