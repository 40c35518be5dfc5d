"""Every logit of the 16-bit formats, as recipes: what to compute, and the hash of what must come out.

``python -m focal_ref.conformance.bundle.exhaustive [--check] [--certify N]`` writes ``exhaustive.json`` from the
double-double reference, or compares it with what stands there, or compares every N-th number with Arb balls: half an
hour for all of them, on one core.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from focal_ref.conformance.accuracy import Array, exact_results
from focal_ref.conformance.certify import certified_bits
from focal_ref.conformance.formats import FORMATS, Format, exact_value, hex_bits, round_to_format, to_bits

FILE = Path(__file__).with_name("exhaustive.json")
DTYPES = ("float16", "bfloat16")
ALPHAS = (None, 0.25)
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
QUANTITIES = ("value", "gradient")
LOGITS = 1 << 16
FAR = 100_000
"""Margin beyond which balls cannot tell ties from what lies next to them."""
BLOCK = 1 << 12
"""Logits of one block; the hashes of blocks tell where a difference is."""

RECIPE = (
    "For every integer b from 0 to 65535 take the logit whose bits are b, compute the quantity with the parameters and "
    "the target, rounded to nearest, ties to even, and append the bits of the result as two bytes, the more "
    "significant first. Write every NaN as the one of nan_bits and every zero as 0000. sha256 is that of the 131072 "
    "bytes. blocks has the first eight digits of the sha256 of each 8192 bytes: entry k is about the logits with bits "
    "from 4096 k on."
)


@dataclass(frozen=True)
class Recipe:
    """One pass over all logits."""

    dtype: str
    alpha: float | None
    gamma: float
    target: int

    @property
    def id(self) -> str:
        """Made of the contents, as the ids of stored vectors are."""
        alpha = "none" if self.alpha is None else f"{self.alpha:g}"
        return f"exhaustive/{self.dtype}/gamma={self.gamma:g}/alpha={alpha}/target={self.target}"

    @property
    def format(self) -> Format:
        """Of the logits and the results."""
        return FORMATS[self.dtype]

    def bits(self) -> dict[str, Array]:
        """What must come out, by quantity, in the order of the logits' bits; NaN and zeros as in `RECIPE`."""
        logits = np.arange(LOGITS, dtype=np.uint16).view(self.format.dtype)
        targets = np.full(LOGITS, self.target).astype(self.format.dtype)
        exact = exact_results(logits, targets, alpha=self.alpha, gamma=self.gamma, format=self.format)
        return {name: self._canonical(exact[name].numbers) for name in QUANTITIES}

    def certified(self, quantity: str, logit: int) -> int:
        """The same for one logit by Arb balls."""
        magnitude = logit & ~self.format.sign_bit
        x: float | Fraction = float("nan")
        if magnitude < self.format.infinity_bits:
            number = exact_value(logit, self.format)
            if quantity == "value" and abs(number) > FAR and (number < 0) == (self.target == 1):
                return self._far(abs(number))
            x = number
        elif magnitude == self.format.infinity_bits:
            x = float("-inf") if logit & self.format.sign_bit else float("inf")
        bits = certified_bits(quantity, x, self.target, self.alpha, self.gamma, self.format)
        return bits if bits & ~self.format.sign_bit else 0

    def _far(self, margin: Fraction) -> int:
        """The loss of a hard element, which differs from its weighted margin by less than any ball can show.

        (1 - p_t)^gamma (-log(p_t)) = (1 - gamma e^-m + ...)(m + e^-m - ...) lies above m for gamma = 0, and below it
        for gamma m > 1, by less than (1 + gamma m) e^-m. Ties go to that side.
        """
        weight = 1 if self.alpha is None else Fraction(self.alpha) if self.target else 1 - Fraction(self.alpha)
        nearly = Fraction(1 if self.gamma == 0 else -1, 1 << 3000)
        return round_to_format(weight * margin + nearly, self.format)

    def _canonical(self, numbers: Array) -> Array:
        bits = to_bits(numbers, self.format).copy()
        with np.errstate(invalid="ignore"):
            wide = numbers.astype(np.float64)
        bits[np.isnan(wide)] = self.format.nan_bits
        bits[wide == 0] = 0
        return bits


def recipes() -> Iterator[Recipe]:
    """All of them."""
    for dtype in DTYPES:
        for gamma in GAMMAS:
            for alpha in ALPHAS:
                for target in (0, 1):
                    yield Recipe(dtype, alpha, gamma, target)


def entry(recipe: Recipe) -> dict[str, Any]:
    """A recipe and its hashes as JSON data."""
    hashes = {name: _hashes(bits) for name, bits in recipe.bits().items()}
    return {
        "id": recipe.id,
        "dtype": recipe.dtype,
        "alpha": None if recipe.alpha is None else _parameter(recipe.alpha),
        "gamma": _parameter(recipe.gamma),
        "target": recipe.target,
        "nan_bits": f"{recipe.format.nan_bits:04x}",
        **hashes,
    }


def document() -> str:
    """Text of the file."""
    rows = ",\n".join(f"    {json.dumps(entry(recipe))}" for recipe in recipes())
    return f'{{\n  "format_version": 1,\n  "recipe": {json.dumps(RECIPE)},\n  "tests": [\n{rows}\n  ]\n}}\n'


def differences(recipe: Recipe, quantity: str, every: int) -> list[str]:
    """Logits where the reference and Arb do not agree, of each `every`-th."""
    got = recipe.bits()[quantity]
    wrong = []
    for logit in range(0, LOGITS, every):
        certified = recipe.certified(quantity, logit)
        if certified != int(got[logit]):
            wrong.append(f"{recipe.id} {quantity}: logit {logit:04x}: {int(got[logit]):04x}, by Arb {certified:04x}")
    return wrong


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m focal_ref.conformance.bundle.exhaustive")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--certify", type=int, metavar="N", help="compare every N-th number with Arb balls")
    options = parser.parse_args(arguments)
    if options.certify:
        every = options.certify
        wrong = [line for recipe in recipes() for name in QUANTITIES for line in differences(recipe, name, every)]
        count = len(list(recipes())) * len(QUANTITIES) * len(range(0, LOGITS, every))
        print("\n".join(wrong) or f"{count} numbers agree with Arb")
        return 1 if wrong else 0
    text = document()
    if options.check:
        same = FILE.exists() and FILE.read_text(encoding="utf-8") == text
        if not same:
            print(f"{FILE.name}: differs from what is generated", file=sys.stderr)
        return 0 if same else 1
    FILE.write_text(text, encoding="utf-8")
    return 0


def _hashes(bits: Array) -> dict[str, Any]:
    content = bits.astype(">u2").tobytes()
    blocks = [content[start : start + 2 * BLOCK] for start in range(0, len(content), 2 * BLOCK)]
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "blocks": [hashlib.sha256(block).hexdigest()[:8] for block in blocks],
    }


def _parameter(number: float) -> dict[str, str]:
    return {"bits": hex_bits(number, FORMATS["float64"]), "decimal": repr(number)}


if __name__ == "__main__":
    raise SystemExit(main())
