"""What arrays and hyper-parameters become before a kernel takes them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from focal_ref._formulas import SPECIAL_EXPONENTS
from focal_ref._parameters import Parameters


def dtype_name(dtype: Any) -> str:
    """Name of a NumPy dtype, ml_dtypes' bfloat16 included."""
    return str(np.dtype(dtype).name)


def bits(array: NDArray[Any]) -> NDArray[Any]:
    """16-bit floats and booleans as their bits, which is what kernels take; other formats as they are."""
    if array.dtype.kind in "biu":
        return array.view(np.uint8) if array.dtype == np.bool_ else array
    return array.view(np.uint16) if array.dtype.itemsize == 2 else array


def arithmetic_of(parameters: Parameters, storage: str) -> str:
    """The format that a loss is computed in."""
    fast = parameters.precision == "fast" and parameters.form == "focal"
    return "float32" if fast and storage != "float64" else "float64"


def capped_gamma(gamma: float, arithmetic: str) -> tuple[float, float | None]:
    """Gamma as the arithmetic can hold it, and the special exponent that it is."""
    # Beyond the largest number of the arithmetic nothing changes any more: the factor is 0 or 1.
    capped = min(gamma, float(np.finfo(arithmetic).max))
    return capped, capped if capped in SPECIAL_EXPONENTS else None


def class_weights(alpha: float | None) -> tuple[float, float]:
    """Weights of positives and of negatives."""
    return (1.0, 1.0) if alpha is None else (alpha, 1.0 - alpha)
