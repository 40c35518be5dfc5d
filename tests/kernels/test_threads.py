"""Work shared among threads: all of it, once, by no more threads than allowed; and the number of them."""

import os
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest

import focal_ref
from focal_ref import _threads
from focal_ref._kernels.threads import MINIMUM, in_parallel

STEP = 1 << 12


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.setattr(_threads, "_number", None)
    for name in ("FOCAL_REF_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)


def pieces_of(size, threads):
    """The pieces in order, and the threads that were given one."""
    pieces, workers = [], set()

    def run(start, stop):
        pieces.append((start, stop))
        workers.add(threading.get_ident())
        return True

    assert in_parallel(run, size, STEP, threads)
    return sorted(pieces), workers


@pytest.mark.parametrize("size", [0, 1, MINIMUM - 1, 2 * MINIMUM, 7 * MINIMUM + 13, 40 * MINIMUM + STEP])
@pytest.mark.parametrize("threads", [1, 2, 3, 50])
def test_pieces_cover_all_elements_once_and_begin_at_steps(size, threads):
    pieces, workers = pieces_of(size, threads)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == size
    assert all(first[1] == second[0] for first, second in pairwise(pieces))
    assert all(start % STEP == 0 for start, _ in pieces)
    assert len(workers) <= threads


@pytest.mark.parametrize(("size", "threads"), [(2 * MINIMUM - 1, 8), (100 * MINIMUM, 1)])
def test_what_is_small_or_for_one_thread_is_done_in_one_piece_by_the_caller(size, threads):
    pieces, workers = pieces_of(size, threads)
    assert pieces == [(0, size)]
    assert workers == {threading.get_ident()}


def test_two_threads_work_at_the_same_time():
    both = threading.Barrier(2, timeout=30)
    waited = threading.local()

    def run(start, stop):
        if not hasattr(waited, "once"):
            waited.once = both.wait()
        return True

    assert in_parallel(run, 8 * MINIMUM, STEP, 2)


def test_one_piece_that_says_false_makes_the_whole_false():
    assert not in_parallel(lambda start, stop: start != 0, 8 * MINIMUM, STEP, 2)
    assert not in_parallel(lambda start, stop: stop != 8 * MINIMUM, 8 * MINIMUM, STEP, 2)


def test_an_exception_in_any_thread_reaches_the_caller():
    caller = threading.get_ident()
    started = threading.Event()

    def in_a_helper(start, stop):
        if threading.get_ident() != caller:
            started.set()
            raise MemoryError("of a helper")
        assert started.wait(30)
        return True

    with pytest.raises(MemoryError, match="of a helper"):
        in_parallel(in_a_helper, 8 * MINIMUM, STEP, 2)


FORKED = """
import os, sys
import numpy as np
import focal_ref
focal_ref.set_num_threads(2)
logits, targets = np.full(1 << 20, 1.5, np.float32), np.zeros(1 << 20, bool)
total = focal_ref.loss(logits, targets, reduction="sum")
child = os.fork()
if child == 0:
    os._exit(0 if focal_ref.loss(logits, targets, reduction="sum") == total else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_starts_threads_of_its_own():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    assert subprocess.run(command, timeout=120, check=False).returncode == 0


AT_EXIT = """
import atexit, threading
import numpy as np
import focal_ref
focal_ref.set_num_threads(2)
logits, targets = np.zeros(1 << 20, np.float32), np.zeros(1 << 20, bool)
total = focal_ref.loss(logits, targets, reduction="sum")
atexit.register(lambda: print(focal_ref.loss(logits, targets, reduction="sum") == total))
"""


def test_a_loss_while_the_interpreter_ends_is_computed_without_helpers():
    finished = subprocess.run([sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=120, check=True)
    assert finished.stdout.split() == ["True"]


def test_threads_of_the_caller_may_call_at_the_same_time():
    logits = np.random.default_rng(0).normal(size=4 * MINIMUM).astype(np.float32)
    targets = logits > 1
    wanted, results = focal_ref.loss(logits, targets), [None] * 4

    def call(index):
        results[index] = focal_ref.loss(logits, targets)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found, wanted) for found in results)


def test_the_number_of_threads_is_what_was_set_or_what_the_environment_says_or_all_processors(monkeypatch):
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert focal_ref.get_num_threads() == processors
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert focal_ref.get_num_threads() == 5
    monkeypatch.setenv("FOCAL_REF_NUM_THREADS", "3")
    assert focal_ref.get_num_threads() == 3
    focal_ref.set_num_threads(7)
    assert focal_ref.get_num_threads() == 7


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (-2, ValueError), (1.5, TypeError), (True, TypeError)])
def test_a_number_of_threads_that_is_none_is_refused(value, error):
    with pytest.raises(error) as raised:
        focal_ref.set_num_threads(value)
    assert str(raised.value) == f"number: got {value!r}; it is an integer >= 1"
    assert _threads._number is None


@pytest.mark.parametrize("value", ["0", "two", "", "-1"])
def test_an_environment_that_says_no_number_is_an_error(monkeypatch, value):
    monkeypatch.setenv("FOCAL_REF_NUM_THREADS", value)
    with pytest.raises(ValueError, match="FOCAL_REF_NUM_THREADS") as raised:
        focal_ref.get_num_threads()
    assert str(raised.value) == f"FOCAL_REF_NUM_THREADS: got {value!r}; it is an integer >= 1"
