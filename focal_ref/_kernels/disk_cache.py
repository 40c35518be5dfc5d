"""Compiled kernels on the disk, each filed under the fingerprint of all that it is compiled from.

Numba's own ``cache=True`` does not do here: it never finds a kernel again that is built from other functions, as their
pickles hold random identifiers, and it looks for changes in the kernel's own source file alone.
"""

import hashlib
import os
import pickle
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import llvmlite
import numba
import numpy as np
from numba.core.caching import CompileResultCacheImpl, NullCache, UserWideCacheLocator
from numba.core.serialize import dumps

from focal_ref._kernels.fingerprint import fingerprint

LIMIT = 400
"""Kernels that a folder keeps, those used last: some 25 MB."""

SETTINGS = ("OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")
"""Settings of Numba that change what it compiles."""


class DiskCache(NullCache):  # type: ignore[misc]  # untyped
    """What Numba asks for a kernel before it compiles one, and hands the compiled one.

    A file is written under another name and renamed, so that processes do not disturb one another, and begins with the
    digest of its content, so that a damaged one is not used. Whatever goes wrong, the kernel is compiled.
    """

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._numba = _Locations(dispatcher.py_func)
        self._folder = Path(self._numba.locator.get_cache_path())

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Load the kernel for a signature, or give None."""
        try:
            # Numba registers its own functions when it first compiles.
            target.refresh()
            path = self._path(signature, target.codegen())
            content = path.read_bytes()
            digest, data = content[:32], content[32:]
            if hashlib.sha256(data).digest() != digest:
                return None
            loaded = self._numba.rebuild(target, pickle.loads(data))
        except Exception:
            return None
        with suppress(OSError):
            os.utime(path)
        return loaded

    def save_overload(self, signature: Any, result: Any) -> None:
        """Save a compiled kernel, unless it holds addresses of this process."""
        with suppress(Exception):
            if result.lifted or result.library.has_dynamic_globals:
                return
            data = dumps(self._numba.reduce(result))
            path = self._path(signature, result.codegen)
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_stem(f"{path.stem}.{uuid4().hex}")
            try:
                unfinished.write_bytes(hashlib.sha256(data).digest() + data)
                os.replace(unfinished, path)
            finally:
                unfinished.unlink(missing_ok=True)
            self._remove_oldest()

    def _path(self, signature: Any, codegen: Any) -> Path:
        options = [getattr(numba.config, name) for name in SETTINGS]
        versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
        # The fingerprint is taken when it is needed: a part may have been replaced since the kernel was decorated.
        parts = (fingerprint(self._dispatcher), str(signature), codegen.magic_tuple(), versions, options)
        key = hashlib.sha256(repr(parts).encode()).hexdigest()[:40]
        function = self._dispatcher.py_func
        return self._folder / f"{function.__module__}.{function.__name__}-{key}.kernel"

    def _remove_oldest(self) -> None:
        files = sorted(self._folder.glob("*.kernel"), key=lambda file: file.stat().st_mtime)
        for file in files[:-LIMIT]:
            file.unlink(missing_ok=True)


class _Locations(CompileResultCacheImpl):  # type: ignore[misc]  # untyped
    """Where Numba keeps kernels: in NUMBA_CACHE_DIR, beside their source, or in the user's cache folder."""

    @property
    def _locator_classes(self) -> list[Any]:
        classes: list[Any] = super()._locator_classes
        if "XDG_CACHE_HOME" not in os.environ and not os.path.isabs(os.path.expanduser("~")):
            # Without a home, the user's would be a folder named "~".
            classes = [each for each in classes if each is not UserWideCacheLocator]
        return classes
