"""One call on every array library, from NumPy arrays to NumPy arrays."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from focal_ref.adapters import adapter_of

CONVERTERS = {
    "numpy": np.asarray,
    "torch": torch.asarray,
    "jax": jnp.asarray,
    "jax:jit": jnp.asarray,
    "array_api_strict": array_api_strict.asarray,
}
every_library = pytest.mark.parametrize("library", CONVERTERS)
# Outside of jit JAX compiles each operation alone, which takes most of a test's time: a few tests a file show that way.
most_libraries = pytest.mark.parametrize("library", [name for name in CONVERTERS if name != "jax"])
# Compiling each operation of its own is the slow half of the tests, and every path has a test that does it.
most_libraries = pytest.mark.parametrize("library", ["numpy", "torch", "jax:jit", "array_api_strict"])
host_libraries = pytest.mark.parametrize("library", ["numpy", "torch", "array_api_strict"])
traced_libraries = pytest.mark.parametrize("library", ["jax", "jax:jit"])


def mapped(function, tree):
    """A tuple, named or not, with a function of each array of it."""
    if isinstance(tree, tuple):
        values = [mapped(function, value) for value in tree]
        return type(tree)(*values) if hasattr(tree, "_fields") else tuple(values)
    return tree if tree is None else function(tree)


def converted(library, tree):
    """NumPy arrays as those of a library."""
    return mapped(CONVERTERS[library], tree)


def to_numpy(tree):
    """Arrays of any library as NumPy arrays."""
    return mapped(lambda array: np.asarray(adapter_of(array).to_numpy(array)), tree)


def call(library, function, *arrays, **options):
    """What a function returns for NumPy arrays and tuples of them, brought to the library and back.

    Under "jax:jit" all arrays are traced; other options are not.
    """
    given = {name: value for name, value in options.items() if isinstance(value, (np.ndarray, tuple))}
    given = {name: value for name, value in given.items() if not isinstance(value, tuple) or hasattr(value, "_fields")}
    static = {name: value for name, value in options.items() if name not in given}
    arrays = converted(library, tuple(arrays))
    given = {name: converted(library, value) for name, value in given.items()}

    def run(arrays, given):
        return function(*arrays, **given, **static)

    return to_numpy((jax.jit(run) if library == "jax:jit" else run)(arrays, given))


def refusal(error, function, *arrays, **options):
    """The text of the error, which is of exactly this type: a subclass is raised by somebody else."""
    with pytest.raises(error) as raised:
        function(*arrays, **options)
    assert raised.type is error
    return str(raised.value)
