"""The text of a failure: every part of it, to the letter."""

import numpy as np

from focal_ref.conformance.findings import Finding, failure_text, shown
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.profiles import load_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

ZEROS = """\
FL-VAL-009: The order of write-up S4 (hard positive > hard negative > easy positive > easy negative) holds for \
alpha = 0.75; for the paper's alpha = 0.25 the two hard and the two easy ones change places.
  formula   alpha_t
  source    write-up S4 against the paper, erratum 3
  case      S4, erratum 3: alpha = 0.75
  quantity  order
  expected  hard positive > hard negative > easy positive > easy negative
  got       hard positive (0) > hard negative (0) > easy positive (0) > easy negative (0)
  failed    2 of 2 in 2 comparisons
  also      paper, erratum 3: alpha = 0.25
  often     Tells a swapped alpha from a right one by order alone.
  repeat    pytest conformance --target=zeros -k FL-VAL-009"""

MEASURED = """\
FL-VAL-002 float32: Easy elements keep a loss: nothing is lost to cancellation where p_t is near 1.
  formula   FL -> alpha_t e^(-(gamma + 1) s) for margins s >> 0
  source    paper, section 3.2 (the sum over about 100k easy negatives matters); numerics
  case      saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000
  call      loss(logits[float32[4]], targets[float32], alpha=None, gamma=0.5)
  logit     15.0                      41700000
  quantity  value
  expected  1.6918975e-10             2f3a06ae
  got       0.0                       00000000
  error     1.219e+07 ulp, budget 0.501 ulp
  failed    3 of 8 in 2 comparisons
  also      a; b; c; and 1 more
  often     1 - p_t is exactly 0 from s = 16.7 (float32) or 36.8 (float64); binary cross entropy built on \
max(x, 0) - x y loses easy negatives.
  repeat    pytest conformance --backend=numpy \
--case=FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000"""


def test_the_text_of_a_measured_failure():
    worst = Finding(
        case="saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000",
        quantity="value",
        # 1.691897405059781505773e-10, the oracle's value at this logit.
        expected=shown(1.691897405059781505773e-10, "float32"),
        got=shown(0.0, "float32"),
        inputs={
            "call": "loss(logits[float32[4]], targets[float32], alpha=None, gamma=0.5)",
            "logit": shown(15.0, "float32"),
        },
        error=12191406.0,
        budget=0.501,
        failed=2,
        compared=4,
        others=["a", "b"],
    )
    other = Finding("c", "value", "", "", error=1.0, budget=0.501, failed=1, compared=4, others=["d"])
    text = failure_text(requirements()["FL-VAL-002"], "float32", [other, worst], "pytest conformance --backend=numpy")
    assert sorted(MEASURED.splitlines()) == sorted(
        line.replace("c; d; a; and 1 more", "a; b; c; and 1 more") for line in text.splitlines()
    )


def zeros_target():
    def zeros(logits, targets, *, alpha, gamma):
        return np.zeros_like(logits)

    return PythonTarget("zeros", zeros, load_profile("built-in"), PlainLibrary("numpy", None, ""))


def test_the_text_of_a_failure_without_a_number():
    result = run_item(Item("FL-VAL-009"), zeros_target(), "pytest conformance --target=zeros")
    assert not result.passed
    assert result.text == ZEROS


def test_the_worst_element_of_a_run_comes_first_with_its_bits():
    result = run_item(Item("FL-VAL-002", "float32"), zeros_target(), "pytest conformance --target=zeros")
    lines = result.text.splitlines()
    assert lines[0].startswith("FL-VAL-002 float32: ")
    (got,) = (line for line in lines if line.startswith("  got"))
    assert got == "  got       0.0                       00000000"
    (repeat,) = (line for line in lines if line.startswith("  repeat"))
    assert "--case=FL-VAL-002/float32/saturation/float32/" in repeat


def test_an_exception_of_the_target_is_a_verdict_and_the_run_goes_on():
    def crashes(logits, targets, *, alpha, gamma):
        raise RuntimeError("out of paper\nsecond line")

    target = PythonTarget("crashes", crashes, load_profile("built-in"), PlainLibrary("numpy", None, ""))
    result = run_item(Item("FL-VAL-001", "float32"), target, "pytest conformance")
    assert not result.passed
    assert "  got       RuntimeError: out of paper\n" in result.text
    assert len(result.findings) > 1


def test_a_result_of_another_library_is_a_finding():
    def lists(logits, targets, *, alpha, gamma):
        return [0.0] * len(logits)

    target = PythonTarget("lists", lists, load_profile("built-in"), PlainLibrary("numpy", None, ""))
    result = run_item(Item("FL-VAL-001", "float32"), target, "pytest conformance")
    assert "  got       the result is a builtins.list, not a numpy array\n" in result.text
