"""The closed forms as source text for GPUs: straight-line statements in CUDA C++ or Triton.

The forms of `focal_ref._formulas` are called with values that record what is done with them. So a kernel in another
language is generated from the same description as the loops on the CPU, and does the same operations in the same order.
A compiler must not join a product and a sum to a fused multiply-add where the forms have none (for CUDA
``--fmad=false``, for Triton ``enable_fp_fusion=False``).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from focal_ref._formulas import Primitives
from focal_ref._formulas.softmax_terms import margin_forms
from focal_ref._kernels.element import element_form, soft_element_form
from focal_ref._kernels.elementary import (
    Instructions,
    difference_form,
    elementary_primitives,
    row_elementary_primitives,
)
from focal_ref._kernels.polynomials import FLOAT64

FLOAT, INTEGER, CONDITION = "float", "integer", "condition"

ARGUMENTS = ("logit", "is_positive", "positive_weight", "negative_weight", "gamma", "gamma_tail", "upstream")
"""What the statements of `element_lines` read; all but the condition `is_positive` are in the working format."""

SOFT_ARGUMENTS = ("logit", "target", "positive_weight", "negative_weight", "gamma", "upstream")
"""What the statements of `soft_element_lines` read, in the working format."""

RESULTS = ("value", "gradient", "second")

EXPONENTIAL_ARGUMENTS = ("logit", "reference")
ROW_ARGUMENTS = ("high", "low", "own", "rest", "gamma", "share")
"""What the statements of `exponential_lines` and `row_lines` read, in float64."""


@dataclass(frozen=True)
class Language:
    """How a language writes what `Recorded` values do.

    Attributes
    ----------
    statement
        From the kind of a value (`FLOAT`, `INTEGER` or `CONDITION`), its name and an expression, to a statement.
    constant
        From a kind and a number, to an expression.
    operation
        From an operation and the expressions of its operands, to an expression. Operations are ``+ - * / < <= > >= ==
        & | negative absolute where multiply_add as_integer as_float``, and those of integers ``integer+``,
        ``integer-``, ``integer<<`` and ``integer>>``.
    """

    statement: Callable[[str, str, str], str]
    constant: Callable[[str, Any], str]
    operation: Callable[..., str]


@cache
def cuda(arithmetic: str) -> Language:
    """CUDA C++ for one working format, "float64" or "float32"."""
    single = arithmetic == "float32"
    suffix, bits = ("f", "int") if single else ("", "long long")
    types = {FLOAT: "float" if single else "double", INTEGER: bits, CONDITION: "bool"}
    calls = {
        "absolute": f"fabs{suffix}",
        "multiply_add": f"fma{suffix}",
        "as_integer": "__float_as_int" if single else "__double_as_longlong",
        "as_float": "__int_as_float" if single else "__longlong_as_double",
    }

    def operation(name: str, *operands: str) -> str:
        if name in calls:
            return f"{calls[name]}({', '.join(operands)})"
        if name == "where":
            return "{} ? {} : {}".format(*operands)
        if name == "negative":
            return f"-{operands[0]}"
        if name == "integer>>":
            return f"{operands[0]} >> {operands[1]}"
        if name.startswith("integer"):
            # Of signed integers an overflow would be undefined.
            first, second = (f"(unsigned {bits}){operand}" for operand in operands)
            return f"({bits})({first} {name.removeprefix('integer')} {second})"
        return f"{operands[0]} {name} {operands[1]}"

    def constant(kind: str, number: Any) -> str:
        if math.isnan(number):
            return "__int_as_float(0x7fc00000)" if single else "__longlong_as_double(0x7ff8000000000000LL)"
        # Rounded here, as the compiler warns of every number that it has to round.
        number = float(np.float32(number)) if single and kind == FLOAT else number
        return f"{float(number).hex()}{suffix}" if kind == FLOAT else f"{int(number)}{'' if single else 'LL'}"

    return Language(
        statement=lambda kind, name, expression: f"const {types[kind]} {name} = {expression};",
        constant=constant,
        operation=operation,
    )


@cache
def triton(arithmetic: str) -> Language:
    """Triton for one working format, "float64" or "float32"; ``tl`` is `triton.language`."""
    single = arithmetic == "float32"
    types = {FLOAT: f"tl.{arithmetic}", INTEGER: "tl.int32" if single else "tl.int64"}
    calls = {"absolute": "tl.abs", "multiply_add": "tl.fma", "where": "tl.where"}

    def operation(name: str, *operands: str) -> str:
        if name in calls:
            return f"{calls[name]}({', '.join(operands)})"
        if name == "/" and single:
            # The operator is an approximation of the quotient.
            return f"tl.div_rn({operands[0]}, {operands[1]})"
        if name == "negative":
            # The operator subtracts from zero, which makes a positive zero of a positive zero.
            return f"{operands[0]} * {constant(FLOAT, -1.0)}"
        if name in ("as_integer", "as_float"):
            return f"{operands[0]}.to({types[INTEGER if name == 'as_integer' else FLOAT]}, bitcast=True)"
        return f"{operands[0]} {name.removeprefix('integer')} {operands[1]}"

    def constant(kind: str, number: Any) -> str:
        # A number that is written as it is would become a float32 in a call.
        written = "float('nan')" if math.isnan(number) else repr(number)
        return f"tl.full((), {written}, {types[kind]})"

    return Language(
        statement=lambda kind, name, expression: f"{name} = {expression}",
        constant=constant,
        operation=operation,
    )


class Recorded:
    """A value of a form under way: where its text stands, and what its operators add to the record."""

    def __init__(self, record: "_Record", kind: str, text: str, operands: tuple["Recorded", ...] = ()) -> None:
        self.record, self.kind, self.text, self.operands = record, kind, text, operands

    def _binary(self, name: str, other: Any, kind: str | None = None, *, reflected: bool = False) -> "Recorded":
        pair = (self.record.coerced(other), self) if reflected else (self, self.record.coerced(other))
        name = f"integer{name}" if self.kind == INTEGER else name
        return self.record.operation(kind or self.kind, name, *pair)

    def __add__(self, other: Any) -> "Recorded":
        return self._binary("+", other)

    def __radd__(self, other: Any) -> "Recorded":
        return self._binary("+", other, reflected=True)

    def __sub__(self, other: Any) -> "Recorded":
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> "Recorded":
        return self._binary("-", other, reflected=True)

    def __mul__(self, other: Any) -> "Recorded":
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> "Recorded":
        return self._binary("*", other, reflected=True)

    def __truediv__(self, other: Any) -> "Recorded":
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> "Recorded":
        return self._binary("/", other, reflected=True)

    def __lshift__(self, other: Any) -> "Recorded":
        return self._binary("<<", other)

    def __rshift__(self, other: Any) -> "Recorded":
        return self._binary(">>", other)

    def __and__(self, other: Any) -> "Recorded":
        return self._binary("&", other)

    def __or__(self, other: Any) -> "Recorded":
        return self._binary("|", other)

    def __neg__(self) -> "Recorded":
        return self.record.operation(self.kind, "negative", self)

    def __lt__(self, other: Any) -> "Recorded":
        return self._binary("<", other, CONDITION)

    def __le__(self, other: Any) -> "Recorded":
        return self._binary("<=", other, CONDITION)

    def __gt__(self, other: Any) -> "Recorded":
        return self._binary(">", other, CONDITION)

    def __ge__(self, other: Any) -> "Recorded":
        return self._binary(">=", other, CONDITION)

    def __eq__(self, other: Any) -> Any:
        return self._binary("==", other, CONDITION)

    __hash__ = object.__hash__


class _Record:
    """The operations of forms under way, each of which stands once."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._values: dict[tuple[str, str], Recorded] = {}

    def argument(self, kind: str, name: str) -> Recorded:
        return Recorded(self, kind, name)

    def constant(self, kind: str, number: Any) -> Recorded:
        return Recorded(self, kind, self.language.constant(kind, number))

    def coerced(self, value: Any) -> Recorded:
        """A Python number as a constant of the working format."""
        return value if isinstance(value, Recorded) else self.constant(FLOAT, float(value))

    def operation(self, kind: str, name: str, *operands: Recorded) -> Recorded:
        expression = self.language.operation(name, *(operand.text for operand in operands))
        key = kind, expression
        if key not in self._values:
            self._values[key] = Recorded(self, kind, f"t{len(self._values)}", operands)
        return self._values[key]

    def lines(self, results: dict[str, Recorded]) -> list[str]:
        """Statements for what the results need, and one for each result under its name."""
        needed: set[Recorded] = set()
        waiting = list(results.values())
        while waiting:
            value = waiting.pop()
            if value not in needed:
                needed.add(value)
                waiting += value.operands
        statement = self.language.statement
        body = [statement(kind, value.text, text) for (kind, text), value in self._values.items() if value in needed]
        return body + [statement(FLOAT, name, value.text) for name, value in results.items()]


def element_lines(
    language: Language, arithmetic: str, exponent: float | None, *, narrowed: bool, results: tuple[str, ...]
) -> list[str]:
    """Statements that compute results of one element from the variables of `ARGUMENTS`.

    Parameters
    ----------
    language
        `cuda` or `triton` of the arithmetic.
    arithmetic
        "float64" or "float32".
    exponent, narrowed
        As for `focal_ref._formulas.hard_forms`.
    results
        Which of `RESULTS` the statements define, each as a variable of its name.
    """
    record = _Record(language)
    element = element_form(
        _recording_primitives(record, arithmetic),
        exponent,
        narrowed=narrowed and arithmetic == "float64",
        with_value="value" in results,
        with_gradient="gradient" in results,
        with_second="second" in results,
    )
    arguments = [record.argument(CONDITION if name == "is_positive" else FLOAT, name) for name in ARGUMENTS]
    computed = dict(zip(RESULTS, element(*arguments), strict=True))
    return record.lines({name: computed[name] for name in results})


def soft_element_lines(
    language: Language, arithmetic: str, exponent: float, *, narrowed: bool, results: tuple[str, ...]
) -> list[str]:
    """Statements that compute "value" and "gradient" of one element with a target in [0, 1] from `SOFT_ARGUMENTS`.

    Arguments as for `element_lines`; the exponent is a member of `focal_ref._formulas.SPECIAL_EXPONENTS`.
    """
    record = _Record(language)
    primitives = _recording_primitives(record, arithmetic)
    element = soft_element_form(primitives, exponent, narrowed=narrowed and arithmetic == "float64")
    computed = dict(zip(RESULTS, element(*(record.argument(FLOAT, name) for name in SOFT_ARGUMENTS)), strict=False))
    return record.lines({name: computed[name] for name in results})


def exponential_lines(language: Language) -> list[str]:
    """Statements that compute "value", exp(logit - reference) of a class that is not above the reference of its row.

    They read `EXPONENTIAL_ARGUMENTS`; "high" and "low", whose sum is the exact difference, are defined besides.
    """
    record = _Record(language)
    logit, reference = (record.argument(FLOAT, name) for name in EXPONENTIAL_ARGUMENTS)
    instructions = _recording_instructions(record)
    high, low = difference_form(instructions.compiled)(logit, reference)
    near_low = instructions.where(instructions.absolute(high) < FLOAT64.vanishing, low, 0.0)
    # The difference of infinities is NaN.
    exponential = elementary_primitives("float64", instructions).exp(instructions.where(logit == reference, 0.0, high))
    return record.lines({"value": exponential + exponential * near_low, "high": high, "low": low})


def row_lines(language: Language, exponent: float, *, narrowed: bool) -> list[str]:
    """Statements that compute "value", "slope" and "others" of a row with a label from `ROW_ARGUMENTS`.

    The letters are those of `focal_ref._formulas.softmax_terms`; the slope is the derivative with respect to the
    margin, negated, times the share.
    """
    record = _Record(language)
    forms = margin_forms(row_elementary_primitives(_recording_instructions(record)), exponent, narrowed=narrowed)
    high, low, own, rest, gamma, share = (record.argument(FLOAT, name) for name in ROW_ARGUMENTS)
    terms = forms.either(high, low, own, rest, gamma)
    value, slope = forms.value(terms, gamma, share), share * forms.slope(terms, gamma)
    return record.lines({"value": value, "slope": slope, "others": terms[7]})


def _recording_primitives(record: _Record, arithmetic: str) -> Primitives:
    return elementary_primitives(arithmetic, _recording_instructions(record))


def _recording_instructions(record: _Record) -> Instructions:
    def number(value: Any) -> Recorded:
        return record.constant(FLOAT, float(value))

    def integer(value: Any) -> Recorded:
        return value if isinstance(value, Recorded) else record.constant(INTEGER, int(value))

    def where(condition: Recorded, first: Any, second: Any) -> Recorded:
        return record.operation(FLOAT, "where", condition, record.coerced(first), record.coerced(second))

    def bitcast(value: Recorded) -> Recorded:
        if value.kind == FLOAT:
            return record.operation(INTEGER, "as_integer", value)
        return record.operation(FLOAT, "as_float", value)

    return Instructions(
        multiply_add=lambda a, b, c: record.operation(FLOAT, "multiply_add", a, b, c),
        fused=True,
        absolute=lambda value: record.operation(FLOAT, "absolute", value),
        where=where,
        bitcast=bitcast,
        number=number,
        integer=integer,
        compiled=lambda function: function,
    )
