"""Expected failures: exactly what fails, in the way that it fails, until a day."""

import json
from datetime import date
from importlib.resources import files

import pytest

from focal_ref.conformance.cases import SIGNATURES
from focal_ref.conformance.formats import FORMATS
from focal_ref.conformance.gate import ExitCode
from focal_ref.conformance.narrowing import narrowed
from focal_ref.conformance.waivers import Facts, Failure, WaiverError, parse_waivers, pattern_of

WAIVER = """\
# why this file is here
target = "mine"

[[waiver]]  # the first
requirement = "FL-EXT-001"
outcome = "fail"
signature = "nan"
reason = "no limit at infinity"
link = "https://example.org/issues/1"
expires = 2099-06-30
"""


def waiver(**changes):
    """The file with keys of its waiver changed or, if None, left out; `vectors` and `when` are added."""
    lines = []
    for line in WAIVER.splitlines():
        key = line.partition(" =")[0]
        if key in changes and changes[key] is None:
            changes.pop(key)
            continue
        lines.append(f"{key} = {changes.pop(key)}" if key in changes else line)
    return "\n".join([*lines, *(f"{key} = {value}" for key, value in changes.items())]) + "\n"


def judged(gate, function, text, *options):
    """Run the suite with a waiver file."""
    gate.without_self_checks(*ENOUGH)
    gate.write("waivers.toml", text)
    return gate.conform(function, "--waivers=waivers.toml", *options)


ENOUGH = ("FL-VAL-001", "FL-VAL-002", "FL-VAL-004", "FL-VAL-009", "FL-EXT-001", "FL-SHP-001", "FL-SHP-002")
PLUS = "extremes/float32/*/logit=7f800000"


@pytest.mark.parametrize(
    ("function", "changes"),
    [
        ("nan_at_infinity", {}),
        ("nan_at_infinity", {"when": '{ dtype = "float32", device = "cpu", version = ">=0.1,<9" }'}),
        ("nan_at_infinity", {"when": '{ dtype = ["float32"] }'}),
        ("nan_at_infinity", {"vectors": '["extremes/*/logit=7f800000", "extremes/*/logit=ff800000"]'}),
        ("nan_at_plus_infinity", {"vectors": f'["{PLUS}"]'}),
        ("raises_for_no_elements", {"requirement": '"FL-SHP-001"', "signature": '"raise"', "vectors": None}),
        ("accepts_any_shape", {"requirement": '"FL-SHP-002"', "signature": '"accepted"', "vectors": None}),
    ],
)
def test_what_fails_as_expected_is_waived_and_not_conformant(gate, function, changes):
    if changes.get("vectors", "") is None:
        found = discover(gate, function, changes["requirement"].strip('"'))
        changes = {**changes, "vectors": json.dumps(found)}
    done = judged(gate, function, waiver(**changes))
    assert done.code == ExitCode.CONFORMANT, done.output
    assert "verdict: no unexpected failure: 1 waived requirement, not conformant (exit code 0)" in done.output
    (item,) = (item for item in gate.items().values() if not item["passed"])
    assert item["waiver"] == "no limit at infinity (https://example.org/issues/1)"


def discover(gate, function, requirement):
    """The cases of a requirement that fail, from the record of a run without waivers."""
    gate.without_self_checks(*ENOUGH)
    gate.conform(function)
    (item,) = (line for line in gate.items().values() if line["requirement"] == requirement and not line["passed"])
    failing = item["cases"]["failing"].values()
    return sorted(parent + leaf for groups in failing for parent, leaves in groups.items() for leaf in leaves)


@pytest.mark.parametrize(
    ("function", "changes", "reason"),
    [
        ("right", {}, "waiver 1 (FL-EXT-001): stale: FL-EXT-001 passes now; remove the waiver"),
        (
            "nan_at_infinity",
            {"expires": "2020-01-01"},
            "waiver 1 (FL-EXT-001): expired on 2020-01-01; mend the fault, or",
        ),
        (
            "nan_at_plus_infinity",
            {},
            "waiver 1 (FL-EXT-001): broader than what fails: FL-EXT-001 float32 passes in extremes",
        ),
        (
            "nan_at_plus_infinity",
            {"vectors": '["extremes/*"]'},
            "broader than what fails: FL-EXT-001 float32 passes in",
        ),
        (
            "nan_at_infinity",
            {"signature": '"zero"'},
            "fails in another way: expected is 'zero', got 'nan' in extremes/",
        ),
        (
            "nan_at_infinity",
            {"vectors": '["extremes/*", "grid/*"]'},
            "unmatched or stale: vectors 'grid/*' names no case that fails; remove it",
        ),
        ("nan_at_infinity", {"vectors": '["grid/*"]'}, None),
        (
            "right",
            {"requirement": '"FL-LAB-001"'},
            "waiver 1 (FL-LAB-001): unmatched: the run has no FL-LAB-001; remove",
        ),
        (
            "nan_at_infinity",
            {"when": '{ dtype = "float64" }'},
            None,
        ),
        (
            "right",
            {"when": '{ dtype = "float64" }'},
            "waiver 1 (FL-EXT-001): unmatched: when.dtype 'float64'; it is run in float32",
        ),
        (
            "right",
            {"requirement": '"FL-VAL-009"', "when": '{ dtype = "float32" }'},
            "unmatched: when.dtype 'float32'; it is run in once, so leave when.dtype out",
        ),
    ],
)
def test_a_waiver_that_does_not_fit_is_red(gate, function, changes, reason):
    done = judged(gate, function, waiver(**changes))
    if reason is None:
        # What it does not name fails unexpectedly, which comes first; the waiver is counted.
        assert done.code == ExitCode.NOT_CONFORMANT, done.output
        assert "1 requirement not met; 1 waiver problem" in done.output
        return
    assert done.code == ExitCode.WAIVERS, done.output
    (verdict,) = (line for line in done.output.splitlines() if line.startswith("verdict: "))
    assert verdict.startswith("verdict: waivers.toml: waiver 1 (FL-")
    assert reason in verdict


@pytest.mark.parametrize("when", ['{ device = "cuda" }', '{ version = ">=9" }'])
def test_a_waiver_of_another_device_or_version_neither_waives_nor_complains(gate, when):
    text = waiver(when=when)
    assert judged(gate, "right", text).code == ExitCode.CONFORMANT
    done = judged(gate, "nan_at_infinity", text)
    assert done.code == ExitCode.NOT_CONFORMANT, done.output


def test_an_unexpected_failure_beside_a_waived_one_counts(gate):
    done = judged(gate, "swaps_alpha", waiver(requirement='"FL-VAL-009"', signature='"other"'))
    assert done.code == ExitCode.NOT_CONFORMANT, done.output


def test_of_what_was_filtered_no_waiver_is_called_stale(gate):
    done = judged(gate, "right", waiver(), "-k", "FL-VAL")
    assert done.code == ExitCode.INCOMPLETE, done.output


def test_waivers_of_another_target_are_refused(gate):
    gate.write("waivers.toml", WAIVER.replace('"mine"', '"optax"'))
    done = gate.conform("right", "--waivers=waivers.toml")
    assert done.code == ExitCode.USAGE
    assert "--waivers: waivers.toml: target: got 'optax'; that of this run is mine" in done.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("target = ", "w.toml: not valid TOML: "),
        ("target = 3\nwaiver = []", "w.toml: target: 3 is not of type 'string'"),
        ('target = "mine"', "w.toml: 'waiver' is a required property"),
        (waiver(reason=None), "w.toml: waiver 1: 'reason' is a required property"),
        (waiver(note='"x"'), r"w.toml: waiver 1: Additional properties are not allowed \('note' was unexpected\)"),
        (waiver(signature='"nans"'), r"w.toml: waiver 1: signature: 'nans' is not one of \['nan', 'zero', 'infinity'"),
        (waiver(outcome='"skip"'), r"w.toml: waiver 1: outcome: 'skip' is not one of \['fail'\]"),
        (
            waiver(requirement='"FL-XYZ-001"'),
            "w.toml: waiver 1: requirement: got 'FL-XYZ-001'; there is none of that id",
        ),
        (waiver(vectors='"a"'), "w.toml: waiver 1: vectors: 'a' is not of type 'array'"),
        (waiver(vectors="[]"), r"w.toml: waiver 1: vectors: \[\] should be non-empty"),
        (waiver(when='{ dtype = "float23" }'), r"w.toml: waiver 1: when.dtype: 'float23' is not one of \['float64'"),
        (waiver(when='{ cpu = "x" }'), "w.toml: waiver 1: when: Additional properties are not allowed"),
        (
            waiver(when='{ version = "new" }'),
            "w.toml: waiver 1: when.version: got 'new'; it is a specifier such as '<0.3'",
        ),
        (waiver(when='{ version = "<1,>2" }'), "w.toml: waiver 1: when.version: got '<1,>2', which no version fulfils"),
        (
            waiver(expires='"2027-13-01"'),
            "w.toml: waiver 1: expires: got '2027-13-01'; it is a date such as 2027-06-30",
        ),
        (waiver(expires="2027-06-30T10:00:00"), "w.toml: waiver 1: expires: .* is not of type 'string'"),
        (waiver(note='"x"'), ".*; allowed are requirement, vectors, when, outcome, signature, reason, link, expires"),
        (waiver(expires="2027-06-30T10:00:00"), ".*; it is a date such as 2027-06-30"),
        (waiver(reason='"  "'), "w.toml: waiver 1: reason: "),
        ('target = "mine"\n[waiver]', r"w.toml: waiver: each waiver begins with \[\[waiver\]\]"),
        (waiver(link='"somewhere"'), "w.toml: waiver 1: link: 'somewhere' does not match"),
    ],
)
def test_a_malformed_file_is_refused_with_place_value_and_what_is_allowed(text, reason):
    with pytest.raises(WaiverError, match=f"^{reason}"):
        parse_waivers(text, "w.toml")


def test_the_schema_knows_the_same_signatures_and_formats():
    schema = json.loads(files("focal_ref.conformance").joinpath("waivers.schema.json").read_text())
    fields = schema["properties"]["waiver"]["items"]["properties"]
    assert fields["signature"]["enum"] == list(SIGNATURES)
    assert fields["when"]["properties"]["dtype"]["anyOf"][0]["enum"] == list(FORMATS)
    (one,) = parse_waivers(WAIVER, "w.toml").waivers
    assert one.expires == date(2099, 6, 30)


def test_only_a_star_is_special_in_a_glob():
    assert pattern_of("shape (2, 3)/*").fullmatch("shape (2, 3)/gamma=0.5")
    assert not pattern_of("a.b[0]").fullmatch("axb0")


def narrow(gate, text, *options, function="nan_at_plus_infinity"):
    gate.without_self_checks(*ENOUGH)
    gate.write("waivers.toml", text)
    gate.conform(function)
    done = gate.command("expect", *options, "focal-ref-report/mine.jsonl", "waivers.toml")
    return done, (gate.folder / "waivers.toml").read_text()


def test_without_narrow_the_file_stays_and_what_would_change_is_said(gate):
    done, text = narrow(gate, WAIVER)
    assert done.code == ExitCode.WAIVERS
    assert "waivers.toml: waiver 1 (FL-EXT-001): vectors narrowed to those that fail" in done.output
    assert "1 of 1 waivers would change; --narrow rewrites the file" in done.output
    assert text == WAIVER


@pytest.mark.parametrize("changes", [{}, {"vectors": '["extremes/*"]'}, {"vectors": '["extremes/*/logit=7f8*", "a*"]'}])
def test_a_narrowed_file_covers_exactly_what_fails_and_keeps_comments(gate, changes):
    done, text = narrow(gate, waiver(**changes), "--narrow")
    assert done.code == 0, done.output
    assert text.startswith("# why this file is here\n")
    assert "[[waiver]]  # the first\n" in text
    (one,) = parse_waivers(text, "waivers.toml").waivers
    (old,) = parse_waivers(waiver(**changes), "waivers.toml").waivers
    assert all(old.selects(glob) for glob in one.vectors), "it never grows"
    assert judged(gate, "nan_at_plus_infinity", text).code == ExitCode.CONFORMANT
    done, again = narrow(gate, text, "--narrow")
    assert done.code == 0
    assert "nothing to narrow" in done.output
    assert again == text


def test_what_passes_now_is_dropped_and_what_is_not_run_is_left(gate):
    two = WAIVER + WAIVER.partition("\n\n")[2].replace("EXT-001", "SHP-002").replace("the first", "the second")
    done, text = narrow(gate, two, "--narrow", function="nan_at_infinity")
    assert done.code == 0, done.output
    assert "waiver 2 (FL-SHP-002): dropped: nothing fails as 'nan' any more" in done.output
    assert text == WAIVER
    gate.conform("right", "-k", "FL-VAL-001")
    done = gate.command("expect", "--narrow", "focal-ref-report/mine.jsonl", "waivers.toml")
    assert "not run in full; left as it is" in done.output
    assert (gate.folder / "waivers.toml").read_text() == WAIVER


def test_narrowing_never_covers_what_fails_in_another_way(gate):
    done, text = narrow(gate, waiver(signature='"zero"'), "--narrow", function="nan_at_infinity")
    assert "dropped: nothing fails as 'zero' any more" in done.output
    assert parse_waivers(text, "waivers.toml").waivers == ()


def test_records_that_cannot_be_used_are_usage_errors_and_the_file_stays(gate):
    gate.without_self_checks(*ENOUGH)
    gate.write("waivers.toml", WAIVER)
    done = gate.command("expect", "--narrow", "nothing.jsonl", "waivers.toml")
    assert done.code == ExitCode.USAGE
    assert "nothing.jsonl: cannot be read" in done.output
    gate.conform("right", "--case=FL-VAL-002/float32/saturation/float32/gamma=0.5/alpha=none/target=1/logit=41700000")
    done = gate.command("expect", "--narrow", "focal-ref-report/mine.jsonl", "waivers.toml")
    assert done.code == ExitCode.USAGE
    assert "of one case alone; give the record of a whole run" in done.output
    gate.conform("right")
    gate.write("waivers.toml", WAIVER.replace('"mine"', '"yours"'))
    done = gate.command("expect", "--narrow", "focal-ref-report/mine.jsonl", "waivers.toml")
    assert done.code == ExitCode.USAGE
    assert "target: got 'yours'; the record is of mine" in done.output


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # All of a/b fails: a glob says so, if what it would cover of vectors to come was covered before.
        ('["*"]', ("a/b/*",)),
        ('["a/*"]', ("a/b/*",)),
        ('["a/*/x", "a/*/y", "a/c/z"]', ("a/b/x", "a/b/y")),
    ],
)
def test_a_narrowed_glob_is_within_an_old_one(old, new):
    file = parse_waivers(waiver(vectors=old), "w.toml")
    item = Failure("FL-EXT-001", "float32", {"nan": ("a/b/x", "a/b/y")}, ("a/c/x", "a/c/z", "d/x"))
    facts = Facts("cpu", None, date(2026, 1, 1))
    (change,) = narrowed(file, [item], [], facts)
    assert change.parts == (((), new),)
