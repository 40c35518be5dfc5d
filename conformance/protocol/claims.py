"""What a profile may say of a program: that for which the protocol has questions, and which the program has."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from focal_ref.conformance.profiles import Profile
from focal_ref.conformance.profiles.signature import Signature
from focal_ref.conformance.targets import UsageError
from focal_ref.conformance.targets.detection import CAPABILITIES

OUT_OF_REACH = (
    "autodiff",
    "forward_mode",
    "vmap",
    "compile",
    "autocast",
    "devices",
    "derivative_functions",
    *sorted(CAPABILITIES),
)
"""Capabilities of libraries of arrays and of the detection side, for which the protocol has no questions."""


IN_SIGNATURE = ("targets", "fixed")
"""What counts of the table [signature] of a program."""


def check_profile(profile: Profile, answer: Mapping[str, Any]) -> None:
    """Refuse claims that cannot be asked for, and claims that the program itself does not make.

    Parameters
    ----------
    profile
        Of the program.
    answer
        To `describe`; empty if there was none.

    Raises
    ------
    UsageError
        With the claim and what there is.
    """
    if profile.kind != "loss":
        raise UsageError(
            f"--target-cmd: profile {profile.name!r} describes a {profile.kind}; the protocol has losses only"
        )
    for key in fields(Signature):
        given = getattr(profile.signature, key.name)
        usual = ("rows", "elements") if key.name == "returns" else (getattr(Signature(), key.name),)
        if key.name not in IN_SIGNATURE and given not in usual:
            raise UsageError(
                f"--target-cmd: profile {profile.name!r} has signature.{key.name}, which is for Python functions; "
                "of a program's signature targets = 'labels' or 'one-hot' and fixed count"
            )
    if profile.conventions["alpha_off"] == "flag":
        raise UsageError(
            f"--target-cmd: profile {profile.name!r} declares alpha_off = 'flag', which is for Python functions; a "
            "program gets null, or the number that alpha_off names"
        )
    for capability in OUT_OF_REACH:
        if capability in profile.capabilities:
            raise UsageError(
                f"--target-cmd: profile {profile.name!r} claims {capability!r}, which the protocol has no question for"
            )
    implements = answer.get("implements")
    if implements is None:
        return
    for dtype in profile.tiers:
        if dtype not in implements["dtypes"]:
            has = ", ".join(implements["dtypes"])
            raise UsageError(f"--target-cmd: profile {profile.name!r} claims {dtype!r}; the program implements {has}")
    for quantity in ("gradient", "second_derivative"):
        if quantity in profile.capabilities and quantity not in implements["quantities"]:
            has = ", ".join(implements["quantities"])
            raise UsageError(
                f"--target-cmd: profile {profile.name!r} claims {quantity!r}; the program implements {has}"
            )
