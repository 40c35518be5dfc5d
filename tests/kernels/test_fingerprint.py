"""The fingerprint of a kernel: everything that it is compiled from counts, and nothing else."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.extending import intrinsic

from focal_ref._kernels import disk_cache
from focal_ref._kernels.compilation import compiled, kernel, loop
from focal_ref._kernels.fingerprint import Indescribable, fingerprint


def written(source, **names):
    """The function `f` of a source text whose globals are `names`."""
    exec(source, names)
    return names["f"]


def scaled_by(factor, decorate=lambda function: function):
    @decorate
    def scaled(x):
        return x * factor

    return scaled


def scaled_twice(part):
    def twice(x):
        return part(part(x))

    return twice


def minus(sign):
    @intrinsic
    def signed(typing_context, value):
        def generate(context, builder, signature, arguments):
            return builder.fmul(arguments[0], arguments[0].type(sign))

        return value(value), generate

    return signed


EQUAL = {
    "a function that is built twice": (lambda: scaled_by(2.0), lambda: scaled_by(2.0)),
    "a function that stands elsewhere": (
        lambda: written("def f(x): return x"),
        lambda: written("# A comment.\n\n\ndef f(x):\n    return x"),
    ),
    "a compiled part that is built twice": (
        lambda: scaled_twice(scaled_by(2.0, compiled)),
        lambda: scaled_twice(scaled_by(2.0, compiled)),
    ),
    "an intrinsic that is built twice": (lambda: scaled_twice(minus(-1.0)), lambda: scaled_twice(minus(-1.0))),
}

DIFFERENT = {
    "a constant": (lambda: written("def f(x): return x + 1.0"), lambda: written("def f(x): return x + 2.0")),
    "the sign of a zero": (lambda: scaled_by(0.0), lambda: scaled_by(-0.0)),
    "an operation": (lambda: written("def f(x): return x + 1.0"), lambda: written("def f(x): return x - 1.0")),
    "a global": (lambda: written("def f(x): return x + c", c=1), lambda: written("def f(x): return x + c", c=2)),
    "an attribute": (lambda: written("def f(x): return x.real"), lambda: written("def f(x): return x.imag")),
    "a default": (lambda: written("def f(x, c=1): return x"), lambda: written("def f(x, c=2): return x")),
    "a global of a function inside": (
        lambda: written("def f(x): return (lambda y: y + c)(x)", c=1),
        lambda: written("def f(x): return (lambda y: y + c)(x)", c=2),
    ),
    "the closure": (lambda: scaled_by(2.0), lambda: scaled_by(3.0)),
    "the type of a constant": (lambda: scaled_by(np.float32(2)), lambda: scaled_by(np.float64(2))),
    "an integer for a float": (lambda: scaled_by(2), lambda: scaled_by(2.0)),
    "a truth value for an integer": (lambda: scaled_by(True), lambda: scaled_by(1)),
    "the constants of a table": (lambda: scaled_by((1.0, 2.0)), lambda: scaled_by((1.0, 3.0))),
    "a part's closure": (
        lambda: scaled_twice(scaled_by(2.0, compiled)),
        lambda: scaled_twice(scaled_by(3.0, compiled)),
    ),
    "a part's closure two levels down": (
        lambda: scaled_twice(compiled(scaled_twice(scaled_by(2.0, compiled)))),
        lambda: scaled_twice(compiled(scaled_twice(scaled_by(3.0, compiled)))),
    ),
    "a part's options": (lambda: scaled_twice(scaled_by(2.0, compiled)), lambda: scaled_twice(scaled_by(2.0, loop))),
    "a part that is not compiled": (
        lambda: scaled_twice(scaled_by(2.0, numba.njit)),
        lambda: scaled_twice(scaled_by(2.0)),
    ),
    "what an intrinsic generates": (lambda: scaled_twice(minus(-1.0)), lambda: scaled_twice(minus(1.0))),
    "a type of numba": (lambda: scaled_by(numba.types.int32), lambda: scaled_by(numba.types.int64)),
}

UNKNOWN = {
    "an object": (lambda: scaled_by(SimpleNamespace()), r"type types\.SimpleNamespace"),
    "an array": (lambda: scaled_by(np.zeros(2)), r"type numpy\.ndarray"),
    "a name that has no value yet": (lambda: written("def f(x): return later(x)"), "the global later has no value yet"),
    "a module that is not of a library": (lambda: scaled_by(disk_cache), "disk_cache.* is not of builtins, llvmlite"),
    "a class that is not of a library": (lambda: scaled_by(disk_cache.DiskCache), "DiskCache.* is not of builtins"),
    "a subclass of a number": (lambda: scaled_by(type("Meters", (float,), {})(2.0)), "Meters"),
}


@pytest.mark.parametrize("pair", EQUAL.values(), ids=EQUAL)
def test_equal_functions_have_equal_fingerprints(pair):
    first, second = pair
    assert fingerprint(first()) == fingerprint(second())


@pytest.mark.parametrize("pair", DIFFERENT.values(), ids=DIFFERENT)
def test_whatever_changes_the_code_changes_the_fingerprint(pair):
    first, second = pair
    assert fingerprint(first()) != fingerprint(second())


@pytest.mark.parametrize(("build", "text"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_has_no_certain_description_is_an_error(build, text):
    with pytest.raises(Indescribable, match=text):
        fingerprint(build())


def test_a_variable_without_a_value_is_an_error():
    def outer():
        def f(x):
            return x + later

        fingerprint(f)
        later = 1
        return later

    with pytest.raises(Indescribable, match="a variable of its closure has no value yet"):
        outer()


def test_a_function_that_calls_itself_has_a_fingerprint():
    def outer():
        def f(x):
            return f(x - 1) if x else 0

        return f

    assert fingerprint(outer()) == fingerprint(outer())


@pytest.mark.parametrize("decorate", [compiled, loop, kernel])
def test_symbols_carry_the_fingerprint(decorate):
    names = [scaled_by(factor, decorate).py_func.__qualname__ for factor in (2.0, 2.0, 3.0)]
    assert names[0] == names[1] != names[2]
    assert names[0].startswith(f"{scaled_by.__qualname__}.<locals>.scaled_")
