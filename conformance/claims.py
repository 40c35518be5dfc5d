"""What a profile claims of the requirements."""

from focal_ref.conformance.profiles import KINDS, Profile
from focal_ref.conformance.requirements import Requirement, requirements


def not_claimed(profile: Profile) -> tuple[tuple[Requirement, str], ...]:
    """Requirements that the profile does not claim, each with the capability that is missing."""
    missing = []
    for requirement in requirements().values():
        lacking = [name for name in requirement.needs if name not in profile.capabilities]
        if lacking and in_scope(requirement, profile):
            missing.append((requirement, lacking[0]))
    return tuple(missing)


def claimed(requirement: Requirement, profile: Profile) -> bool:
    """Whether the profile claims everything that the requirement needs."""
    return in_scope(requirement, profile) and all(name in profile.capabilities for name in requirement.needs)


def in_scope(requirement: Requirement, profile: Profile) -> bool:
    """Whether what the profile describes can have the requirement at all: a matcher has no loss."""
    scope = KINDS[profile.kind]
    return scope is None or requirement.area in scope or requirement.id in scope
