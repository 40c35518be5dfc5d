"""What was released stays: requirements, vectors, budgets; what is new is tentative for one release."""

import copy
import json
from dataclasses import replace

import pytest

from focal_ref.conformance import accuracy, gate, versioning
from focal_ref.conformance.gate import ExitCode, items_of, run_item, verdict
from focal_ref.conformance.profiles import parse_profile
from focal_ref.conformance.requirements import requirements
from focal_ref.conformance.targets.libraries import PlainLibrary
from focal_ref.conformance.targets.python import PythonTarget

from .conftest import PROFILE
from .gate_losses import nan_at_infinity, nan_at_plus_infinity

NONE = {"requirements": frozenset(), "vectors": frozenset()}


@pytest.fixture(scope="module")
def now():
    return versioning.snapshot()


def test_the_record_of_this_release_is_up_to_date_and_every_release_holds(now):
    assert versioning.main([]) == 0, "run: python -m focal_ref.conformance.versioning --write"
    assert versioning.release(versioning.current()) == now
    for name in versioning.releases():
        assert versioning.violations(versioning.release(name), now, versioning.tombstones()) == []


def test_every_requirement_is_of_a_release_that_there_is():
    for requirement in requirements().values():
        assert requirement.since in (*versioning.releases(), versioning.current())


def changed(now, edit):
    """What is said of a suite in which something is other than in the release."""
    new = copy.deepcopy(now)
    edit(new)
    return versioning.violations(now, new, NONE)


def test_a_requirement_that_is_gone_or_changed_is_a_violation(now):
    assert changed(now, lambda new: new["requirements"].pop("FL-VAL-001")) == [
        "FL-VAL-001 of release 0.1 is gone; give it a tombstone"
    ]
    assert changed(now, lambda new: new["requirements"]["FL-VAL-001"].update(level="extended", since="0.2")) == [
        "FL-VAL-001 of release 0.1 has another level, since; withdraw it and give a new one another id"
    ]
    assert changed(now, lambda new: new["requirements"].update({"FL-NEW-001": {"since": "0.2"}})) == []


def test_a_vector_that_is_gone_or_has_other_contents_is_a_violation(now):
    entries = now["vectors"]["vectors/grid"]
    first, content = entries[0].split(" ")
    assert changed(now, lambda new: new["vectors"]["vectors/grid"].pop(0)) == [
        f"vectors/grid: vector {first} of release 0.1 is gone; give it a tombstone"
    ]
    other = "0" * len(content)
    assert changed(now, lambda new: new["vectors"]["vectors/grid"].__setitem__(0, f"{first} {other}")) == [
        f"vectors/grid: vector {first} of release 0.1 has other contents; withdraw it, and use a new id"
    ]
    # Which file it stands in is no matter.
    assert changed(now, lambda new: new["vectors"].update(more=[new["vectors"]["vectors/grid"].pop(0)])) == []


def test_a_tombstone_lets_an_id_go_and_never_come_back(now):
    gone = copy.deepcopy(now)
    first = gone["vectors"]["vectors/grid"].pop(0).split(" ")[0]
    del gone["requirements"]["FL-VAL-001"]
    withdrawn = {"requirements": frozenset({"FL-VAL-001"}), "vectors": frozenset({first})}
    assert versioning.violations(now, gone, withdrawn) == []
    assert versioning.violations(now, now, withdrawn) == [
        "FL-VAL-001 has a tombstone, but is there",
        f"vector {first} has a tombstone, but is there",
    ]


def test_other_budgets_ask_for_a_new_version_of_the_specification(now, monkeypatch):
    original = accuracy.budget
    monkeypatch.setattr(accuracy, "budget", lambda *given, **options: 1.01 * original(*given, **options))
    fingerprint = versioning.budgets_fingerprint()
    assert changed(now, lambda new: new.update(budgets=fingerprint)) == [
        "budgets are others than in release 0.1; give the specification (SPEC) a new version"
    ]
    assert changed(now, lambda new: new.update(budgets=fingerprint, spec="0.2")) == []


def test_the_contents_of_a_vector_are_all_but_its_note():
    group = {"dtype": "float32", "alpha": None, "tests": [{"id": "a", "logit": "00", "note": "x"}]}
    ((_, one),) = versioning._tests({"groups": [group]})
    group["tests"][0]["note"] = "y"
    assert list(versioning._tests({"groups": [group]})) == [("a", one)]
    group["alpha"] = 0.25
    ((_, other),) = versioning._tests({"groups": [group]})
    assert one != other


def test_a_tombstone_without_a_reason_is_refused(tmp_path):
    (tmp_path / "tombstones.toml").write_text('[[vector]]\nid = "grid/a"\ndate = 2027-01-31\n')
    with pytest.raises(ValueError, match=r"tombstones.toml: vector 'grid/a': no reason"):
        versioning.tombstones(tmp_path)


@pytest.mark.parametrize(
    ("since", "level", "tentative"),
    [
        ("0.1", "0.1", False),
        ("0.2", "0.1", True),
        ("0.2", "0.2", True),
        ("0.2", "0.3", False),
        ("0.10", "0.9", True),
        ("0.9", "0.10", False),
        ("0.1", "1.0", False),
    ],
)
def test_what_comes_with_a_release_counts_from_the_next_one_on(since, level, tentative):
    assert versioning.is_tentative(since, level) is tentative


def target(function):
    return PythonTarget("mine", function, parse_profile(PROFILE, "mine.toml"), PlainLibrary("numpy", None, ""))


def test_a_tentative_requirement_is_run_and_shown_and_never_red(monkeypatch):
    new = replace(requirements()["FL-EXT-001"], since="0.2")
    monkeypatch.setattr(gate, "requirements", lambda: {**requirements(), "FL-EXT-001": new})
    one = target(nan_at_infinity)
    (item,) = (item for item in items_of(one.profile) if item.name == "FL-EXT-001")
    for level, code in (("0.1", ExitCode.CONFORMANT), ("0.2", ExitCode.CONFORMANT), ("0.3", ExitCode.NOT_CONFORMANT)):
        result = run_item(item, one, "", level=level)
        assert not result.passed
        assert result.text
        assert verdict([item], [result], None)[0] == code
    result = run_item(item, one, "", level="0.2")
    assert verdict([item], [result], None)[1] == "conformant: 0 items passed; 1 tentative requirement not met"


def test_a_failure_of_new_vectors_alone_is_tentative(monkeypatch, tmp_path):
    """Releases 0.1 without the vectors of +inf, and 0.2 with them."""
    record = versioning.release("0.1")
    (item,) = (one for one in items_of(target(nan_at_infinity).profile) if one.name == "FL-EXT-001")
    failing = run_item(item, target(nan_at_plus_infinity), "")
    new = {versioning._short(case) for cases in failing.failing.values() for case in cases}
    assert new
    old = [entry for entry in record["vectors"]["vectors/extremes"] if entry.split(" ")[0] not in new]
    (tmp_path / "0.1.json").write_text(json.dumps({"vectors": {"vectors/extremes": old}}))
    (tmp_path / "0.2.json").write_text(json.dumps({"vectors": record["vectors"]}))
    monkeypatch.setattr(versioning, "_folder", lambda: tmp_path)
    for function, level, tentative in (
        (nan_at_plus_infinity, "0.1", True),
        (nan_at_plus_infinity, "0.2", True),
        (nan_at_plus_infinity, "0.3", False),
        (nan_at_infinity, "0.2", False),
    ):
        assert run_item(item, target(function), "", level=level).tentative is tentative
