"""Breaking this project's own code turns the suite red, at the requirement that names the fault."""

from functools import cache

import numpy as np
import pytest

from focal_ref._kernels import dense, element, host
from focal_ref.adapters.numpy import NumpyAdapter
from focal_ref.conformance.cli.conform import run_suite
from focal_ref.conformance.gate import ExitCode


def with_a_factor(forms, primitives):
    """Every value one ulp of float32 too large."""
    value, both = forms.value, forms.value_and_gradient
    close = primitives.number(1.0 + 2.0**-23)

    @primitives.compiled
    def wrong(margin, gamma, tail):
        return value(margin, gamma, tail) * close

    @primitives.compiled
    def wrong_both(margin, gamma, tail):
        v, g = both(margin, gamma, tail)
        return v * close, g

    return forms._replace(value=wrong, value_and_gradient=wrong_both)


def without_the_log_term(forms, primitives):
    """The value in the place of the gradient."""
    both = forms.value_and_gradient

    @primitives.compiled
    def wrong_both(margin, gamma, tail):
        value = both(margin, gamma, tail)[0]
        return value, -value

    return forms._replace(value_and_gradient=wrong_both)


def sum_in_float32(logits, targets, parameters):
    value = np.empty(logits.shape, logits.dtype)
    host.elementwise(logits, targets, parameters, value=value)
    result = np.float32(0)
    for term in value.ravel().astype(np.float32):
        result += term
    return float(result)


@pytest.mark.parametrize(
    ("change", "item"), [(with_a_factor, "FL-VAL-003-float32"), (without_the_log_term, "FL-GRAD-002-float32")]
)
def test_a_fault_in_the_closed_form_is_found(monkeypatch, capfd, tmp_path, change, item):
    build = element.hard_forms
    # Kernels are compiled once a process, and these must not outlast the test.
    monkeypatch.setattr(host, "dense_kernel", cache(dense.dense_kernel.__wrapped__))
    monkeypatch.setattr(
        element,
        "hard_forms",
        lambda primitives, *given, **options: change(build(primitives, *given, **options), primitives),
    )
    expect_red(item, tmp_path, capfd)


def test_a_sum_in_float32_is_found(monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(host, "total", sum_in_float32)
    expect_red("FL-RED-001-float32", tmp_path, capfd)


def test_a_mean_over_the_first_axis_is_found(monkeypatch, capfd, tmp_path):
    total = NumpyAdapter.total

    def spoilt(self, logits, targets, parameters, normalizer):
        return total(self, logits, targets, parameters, logits.shape[0] if normalizer else None)

    monkeypatch.setattr(NumpyAdapter, "total", spoilt)
    expect_red("FL-RED-002-float32", tmp_path, capfd)


def expect_red(item, folder, capfd):
    code = run_suite(["--backend=numpy", "-k", item, f"--report-dir={folder}"])
    output = "".join(capfd.readouterr())
    assert code == ExitCode.NOT_CONFORMANT, output
    assert f"test_requirement[{item}]" in output
