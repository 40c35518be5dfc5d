"""How many threads a call on the CPU may use."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_number: int | None = None
_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Within it, calls from this thread use one thread: something else runs many of them at once."""
    before = getattr(_here, "one", False)
    _here.one = True
    try:
        yield
    finally:
        _here.one = before


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """Threads that a call on NumPy arrays may use.

    Returns
    -------
    int
        What `set_num_threads` was given; else the environment variable ``FOCAL_REF_NUM_THREADS``; else
        ``OMP_NUM_THREADS``; else the number of processors that this process may use.

    Raises
    ------
    ValueError
        If ``FOCAL_REF_NUM_THREADS`` is no integer >= 1.

    See Also
    --------
    set_num_threads : the effect of the number, and what PyTorch tensors use.

    Examples
    --------
    >>> import focal_ref
    >>> focal_ref.get_num_threads() >= 1
    True
    """
    if getattr(_here, "one", False):
        return 1
    if _number is not None:
        return _number
    own = os.environ.get("FOCAL_REF_NUM_THREADS")
    if own is not None:
        if not own.isdecimal() or int(own) < 1:
            raise ValueError(f"FOCAL_REF_NUM_THREADS: got {own!r}; it is an integer >= 1")
        return int(own)
    # A list is for nested regions, of which there are none here.
    others = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if others.isdecimal() and int(others) >= 1:
        return int(others)
    return processors()


def set_num_threads(number: int) -> None:
    """Set how many threads a call on NumPy arrays may use.

    No result depends on it: each element is computed by itself, and sums are added in an order that depends on the
    shape alone. Calls on PyTorch tensors use ``torch.get_num_threads()`` threads, and JAX has threads of its own.

    Parameters
    ----------
    number : int
        At least 1; more than there are processors make nothing faster.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is less than 1.

    Examples
    --------
    >>> import focal_ref
    >>> before = focal_ref.get_num_threads()
    >>> focal_ref.set_num_threads(1)
    >>> focal_ref.get_num_threads()
    1
    >>> focal_ref.set_num_threads(before)
    """
    global _number
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"number: got {number!r}; it is an integer >= 1")
    if number < 1:
        raise ValueError(f"number: got {number}; it is an integer >= 1")
    _number = number
