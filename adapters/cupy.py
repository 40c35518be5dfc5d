"""CuPy: the closed forms on the current device and stream. Not yet run on a GPU."""

from typing import Any

from focal_ref.adapters._array_api import ArrayApiAdapter
from focal_ref.adapters._base import Unavailable

try:
    import cupy
except ImportError as error:
    raise Unavailable(
        f"cupy: {error}; install the build for your CUDA, such as 'pip install cupy-cuda12x' or 'cupy-cuda13x'"
    ) from error

Array = Any


class CupyAdapter(ArrayApiAdapter):
    """Arrays of CuPy, which all lie on a CUDA device."""

    name = "cupy"
    modules = ("cupy",)

    def __init__(self) -> None:
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

    def check_out(self, inputs: list[Array], out: tuple[Array, ...]) -> None:
        self.refuse_overlap(inputs, out, cupy.may_share_memory)

    def bits(self, wide: Array) -> Array:
        return wide.view(cupy.int64)

    def from_bits(self, bits: Array, dtype: str) -> Array:
        narrow = bits.astype(cupy.uint16)
        if dtype == "float16":
            return narrow.view(cupy.float16)
        import ml_dtypes

        return narrow.view(ml_dtypes.bfloat16)


def _ordinal(device: str) -> int:
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number == "" or number.isdigit()):
        raise Unavailable(f"cupy: no device {device!r}; its devices are cuda, cuda:0, cuda:1 and so on")
    return int(number or 0)
