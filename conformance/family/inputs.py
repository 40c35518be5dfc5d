"""The inputs of the vectors: which elements, rows and parameters are tested, and why.

Everything here is an input; what is expected comes from the oracle. A full product of parameters, targets and logits
would be too many: `_spread` takes a share of it in which every pair of values occurs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from mpmath import mp

from focal_ref.conformance.family.functions import FUNCTIONS, IGNORE
from focal_ref.conformance.formats import FORMATS, Format, exact_value, round_to_format

__all__ = ["SUBJECTS", "Case", "cases"]

Parameters = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Case:
    """Inputs of one test.

    Parameters
    ----------
    function, dtype : str
    parameters : tuple of pairs
        Hyper-parameters in the order of their declaration: numbers, None, or a tuple of class weights.
    first : int or tuple of int
        Bits of the logit or probability, or of a row of logits.
    target : int or tuple of int
        Bits of the target, or of a row of targets; for a row a plain integer is its label.
    note : str
        Why the case is there, where the numbers don't say it.
    """

    function: str
    dtype: str
    parameters: Parameters
    first: int | tuple[int, ...]
    target: int | tuple[int, ...]
    note: str = ""

    @property
    def format(self) -> Format:
        """The format of the inputs."""
        return FORMATS[self.dtype]

    @property
    def inputs(self) -> tuple[Any, Any]:
        """The inputs as the oracle takes them."""
        labels = isinstance(self.first, tuple) and not isinstance(self.target, tuple)
        return _decoded(self.first, self.format), self.target if labels else _decoded(self.target, self.format)


def _decoded(bits: Any, format: Format) -> Any:
    if isinstance(bits, tuple):
        return tuple(_decoded(entry, format) for entry in bits)
    magnitude = bits & ~format.sign_bit
    if magnitude > format.infinity_bits:
        return float("nan")
    if magnitude == format.infinity_bits:
        return float("-inf" if bits & format.sign_bit else "inf")
    # Every number of the formats is a float.
    return float(exact_value(bits, format))


WIDE = ("float64", "float32")

#: Elements and parameter sets of a function; `_elements` makes cases of them.
_ORDINARY = {
    True: (-30.0, -12.0, -5.0, -2.0, -0.75, 0.5, 1.5, 4.0, 8.0, 20.0),
    False: (-12.0, -5.0, -2.0, -0.75, 0.5, 1.5, 4.0, 8.0),
}
_SATURATED = {
    "float64": (-700.0, -350.0, -40.0, 40.0, 350.0, 700.0),
    "float32": (-95.0, -50.0, -18.0, 18.0, 50.0, 95.0),
    "float16": (-16.0, -11.0, 11.0, 16.0),
    "bfloat16": (-90.0, -45.0, -7.0, 7.0, 45.0, 90.0),
}
_PROBABILITIES = (0.001, 0.05, 0.25, 0.4, 0.5, 0.75, 0.9, 0.995)

_PARAMETERS: Mapping[str, Sequence[tuple[Any, ...]]] = {
    "loss": [(0.25, 2.0), (None, 0.0), (None, 0.5), (0.75, 1.0), (0.0, 2.0), (1.0, 2.5), (None, 5.0), (0.25, 0.5)],
    "loss_from_probabilities": [
        *((0.25, 2.0), (None, 0.0), (None, 0.5), (0.75, 1.0), (0.0, 2.0), (1.0, 2.5), (None, 5.0)),
    ],
    "star_loss": [
        *((None, 2.0, 1.0), (0.25, 0.5, 0.0), (None, 1.0, -1.0), (0.0, 2.0, 0.5)),
        *((1.0, 2.5, 1.0), (None, 5.0, 0.5), (0.75, 2.0, -1.0)),
    ],
    "quality_focal_loss": [(2.0,), (0.5,), (1.0,), (3.0,), (0.0,), (2.5,)],
    "varifocal_loss": [(0.75, 2.0), (0.0, 2.0), (1.0, 0.5), (0.25, 0.0), (0.75, 1.0), (0.25, 5.0), (0.75, 2.5)],
    "asymmetric_loss": [
        *((0.0, 4.0, 0.05), (0.0, 4.0, 0.0), (1.0, 2.0, 0.2), (0.5, 0.5, 0.05)),
        *((0.0, 0.0, 0.05), (2.0, 2.0, 0.0), (0.0, 1.0, 0.2), (2.5, 5.0, 0.2), (0.5, 0.5, 0.0)),
    ],
    "heatmap_focal_loss": [
        *((2.0, 4.0), (0.0, 0.0), (0.5, 4.0), (2.0, 0.5), (1.0, 1.0), (5.0, 4.0), (2.5, 2.0)),
    ],
}

SUBJECTS: Mapping[str, str] = {
    "loss": "Derivatives of the focal loss in alpha, gamma and the target.",
    "loss_from_probabilities": "The focal loss of a probability, which may be 0 or 1, and its derivatives.",
    "softmax_loss": "The focal loss of a row of logits, of labels and of soft rows, with and without class weights.",
    "star_loss": "The focal loss* of the paper's appendix.",
    "quality_focal_loss": "The quality focal loss, at and beside its kink.",
    "varifocal_loss": "The varifocal loss, both branches.",
    "asymmetric_loss": "The asymmetric loss, with and without clip, and beside it.",
    "heatmap_focal_loss": "The focal loss of heatmaps, both branches.",
}


def cases(function: str) -> list[Case]:
    """Inputs of a function's vectors, without those that rounding to a narrow format made equal."""
    listed = _rows() if function == "softmax_loss" else _elements(function)
    distinct: dict[tuple[Any, ...], Case] = {}
    for case in listed:
        key = (case.dtype, case.parameters, case.first, case.target)
        distinct.setdefault(key, case)
    return list(distinct.values())


def _elements(function: str) -> Iterator[Case]:
    for dtype, format in FORMATS.items():
        sets = [tuple(zip(FUNCTIONS[function].parameters, numbers, strict=True)) for numbers in _PARAMETERS[function]]
        targets = _targets(function, format)
        ordinary = _PROBABILITIES if function == "loss_from_probabilities" else _ORDINARY[dtype in WIDE]
        step = (11 if dtype in WIDE else 17) if len(targets) > 2 else 5
        regular = [round_to_format(number, format) for number in ordinary]
        for parameters, first, target in _spread(sets, regular, targets, step):
            yield Case(function, dtype, parameters, first, target)
        saturated = () if function == "loss_from_probabilities" else _SATURATED[dtype]
        hard = [round_to_format(number, format) for number in (0.0, 1.0, 0.3)]
        kept = hard if len(targets) > 2 else targets
        for parameters, first, target in _spread(sets, [round_to_format(x, format) for x in saturated], kept, 5):
            yield Case(function, dtype, parameters, first, target, "saturated")
        for parameters, first, target in _spread(sets[:4], _special(function, format), kept, 4):
            yield Case(function, dtype, parameters, first, target, "special")
        yield Case(function, dtype, sets[0], format.nan_bits, hard[0])
        for parameters in sets:
            for first, target, note in _cancelling(function, dict(parameters), format):
                yield Case(function, dtype, parameters, first, target, note)


def _spread(*factors_and_step: Any) -> Iterator[tuple[Any, ...]]:
    """Every step-th member of a product, along a diagonal, so that no factor keeps step with the choice."""
    *factors, step = factors_and_step
    weights = (1, 3, 4)
    for indices in product(*(range(len(factor)) for factor in factors)):
        if sum(weight * index for weight, index in zip(weights, indices, strict=True)) % step == 0:
            yield tuple(factor[index] for factor, index in zip(factors, indices, strict=True))


def _targets(function: str, format: Format) -> list[int]:
    one = round_to_format(1.0, format)
    soft = [round_to_format(number, format) for number in (0.3, 0.5, 0.9)]
    # The smallest subnormal number, and the one below 1.
    return [0, one] if function == "star_loss" else [0, one, 1, *soft, one - 1]


def _special(function: str, format: Format) -> list[int]:
    """Zeros, subnormal numbers, and the ends of the range."""
    one, sign, normal = round_to_format(1.0, format), format.sign_bit, 1 << (format.precision - 1)
    if function == "loss_from_probabilities":
        return [0, sign, 1, normal, one - 1, one]
    largest = format.infinity_bits - 1
    infinite = format.infinity_bits
    return [0, sign, 1, 1 | sign, infinite, infinite | sign, largest, largest | sign]


def _cancelling(function: str, parameters: Mapping[str, Any], format: Format) -> Iterator[tuple[int, int, str]]:
    """Inputs beside the place where a difference vanishes."""
    if function == "quality_focal_loss":
        half = round_to_format(0.5, format)
        yield 0, half, "kink"
        yield round_to_format(2.0**-10, format), half, "beside the kink"
        for target in (0.3, 0.9):
            bits = round_to_format(target, format)
            for neighbour in (-1, 0):
                yield round_to_format(_logit(exact_value(bits, format)), format) + neighbour, bits, "p near t"
    elif function == "loss_from_probabilities":
        for target in (0.3, 0.9):
            bits = round_to_format(target, format)
            yield bits + 1, bits, "p near t"
    elif function == "asymmetric_loss" and parameters["clip"] > 0:
        near = round_to_format(_logit(Fraction(parameters["clip"])), format)
        # Bits of negative numbers grow away from zero.
        for neighbour in (-1, 0, 1):
            yield near + neighbour, 0, "p near the clip"
    elif function == "star_loss":
        root = round_to_format(-Fraction(parameters["beta"]) / Fraction(parameters["gamma"]), format)
        yield root, round_to_format(1.0, format), "margin near 0"
        yield root + 1 if root else 1, round_to_format(1.0, format), "margin near 0"


def _logit(probability: Fraction) -> Any:
    with mp.workprec(400):
        p = mp.mpf(probability.numerator) / probability.denominator
        return mp.log(p / (1 - p))


def _rows() -> Iterator[Case]:
    for dtype, format in FORMATS.items():
        wide = dtype in WIDE
        for index, (logits, target, note) in enumerate(_row_inputs(wide)):
            choices = _row_parameters(len(logits))
            every = note in ("one class", "ordinary") and wide and len(logits) <= 3
            for parameters in choices if every else [choices[index % len(choices)]]:
                first = tuple(_special_bits(logit, format) for logit in logits)
                last = target if isinstance(target, int) else tuple(round_to_format(t, format) for t in target)
                yield Case("softmax_loss", dtype, parameters, first, last, note)


def _row_parameters(classes: int) -> list[Parameters]:
    weights = tuple((0.25, 1.0, 2.0, 0.0, 0.5)[i % 5] for i in range(classes))
    pairs = [(None, 2.0), (weights, 2.0), (None, 0.0), (None, 0.5), (weights, 1.0), (None, 5.0), (weights, 2.5)]
    return [(("alpha", alpha), ("gamma", gamma)) for alpha, gamma in pairs]


def _row_inputs(wide: bool) -> Iterator[tuple[tuple[Any, ...], Any, str]]:
    source = random.Random(1708)  # arXiv:1708.02002

    def row(classes: int, width: float) -> tuple[float, ...]:
        return tuple(round((source.random() - 0.5) * width, 3) for _ in range(classes))

    def share(classes: int) -> tuple[float, ...]:
        weights = [source.random() for _ in range(classes)]
        return tuple(weight / sum(weights) for weight in weights)

    yield (0.5,), 0, "one class"
    yield (-3.0,), (1.0,), "one class"
    for classes, width in ((2, 4.0), (3, 6.0), (4, 10.0), (5, 20.0), (8, 12.0), (8, 60.0)):
        for label in {0, classes // 2, classes - 1}:
            yield row(classes, width), label, "ordinary"
        yield row(classes, width), share(classes), "soft row"
    yield row(20, 10.0), 7, "ordinary"
    if wide:
        yield row(20, 30.0), share(20), "soft row"
    yield (1.25,) * 4, 2, "equal logits"
    yield (0.0, -0.0, 0.0), 1, "zeros"
    yield row(3, 4.0), (1.0, 0.0, 0.0), "one-hot row"
    yield row(3, 4.0), (1.0, 0.0, 1.0), "multi-hot row"
    yield row(4, 4.0), (0.0, 0.0, 0.0, 0.0), "row without targets"
    for large in (80.0, 700.0) if wide else (9.0, 80.0):
        yield (large, 0.0, -large), 0, "easy"
        yield (large, 0.0, -large), 1, "hard"
        yield (large, 0.0, -large), 2, "very hard"
        yield (-large, 0.0, 0.5), (0.25, 0.5, 0.25), "soft row, saturated"
    yield ("largest", 0.0), 0, "largest logit"
    yield ("largest", "-largest", 1.0), 1, "largest logits"
    yield ("tiny", "-tiny"), 0, "subnormal logits"
    yield ("-inf", 1.0, 0.0), 1, "masked class"
    yield ("-inf", 1.0, 0.0), 0, "label of a masked class"
    yield ("-inf", 1.0), 1, "all but one class masked"
    yield ("inf", 1.0, 0.0), 0, "infinite logit of the label"
    yield ("inf", 1.0, 0.0), 2, "infinite logit of another class"
    yield ("-inf", 1.0, 0.0), (0.0, 0.5, 0.5), "soft row, masked class"
    yield ("nan", 1.0, 0.0), 1, "NaN"
    yield ("nan", 1.0), IGNORE, "row to ignore"
    yield (2.0, 1.0, -1.0), IGNORE, "row to ignore"


def _special_bits(number: Any, format: Format) -> int:
    """Bits of a number, or of one that has a name in every format."""
    if not isinstance(number, str):
        return round_to_format(number, format)
    names: Mapping[str, Callable[[], int]] = {
        "largest": lambda: format.infinity_bits - 1,
        "tiny": lambda: 1,
        "inf": lambda: format.infinity_bits,
        "nan": lambda: format.nan_bits,
    }
    return names[number.removeprefix("-")]() | (format.sign_bit if number.startswith("-") else 0)
