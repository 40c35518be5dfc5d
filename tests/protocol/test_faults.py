"""What becomes of a program that hangs, crashes, writes garbage or answers something else: a verdict each."""

import copy
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance.examiner import Examiner
from focal_ref.conformance.gate import Item, run_item
from focal_ref.conformance.protocol import target as target_module
from focal_ref.conformance.protocol.messages import Refused
from focal_ref.conformance.protocol.target import process_target
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets import Call, TargetFault

from .programs import command, profile_file

QUICK = 1.5
"""Seconds for an answer where none comes."""


def call(*numbers):
    logits = np.array(numbers or (1.0,), np.float32)
    return Call(logits, np.ones(logits.shape, np.float32))


@pytest.fixture
def start(tmp_path):
    """Start the misbehaving program in a mode; it is ended after the test."""
    targets = []

    def started(mode, *, time_limit=5.0, file=""):
        target = process_target(command(mode, file), profile_file(tmp_path), time_limit=time_limit)
        targets.append(target)
        return target

    yield started
    for target in targets:
        target.close()


def has_ended(pid):
    """Whether a process is gone, or about to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def wait_until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("mode", "kind", "text"),
    [
        ("hang", "hang", "gave no answer within 1.5 s; standard error is empty"),
        ("closed", "crash", "closed its standard output and goes on running"),
        (
            "crash",
            "crash",
            r"ended with exit code 3 before it answered; standard error ends: Traceback: \x1b[31mlost",
        ),
        ("segmentation", "crash", "ended with signal SIGSEGV before it answered; standard error is empty"),
        (
            "garbage",
            "garbage",
            r"wrote what is no JSON (Expecting value: line 1 column 1 (char 0)): <b>loading</b> \x1b",
        ),
        ("binary", "garbage", r"wrote what is no JSON ('utf-8' codec can't decode byte 0xff"),
        ("deep", "garbage", "wrote what is no JSON (nested too deeply): [[[["),
        ("list", "garbage", "wrote JSON that is no object: []"),
        ("lines", "garbage", "wrote what is no JSON (Expecting value: line 1 column 1 (char 0)): x"),
        ("other", "answer", r'answered another request: id is "../../etc/passwd\u001b[2J", asked was '),
        ("count", "answer", "results.value.bits: got 1 entries; a shape of [2] has 2"),
        ("digits", "answer", 'results.value.bits: got "0x3f80"; float32 has 8 lowercase hex digits'),
        ("uppercase", "answer", 'results.value.bits: got "3F800000"; float32 has 8 lowercase hex digits'),
        ("space", "answer", 'results.value.bits: got "3f80 000"; float32 has 8 lowercase hex digits'),
        ("numbers", "answer", "results.value.bits: got 1.0; float32 has 8 lowercase hex digits"),
        ("no-dtype", "answer", r'results.value.dtype: got "\u001b[31mf4"; allowed are float64, float32, float16'),
        ("negative", "answer", "results.value.shape: got [-1, -1]; it is a list of sizes"),
        ("no-array", "answer", "results.value: got 1.0; it is an object with dtype, shape and bits"),
        ("no-results", "answer", "results: got null; it is an object with value"),
        ("no-value", "answer", 'results: value is missing; it has ["loss"]'),
        ("no-text", "answer", "error: got null; it is a text"),
    ],
)
def test_what_is_no_answer_is_a_fault_that_says_what_came_instead(start, mode, kind, text):
    target = start(mode, time_limit=QUICK if kind == "hang" or mode == "closed" else 5.0)
    with pytest.raises(TargetFault) as caught:
        target.value(call(1.0, 2.0))
    assert caught.value.kind == kind
    assert text in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 300, "what a finding shows of it must not be cut"


def test_a_line_without_end_is_cut_at_a_bound_and_does_not_fill_memory(start):
    target = start("endless")
    begun = time.monotonic()
    with pytest.raises(TargetFault, match=r"wrote a line of more than 6\d{4} bytes: xxxx"):
        target.value(call())
    assert time.monotonic() - begun < 10.0
    assert target._state.process is None, "it has to be started anew"


def test_the_bound_of_a_line_leaves_room_for_every_answer(start):
    target = start("")
    value, gradient = target.value_and_gradient(call(*np.ones(50_000)))
    assert value.shape == gradient.shape == (50_000,)
    assert np.all(value == 1.0)


def test_a_flood_on_standard_error_stops_nothing_and_its_end_is_kept(start):
    target = start("stderr")
    assert target.value(call()) == 1.0
    assert target._state.process.stderr.endswith("the end")
    assert len(target._state.process.stderr) <= 4096


def test_a_second_line_for_one_answer_is_not_taken_for_the_next(start):
    target = start("extra")
    assert target.value(call()) == 1.0
    time.sleep(0.05)
    with pytest.raises(TargetFault, match=r'wrote more than one line for an answer: {"debug": 1}'):
        target.value(call())


def test_a_program_that_ends_after_an_answer_is_found_by_the_next_question(start):
    target = start("once")
    assert target.value(call()) == 1.0
    with pytest.raises(TargetFault, match=r"ended with exit code 0 before it answered"):
        target.value(call())
    assert target.value(call()) == 1.0, "it was started anew"


def test_an_error_is_a_refusal_and_no_fault_and_its_text_is_escaped(start):
    target = start("refuses")
    with pytest.raises(Refused, match=r"^alpha: \\x1b\[31mno$"):
        target.value(call())
    examiner = Examiner(target, requirements()["FL-SHP-002"], "float32")
    examiner.refuses("any", call(), "alpha")
    assert examiner.comparisons == 1
    assert not examiner.findings


def test_a_crash_is_no_refusal(start):
    examiner = Examiner(start("crash"), requirements()["FL-SHP-002"], "float32")
    examiner.refuses("any", call())
    assert len(examiner.findings) == 1
    assert "ended with exit code 3" in examiner.findings[0].got


def test_after_a_crash_the_run_goes_on_with_a_new_process(start):
    target = start("crash-on-nan")
    for _ in range(5):
        with pytest.raises(TargetFault, match=r"ended with exit code 3"):
            target.value(call(float("nan")))
        assert target.value(call()) == 1.0
        assert target._state.in_a_row == 0


def test_questions_that_alone_are_not_answered_do_not_end_the_run(start):
    target = start("crash-on-nan")
    for _ in range(5):
        with pytest.raises(TargetFault, match=r"^ended with exit code 3"):
            target.value(call(float("nan")))
    assert target.value(call()) == 1.0


def test_a_requirement_without_answers_is_left_after_two_and_the_next_one_is_asked(start):
    target = start("hang-on-nan", time_limit=QUICK)
    target.begin()
    for _ in range(2):
        with pytest.raises(TargetFault, match=r"gave no answer within 1.5 s"):
            target.value(call(float("nan")))
    begun = time.monotonic()
    with pytest.raises(TargetFault, match=r"not asked: 2 questions of this requirement were not answered before"):
        target.value(call())
    assert time.monotonic() - begun < QUICK
    target.begin()
    assert target.value(call()) == 1.0


def test_a_program_that_never_answers_is_given_up_with_the_reason_for_the_rest(start):
    target = start("crash")
    for _ in range(3):
        with pytest.raises(TargetFault, match=r"^ended with exit code 3"):
            target.value(call())
    asked = target._state.asked
    with pytest.raises(TargetFault, match=r"given up after 3 failures in a row; last: ended with exit code 3"):
        target.value(call())
    assert target._state.asked == asked


def test_hangs_are_given_up_in_the_end_even_if_other_questions_are_answered(start, monkeypatch):
    monkeypatch.setattr(target_module, "HANGS", 2)
    target = start("hang-on-nan", time_limit=QUICK)
    for _ in range(2):
        with pytest.raises(TargetFault, match=r"^gave no answer"):
            target.value(call(float("nan")))
    with pytest.raises(
        TargetFault, match=r"given up after 2 times without an answer; last: gave no answer within 1.5 s"
    ):
        target.value(call())


@pytest.mark.parametrize(
    ("mode", "got"),
    [
        ("nan", "nan "),
        ("shape", "shape (1, 64)"),
        ("dtype", "dtype float64"),
        ("crash", "ended with exit code 3 before it answered"),
        ("garbage", "wrote what is no JSON"),
        ("future", "speaks protocol 2, this suite speaks 1"),
    ],
)
def test_each_fault_is_the_result_of_a_requirement_and_the_run_goes_on(start, mode, got):
    target = start(mode)
    for name in ("FL-VAL-002", "FL-VAL-001"):
        result = run_item(Item(name, "float32"), target, "focal-ref conform")
        assert not result.passed
        assert result.comparisons > 0
        if name == "FL-VAL-002":
            assert got in result.findings[0]["got"]
            assert got in result.text


def test_processes_that_a_program_leaves_behind_are_ended_and_reported(tmp_path, start):
    file = tmp_path / "pid"
    target = start("fork", file=file)
    assert target.describe()["remark"] == "left 1 process behind; ended"
    wait_until(lambda: has_ended(int(file.read_text())))


def test_processes_that_a_crash_leaves_behind_are_ended_and_reported(tmp_path, start):
    file = tmp_path / "pid"
    target = start("stay-and-crash", file=file)
    with pytest.raises(TargetFault, match=r"exit code 3 .*; it left 1 process behind; ended"):
        target.value(call())
    wait_until(lambda: has_ended(int(file.read_text())))


def test_a_program_that_does_not_end_after_stop_is_ended_and_reported(start):
    target = start("stays", time_limit=QUICK)
    assert target.describe()["remark"] == "did not end after stop; it was ended"
    assert target.value(call()) == 1.0
    supervisor = target._state.process._supervisor
    assert target.close() == "did not end after stop; it was ended"
    assert supervisor.returncode is not None
    assert target.close() == ""


def test_a_program_whose_supervisor_is_killed_is_a_crash_and_the_run_goes_on(start):
    target = start("sleepy", time_limit=1.5)
    assert target.value(call()) == 1.0
    supervisor = target._state.process._supervisor
    (program,) = map(int, Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children").read_text().split())
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor.wait()
    with pytest.raises(TargetFault, match=r"was lost together with its supervisor"):
        target.value(call())
    wait_until(lambda: has_ended(program))
    assert target.value(call()) == 1.0


def test_a_copy_that_declares_something_else_asks_the_same_program(start):
    target = start("")
    other = copy.copy(target)
    assert other.value(call()) == target.value(call()) == 1.0
    assert other._state.process is target._state.process
    assert target._state.asked == 3, "a start and two calls"


SUITE = """
import os, shlex, signal, sys
from focal_ref.conformance.protocol import messages
from focal_ref.conformance.protocol.process import Process
process = Process(shlex.split(sys.argv[1]), 5.0)
process.ask(messages.describe("1"), 1 << 16)
print(process._supervisor.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_when_the_suite_is_killed_its_program_and_all_that_it_started_end(tmp_path):
    file = tmp_path / "pid"
    killed = subprocess.run([sys.executable, "-c", SUITE, command("fork", file)], stdout=subprocess.PIPE, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    supervisor, stayed = int(killed.stdout), int(file.read_text())
    wait_until(lambda: has_ended(supervisor) and has_ended(stayed))
