"""Released implementations that nobody here wrote: what is right about them passes, and each known fault is found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def failed(tmp_path_factory):
    """From a profile to the requirements that failed and those that passed, each run once."""
    known = {}

    def run(profile):
        if profile not in known:
            folder = tmp_path_factory.mktemp(profile)
            command = [sys.executable, "-m", "pytest", "conformance", "-q", "-p", "no:cacheprovider"]
            options = [f"--profile={profile}", f"--report-dir={folder}"]
            done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=900)
            assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
            lines = (folder / f"{profile}.jsonl").read_text().splitlines()
            known[profile] = [entry for entry in map(json.loads, lines) if entry["kind"] == "item"]
        bad = {entry["requirement"] for entry in known[profile] if not entry["passed"]}
        return bad, known[profile]

    return run


def text_of(entries, requirement, dtype):
    (text,) = (e["text"] for e in entries if (e["requirement"], e["dtype"]) == (requirement, dtype))
    return text


def test_optax_is_accurate_and_its_two_faults_are_found(failed):
    bad, entries = failed("optax")
    # Values and gradients of ordinary logits pass; infinities, huge logits and shapes do not.
    assert bad == {"FL-EXT-001", "FL-EXT-002", "FL-EXT-004", "FL-SHP-002"}
    assert "nan" in text_of(entries, "FL-EXT-001", "float32")
    assert "a result of shape (4, 4)" in text_of(entries, "FL-SHP-002", "")


def test_kornia_is_accurate_and_its_faults_are_found(failed):
    bad, entries = failed("kornia")
    assert bad == {"FL-EXT-001", "FL-EXT-002", "FL-EXT-004", "FL-RED-005"}
    assert "nan" in text_of(entries, "FL-EXT-002", "float64")


def test_fvcore_is_found_wrong(failed):
    bad, entries = failed("fvcore")
    # float64 computed in float32
    assert "dtype float32" in text_of(entries, "FL-SHP-001", "float64")
    # NaN gradients at saturation for gamma < 1
    saturated = text_of(entries, "FL-GRAD-003", "float32")
    assert "gamma=0.25" in saturated or "gamma=0.5" in saturated
    assert "  got       nan" in saturated
    # easy negatives lost
    assert "FL-VAL-002" in bad
    (lost,) = (e["findings"] for e in entries if (e["requirement"], e["dtype"]) == ("FL-VAL-002", "float32"))
    assert any("/target=0/logit=c1" in finding["case"] and finding["got"].startswith("0.0 ") for finding in lost)
    # an unknown reduction accepted
    assert "  expected  an error" in text_of(entries, "FL-RED-004", "")
