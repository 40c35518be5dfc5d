"""How the kernels and their parts are compiled; what was compiled once on a machine is loaded (`disk_cache`)."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numba

from focal_ref._kernels.fingerprint import Indescribable, fingerprint

Function = Callable[..., Any]

# Division follows IEEE 754 instead of raising, and nothing is reassociated: with fast mathematics, a vector body and
# its remainder loop disagree.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "nogil": True}


def compiled(function: Function) -> Any:
    """Decorate a part of kernels that is inlined.

    LLVM's own estimate leaves the larger forms as calls, and a loop with a call in it stays scalar.
    """
    return _dispatcher(function, forceinline=True)


def loop(function: Function) -> Any:
    """Decorate a part of kernels that may stay a call."""
    return _dispatcher(function)


def kernel_of(signature: Any) -> Callable[[Function], Any]:
    """Decorate what Python calls, for one signature: it is compiled, or loaded, now."""

    def decorate(function: Function) -> Any:
        dispatcher = kernel(function)
        if hasattr(dispatcher, "disable_compile"):  # not with NUMBA_DISABLE_JIT
            dispatcher.compile(signature)
            dispatcher.disable_compile()
        return dispatcher

    return decorate


def kernel(function: Function) -> Any:
    """Decorate what Python calls: it is compiled, or loaded, for the types of arguments that it is called with."""
    dispatcher = _dispatcher(function)
    # Where no folder can be written to, or Numba's internals are others, each process compiles.
    with suppress(Exception):
        from focal_ref._kernels.disk_cache import DiskCache

        dispatcher._cache = DiskCache(dispatcher)
    return dispatcher


def _dispatcher(function: Function, **options: Any) -> Any:
    # Numba names a symbol after the function and a number that each process counts from one, so kernels that different
    # processes compiled may share a name, and the linker would choose. With the fingerprint in the name, what is named
    # alike is alike.
    with suppress(Indescribable):
        function.__qualname__ = f"{function.__qualname__}_{fingerprint((OPTIONS, options, function))[:32]}"
    return numba.njit(**OPTIONS, **options)(function)
