"""A digest of all that a function is compiled from: its bytecode, constants, closure, globals, and theirs in turn.

It describes what the process has loaded, not files, so it holds for a function that was built from a template, replaced
at run time, or edited on disk after its import. What has no certain description is an error instead of a guess.
"""

import builtins
import dis
import hashlib
from collections.abc import Iterator
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

LIBRARIES = ("builtins", "llvmlite", "math", "numba", "numpy")
"""Whose modules, types and functions are described by their names: `disk_cache` adds the versions."""

PLAIN = (type(None), type(...), bool, int, float, complex, str, bytes)
"""Types whose `repr` says all."""


class Indescribable(TypeError):
    """Something that a fingerprint cannot be taken of."""


def fingerprint(value: Any) -> str:
    """Digest of a function, compiled or not, or of a value that one refers to.

    Returns
    -------
    str
        Hexadecimal; the same in every process, and for every two functions that compile to the same code for certain.

    Raises
    ------
    Indescribable
        If it refers to an object of an unknown kind, or to a name that has no value yet.
    """
    digest = hashlib.sha256()
    for part in _parts(value, {}):
        # Lengths keep neighbouring parts apart.
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _parts(value: Any, seen: dict[int, int]) -> Iterator[bytes]:
    """Describe a value; `seen` numbers the objects that were met before, by id."""
    yield type(value).__qualname__.encode()
    # Exact types: what a subclass adds would be left out.
    if type(value) in PLAIN:
        yield repr(value).encode()
    elif isinstance(value, np.generic):
        yield value.dtype.str.encode()
        yield value.tobytes()
    elif type(value) in (tuple, list):
        yield str(len(value)).encode()
        for item in value:
            yield from _parts(item, seen)
    elif type(value) is dict:
        yield from _parts(list(value.items()), seen)
    elif type(value) is frozenset:
        yield from sorted(b"\n".join(_parts(item, {})) for item in value)
    elif isinstance(value, types.Type | ir.Type):
        yield repr(value).encode()
    elif isinstance(value, ModuleType):
        yield _of_library(value, value.__name__, value.__name__)
    elif isinstance(value, type | BuiltinFunctionType):
        yield _of_library(value, value.__module__ or "", value.__qualname__)
    elif id(value) in seen:
        yield str(seen[id(value)]).encode()
    else:
        seen[id(value)] = len(seen)
        yield from _parts_of_code(value, seen)


def _parts_of_code(value: Any, seen: dict[int, int]) -> Iterator[bytes]:
    if isinstance(value, CodeType):
        # Neither the file nor the lines: moving a function changes nothing.
        yield from (value.co_code, getattr(value, "co_exceptiontable", b""))
        counts = (value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount, value.co_flags)
        names = (value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars)
        yield from _parts((counts, names, value.co_consts), seen)
    elif isinstance(value, FunctionType):
        yield from _parts((value.__code__, value.__defaults__, value.__kwdefaults__), seen)
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:
                raise Indescribable(f"{value.__qualname__}: a variable of its closure has no value yet") from None
            yield from _parts(content, seen)
        for name in _globals_read(value.__code__):
            yield name.encode()
            if name in value.__globals__:
                yield from _parts(value.__globals__[name], seen)
            elif not hasattr(builtins, name):
                raise Indescribable(f"{value.__qualname__}: the global {name} has no value yet")
    elif isinstance(getattr(value, "py_func", None), FunctionType):
        yield from _parts((dict(value.targetoptions), dict(value.locals), value.py_func), seen)
    elif isinstance(getattr(value, "_defn", None), FunctionType):
        yield from _parts((value._defn, value._prefer_literal, dict(value._ctor_kwargs)), seen)
    else:
        raise Indescribable(f"a kernel refers to an object of type {type(value).__module__}.{type(value).__qualname__}")


def _of_library(value: Any, module: str, name: str) -> bytes:
    if module.partition(".")[0] not in LIBRARIES:
        raise Indescribable(f"a kernel refers to {value!r}, which is not of {', '.join(LIBRARIES)}")
    return f"{module}:{name}".encode()


@cache
def _globals_read(code: CodeType) -> tuple[str, ...]:
    """Names of the globals that a function and those inside it read, in order."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(_globals_read(constant))
    return tuple(sorted(names))
