"""The closed forms of every loss, once, for every array library and every kernel; `focal` has the paper's.

They use a handful of primitives (`Primitives`) and no array library: an Array API namespace provides them directly
(`array_primitives`), and the Numba kernels inject vectorisable ones (`focal_ref._kernels.primitives`).
"""

from focal_ref._formulas.asymmetric import ASYMMETRIC
from focal_ref._formulas.elementwise import ElementwiseForm
from focal_ref._formulas.focal import SPECIAL_EXPONENTS, HardForms, hard_forms
from focal_ref._formulas.heatmap import HEATMAP
from focal_ref._formulas.primitives import Number, Primitives, array_primitives
from focal_ref._formulas.probability import PROBABILITY
from focal_ref._formulas.quality import QUALITY
from focal_ref._formulas.soft import SoftForms, soft_forms
from focal_ref._formulas.star import STAR
from focal_ref._formulas.varifocal import VARIFOCAL

__all__ = [
    "ASYMMETRIC",
    "HEATMAP",
    "PROBABILITY",
    "QUALITY",
    "SPECIAL_EXPONENTS",
    "STAR",
    "VARIFOCAL",
    "ElementwiseForm",
    "HardForms",
    "Number",
    "Primitives",
    "SoftForms",
    "array_primitives",
    "hard_forms",
    "soft_forms",
]
