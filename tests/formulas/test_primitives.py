"""Primitives of array namespaces: a product and its rounding error are exact."""

from fractions import Fraction

import array_api_strict
import numpy as np
import pytest

from focal_ref._formulas.primitives import array_primitives

NAMESPACES = {"numpy": np, "array_api_strict": array_api_strict}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_product_and_its_error_are_exact(namespace, dtype):
    xp, generator = NAMESPACES[namespace], np.random.default_rng(8)
    # All bits of the significand are drawn, and the next numbers below powers of two are among them.
    first, second = generator.uniform(0.5, 1.0, (2, 2000)).astype(dtype)
    first[:8] = second[:4] = np.nextafter(np.ones(1, dtype), np.zeros(1, dtype))
    two_prod = array_primitives(xp, getattr(xp, dtype)).two_prod
    product, error = (np.asarray(part) for part in two_prod(xp.asarray(first), xp.asarray(second)))
    for a, b, high, low in zip(*(part.tolist() for part in (first, second, product, error)), strict=True):
        assert Fraction(a) * Fraction(b) == Fraction(high) + Fraction(low)
    assert np.all(np.abs(error) <= np.spacing(product) / 2)
