"""What a waiver covers, when it is in force, and what is said of one that does not fit: docs/gate.md, without a run."""

from dataclasses import FrozenInstanceError
from datetime import date, timedelta

import pytest
from packaging.version import Version

from focal_ref.conformance.waivers import (
    Facts,
    Failure,
    Waiver,
    WaiverError,
    WaiverFile,
    is_unexpected,
    load_waivers,
    parse_waivers,
    problems,
    waived,
)

TODAY = date(2026, 6, 30)
FACTS = Facts("cpu", Version("1.5"), TODAY)
NAME = "FL-EXT-001"
EXPECTED = [(NAME, "float32"), (NAME, "float64"), ("FL-VAL-009", "")]


def waiver(number=1, **changes):
    fields = {"requirement": NAME, "signature": "nan", "reason": "no limit", "link": "https://example.org/1"}
    return Waiver(**{"number": number, **fields, "expires": TODAY, **changes})


def file(*waivers):
    return WaiverFile("w.toml", "mine", waivers)


def failure(dtype="float32", passing=(), requirement=NAME, **failing):
    return Failure(requirement, dtype, {way: tuple(cases) for way, cases in failing.items()}, tuple(passing))


@pytest.mark.parametrize(
    ("description", "version", "device"),
    [
        ({"version": "optax 0.2.8", "device": "cpu"}, Version("0.2.8"), "cpu"),
        ({"version": "a long name 3.1rc1", "device": "cuda:1"}, Version("3.1rc1"), "cuda:1"),
        ({"version": "0.2.8"}, Version("0.2.8"), ""),
        ({"version": "optax unknown"}, None, ""),
        ({"version": ""}, None, ""),
        ({}, None, ""),
    ],
)
def test_the_facts_are_the_last_word_of_the_version_and_the_device(description, version, device):
    assert Facts.of(description, TODAY) == Facts(device, version, TODAY)


@pytest.mark.parametrize(
    ("condition", "device", "holds"),
    [
        ("", "cuda:1", True),
        ("cuda", "cuda:1", True),
        ("cuda", "cuda", True),
        ("cuda:1", "cuda:1", True),
        ("cuda:0", "cuda:1", False),
        ("cuda:1", "cuda", False),
        ("cpu", "cuda:1", False),
        ("cpu", "cpu", True),
    ],
)
def test_a_device_is_a_kind_of_devices_or_one_of_them(condition, device, holds):
    assert waiver(device=condition).in_force(Facts(device, None, TODAY)) == holds


@pytest.mark.parametrize(
    ("condition", "version", "holds"),
    [
        ("", None, True),
        ("<2", None, False),
        ("<2", "1.9", True),
        ("<2", "2.0", False),
        (">=1.0,<2", "1.5rc1", True),
        ("==1.5", "1.5", True),
    ],
)
def test_a_version_is_compared_if_one_is_proved_and_releases_to_come_count(condition, version, holds):
    facts = Facts("cpu", Version(version) if version else None, TODAY)
    assert waiver(version=condition).in_force(facts) == holds


def test_a_condition_of_device_and_version_holds_if_both_do():
    both = waiver(device="cpu", version="<2")
    assert both.in_force(FACTS)
    assert not both.in_force(Facts("cuda:0", Version("1.5"), TODAY))
    assert not both.in_force(Facts("cpu", Version("2.5"), TODAY))


@pytest.mark.parametrize(
    ("dtypes", "requirement", "dtype", "covered"),
    [
        ((), NAME, "float32", True),
        ((), "FL-EXT-002", "float32", False),
        (("float32",), NAME, "float32", True),
        (("float32",), NAME, "float64", False),
        (("float32", "float64"), NAME, "float64", True),
        (("float32",), "FL-EXT-002", "float32", False),
    ],
)
def test_a_waiver_covers_its_requirement_in_its_formats(dtypes, requirement, dtype, covered):
    assert waiver(dtypes=dtypes).covers(requirement, dtype) == covered


def test_a_waiver_selects_what_any_of_its_vectors_names_in_full_and_everything_without_vectors():
    assert waiver().selects("anything")
    two = waiver(vectors=("a/*", "b"))
    assert [two.selects(case) for case in ("a/1", "a/", "b", "b/1", "c/a/1", "a/1\nb")] == [
        *(True, True, True, False, False, True)
    ]


def test_what_was_read_does_not_change():
    for one, name in ((FACTS, "device"), (waiver(), "expires"), (file(), "waivers"), (failure(), "failing")):
        with pytest.raises(FrozenInstanceError):
            setattr(one, name, None)


def test_texts_call_things_by_number_requirement_and_format():
    assert waiver(3).name == "waiver 3 (FL-EXT-001)"
    assert waiver(3).text == "no limit (https://example.org/1)"
    assert failure("float32").name == "FL-EXT-001 float32"
    assert failure("", requirement="FL-VAL-009").name == "FL-VAL-009"


def test_a_failure_is_waived_if_each_of_its_cases_is_and_each_reason_is_named_once():
    first = waiver(1, vectors=("a/*",))
    second = waiver(2, vectors=("b/*",), reason="another")
    zero = waiver(3, signature="zero", reason="zeros")
    item = failure(nan=["a/1", "a/2", "b/1"])
    assert waived(item, file(first, second), FACTS) == (
        "no limit (https://example.org/1); another (https://example.org/1)"
    )
    assert waived(item, file(first), FACTS) == ""
    assert waived(failure(nan=["a/1"], zero=["a/1"]), file(first), FACTS) == ""
    assert waived(failure(nan=["a/1"], zero=["a/1"]), file(first, zero), FACTS).endswith(
        "; zeros (https://example.org/1)"
    )
    assert waived(failure(zero=["a/1"]), file(first), FACTS) == ""
    assert waived(failure(passing=["a/1"]), file(first), FACTS) == ""


def test_a_waiver_lasts_until_the_end_of_its_day():
    item = failure(nan=["a"])
    assert waived(item, file(waiver(expires=TODAY)), FACTS)
    assert not waived(item, file(waiver(expires=TODAY - timedelta(1))), FACTS)
    assert waived(item, file(waiver(expires=TODAY + timedelta(1))), FACTS)
    items = [failure("float32", nan=["a"]), failure("float64", nan=["a"])]
    assert problems(file(waiver(expires=TODAY)), EXPECTED, items, FACTS) == []
    assert problems(file(waiver(expires=TODAY - timedelta(1))), EXPECTED, items, FACTS) == [
        "w.toml: waiver 1 (FL-EXT-001): expired on 2026-06-29; mend the fault, or renew the waiver for a reason"
    ]


@pytest.mark.parametrize("changes", [{"device": "cuda"}, {"dtypes": ("float64",)}, {"requirement": "FL-EXT-002"}])
def test_what_is_not_in_force_or_covers_something_else_waives_nothing(changes):
    item = failure(nan=["a"])
    assert waived(item, file(waiver(**changes)), FACTS) == ""
    assert is_unexpected(item, file(waiver(**changes)), FACTS)


def test_unexpected_is_what_no_waiver_speaks_of_not_even_an_expired_one_or_one_of_another_way():
    item = failure(nan=["a/1"], zero=["b/1"])
    both = waiver(1, vectors=("a/*",), expires=date(2020, 1, 1)), waiver(2, vectors=("b/*",), signature="shape")
    assert not is_unexpected(item, file(*both), FACTS)
    assert is_unexpected(item, file(both[0]), FACTS)
    assert is_unexpected(item, file(both[1]), FACTS)
    assert is_unexpected(item, file(), FACTS)
    assert is_unexpected(failure(), file(*both), FACTS), "a failure without cases is not what a waiver can speak of"


def said(one, *items, expected=EXPECTED, facts=FACTS):
    """The problems of one waiver, without what each begins with."""
    texts = problems(file(one), expected, items, facts)
    assert all(text.startswith("w.toml: waiver 1 (FL-") for text in texts)
    return [text.partition("): ")[2] for text in texts]


def test_a_waiver_that_covers_exactly_what_fails_is_no_problem():
    assert said(waiver(), failure("float32", nan=["a"]), failure("float64", nan=["a"])) == []
    one = waiver(vectors=("a/*",), dtypes=("float32",))
    assert said(one, failure("float32", ["b/1"], nan=["a/1", "a/2"], zero=["c/1"]), failure("float64", ["a/1"])) == []
    twice = failure("float32", nan=["a/1", "a/2"], zero=["a/1"])
    assert said(one, twice) == [], "a case that fails in this way and another is as expected"


def test_a_waiver_of_what_the_run_does_not_have_is_unmatched():
    assert said(waiver(requirement="FL-LAB-001")) == ["unmatched: the run has no FL-LAB-001; remove it"]
    assert said(waiver(dtypes=("float32", "float16", "bfloat16"))) == [
        "unmatched: when.dtype 'float16'; it is run in float32, float64"
    ]
    assert said(waiver(requirement="FL-VAL-009", dtypes=("float32",))) == [
        "unmatched: when.dtype 'float32'; it is run in once, so leave when.dtype out"
    ]
    assert said(waiver(version="<2"), facts=Facts("cpu", None, TODAY)) == [
        "unmatched: when.version '<2', but the target proves no version"
    ]


def test_of_a_waiver_that_is_not_in_force_or_not_run_in_full_nothing_is_said():
    passing = failure("float32", ["a"]), failure("float64", ["a"])
    assert said(waiver(device="cuda", expires=date(2020, 1, 1)), *passing) == []
    assert said(waiver(version=">2"), *passing) == []
    assert said(waiver(), passing[0]) == []
    assert said(waiver(dtypes=("float32",)), passing[0]) == ["stale: FL-EXT-001 passes now; remove the waiver"]


def test_a_waiver_of_what_passes_now_is_stale():
    passing = failure("float32", ["a"]), failure("float64", ["a"])
    text = "stale: FL-EXT-001 passes now; remove the waiver"
    assert said(waiver(), *passing) == [text]
    assert said(waiver(vectors=("a",)), *passing) == [text]
    other = failure("float32", ["a"], nan=["b"]), failure("float64", ["a"])
    assert said(waiver(vectors=("a", "c/*")), *other) == ["unmatched or stale: a, c/* names no case that fails"]


def test_a_failure_in_another_way_is_named_with_three_of_its_cases():
    item = failure("float32", zero=["a/1", "a/2", "a/3", "a/4", "a/5"])
    assert said(waiver(dtypes=("float32",)), item) == [
        "FL-EXT-001 float32 fails in another way: expected is 'nan', got 'zero' in a/1, a/2, a/3 and 2 more"
    ]
    four = failure("float32", zero=["a/1", "a/2", "a/3", "a/4"])
    assert said(waiver(dtypes=("float32",)), four)[0].endswith("got 'zero' in a/1, a/2, a/3 and 1 more")
    item = failure("float32", nan=["a/1"], zero=["a/1", "a/2", "b/3", "a/4", "a/5"], shape=["a/9"])
    assert said(waiver(dtypes=("float32",), vectors=("a/*",)), item) == [
        "FL-EXT-001 float32 fails in another way: expected is 'nan', got 'zero' in a/2, a/4, a/5",
        "FL-EXT-001 float32 fails in another way: expected is 'nan', got 'shape' in a/9",
    ]


def test_a_format_or_a_vector_that_passes_makes_a_waiver_too_broad():
    items = failure("float32", nan=["a/1"]), failure("float64", ["a/1"])
    assert said(waiver(), *items) == ["broader than what fails: FL-EXT-001 float64 passes; narrow when.dtype"]
    some = failure("float32", ["a/2", "b/1"], nan=["a/1"])
    assert said(waiver(dtypes=("float32",)), some) == [
        "broader than what fails: FL-EXT-001 float32 passes in a/2, b/1; name what fails in vectors"
    ]
    assert said(waiver(dtypes=("float32",), vectors=("a/*",)), some) == [
        "broader than what fails: FL-EXT-001 float32 passes in a/2; narrow vectors"
    ]
    assert said(waiver(dtypes=("float32",), vectors=("a/*", "b/*")), some) == [
        "broader than what fails: FL-EXT-001 float32 passes in a/2, b/1; narrow vectors",
        "unmatched or stale: vectors 'b/*' names no case that fails; remove it",
    ]


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path):
    with pytest.raises(WaiverError, match=r"^--waivers: .*none\.toml: cannot be read: "):
        load_waivers(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"target = '\xe4'")
    with pytest.raises(WaiverError, match=r"^--waivers: .*latin\.toml: cannot be read: "):
        load_waivers(tmp_path / "latin.toml")


ENTRY = """
[[waiver]]
requirement = "FL-EXT-001"
outcome = "fail"
signature = "nan"
reason = "no limit"
link = "https://example.org/1"
expires = 2026-06-30
"""


def test_waivers_are_numbered_and_have_all_that_the_file_says(tmp_path):
    when = 'when = {{ dtype = {}, device = "cuda:0", version = "<2" }}\nvectors = ["a/*", "b"]\n'
    text = f'target = "mine"\n{ENTRY}{ENTRY}{when.format(["float32", "float64"])}{ENTRY}{when.format(repr("float16"))}'
    (tmp_path / "w.toml").write_text(text)
    conditions = {"device": "cuda:0", "version": "<2", "vectors": ("a/*", "b")}
    assert load_waivers(tmp_path / "w.toml") == WaiverFile(
        str(tmp_path / "w.toml"),
        "mine",
        (
            waiver(1),
            waiver(2, dtypes=("float32", "float64"), **conditions),
            waiver(3, dtypes=("float16",), **conditions),
        ),
    )


@pytest.mark.parametrize(
    "version", ["<0.3", ">=1,<1.0.1", "==1.4.*", "!=1.0", "===local-build", ">1,<2", ">=3", ">1.0,<1.0.2"]
)
def test_a_condition_that_some_version_fulfils_is_accepted(version):
    (one,) = parse_waivers(f'target = "mine"\n{ENTRY}when = {{ version = "{version}" }}\n', "w.toml").waivers
    assert one.version == version


@pytest.mark.parametrize("version", ["<1,>2", "==1,==2", "<0", ">=2,<2", "==1.4.*,>=1.5", ">1.0,<1.0.post2"])
def test_a_condition_that_no_version_fulfils_is_refused(version):
    with pytest.raises(WaiverError, match=r"w\.toml: waiver 1: when\.version: got .*, which no version fulfils"):
        parse_waivers(f'target = "mine"\n{ENTRY}when = {{ version = "{version}" }}\n', "w.toml")


def test_the_first_error_of_a_file_is_shown_with_the_number_of_its_waiver():
    text = f'target = "mine"\n{ENTRY}{ENTRY.replace("nan", "x")}{ENTRY.replace("nan", "y")}'
    with pytest.raises(WaiverError, match=r"^w\.toml: waiver 2: signature: 'x' is not one of"):
        parse_waivers(text, "w.toml")
    with pytest.raises(WaiverError, match=r"^w\.toml: waiver 1: vectors\.1: '' should be non-empty"):
        parse_waivers(f'target = "mine"\n{ENTRY}vectors = ["a", ""]\n', "w.toml")
