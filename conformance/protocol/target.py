"""A program as a target: the suite's calls as questions, and what becomes of a program that does not answer."""

import json
import math
import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

from focal_ref.conformance.conventions.calls import OFF
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.profiles import Profile, ProfileError, load_profile, profile_from
from focal_ref.conformance.protocol import PROTOCOL, messages
from focal_ref.conformance.protocol.claims import check_profile
from focal_ref.conformance.protocol.process import Process
from focal_ref.conformance.protocol.text import safe_text
from focal_ref.conformance.targets import Array, Call, Target, TargetFault, UsageError
from focal_ref.conformance.targets.mapping import own_targets

TIME_LIMIT = 10.0
"""Seconds for one answer."""

SMALLEST_BOUND = 1 << 16
"""Bytes that every answer may have; beyond them four times its request, where two results of its size fit in twice."""

IN_A_REQUIREMENT, IN_A_ROW, HANGS = 2, 3, 12
"""So that a run ends: unanswered questions after which the rest of a requirement is left out; those in a row after
which a program that does not answer the simplest one either is given up; hangs after which every program is."""


@cache
def protocol_schema() -> Mapping[str, Any]:
    """The JSON Schema of requests and answers."""
    text = files("focal_ref.conformance.protocol").joinpath("protocol.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


@dataclass
class _State:
    """What became of a program so far.

    Attributes
    ----------
    fault
        Why it is not asked any more.
    process
        The one that is asked; None before the first question and after one that was not answered.
    asked
        How many questions there were: the last identifier.
    in_a_row, hangs, in_requirement
        Questions without an answer: since the last answer, those that hung, those of this requirement.
    """

    fault: TargetFault | None = None
    process: Process | None = None
    asked: int = 0
    in_a_row: int = 0
    hangs: int = 0
    in_requirement: int | None = None


class ProcessTarget(Target):
    """A program that speaks the protocol.

    Parameters
    ----------
    profile
        What it claims.
    command
        The program and its arguments.
    time_limit
        Seconds for one answer.
    description
        Its answer to `describe`, or what was the matter with it.
    fault
        Why none of its answers can be used, such as another version of the protocol; None where they can.
    """

    def __init__(
        self,
        profile: Profile,
        command: list[str],
        time_limit: float,
        description: Mapping[str, str],
        fault: TargetFault | None = None,
    ) -> None:
        super().__init__(description["target"], profile)
        self._command = command
        self._time_limit = time_limit
        self._description = description
        # In an object of its own: a copy of the target that declares something else asks the same program.
        self._state = _State(fault)

    def describe(self) -> Mapping[str, str]:
        return self._description

    def begin(self) -> None:
        """A new requirement: it is asked for, whatever became of the one before."""
        self._state.in_requirement = 0

    def close(self) -> str:
        """End the program; a sentence about one that does not end or leaves processes behind, or ""."""
        if self._state.process is None:
            return ""
        process, self._state.process = self._state.process, None
        return process.stop(messages.stop(self._next()))

    def value(self, call: Call) -> Array:
        return self._run(call, ("value",))[0]

    def value_and_gradient(self, call: Call, upstream: Array | None = None) -> tuple[Array, Array]:
        if upstream is not None:
            raise _missing("upstream gradients")
        value, gradient = self._run(call, ("value", "gradient"))
        return value, gradient

    def second_derivative(self, call: Call) -> Array:
        return self._run(call, ("second_derivative",))[0]

    def hessian(self, call: Call) -> Array:
        raise _missing("Hessians")

    def parameter_gradient(self, name: str, call: Call) -> Array:
        return self._run(call, (name,))[0]

    def derivative_functions(self, call: Call) -> Mapping[str, Array]:
        raise _missing("functions that return derivatives")

    def detection(
        self, function: str, arrays: Mapping[str, Array | None], options: Mapping[str, Any]
    ) -> Mapping[str, Array]:
        raise _missing("the detection side")

    def detection_gradient(
        self, function: str, arrays: Mapping[str, Array], options: Mapping[str, Any], argument: str, result: str
    ) -> Array:
        raise _missing("the detection side")

    def transformed(self, transform: str, call: Call) -> tuple[Array, Array]:
        raise _missing("transforms")

    def forward_derivative(self, call: Call, tangent: Array) -> Array:
        raise _missing("forward-mode derivatives")

    def _next(self) -> str:
        self._state.asked += 1
        return str(self._state.asked)

    def _run(self, call: Call, quantities: tuple[str, ...]) -> list[Array]:
        if self._state.fault is not None:
            raise TargetFault(self._state.fault.kind, str(self._state.fault))
        if self._state.in_requirement is not None and self._state.in_requirement >= IN_A_REQUIREMENT:
            count = f"{self._state.in_requirement} questions of this requirement"
            raise TargetFault("hang", f"not asked: {count} were not answered before")
        identifier = self._next()
        request = messages.run(identifier, self._in_own_terms(call), quantities)
        try:
            line = self._started().ask(request, SMALLEST_BOUND + 4 * len(request))
            answer = messages.parsed(line, identifier)
        except TargetFault as fault:
            self._unanswered(fault)
            raise
        self._state.in_a_row = 0
        return messages.results(answer, quantities)

    def _in_own_terms(self, call: Call) -> Call:
        """A call with the codes of labels and the number for no alpha that the profile declares."""
        if call.function != self.profile.function:
            return call
        if self.profile.signature.takes_labels:
            call = replace(call, targets=own_targets(call, self.profile))
        off = OFF.get(self.profile.conventions["alpha_off"])
        return call if call.alpha is not None or off is None else replace(call, alpha=off)

    def _started(self) -> Process:
        if self._state.process is None:
            self._state.process = Process(self._command, self._time_limit)
            try:
                handshake(self._state.process, self._next())
            except BaseException:
                self._state.process.kill()
                self._state.process = None
                raise
        return self._state.process

    def _unanswered(self, fault: TargetFault) -> None:
        """Forget the program, which is started anew by the next question, and see whether that still makes sense."""
        if self._state.process is not None:
            self._state.process.kill()
            self._state.process = None
        if self._state.in_requirement is not None:
            self._state.in_requirement += 1
        self._state.in_a_row += 1
        self._state.hangs += fault.kind == "hang"
        if self._state.hangs >= HANGS:
            self._state.fault = TargetFault(
                fault.kind, f"given up after {self._state.hangs} times without an answer; last: {fault}"
            )
        elif self._state.in_a_row >= IN_A_ROW:
            if self._tried():
                self._state.in_a_row = 0
            else:
                self._state.fault = TargetFault(
                    fault.kind, f"given up after {self._state.in_a_row} failures in a row; last: {fault}"
                )

    def _tried(self) -> bool:
        """Whether the program answers the simplest question at all."""
        one = np.ones(1, FORMATS[next(iter(self.profile.tiers))].dtype)
        identifier = self._next()
        try:
            request = messages.run(identifier, Call(one, one), ("value",))
            messages.parsed(self._started().ask(request, SMALLEST_BOUND), identifier)
        except messages.Refused:
            return True
        except TargetFault:
            if self._state.process is not None:
                self._state.process.kill()
                self._state.process = None
            return False
        return True


def handshake(process: Process, identifier: str) -> None:
    """Start, and agree on the version.

    Raises
    ------
    TargetFault
        If the program speaks another one, or does not answer.
    """
    answer = _asked(process, messages.start(identifier), identifier)
    spoken = answer.get("protocol")
    if type(spoken) is not int:
        raise TargetFault("answer", f"start: protocol: got {messages.shown(spoken)}; it is a whole number")
    if spoken != PROTOCOL:
        raise TargetFault("protocol", f"speaks protocol {messages.shown(spoken)}, this suite speaks {PROTOCOL}")


def process_target(command: str, profile_name: str | None, *, time_limit: float = TIME_LIMIT) -> ProcessTarget:
    """A program with the profile that describes it: the named one, or its own.

    Parameters
    ----------
    command
        As in a shell, which is not used: quotes and backslashes mean what they mean there.
    profile_name
        A shipped profile or the path of one; None for the one that the program answers to `describe`.
    time_limit
        Seconds for one answer.

    Raises
    ------
    UsageError
        If the command cannot be started, or if it has no profile. Where there is one, it is no usage error that the
        program does not answer or speaks another version of the protocol: each requirement has that as its result.
    """
    if os.name != "posix":
        raise UsageError("--target-cmd needs processes as POSIX has them; on Windows run it under WSL")
    if not (math.isfinite(time_limit) and time_limit > 0):
        raise UsageError(f"--time-limit: got {time_limit:g}; it is a number of seconds above 0")
    arguments = _arguments(command)
    profile = load_profile(profile_name) if profile_name is not None else None
    answer, fault, remark = _described(arguments, time_limit)
    if fault is not None and fault.kind == "start":
        raise UsageError(f"--target-cmd: {safe_text(command, 80)}: {fault}")
    if profile is None:
        if "profile" not in answer:
            reason = f"it {fault}" if fault else "its answer to describe has none"
            raise UsageError(f"--target-cmd: {safe_text(command, 80)}: no profile: {reason}; give --profile=FILE")
        try:
            profile = profile_from(answer["profile"], f"{safe_text(command, 80)}: describe: profile")
        except ProfileError as error:
            # Its keys and values are the program's.
            raise ProfileError(safe_text(str(error), 1000)) from None
    check_profile(profile, answer)
    name = safe_text(answer.get("name") or profile.name, 60)
    description = {
        "target": name,
        "version": safe_text(f"{name} {answer['version']}" if "version" in answer else f"unknown: it {fault}", 120),
        "library": f"a program, protocol {PROTOCOL}",
        "device": "its own process",
    }
    if remark:
        description["remark"] = remark
    return ProcessTarget(profile, arguments, time_limit, description, fault)


def _arguments(command: str) -> list[str]:
    try:
        arguments = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--target-cmd: got {command!r}: {str(error).lower()}") from error
    if not arguments:
        raise UsageError("--target-cmd: it is empty; name a program and its arguments")
    if shutil.which(arguments[0]) is None:
        raise UsageError(f"--target-cmd: no program {arguments[0]!r} that can be started")
    return arguments


def _described(arguments: list[str], time_limit: float) -> tuple[dict[str, Any], TargetFault | None, str]:
    """The answer to `describe` of a process of its own, why the program cannot be asked, and a remark on its end."""
    process, answer, fault = Process(arguments, time_limit), {}, None
    try:
        try:
            handshake(process, "start")
        except TargetFault as error:
            # `describe` is the same in every version, so that one can be told apart by its name.
            fault = error
        if fault is None or fault.kind == "protocol":
            try:
                answer = _checked(_asked(process, messages.describe("describe"), "describe"), "describe_answer")
            except TargetFault as error:
                fault = fault or error
        remark = process.stop(messages.stop("stop"))
    finally:
        process.kill()
    return answer, fault, remark


def _asked(process: Process, request: bytes, identifier: str) -> dict[str, Any]:
    try:
        return messages.parsed(process.ask(request, SMALLEST_BOUND), identifier)
    except messages.Refused as error:
        raise TargetFault("answer", f"answered {identifier} with an error: {error}") from error


def _checked(answer: dict[str, Any], definition: str) -> dict[str, Any]:
    # Members that this suite does not know are those of a later one.
    known = {
        key: value for key, value in protocol_schema()["$defs"][definition].items() if key != "additionalProperties"
    }
    schema = {**known, "$defs": protocol_schema()["$defs"]}
    for error in Draft202012Validator(schema).iter_errors(answer):
        key = "".join(f"{part}: " for part in error.absolute_path)
        raise TargetFault(
            "answer",
            f"answered describe with what is none: {safe_text(key + error.message, 160)}",
        )
    return answer


def _missing(what: str) -> NotImplementedError:
    return NotImplementedError(f"protocol {PROTOCOL} has no question for {what}")
