"""Which target the options of a command name."""

import os
import sys
from collections.abc import Mapping

from focal_ref.conformance.targets import Target, UsageError
from focal_ref.conformance.targets.python import backend_target, function_target

TARGET_OPTIONS = ("backend", "device", "target", "profile", "target-cmd", "time-limit")
"""Of every command that runs a target."""


def chosen_target(
    *,
    backend: str | None = None,
    device: str | None = None,
    target: str | None = None,
    profile: str | None = None,
    target_cmd: str | None = None,
    time_limit: float | None = None,
) -> Target | None:
    """The target that options name; None if they name none.

    Raises
    ------
    UsageError
        For options that exclude each other, and for a target that cannot run here.
    """
    if backend is not None and (target is not None or profile is not None):
        raise UsageError("--backend runs this project's own code; give --target and --profile instead of it")
    if target_cmd is not None and (backend is not None or target is not None):
        other = "--backend" if backend is not None else "--target"
        raise UsageError(f"--target-cmd runs a program; give {other} or --target-cmd")
    if target_cmd is not None and device is not None:
        raise UsageError("--device is for Python targets; the program of --target-cmd chooses its own device")
    if time_limit is not None and target_cmd is None:
        raise UsageError("--time-limit is for programs; give --target-cmd with it")
    if target_cmd is not None:
        from focal_ref.conformance.protocol.target import TIME_LIMIT, process_target

        return process_target(target_cmd, profile, time_limit=TIME_LIMIT if time_limit is None else time_limit)
    if backend is not None:
        return backend_target(backend, device)
    if target is not None or profile is not None:
        # A module beside the caller, which Python finds for a script but not for an installed command.
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        return function_target(target, profile, device)
    return None


def described(target: Target) -> dict[str, str]:
    """What a target proves of itself by running once.

    Raises
    ------
    UsageError
        If it cannot be called as its profile says.
    """
    try:
        description: Mapping[str, str] = target.describe()
    except UsageError:
        raise
    except Exception as error:  # a target may raise anything
        text = f"{type(error).__name__}: {error}"
        raise UsageError(f"{target.name} cannot be called as its profile says: {text[:300]}") from error
    return dict(description)
