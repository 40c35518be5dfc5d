"""CuPy: fused kernels for the paper's loss of targets and labels, the closed forms on arrays for all else.

Not yet run on a GPU.
"""

from dataclasses import replace
from typing import Any

from focal_ref._evaluate import Unrounded
from focal_ref._parameters import NUMBERS, Parameters
from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.adapters._base import Unavailable

try:
    import cupy
except ImportError as error:
    raise Unavailable(
        f"cupy: {error}; install the build for your CUDA, such as 'pip install cupy-cuda12x' or 'cupy-cuda13x'"
    ) from error

from focal_ref.adapters import _cupy_kernels as kernels

Array = Any


class CupyAdapter(ArrayApiAdapter):
    """Arrays of CuPy, which all lie on a CUDA device.

    Everything is computed on the device of the logits, and on its current stream.
    """

    name = "cupy"
    modules = ("cupy",)

    def __init__(self) -> None:
        if cupy.cuda.runtime.is_hip:
            raise Unavailable("cupy: this build is for ROCm; install one for CUDA, such as 'pip install cupy-cuda12x'")
        try:
            count = cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            raise Unavailable(f"cupy: installed, but no CUDA device answers: {error}") from error
        if count == 0:
            raise Unavailable("cupy: installed, but this machine has no CUDA device")

    def namespace(self, array: Array) -> Any:
        from array_api_compat import cupy as namespace

        return namespace

    def dtype_name(self, array: Array) -> str:
        return str(array.dtype.name)

    def asarray(self, array: Any, *, like: Array | None = None, device: str | None = None) -> Array:
        ordinal = like.device.id if like is not None else _ordinal(device or "cuda")
        with cupy.cuda.Device(ordinal):
            return cupy.asarray(array)

    def to_numpy(self, array: Array) -> Any:
        return cupy.asnumpy(array)

    def device_name(self, array: Array) -> str:
        return f"cuda:{array.device.id}"

    def version(self) -> str:
        return str(cupy.__version__)

    def check_device(self, device: str) -> None:
        ordinal, count = _ordinal(device), cupy.cuda.runtime.getDeviceCount()
        if ordinal >= count:
            raise Unavailable(f"cupy: no device {device!r}; this machine has {count}")

    def check_same_device(self, name: str, array: Array, logits: Array) -> None:
        if array.device.id != logits.device.id:
            raise ValueError(
                f"{name}: got device {self.device_name(array)!r}; logits lie on {self.device_name(logits)!r}"
            )

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        for array in out:
            self.check_same_device("out", array, inputs[0])
        if any(
            stride == 0 and size > 1 for array in out for stride, size in zip(array.strides, array.shape, strict=True)
        ):
            raise ValueError("out: got a broadcast array, whose elements share memory; pass a plain one")
        self.refuse_overlap(inputs, out, cupy.may_share_memory)

    def bits(self, wide: Array) -> Array:
        return wide.view(cupy.int64)

    def from_bits(self, bits: Array, dtype: str) -> Array:
        narrow = bits.astype(cupy.uint16)
        if dtype == "float16":
            return narrow.view(cupy.float16)
        import ml_dtypes

        return narrow.view(ml_dtypes.bfloat16)

    # CuPy's own arithmetic flushes subnormal float32 to zero, in conversions too, so none of it is in float32.

    def widened(self, logits: Array, parameters: Parameters) -> Array:
        return kernels.widened(logits)

    def narrowed(self, wide: Array, dtype: str) -> Array:
        return kernels.narrowed(wide) if dtype == "float32" else super().narrowed(wide, dtype)

    def unrounded(self, logits: Array, targets: Array, parameters: Parameters, *, narrowed: bool = False) -> Unrounded:
        soft = super().unrounded(logits, *_widened(targets, parameters), narrowed=narrowed)
        return Unrounded(*self._with_hard_ones(logits, targets, parameters, ("value", "gradient"), soft))

    def loss(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        if self._has_kernel(targets, parameters):
            return kernels.elementwise(logits, targets, parameters, ("value",))[0]
        with logits.device:
            return super().loss(logits, targets, parameters)

    def total(self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any) -> Array:
        self._check_normalizer(normalizer, logits)
        if self._has_kernel(targets, parameters):
            return kernels.total(logits, targets, parameters, normalizer)
        with logits.device:
            return super().total(logits, targets, parameters, normalizer)

    def value_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, out: tuple[Array, Array] | None
    ) -> tuple[Array, Array]:
        if self._has_kernel(targets, parameters):
            value, gradient = kernels.elementwise(logits, targets, parameters, ("value", "gradient"), out)
            return value, gradient
        with logits.device:
            return super().value_and_grad(logits, targets, parameters, out)

    def total_and_grad(
        self, logits: Array, targets: Array, parameters: Parameters, normalizer: Any, out: Array | None
    ) -> tuple[Array, Array]:
        self._check_normalizer(normalizer, logits)
        with logits.device:
            if self._has_kernel(targets, parameters):
                gradient = cupy.empty(logits.shape, logits.dtype) if out is None else out
                return kernels.total(logits, targets, parameters, normalizer, gradient), gradient
            return super().total_and_grad(logits, targets, parameters, normalizer, out)

    def second_derivative(self, logits: Array, targets: Array, parameters: Parameters) -> Array:
        if self._has_kernel(targets, parameters, second=True):
            return kernels.elementwise(logits, targets, parameters, ("second",))[0]
        with logits.device:
            soft = super().second_derivative(logits, *_widened(targets, parameters))
            return self._with_hard_ones(logits, targets, parameters, ("second",), (soft,))[0]

    def parameter_gradient(self, name: str, logits: Array, targets: Array, parameters: Parameters) -> Array:
        with logits.device:
            return super().parameter_gradient(name, logits, *_widened(targets, parameters))

    def _with_hard_ones(
        self, logits: Array, targets: Array, parameters: Parameters, names: tuple[str, ...], soft: tuple[Array, ...]
    ) -> tuple[Array, ...]:
        """Results for floating-point targets, those of 0 and 1 by the kernel: they have the bits of booleans then.

        For float64 alone: a narrower format rounds to the same, whichever exponential function the number came from.
        """
        if self.dtype_name(logits) != "float64" or not kernels.fits(self.dtype_name(targets), parameters, soft=True):
            return soft
        is_hard = (targets == 0) | (targets == 1)
        hard = kernels.elementwise(logits, targets, parameters, names)
        return tuple(cupy.where(is_hard, own, other) for own, other in zip(hard, soft, strict=True))

    def _has_kernel(self, targets: Array, parameters: Parameters, *, second: bool = False) -> bool:
        return kernels.fits(self.dtype_name(targets), parameters, second=second)

    def _check_normalizer(self, normalizer: Any, logits: Array) -> None:
        if isinstance(normalizer, cupy.ndarray):
            self.check_same_device("normalizer", normalizer, logits)


def _widened(targets: Array, parameters: Parameters) -> tuple[Array, Parameters]:
    """Floating-point targets and parameters in float64."""
    arrays: dict[str, Any] = {
        name: kernels.widened(array)
        for name in (*NUMBERS, "weights")
        if isinstance(array := getattr(parameters, name), cupy.ndarray)
    }
    hard = targets.dtype.kind in "biu"
    return targets if hard else kernels.widened(targets), replace(parameters, **arrays)


def _ordinal(device: str) -> int:
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number == "" or number.isdigit()):
        raise Unavailable(f"cupy: no device {device!r}; its devices are cuda, cuda:0, cuda:1 and so on")
    return int(number or 0)
