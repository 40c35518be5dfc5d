"""Tests that need a GPU: collected only where this folder is named, and then what is missing fails."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    """Leave the folder to `make gpu`."""
    invocation = config.invocation_params.dir
    named = [(invocation / argument.partition("::")[0]).resolve() for argument in config.args]
    return None if any(path == HERE or HERE in path.parents for path in named) else True


@pytest.fixture(scope="session")
def cupy():
    """CuPy with a device; its absence fails the test with the reason."""
    from focal_ref.adapters import Unavailable, adapter_named

    try:
        adapter_named("cupy")
    except Unavailable as error:
        pytest.fail(str(error))
    import cupy

    return cupy
