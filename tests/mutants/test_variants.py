"""Implementations that are right and different are accused of nothing."""

from dataclasses import replace

import pytest

from focal_ref.conformance.conventions.axes import AXES
from focal_ref.conformance.variants import __main__ as command
from focal_ref.conformance.variants import false_alarms, variants

SLOW = ("FL-RED-009", "FL-SMX-012", "FL-EXT-006")
"""Ten million losses, a thousand classes and all logits of 16 bits; the command runs them too."""


@pytest.mark.parametrize("variant", [pytest.param(one, id=one.name) for one in variants()])
def test_a_variant_is_accused_of_nothing(variant):
    items, accused = false_alarms(variant, SLOW)
    assert items > 15
    assert not accused


def test_every_variant_says_what_is_different():
    assert len(variants()) >= 15
    assert all(variant.difference.endswith(".") for variant in variants())


@pytest.mark.parametrize(
    "axis", ["prediction", "multi_class", "alpha", "soft_targets", "clipping", "mean", "subnormals"]
)
def test_every_convention_of_an_axis_has_a_variant(axis):
    declared = {variant.profile().conventions[axis] for variant in variants()}
    assert set(AXES[axis]) - declared <= {"blended"}, "the numpy profile has the blended rule"


def test_a_variant_with_a_fault_is_accused():
    (right,) = (variant for variant in variants() if variant.name == "alpha_uniform")

    class Swapped(type(right)):
        def target(self):
            target = right.target()
            target.profile = replace(target.profile, conventions={**target.profile.conventions, "alpha": "pos-only"})
            return target

    _, accused = false_alarms(Swapped(right.name, right.difference), SLOW)
    assert {"FL-VAL-001", "FL-DECL-004"} <= {item.name for item in accused}


def test_the_command_counts_false_alarms(monkeypatch, capsys):
    (one,) = (variant for variant in variants() if variant.name == "of_probabilities")
    monkeypatch.setattr(command, "variants", lambda: (one,))
    monkeypatch.setattr(command, "false_alarms", lambda variant: (24, ["FL-VAL-013-float32"]))
    assert command.main() == 1
    assert capsys.readouterr().out == "of_probabilities: 24 items, FL-VAL-013-float32\n1 variants, 1 false alarms\n"
