"""The options of every command that runs a target."""

from collections.abc import Callable
from typing import Any

import click

from focal_ref.conformance.profiles import ProfileError
from focal_ref.conformance.targets import Target, UsageError
from focal_ref.conformance.targets.chosen import TARGET_OPTIONS, chosen_target, described

_OPTIONS = (
    click.option("--backend", metavar="NAME", help="This project's own code: numpy, torch:compile, jax:jit, ..."),
    click.option("--device", metavar="DEVICE", help="Where the arrays lie: cpu, cuda, cuda:1."),
    click.option("--target", metavar="MODULE:FUNCTION", help="Any Python function; needs --profile."),
    click.option("--profile", metavar="NAME|FILE", help="A shipped profile by name, or the path of a TOML file."),
    click.option("--target-cmd", metavar="COMMAND", help="A program in any language, by the protocol."),
    click.option("--time-limit", metavar="SECONDS", type=float, help="For one answer of the program."),
)


def target_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name its target."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def chosen(options: dict[str, Any]) -> Target:
    """The target that the options name; they leave `options`, and what cannot be tested is a usage error."""
    given = {name.replace("-", "_"): options.pop(name.replace("-", "_")) for name in TARGET_OPTIONS}
    try:
        target = chosen_target(**given)
    except (UsageError, ProfileError) as error:
        raise click.UsageError(" ".join(str(error).split())) from error
    if target is None:
        raise click.UsageError(
            "name what to test: --backend=NAME, --profile=NAME|FILE with or without --target=MODULE:FUNCTION, "
            "or --target-cmd=COMMAND"
        )
    return target


def description_of(target: Target) -> dict[str, str]:
    """What the target proves of itself; one that cannot be called is a usage error."""
    try:
        return described(target)
    except UsageError as error:
        raise click.UsageError(" ".join(str(error).split())) from error
