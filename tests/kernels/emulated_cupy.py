"""As much of CuPy as this project uses, over NumPy arrays and `emulated_cuda`: kernels are run, not replaced."""

import importlib
import sys
import types

import array_api_compat.numpy
import numpy as np


class Device(str):
    """A device that NumPy's own namespace takes for its only one."""

    id = 0

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        return None


class Array(np.ndarray):
    """A NumPy array that says which device it lies on, and that only `asnumpy` takes back."""

    __module__ = "cupy"
    ordinal = 0

    @property
    def device(self):
        device = Device("cpu")
        device.id = self.ordinal
        return device


def array(values):
    return np.asarray(values).view(Array)


class Namespace:
    """NumPy's namespace of the standard, whose functions keep to these arrays."""

    def __getattr__(self, name):
        found = getattr(array_api_compat.numpy, name)
        if not callable(found) or isinstance(found, type) or name in ("isdtype", "finfo", "iinfo"):
            return found

        def function(*given, **options):
            result = found(*given, **options)
            kind = type(result)
            if isinstance(result, (list, tuple)):
                made = [array(each) for each in result]
                return kind(*made) if hasattr(result, "_fields") else kind(made)
            return array(result) if isinstance(result, (np.ndarray, np.generic)) else result

        return function


def emulated_cupy(emulator, processors=2):
    """A module to be found as ``cupy``; it keeps the options that kernels were compiled with."""

    class Module:
        def load(self, image):
            self.source = image

        def get_function(self, name):
            return emulator.kernel(self.source, name)

    class ElementwiseKernel:
        def __init__(self, given, result, operation, name):
            self.dtype = np.dtype(result.split()[0])
            assert self.dtype.name == result.split()[0]
            assert ".ftz" not in operation

        def __call__(self, values):
            with np.errstate(over="ignore", under="ignore"):
                return array(values.astype(self.dtype))

    def compile_using_nvrtc(source, options):
        cupy.options.append(options)
        return source, None

    cupy = types.ModuleType("cupy")
    cupy.options = []
    cupy.__version__ = "emulated"
    cupy.ndarray, cupy.ElementwiseKernel = Array, ElementwiseKernel
    for name in ("float64", "float32", "float16", "int64", "uint32", "uint16"):
        setattr(cupy, name, getattr(np, name))
    # What is empty has numbers in it that no result has.
    cupy.empty = lambda shape, dtype: array(np.full(shape, 77, dtype))
    cupy.asarray = array
    cupy.ascontiguousarray = lambda values: array(np.ascontiguousarray(values))
    cupy.asnumpy = lambda values: np.array(values, subok=False)
    cupy.where = lambda *given: array(np.where(*given))
    cupy.may_share_memory = np.may_share_memory
    cupy.cuda = types.SimpleNamespace(
        Device=lambda ordinal: Device("cpu"),
        compiler=types.SimpleNamespace(compile_using_nvrtc=compile_using_nvrtc),
        function=types.SimpleNamespace(Module=Module),
        runtime=types.SimpleNamespace(
            is_hip=False,
            CUDARuntimeError=RuntimeError,
            getDeviceCount=lambda: 1,
            cudaDevAttrMultiProcessorCount=16,
            deviceGetAttribute=lambda attribute, device: {16: processors}[attribute],
        ),
    )
    return cupy


def use(monkeypatch, cupy):
    """Make it the library that arrays of it are found in, and return the adapter."""
    import focal_ref.adapters

    monkeypatch.setitem(sys.modules, "cupy", cupy)
    for name in ("focal_ref.adapters.cupy", "focal_ref.adapters._cupy_kernels"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(focal_ref.adapters, "_cupy_kernels", raising=False)
    monkeypatch.setattr(focal_ref.adapters, "_BY_NAME", {})
    monkeypatch.setattr(focal_ref.adapters, "_BY_TYPE", {})
    # An import sets what is put back afterwards.
    monkeypatch.setitem(sys.modules, "focal_ref.adapters.cupy", None)
    del sys.modules["focal_ref.adapters.cupy"]
    module = importlib.import_module("focal_ref.adapters.cupy")
    monkeypatch.setattr(module.CupyAdapter, "namespace", lambda self, values: Namespace())
    return focal_ref.adapters.adapter_named("cupy")
