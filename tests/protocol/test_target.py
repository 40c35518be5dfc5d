"""A program as a target: its command, its profile, its description."""

import json
import re
import shlex
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from focal_ref.conformance.profiles import ProfileError, load_profile
from focal_ref.conformance.protocol.target import process_target
from focal_ref.conformance.protocol.text import safe_text
from focal_ref.conformance.targets import Call, UsageError

from .programs import PROFILE, command, profile_file


def described(folder, mode="", **changes):
    """The command of a program whose answer to `describe` holds a profile."""
    path = folder / "profile.json"
    path.write_text(json.dumps({name: {**table, **changes.get(name, {})} for name, table in PROFILE.items()}))
    return command(mode, path)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("", "--target-cmd: it is empty; name a program and its arguments"),
        ("'unfinished", '--target-cmd: got "\'unfinished": no closing quotation'),
        ("./no-such-program --fast", "--target-cmd: no program './no-such-program' that can be started"),
    ],
)
def test_a_command_that_cannot_be_started_is_a_usage_error(tmp_path, asked, reason):
    with pytest.raises(UsageError) as caught:
        process_target(asked, profile_file(tmp_path))
    assert str(caught.value) == reason


def test_a_file_that_is_no_program_is_a_usage_error(tmp_path):
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF, but no more")
    program.chmod(0o755)
    with pytest.raises(UsageError, match=r"--target-cmd: .*program: cannot be started: Exec format error"):
        process_target(shlex.quote(str(program)), profile_file(tmp_path))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_limit_is_a_number_of_seconds_above_zero(tmp_path, limit):
    with pytest.raises(UsageError, match=r"--time-limit: got .*; it is a number of seconds above 0"):
        process_target(command(), profile_file(tmp_path), time_limit=limit)


def test_no_shell_reads_the_command(tmp_path):
    # With one, the semicolon would end the command and `touch` would run.
    target = process_target(f"{command('refuses')} ; touch {tmp_path / 'spoilt'}", profile_file(tmp_path))
    target.close()
    assert not (tmp_path / "spoilt").exists()


def test_without_a_profile_the_one_of_describe_is_used(tmp_path):
    target = process_target(described(tmp_path), None)
    assert target.profile.name == "mine"
    assert target.profile.tiers == {"float32": "standard"}
    assert "gradient" in target.profile.capabilities


def test_a_named_profile_replaces_the_one_of_describe(tmp_path):
    named = profile_file(tmp_path, profile={"name": "named"})
    assert process_target(described(tmp_path), named).profile.name == "named"


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("", "no profile: its answer to describe has none; give --profile=FILE"),
        (
            "undescribed",
            "no profile: it answered describe with what is none: 'name' is a required property; give --profile=FILE",
        ),
        ("mute", "no profile: it gave no answer within 0.3 s; standard error is empty; give --profile=FILE"),
    ],
)
def test_without_any_profile_there_is_nothing_to_judge_by(mode, reason):
    with pytest.raises(UsageError) as caught:
        process_target(command(mode), None, time_limit=0.3 if mode == "mute" else 10.0)
    assert str(caught.value).endswith(reason)


def test_a_wrong_profile_of_describe_is_a_profile_error_that_names_the_key(tmp_path):
    asked = described(tmp_path, conventions={"alpha": "sideways"})
    with pytest.raises(
        ProfileError, match=r"describe: profile: conventions.alpha: got 'sideways'; allowed are pos/1-pos"
    ):
        process_target(asked, None)


@pytest.mark.parametrize("place", ["key", "value"])
def test_nothing_of_a_wrong_profile_of_describe_acts_on_a_terminal(tmp_path, place):
    evil = "\x1b[2J\u202e\n"
    conventions = {**PROFILE["conventions"], **({evil: 1} if place == "key" else {"alpha": evil})}
    own = tmp_path / "own.json"
    own.write_text(json.dumps({**PROFILE, "conventions": conventions}), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"conventions") as caught:
        process_target(command("", own), None)
    assert r"\x1b[2J\u202e\n" in str(caught.value).replace("\\\\", "\\")
    assert not set("\x1b\u202e\n") & set(str(caught.value))


def test_the_profile_of_the_page_can_be_loaded(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    block = re.search(r"^    \[profile\]\n(?:(?:    .*)?\n)+", page, re.MULTILINE)[0]
    path = tmp_path / "mine.toml"
    path.write_text(textwrap.dedent(block), encoding="utf-8")
    profile = load_profile(str(path))
    assert (profile.function, profile.library, list(profile.tiers)) == ("softmax_loss", "process", ["float16"])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"claims": {"dtypes": {"float64": "standard"}}}, "claims 'float64'; the program implements float32"),
        ({"claims": {"capabilities": ["vmap"]}}, "claims 'vmap', which the protocol has no question for"),
        ({"claims": {"capabilities": ["boxes"]}}, "claims 'boxes', which the protocol has no question for"),
        (
            {"claims": {"capabilities": ["second_derivative"]}},
            "claims 'second_derivative'; the program implements value, gradient",
        ),
        (
            {"signature": {"minimum_rank": 2}},
            "has signature.minimum_rank, which is for Python functions; of a program's signature "
            "targets = 'labels' or 'one-hot' and fixed count",
        ),
        (
            {"conventions": {"alpha_off": "flag"}},
            "declares alpha_off = 'flag', which is for Python functions; a program gets null, or the number that "
            "alpha_off names",
        ),
    ],
)
def test_claims_that_the_program_cannot_meet_are_usage_errors(tmp_path, changes, reason):
    with pytest.raises(UsageError) as caught:
        process_target(command(), profile_file(tmp_path, **changes))
    assert str(caught.value) == f"--target-cmd: profile 'mine' {reason}"


def asked_of(tmp_path, call, **changes):
    """What the program is asked for a call."""
    log = tmp_path / "log"
    target = process_target(command("log", log), profile_file(tmp_path, **changes))
    target.value(call)
    target.close()
    return next(request for request in map(json.loads, log.read_text().splitlines()) if request["command"] == "run")


def test_labels_are_sent_with_the_codes_that_the_profile_declares(tmp_path):
    call = Call(np.zeros((3, 2), np.float32), np.array([1, -1, -2]), function="loss_from_labels")
    conventions = {"background": "classes", "ignore": -100}
    request = asked_of(tmp_path, call, conventions=conventions, signature={"targets": "labels"})
    assert request["function"] == "loss_from_labels"
    # The class, one past the last class for background, and -100 in two's complement.
    assert request["targets"]["bits"] == ["0000000000000001", "0000000000000002", "ffffffffffffff9c"]


def test_labels_become_rows_for_a_program_that_declares_them_one_hot(tmp_path):
    call = Call(np.zeros((2, 3), np.float32), np.array([2, 0]), function="softmax_loss", alpha=None)
    conventions = {"multi_class": "softmax", "alpha": "none"}
    request = asked_of(tmp_path, call, conventions=conventions, signature={"targets": "one-hot"})
    one, zero = "3f800000", "00000000"
    assert request["targets"] == {"dtype": "float32", "shape": [2, 3], "bits": [zero, zero, one, one, zero, zero]}


@pytest.mark.parametrize(("off", "sent"), [("none", None), ("-1", "bff0000000000000")])
def test_no_alpha_is_what_the_profile_declares(tmp_path, off, sent):
    call = Call(np.zeros(1, np.float32), np.ones(1, np.float32), alpha=None)
    request = asked_of(tmp_path, call, conventions={"alpha_off": off})
    assert request["parameters"]["alpha"] == sent


def test_the_description_proves_name_and_version(tmp_path):
    assert process_target(command(), profile_file(tmp_path)).describe() == {
        "target": "misbehaving",
        "version": "misbehaving 1.0",
        "library": "a program, protocol 1",
        "device": "its own process",
    }


def test_members_of_answers_that_a_later_suite_may_know_are_ignored(tmp_path):
    target = process_target(command("more"), profile_file(tmp_path))
    assert target.describe()["version"] == "misbehaving 1.0"
    assert target.value(Call(np.ones(1, np.float32), np.ones(1, np.float32))) == 1.0
    assert target.close() == ""


def test_names_with_escapes_markup_and_separators_are_shown_as_what_they_are(tmp_path):
    target = process_target(command("escapes"), profile_file(tmp_path))
    assert target.name == r"\x1b[2J<script>alert(1)</script>\u202e[red]../../x"


def test_a_program_that_speaks_another_version_still_says_its_name(tmp_path):
    target = process_target(command("future"), profile_file(tmp_path))
    assert target.describe()["version"] == "misbehaving 1.0"


def test_a_program_that_says_nothing_is_a_target_of_which_nothing_is_known(tmp_path):
    target = process_target(command("mute"), profile_file(tmp_path), time_limit=0.3)
    assert target.describe()["target"] == "mine"
    assert target.describe()["version"] == "unknown: it gave no answer within 0.3 s; standard error is empty"


def test_what_the_protocol_cannot_ask_is_said(tmp_path):
    target = process_target(command(), profile_file(tmp_path))
    one = np.ones(1, np.float32)
    with pytest.raises(NotImplementedError, match="protocol 1 has no question for transforms"):
        target.transformed("vmap", Call(one, one))
    with pytest.raises(NotImplementedError, match="protocol 1 has no question for upstream gradients"):
        target.value_and_gradient(Call(one, one), one)


def test_standard_input_of_the_suite_is_not_read_by_the_program(tmp_path):
    reads = f"{shlex.quote(sys.executable)} -I -S -c 'import sys; sys.stdin.read()'"
    target = process_target(reads, profile_file(tmp_path), time_limit=0.3)
    assert target.describe()["version"].startswith("unknown")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünï, 文", "plain, ünï, 文"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b]0;title\x07\x9b31m", r"\x1b]0;title\x07\x9b31m"),
        ("\u202eevil\u2066\u200b\ufeff", r"\u202eevil\u2066\u200b\ufeff"),
        ("\ud800", r"\ud800"),
        ("x" * 300, "x" * 200 + "... (100 more characters)"),
    ],
)
def test_safe_text_leaves_nothing_that_acts_on_a_terminal(text, shown):
    assert safe_text(text) == shown
