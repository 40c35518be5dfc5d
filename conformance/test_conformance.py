"""What pytest collects: one test an item of the gate; `focal_ref.conformance.pytest_plugin` makes the items."""

import pytest

from focal_ref.conformance.gate import Item, Result


def test_requirement(conformance_item: Item, run_conformance: Result) -> None:
    """The target meets the requirement, or the failure text says how it does not."""
    assert run_conformance.item == conformance_item
    assert run_conformance.comparisons > 0, run_conformance.text
    if not run_conformance.passed and not run_conformance.is_red:
        pytest.xfail(run_conformance.waiver or "tentative")
    assert run_conformance.passed, run_conformance.text
