"""The closed forms as source text: what is written down, and that nothing superfluous is."""

import math
import re

import pytest

from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._kernels.expressions import (
    ARGUMENTS,
    RESULTS,
    SOFT_ARGUMENTS,
    cuda,
    element_lines,
    exponential_lines,
    row_lines,
    soft_element_lines,
    triton,
)
from focal_ref.conformance import oracle

LANGUAGES = {"cuda": cuda, "triton": triton}
ARITHMETICS = ("float64", "float32")
NAME = re.compile(r"\b(t\d+|value|gradient|second|slope|others|high|low)\b")


def every_text(language):
    for arithmetic in ARITHMETICS:
        for exponent in (*SPECIAL_EXPONENTS, None):
            yield element_lines(language(arithmetic), arithmetic, exponent, narrowed=True, results=RESULTS)
        for exponent in SPECIAL_EXPONENTS:
            yield soft_element_lines(
                language(arithmetic), arithmetic, exponent, narrowed=True, results=("value", "gradient")
            )
    yield exponential_lines(language("float64"))
    yield row_lines(language("float64"), 2.0, narrowed=True)


def definition(line):
    """The name that a statement defines, and the expression."""
    name, _, expression = line.removesuffix(";").partition(" = ")
    return name.split()[-1], expression


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_every_name_is_defined_once_before_it_is_used_and_used_afterwards(language):
    for lines in every_text(language):
        defined, used = [], set()
        for line in lines:
            name, expression = definition(line)
            names = set(NAME.findall(expression)) - set(ARGUMENTS) - set(SOFT_ARGUMENTS) - {"high", "low"}
            assert names <= set(defined), line
            assert name not in defined, line
            used |= names
            defined.append(name)
        assert {name for name in defined if name.startswith("t")} <= used


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_no_operation_is_written_twice(language):
    for lines in every_text(language):
        expressions = [definition(line)[1] for line in lines if definition(line)[0].startswith("t")]
        assert len(expressions) == len(set(expressions))


@pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES)
def test_only_what_is_asked_for_is_computed(language):
    def count(*results):
        return len(element_lines(language("float64"), "float64", 2.0, narrowed=False, results=results))

    assert count("value") < count("value", "gradient") < count("value", "gradient", "second")
    assert count("gradient") < count("value", "gradient")


class _Tensor(float):
    """A number with the one method of Triton's values that the text calls."""

    def to(self, kind, bitcast):
        import struct

        assert bitcast
        return struct.unpack("<q", struct.pack("<d", self))[0]


class _Bits(int):
    def to(self, kind, bitcast):
        import struct

        return _Tensor(struct.unpack("<d", struct.pack("<Q", self & (2**64 - 1)))[0])

    def __lshift__(self, other):
        return _Bits((int(self) << int(other)) & (2**64 - 1))

    def __add__(self, other):
        return _Bits((int(self) + int(other)) & (2**64 - 1))


class _Language:
    """What the text takes from Triton, for single numbers."""

    float64, int64 = float, int

    @staticmethod
    def full(shape, number, kind):
        return _Bits(number) if kind is int else _Tensor(number)

    @staticmethod
    def where(condition, first, second):
        return first if condition else second

    @staticmethod
    def abs(number):
        return _Tensor(abs(number))

    @staticmethod
    def fma(a, b, c):
        # Rounded twice: enough for a comparison within some units in the last place.
        return _Tensor(float(a) * float(b) + float(c))


def run(lines, arguments):
    scope = {"tl": _Language, **arguments}
    for line in lines:
        name, expression = definition(line)
        result = eval(expression, scope)
        if isinstance(result, float):
            result = _Tensor(result)
        elif type(result) is int:
            result = _Bits(result)
        scope[name] = result
    return scope


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0, 1.7])
@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("logit", [-40.0, -3.0, -0.5, 0.0, 0.25, 6.0, 30.0])
def test_the_text_computes_the_printed_formula(logit, positive, gamma):
    exponent = gamma if gamma in SPECIAL_EXPONENTS else None
    lines = element_lines(triton("float64"), "float64", exponent, narrowed=False, results=("value", "gradient"))
    numbers = {"logit": logit, "positive_weight": 0.25, "negative_weight": 0.75, "gamma": gamma, "gamma_tail": 0.0}
    arguments = {name: _Tensor(number) for name, number in numbers.items()} | {"upstream": _Tensor(1.0)}
    scope = run(lines, arguments | {"is_positive": positive})
    value = float(oracle.loss(logit, int(positive), 0.25, gamma))
    gradient = float(oracle.gradient(logit, int(positive), 0.25, gamma))
    assert math.isclose(scope["value"], value, rel_tol=40 * 2.0**-53, abs_tol=0.0)
    assert math.isclose(scope["gradient"], gradient, rel_tol=40 * 2.0**-53, abs_tol=0.0)
