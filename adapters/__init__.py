"""One adapter a library of arrays, found by the type of the array; this table is all that knows their names.

A library is imported when an array of it arrives, which means that it is imported already; looking a name up for the
conformance suite imports it then. Other projects add adapters through the entry-point group ``focal_ref.adapters``:
each entry names a subclass of `Adapter`, and its ``modules`` say whose arrays it owns.
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

from focal_ref.adapters._base import Adapter, Unavailable

__all__ = ["Adapter", "Unavailable", "adapter_named", "adapter_names", "adapter_of"]

ENTRY_POINT_GROUP = "focal_ref.adapters"


# Import statements, not import_module: torch.compile traces the first through this table.
def _numpy() -> type[Adapter]:
    from focal_ref.adapters.numpy import NumpyAdapter

    return NumpyAdapter


def _torch() -> type[Adapter]:
    from focal_ref.adapters.torch import TorchAdapter

    return TorchAdapter


def _torch_dtensor() -> type[Adapter]:
    from focal_ref.adapters._torch_dtensor import DTensorAdapter

    return DTensorAdapter


def _jax() -> type[Adapter]:
    from focal_ref.adapters.jax import JaxAdapter

    return JaxAdapter


def _cupy() -> type[Adapter]:
    from focal_ref.adapters.cupy import CupyAdapter

    return CupyAdapter


def _dask() -> type[Adapter]:
    from focal_ref.adapters.dask import DaskAdapter

    return DaskAdapter


def _array_api_strict() -> type[Adapter]:
    from focal_ref.adapters.array_api_strict import ArrayApiStrictAdapter

    return ArrayApiStrictAdapter


_TABLE: dict[str, tuple[tuple[str, ...], Callable[[], type[Adapter]]]] = {
    "numpy": (("numpy",), _numpy),
    "torch": (("torch",), _torch),
    "jax": (("jax", "jaxlib"), _jax),
    "cupy": (("cupy",), _cupy),
    "dask": (("dask",), _dask),
    "array_api_strict": (("array_api_strict",), _array_api_strict),
}
"""Adapter name to the root modules of the array types that it owns, and to what imports it."""

_BY_NAME: dict[str, Adapter] = {}
_BY_TYPE: dict[type, Adapter] = {}


def adapter_of(array: Any) -> Adapter:
    """The adapter that owns an array.

    Raises
    ------
    TypeError
        If the type belongs to no known library and offers no Array API namespace.
    """
    array_type = type(array)
    # A plain dictionary: torch.compile looks through one, and warns about functools.cache.
    if array_type not in _BY_TYPE:
        _BY_TYPE[array_type] = _find(array_type)
    return _BY_TYPE[array_type]


def adapter_named(name: str) -> Adapter:
    """The adapter of a library by its name.

    Raises
    ------
    KeyError
        If there is none of that name.
    Unavailable
        If the library cannot be used here, with the reason.
    """
    if name not in _BY_NAME:
        _BY_NAME[name] = _load(name)
    return _BY_NAME[name]


def adapter_names() -> tuple[str, ...]:
    """Names of all adapters: this project's, then those that other projects registered."""
    return (*_TABLE, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))


def _load(name: str) -> Adapter:
    if name in _TABLE:
        try:
            return _TABLE[name][1]()()
        except ImportError as error:
            raise Unavailable(f"{name}: {error}") from error
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        if entry.name == name:
            third_party: Adapter = entry.load()()
            return third_party
    raise KeyError(name)


def _find(array_type: type) -> Adapter:
    # Of torch, but its values are spread over processes.
    if array_type.__module__ == "torch.distributed.tensor":
        return _torch_dtensor()()
    # The type's own module first: torch.compile cannot look at the bases of every type.
    for name, (modules, _) in _TABLE.items():
        if array_type.__module__.partition(".")[0] in modules:
            return adapter_named(name)
    roots = [base.__module__.partition(".")[0] for base in array_type.__mro__]
    for name, (modules, _) in _TABLE.items():
        if any(root in modules for root in roots):
            return adapter_named(name)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        adapter: Adapter = entry.load()()
        if any(root in adapter.modules for root in roots):
            return adapter
    if hasattr(array_type, "__array_namespace__"):
        from focal_ref.adapters._array_api import ArrayApiAdapter

        return ArrayApiAdapter()
    raise TypeError(
        f"logits: got {array_type.__module__}.{array_type.__qualname__}; pass an array of {', '.join(_TABLE)}, or of a "
        "library that follows the Array API standard"
    )
