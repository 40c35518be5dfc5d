"""Namespaces that are jax.numpy but for its log1p, which in float64 is slow, and inaccurate next to -0.4."""

from typing import Any

import jax.numpy as jnp

from focal_ref._kernels.polynomials import FLOAT64

Array = Any


class _Namespace:
    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


class Accurate(_Namespace):
    """For any argument; XLA's log1p on the CPU is off by 120 ulp of float64 between -0.42 and -0.35."""

    @staticmethod
    def log1p(array: Array) -> Array:
        return jnp.where(array < -0.25, jnp.log(1.0 + array), jnp.log1p(array))


class Vectorized(_Namespace):
    """For logarithms of 1 to 2, which is all that losses of one logit ask for.

    XLA on the CPU calls the logarithm of float64 number by number, six times as slow as the arithmetic of the kernels.
    """

    @staticmethod
    def log1p(array: Array) -> Array:
        if array.dtype != jnp.float64:
            return jnp.log1p(array)
        # log(1 + e) = 2 atanh(t) with t = e / (2 + e). Written as a quotient, XLA would not fuse it with all that comes
        # after. It is 2 t that is computed: next to the smallest normal number t itself would be flushed to zero.
        double = array * (2.0 / (2.0 + array))
        u = 0.25 * (double * double)
        polynomial = jnp.full_like(array, FLOAT64.atanh[0])
        for coefficient in FLOAT64.atanh[1:]:
            polynomial = polynomial * u + coefficient
        return polynomial * u * double + double
