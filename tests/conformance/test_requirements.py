"""Requirements, checks, profiles and vectors belong together."""

import pytest

from focal_ref.conformance import requirements as module
from focal_ref.conformance.checks import checks
from focal_ref.conformance.claims import in_scope, not_claimed
from focal_ref.conformance.conventions.scope import CAPABILITY_OF_FUNCTION
from focal_ref.conformance.gate import SELF_CHECK, items_of
from focal_ref.conformance.profiles import CAPABILITIES, load_profile, shipped_profiles
from focal_ref.conformance.profiles.capabilities import FOLLOWING
from focal_ref.conformance.requirements import AREAS, requirements
from focal_ref.conformance.targets.builtin import CAUGHT_BY


def test_every_requirement_has_a_check_and_every_check_a_requirement():
    assert set(checks()) == set(requirements())


def test_there_are_requirements_in_every_area():
    assert {requirement.area for requirement in requirements().values()} == set(AREAS)


@pytest.mark.parametrize("requirement", requirements().values(), ids=lambda requirement: requirement.id)
def test_a_requirement_says_what_why_and_where_from(requirement):
    assert requirement.sentence.endswith(".")
    assert requirement.formula
    assert requirement.source
    assert requirement.rationale
    assert requirement.level in ("core", "extended")
    assert set(requirement.needs) <= set(CAPABILITIES)


@pytest.mark.parametrize("requirement", requirements().values(), ids=lambda requirement: requirement.id)
def test_a_core_requirement_needs_nothing_that_a_profile_would_have_to_list(requirement):
    # What a function is, and what follows from the conventions that it declares.
    follows = {*FOLLOWING, *CAPABILITY_OF_FUNCTION.values(), "easy_elements", "hard_elements"}
    if requirement.level == "core":
        assert set(requirement.needs) <= follows - {"soft_targets", "autodiff", "reduction_sum", "reduction_mean"}


def test_every_capability_is_needed_by_a_requirement():
    # Capabilities without a requirement would be claims that nothing tests.
    needed = {name for requirement in requirements().values() for name in requirement.needs}
    assert set(CAPABILITIES) == needed


@pytest.mark.parametrize("name", shipped_profiles())
def test_the_items_of_a_profile_and_what_it_does_not_claim_are_all_requirements(name):
    profile = load_profile(name)
    run = {item.name for item in items_of(profile)} - {SELF_CHECK}
    left_out = {requirement.id for requirement, _ in not_claimed(profile)}
    formats = {"16-bit": {"float16", "bfloat16"}, "wide": {"float32", "float64"}}
    not_for_it = {
        requirement.id
        for requirement in requirements().values()
        if not in_scope(requirement, profile)
        or not formats.get(requirement.dtypes, {*profile.tiers}) & {*profile.tiers}
    }
    assert run | left_out | not_for_it == set(requirements())
    assert not run & left_out


def test_the_wrong_implementations_name_requirements_that_exist():
    assert {name for names in CAUGHT_BY.values() for name in names} <= set(requirements())


def broken(monkeypatch, old, new):
    """The loader on a text with one thing changed."""
    text = module.files("focal_ref.conformance").joinpath("requirements.toml").read_text(encoding="utf-8")
    assert old in text

    class Files:
        def joinpath(self, name):
            return self

        def read_text(self, encoding):
            return text.replace(old, new, 1)

    monkeypatch.setattr(module, "files", lambda package: Files())
    return module.requirements.__wrapped__


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('id = "FL-VAL-002"', 'id = "FL-VAL-001"', "FL-VAL-001: defined twice"),
        ('since = "0.1"\n', "", r"FL-VAL-001: fields differ: \['since'\]"),
        ('area = "VAL"', 'area = "FOO"', "FL-VAL-001: area 'FOO' is not one of"),
        ('dtypes = "each"', 'dtypes = "some"', "FL-VAL-001: dtypes 'some': allowed are"),
    ],
)
def test_a_malformed_entry_is_named(monkeypatch, old, new, message):
    with pytest.raises(ValueError, match=message):
        broken(monkeypatch, old, new)()
