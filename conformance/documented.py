"""The numbers that the sources print, with their errata, from ``vectors/documented.toml``.

A printed number is text: how many digits it has, and whether they were rounded or cut, decides
what agrees with it. So `DocumentedNumber.printed` is a string and `DocumentedNumber.agrees` knows
how it was printed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from mpmath import mp

from focal_ref.conformance import oracle
from focal_ref.conformance.vectors import VectorError

__all__ = [
    "Documented",
    "DocumentedNumber",
    "DocumentedOrder",
    "Erratum",
    "OrderedExample",
    "load_documented",
]

_FILE = "documented.toml"

#: "about" is an order of magnitude: the paper calls 976.5625 about 1000.
_ABOUT = Decimal("0.05")
_HUGE = 20
"""Power of ten above all that is printed."""


@dataclass(frozen=True)
class DocumentedNumber:
    """A number that a source prints.

    Parameters
    ----------
    id, source, case : str
        A short name, where it stands, and what it is in the source's words.
    quantity : {"focal_loss", "cross_entropy", "ratio", "prior_bias"}
        The ratio is that of the cross entropy to the focal loss.
    probability : Fraction
        p, or the prior of "prior_bias".
    target : int or None
        1 or 0; None for "prior_bias".
    gamma, alpha : Fraction or None
        None where the quantity has none.
    printed : str
    how : {"cut", "rounded", "about", "at most", "exact"}
    base : int or None
        Base of the logarithm that gives the printed digits; None for the natural one.
    natural : str
        What the definition gives, to some 12 digits.
    base_10 : str or None
        The same with logarithms in base 10.
    erratum : int or None
        The erratum that explains the printed number.
    """

    id: str
    source: str
    case: str
    quantity: str
    probability: Fraction
    target: int | None
    gamma: Fraction | None
    alpha: Fraction | None
    printed: str
    how: str
    base: int | None
    natural: str
    base_10: str | None
    erratum: int | None

    def exact(self, base: int | None = None) -> Any:
        """Compute the quantity with the oracle, as an mpf, in a base; the natural one if absent."""
        p = self.probability
        if self.quantity == "prior_bias":
            with mp.workprec(300):
                odds = (1 - p) / p
                return -mp.log(mp.mpf(odds.numerator) / odds.denominator)
        assert self.target is not None
        cross_entropy = oracle.loss_from_probability(p, self.target, None, 0, base)
        if self.quantity == "cross_entropy":
            return cross_entropy
        assert self.gamma is not None
        focal = oracle.loss_from_probability(p, self.target, self.alpha, self.gamma, base)
        if self.quantity == "focal_loss":
            return focal
        with mp.workprec(300):
            return cross_entropy / focal

    def agrees(self, number: Any) -> bool:
        """Tell whether a number, printed in the way of the source, gives the printed text.

        Parameters
        ----------
        number : str, Decimal, float or mpf
        """
        with localcontext() as context:
            context.prec = 60
            printed = Decimal(self.printed)
            exact = number if isinstance(number, Decimal) else Decimal(_text(number))
            # NaN, infinity and huge results of a wrong implementation cannot be brought to a few digits.
            if not exact.is_finite() or exact.adjusted() > _HUGE:
                return False
            if self.how == "about":
                return abs(exact - printed) <= _ABOUT * abs(printed)
            if self.how == "at most":
                # The example is the case in which the bound is reached.
                return exact <= printed * (1 + Decimal("1e-12"))
            if self.how == "exact":
                return abs(exact - printed) <= abs(printed) * Decimal("1e-12")
            rounding = ROUND_DOWN if self.how == "cut" else ROUND_HALF_EVEN
            return exact.quantize(printed, rounding=rounding) == printed


@dataclass(frozen=True)
class OrderedExample:
    """One of the examples that an order compares."""

    name: str
    probability: Fraction
    target: int


@dataclass(frozen=True)
class DocumentedOrder:
    """Examples in the order of their loss, the largest first, for one alpha and gamma."""

    id: str
    source: str
    alpha: Fraction
    gamma: Fraction
    erratum: int
    largest_first: tuple[OrderedExample, ...]


@dataclass(frozen=True)
class Erratum:
    """What a source has wrong, and what is right."""

    number: int
    source: str
    sentence: str


@dataclass(frozen=True)
class Documented:
    """Everything in the file."""

    numbers: tuple[DocumentedNumber, ...]
    orders: tuple[DocumentedOrder, ...]
    errata: tuple[Erratum, ...]


@cache
def load_documented() -> Documented:
    """Read the documented numbers, orders and errata.

    Raises
    ------
    VectorError
        If an entry lacks a key, or refers to an erratum that is not listed.
    """
    text = (files("focal_ref.conformance") / "vectors" / _FILE).read_text(encoding="utf-8")
    document = tomllib.loads(text)
    try:
        documented = Documented(
            tuple(_number(entry) for entry in document["numbers"]),
            tuple(_order(entry) for entry in document["orders"]),
            tuple(Erratum(**entry) for entry in document["errata"]),
        )
    except (KeyError, TypeError) as error:
        raise VectorError(f"{_FILE}: {error}") from error
    listed = {erratum.number for erratum in documented.errata}
    entries: list[DocumentedNumber | DocumentedOrder] = [*documented.numbers, *documented.orders]
    for entry in entries:
        if entry.erratum is not None and entry.erratum not in listed:
            raise VectorError(f"{_FILE}: {entry.id}: there is no erratum {entry.erratum}")
    return documented


def _number(entry: dict[str, Any]) -> DocumentedNumber:
    return DocumentedNumber(
        id=entry["id"],
        source=entry["source"],
        case=entry["case"],
        quantity=entry["quantity"],
        probability=Fraction(entry["probability"]),
        target=entry.get("target"),
        gamma=_optional_fraction(entry, "gamma"),
        alpha=_optional_fraction(entry, "alpha"),
        printed=entry["printed"],
        how=entry["how"],
        base={"e": None, "10": 10}[entry["base"]],
        natural=entry["natural"],
        base_10=entry.get("base_10"),
        erratum=entry.get("erratum"),
    )


def _order(entry: dict[str, Any]) -> DocumentedOrder:
    examples = tuple(
        OrderedExample(example["name"], Fraction(example["probability"]), example["target"])
        for example in entry["largest_first"]
    )
    return DocumentedOrder(
        entry["id"],
        entry["source"],
        Fraction(entry["alpha"]),
        Fraction(entry["gamma"]),
        entry["erratum"],
        examples,
    )


def _optional_fraction(entry: dict[str, Any], key: str) -> Fraction | None:
    return Fraction(entry[key]) if key in entry else None


def _text(number: Any) -> str:
    """Decimal text of a number, long enough for any comparison here."""
    if hasattr(number, "_mpf_"):
        text: str = mp.nstr(number, 50)
        return text
    return str(number)
