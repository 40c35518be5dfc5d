"""A program as a target: its command, its profile, its description."""

import json
import shlex
import sys

import numpy as np
import pytest

from focal_ref.conformance.profiles import ProfileError
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
    ],
)
def test_claims_that_the_program_cannot_meet_are_usage_errors(tmp_path, changes, reason):
    with pytest.raises(UsageError) as caught:
        process_target(command(), profile_file(tmp_path, **changes))
    assert str(caught.value) == f"--target-cmd: profile 'mine' {reason}"


def test_the_description_proves_name_and_version(tmp_path):
    assert process_target(command(), profile_file(tmp_path)).describe() == {
        "target": "misbehaving",
        "version": "misbehaving 1.0",
        "library": "a program, protocol 1",
        "device": "its own process",
    }


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
