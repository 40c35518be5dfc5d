"""Largest errors of a released function and of the proposed one, by regime, against the oracle.

    PYTHONPATH=docs/reports/scripts python docs/reports/scripts/accuracy.py torchvision

Errors are in ulp of the exact result, which counts only where it is a normal number of the format. 2**24 ulp of
float32, 2**53 of float64, are the whole number: the result is 0 where it must not be.
"""

import argparse
import math
from typing import Any

import numpy as np
import torch
from functions import NAMES, pair

from focal_ref.conformance import oracle
from focal_ref.conformance.formats import FORMATS, in_ulps

REGIMES = {
    "hard, s < -4": (-80.0, -60.0, -30.0, -25.0, -20.0, -17.5, -16.0, -14.0, -12.0, -10.0, -8.0, -6.0, -5.0),
    "near 0": (-4.0, -3.0, -2.0, -1.0, -0.5, -0.25, -0.125, 0.0, 0.125, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0),
    "easy, s > 4": (5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0),
    "saturated, s > 16": (17.0, 18.0, 20.0, 25.0, 28.0, 35.0, 36.5, 38.0, 50.0, 60.0, 80.0),
}
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)


def main(name: str, dtypes: list[str]) -> None:
    """Print a table a dtype."""
    released, proposed = pair(name)
    for dtype in dtypes:
        print(f"{name}, {dtype}: largest error in ulp, released | proposed (NaN: how many results are)")
        for regime, margins in REGIMES.items():
            for gamma in GAMMAS:
                cells = [_cell(function, margins, gamma, dtype) for function in (released, proposed)]
                value, gradient = (f"{cells[0][i]:>18} | {cells[1][i]:<12}" for i in (0, 1))
                print(f"  {regime:18} gamma {gamma:<4} value {value} gradient {gradient}")


def _cell(function: Any, margins: tuple[float, ...], gamma: float, dtype: str) -> tuple[str, str]:
    logits = torch.tensor([s * sign for sign in (1, -1) for s in margins], dtype=getattr(torch, dtype))
    targets = torch.tensor([float(sign > 0) for sign in (1, -1) for _ in margins], dtype=logits.dtype)
    values = function(logits, targets, gamma)
    leaf = logits.clone().requires_grad_()
    function(leaf, targets, gamma).sum().backward()
    assert leaf.grad is not None
    results = {"value": values.detach(), "gradient": leaf.grad}
    return tuple(_largest(q, r.double().numpy(), logits, targets, gamma, dtype) for q, r in results.items())  # type: ignore[return-value]


def _largest(
    quantity: str, results: np.ndarray, logits: torch.Tensor, targets: torch.Tensor, gamma: float, dtype: str
) -> str:
    format = FORMATS[dtype]
    exact_of = oracle.loss if quantity == "value" else oracle.gradient
    errors, lost = [0.0], 0
    for got, x, t in zip(results, logits.double().tolist(), targets.tolist(), strict=True):
        exact = exact_of(x, t, None, gamma)
        if abs(exact) < 2.0**format.minimum_exponent:
            lost += math.isnan(got)
            continue
        scaled = in_ulps(exact, format)
        error = abs((math.ldexp(got, -scaled.ulp_exponent) - scaled.high) - scaled.low)
        if math.isnan(error):
            lost += 1
        else:
            errors.append(error)
    return f"{max(errors):.3g}" + (f" NaN: {lost}" if lost else "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--dtypes", default="float32")
    arguments = parser.parse_args()
    main(arguments.name, arguments.dtypes.split(","))
