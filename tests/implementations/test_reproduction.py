"""Lines that show a fault: the simplest input, as code of the implementation alone; what a line prints is judged."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance.findings import Finding
from focal_ref.conformance.gate import ExitCode, Item, Result
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.reports.record import Record, Run
from focal_ref.conformance.targets import Call
from focal_ref.conformance.targets.python import PythonTarget, function_target

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "implementations"


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import catalogue
    import condense
    import reproduction
    import reproduction.boxes
    import reproduction.forked
    import reproduction.lines
    import reproduction.search
    import reproduction.shell
    import reproduction.simpler
    import reproduction.texts
    import summary

    found = {one.__name__.rpartition(".")[2]: one for one in (reproduction.boxes, reproduction.search)}
    found |= {"shell": reproduction.shell, "texts": reproduction.texts, "lines": reproduction.lines}
    found |= {"forked": reproduction.forked, "simpler": reproduction.simpler}
    return {**found, "catalogue": catalogue, "condense": condense, "reproduction": reproduction, "summary": summary}


def entry(tool, name, function, profile=None, kind="loss"):
    return tool["catalogue"].Implementation(name, name, function, "torch", profile or name, kind)


def lines(tool, profile, function, requirement, dtype="float32"):
    target = function_target(None, profile, None)
    found = tool["search"].reproductions(target, entry(tool, profile, function), requirement, dtype)
    return list(found)


FVCORE = "fvcore.nn:sigmoid_focal_loss"


def test_a_gradient_that_is_nan_is_shown_by_one_round_logit_and_the_line_prints_it(tool):
    (found,) = lines(tool, "fvcore", FVCORE, "FL-GRAD-003")
    assert found.command == (
        "python -c 'import torch; from fvcore.nn import sigmoid_focal_loss; "
        "x = torch.tensor([-20.0], requires_grad=True); "
        "sigmoid_focal_loss(x, torch.tensor([0.0]), alpha=0.25, gamma=0.5).backward(); print(x.grad.item())'"
    )
    # 0.75 p^gamma (p + gamma (1 - p) log(1 / (1 - p))) for p = sigmoid(-20), gamma = 1/2, by mpmath.
    assert found.right == "1.0527326e-13"
    printed = tool["shell"].run(found.command, ROOT)
    assert (printed.code, printed.output) == (0, "nan")
    assert found.is_shown_by(printed)


def test_a_value_lost_to_cancellation_is_shown_with_the_one_that_it_should_be(tool):
    (found,) = lines(tool, "fvcore", FVCORE, "FL-VAL-002")
    assert "torch.tensor([-15.0]), torch.tensor([0.0]), alpha=0.25).item())" in found.command
    # 0.75 sigmoid(-15)^2 log(1 + e^-15), by mpmath.
    assert found.right == "2.1468873e-20"


def test_what_is_accepted_is_shown_by_the_shape_of_its_result(tool):
    (found,) = lines(tool, "fvcore", FVCORE, "FL-RED-004", "")
    assert 'alpha=0.25, reduction="avg").shape))' in found.command
    assert found.right == "an error"


def test_another_dtype_is_shown_by_its_name(tool):
    (found,) = lines(tool, "fvcore", FVCORE, "FL-SHP-004", "float64")
    assert found.command.endswith("alpha=0.25).dtype)'")
    assert found.right == "dtype float64"


def test_simpler_elements_are_wrong_on_the_same_side_no_larger_and_have_usual_parameters_first(tool):
    one = np.array([1.0], np.float32)
    failed = Call(-20 * one, one, alpha=None, gamma=0.5)
    found = list(tool["simpler"].elements(load_profile("torch"), "float32", [(failed, Finding("", "value", "", ""))]))
    margins = [((2 * call.targets - 1) * call.logits).item() for call in found]
    assert max(margins) < 0
    assert min(margins) == -20
    assert (found[0].logits.item(), found[0].alpha, found[0].gamma) == (-1.0, 0.25, 2.0)
    assert [call.gamma for call in found] == sorted((call.gamma for call in found), reverse=True)


def test_simpler_rows_are_wrong_on_the_same_side(tool):
    failed = Call(np.array([[0.0, 9.0]], np.float32), np.array([0]), alpha=None, function="softmax_loss")
    found = list(
        tool["simpler"].rows(load_profile("monai_softmax"), "float32", [(failed, Finding("", "value", "", ""))])
    )
    assert found
    assert all(call.logits[0, call.targets[0]] < call.logits.max() for call in found)


def test_a_mean_of_nothing_is_shown_with_nothing(tool):
    (found,) = lines(tool, "fvcore", FVCORE, "FL-RED-005")
    assert 'sigmoid_focal_loss(torch.zeros(0), torch.zeros(0), alpha=0.25, reduction="mean").item()' in found.command
    assert found.right == "0.0"


def test_a_mean_that_counts_what_is_ignored_is_shown_by_two_rows(tool):
    (found,) = lines(tool, "kornia_multiclass", "kornia.losses:focal_loss", "FL-RED-007")
    assert "torch.tensor([0, -100])" in found.command
    # 0.75 (1/2)^2 log(2) over the two classes of the one row that counts.
    assert float(found.right) == pytest.approx(0.75 * 0.25 * np.log(2) / 2, rel=1e-6)


def test_a_matcher_is_shown_by_one_anchor_and_one_box(tool):
    target = function_target(None, "torchvision_matcher", None)
    mine = entry(tool, "torchvision_matcher", "torchvision.models.detection._utils:Matcher", kind="matcher")
    (found,) = tool["boxes"].box_reproductions(target, mine, "FL-MAT-003", "float32")
    assert found.command.count("torch.tensor([[") == 2
    assert found.right == "[-1]"
    shell = tool["shell"]
    assert found.is_shown_by(shell.Printed(0, "[0]"))
    assert not found.is_shown_by(shell.Printed(0, "[-1]"))


def test_the_line_of_a_binding_is_made_of_its_expression(tool):
    class Bound:
        imports = "import math; from mine import focal"
        expression = "focal(x, t, {gamma})"

        def loss(self, logits, targets, *, alpha, gamma, reduction="none"):
            return (logits * 0.0).sum() if reduction != "none" else logits * 0.0

    profile = load_profile("torch")
    base = function_target(None, "fvcore", None)
    signature = type(profile.signature)(binding="mine:Bound", targets="floating", returns="elements")
    fields = {**vars(base.profile), "signature": signature}
    target = PythonTarget("bound", Bound().loss, type(profile)(**fields), base.library)
    found = list(tool["search"].reproductions(target, entry(tool, "bound", "mine:focal"), "FL-VAL-001", "float32"))
    assert found[0].command == (
        "python -c 'import torch; import math; from mine import focal; x = torch.tensor([1.0]); "
        "t = torch.tensor([0.0]); print(focal(x, t, 2.0).item())'"
    )
    # Nothing says how the expression is reduced.
    assert not list(tool["search"].reproductions(target, entry(tool, "bound", "mine:focal"), "FL-RED-002", "float32"))


def shown(tool, way, expected=None, got=None, right="", message=""):
    faults = tool["search"].Shown(way, expected, got, right, message=message)
    return tool["search"].Reproduction("float32", "value", "a line", right, faults)


def test_an_output_shows_the_fault_only_if_it_is_nearer_to_it_than_to_what_is_right(tool):
    printed = tool["shell"].Printed
    wrong = shown(tool, "off-by-ulp", np.array([1.0], np.float32), np.array([1.5], np.float32))
    assert wrong.is_shown_by(printed(0, "1.5"))
    assert not wrong.is_shown_by(printed(0, "1.0"))
    assert not wrong.is_shown_by(printed(0, "1.5 1.5"))
    assert not wrong.is_shown_by(printed(1, "1.5"))
    nan = shown(tool, "nan", np.array([1.0, 0.0]), np.array([np.nan, 0.0]))
    assert nan.is_shown_by(printed(0, "[nan, 0.0]"))
    assert not nan.is_shown_by(printed(0, "[1.0, 0.0]"))
    raised = shown(tool, "raise", message="RuntimeError: view size is not compatible")
    assert raised.is_shown_by(printed(1, "RuntimeError: view size is not compatible with the stride"))
    assert not raised.is_shown_by(printed(1, "RuntimeError: a Tensor with 120 elements cannot be converted to Scalar"))
    assert not raised.is_shown_by(printed(0, "1.0"))
    dtype = shown(tool, "dtype", right="dtype float32")
    assert dtype.is_shown_by(printed(0, "torch.float64"))
    assert not dtype.is_shown_by(printed(0, "torch.float32"))


def test_a_line_that_does_not_show_its_fault_is_told(tool, monkeypatch):
    right = tool["shell"].Printed(0, "0.0")
    monkeypatch.setattr(tool["shell"], "run_all", lambda lines, folder: dict.fromkeys(lines, right))
    found, (text,) = tool["reproduction"].reproduced(entry(tool, "fvcore", FVCORE), {"FL-RED-005": ["float32"]})
    assert found["FL-RED-005"][0]["printed"] == "0.0"
    assert text.startswith("FL-RED-005: the line does not show the fault: python -c")


def test_what_no_call_shows_is_shown_by_the_suite(tool):
    repeating = tool["reproduction"]._repeating(entry(tool, "mine", "a:b", "mine.toml"), "FL-DECL-009", [""])
    assert repeating == (
        "PYTHONPATH=implementations focal-ref repro FL-DECL-009 --profile=implementations/profiles/mine.toml "
        "| grep -E '^  (case|asked|gave|expected|got|note) '"
    )


@pytest.mark.parametrize(
    ("framework", "numbers", "text"),
    [
        ("torch", np.array([-20.0], np.float32), "torch.tensor([-20.0])"),
        ("torch", np.array([[0.1, -np.inf]], np.float32), "torch.tensor([[0.1, -torch.inf]])"),
        ("torch", np.array([1.5]), "torch.tensor([1.5], dtype=torch.float64)"),
        ("torch", np.array([0, 1]), "torch.tensor([0, 1])"),
        ("torch", np.zeros((0, 4), np.float32), "torch.zeros(0, 4)"),
        ("jax", np.array([np.nan], np.float32), "jnp.array([jnp.nan])"),
        ("jax", np.array([3e38], np.float32), "jnp.array([3e38])"),
        ("numpy", np.array([0.1], np.float32), "np.array([0.1], dtype=np.float32)"),
        ("tensorflow", np.array([np.inf], np.float32), 'tf.constant([float("inf")])'),
        ("paddle", np.array([2.0]), 'paddle.to_tensor([2.0], dtype="float64")'),
        ("numpy", np.full((2, 3), 5.0), "np.full((2, 3), 5.0)"),
    ],
)
def test_arrays_are_written_with_every_number_exactly(tool, framework, numbers, text):
    if framework == "torch":
        import torch

        numbers = torch.from_numpy(numbers)
    assert tool["texts"].array_text(numbers, framework) == text


def test_a_view_is_written_as_one(tool):
    import torch

    assert tool["texts"].array_text(torch.zeros(3, 2).T, "torch") == "torch.zeros(3, 2).T"


def test_a_text_in_single_quotes_gets_the_others(tool):
    assert tool["lines"].python_line(["f(reduction='none')"], {"A": "b"}) == "A=b python -c 'f(reduction=\"none\")'"


def test_values_are_written_without_the_quotes_of_a_shell(tool):
    written = tool["texts"].value_text({"a": [1.0, float("nan")], "b": ("it's", None)})
    assert written == '{"a": [1.0, float("nan")], "b": ("it\'s", None)}'


def test_a_line_is_run_by_this_interpreter_and_its_last_error_is_kept(tool):
    printed = tool["shell"].run("python -c 'import sys; print(1.5, -2e-3, sys.prefix)'", ROOT)
    assert printed.numbers[:2] == [1.5, -2e-3]
    assert sys.prefix in printed.output
    failed = tool["shell"].run("python -c 'raise KeyError(3)'", ROOT)
    assert (failed.code, failed.output) == (1, "KeyError: 3")


def test_lines_are_run_as_by_python_c_from_one_interpreter(tool):
    lines = [
        "python -c 'import json; x = 1; print(json.dumps([x]), __name__, __import__(\"sys\").argv)'",
        "A=b python -c 'import os; print(os.environ[\"A\"])'",
        "python -c 'import no_such_module'",
        "python -c 'print(x)'",
        "python -c 'raise SystemExit(3)'",
        "focal-ref explain FL-VAL-002 | grep -E '^FL-VAL'",
    ]
    found = tool["shell"].run_all(lines, ROOT)
    assert (found[lines[0]].code, found[lines[0]].output) == (0, "[1] __main__ ['-c']")
    assert found[lines[1]].output == "b"
    assert (found[lines[2]].code, found[lines[2]].output) == (
        1, "ModuleNotFoundError: No module named 'no_such_module'",
    )  # fmt: skip
    # Nothing of one line is left for the next.
    assert found[lines[3]].output == "NameError: name 'x' is not defined"
    assert found[lines[4]].code == 3
    assert found[lines[5]].output.startswith("FL-VAL-002")


def test_a_line_that_does_not_end_is_killed(tool, monkeypatch):
    monkeypatch.setattr(tool["forked"], "LIMIT", 0.3)
    # Not forked from this process, in which JAX may have threads.
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
    assert tool["forked"]._waited(child.pid) is None
    child.returncode = -9


def record_of(results):
    description = {"target": "optax", "version": "optax 0.2.8", "library": "jax 0.10.2", "device": "cpu"}
    return Record.of(
        Run(description, load_profile("optax"), results, ExitCode.NOT_CONFORMANT, "not conformant", "0.1.0")
    )


REGIMES = (
    {
        "quantity": "value",
        "axis": "margin",
        "bins": [[-2, 1.5, 10.0, 3, "a"], [0, 4.0, 16.0, 9, "b"], ["inf", "nan", 9.0, 1, "c"]],
    },
    {"quantity": "value", "axis": "logit", "bins": [[8, 2.0, 4.0, 1, "d"]]},
)


def test_a_record_is_condensed_to_outcomes_errors_by_regime_and_causes(tool):
    cause = {
        "mutant": "m", "title": "t", "fault": "f", "advice": "a", "seen": ["one", "two", "three"],
        "numbers": {"EPSILON": 1e-7}, "by": "numbers", "explained": 1.0, "shared": 1.0,
    }  # fmt: skip
    results = (
        Result(Item("FL-VAL-001", "float32"), True, 10, 3.14159, 14.0, regimes=REGIMES, seconds=3.0),
        Result(
            Item("FL-EXT-001", "float32"), False, 4, float("nan"), 12.0, "text", failing={"nan": ["x"]}, causes=(cause,)
        ),
    )
    mine = entry(tool, "optax", "optax.losses:sigmoid_focal_loss")
    data = tool["summary"].summary(mine, record_of(results))
    assert data["requirements"]["FL-VAL-001"] == {"float32": "pass 3.14 14"}
    assert data["requirements"]["FL-EXT-001"] == {"float32": "FAIL nan 12"}
    assert data["requirements"]["FL-STAR-001"] == {"": "NOT-CLAIMED star"}
    assert data["errors"] == {"float32": {"value": {"-4 to 4": "4 16", "infinite": "nan 9", "soft targets": "2 4"}}}
    fault = data["faults"]["FL-EXT-001"]
    assert fault["dtypes"] == ["float32"]
    assert fault["ways"] == ["nan"]
    assert fault["causes"] == [
        {
            "mutant": "m",
            "title": "t",
            "advice": "a",
            "how": "gives 100% of the wrong numbers",
            "numbers": "EPSILON = 1e-07",
            "seen": "one; two",
        }
    ]
    assert "seconds" not in json.dumps(data)


def test_the_same_record_gives_the_same_results(tool):
    results = (Result(Item("FL-VAL-001", "float32"), True, 10, 3.14159, 14.0, regimes=REGIMES),)
    mine, record = entry(tool, "optax", "optax.losses:sigmoid_focal_loss"), record_of(results)
    assert tool["summary"].summary(mine, record) == tool["summary"].summary(mine, record)


def test_a_run_that_did_not_end_is_kept_with_its_reason(tool, tmp_path):
    why = {"name": "optax", "outcome": "timed out", "reason": "after 900 s", "exit_code": None, "date": "2026-11-22"}
    (tmp_path / "optax.failure.json").write_text(json.dumps(why), encoding="utf-8")
    arguments = ["optax", f"--record={tmp_path / 'optax.jsonl'}", f"--results={tmp_path / 'results'}"]
    assert tool["condense"].main(arguments) == 0
    data = json.loads((tmp_path / "results" / "optax.json").read_text(encoding="utf-8"))
    assert data == {
        "name": "optax", "status": "not run", "outcome": "timed out", "reason": "after 900 s", "date": "2026-11-22",
    }  # fmt: skip


def test_neither_record_nor_reason_is_an_error_of_one_line(tool, tmp_path, capsys):
    assert tool["condense"].main(["optax", f"--record={tmp_path / 'optax.jsonl'}", f"--results={tmp_path}"]) == 2
    assert "optax.jsonl: cannot be read" in capsys.readouterr().err
    assert tool["condense"].main(["nobody"]) == 2
    assert "no entry has the name 'nobody'" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def test_a_repro_line_finds_the_installed_suite_from_the_top_of_a_checkout(tool):
    """Where a folder of the name of the package has another layout."""
    line = "focal-ref repro FL-VAL-010 --backend=numpy | grep -E 'passes'"
    code, output, errors = tool["forked"].run([line], ROOT, tool["shell"].variables())[line]
    assert (code, errors) == (0, "")
    assert "FL-VAL-010" in output
